import { annotations } from '../../control/kubernetes/resources/names.ts'
import type { Member } from '../observe/members.ts'
import type { Seen } from '../observe/seen.ts'

/**
 * Whether the member's pod has tokens of a ServiceAccount that is gone, and does not get on without: whatever it asks of the API server is refused.
 * A kubelet renews tokens long before they end, and then of the account that there is; so who renews its Lease has recovered, or still has to see it.
 */
export function isLockedOut({ account, silent }: Seen, { pod, lease }: Member): boolean {
  const had = pod?.metadata.annotations?.[annotations.account]
  const isOther = had !== undefined && account !== undefined && had !== account
  return isOther && (lease === undefined || silent.has(lease.metadata.name))
}

/** Whether the member's pod is another than the one that its StatefulSet would start now, and that is wanted. */
export function isOutdated(seen: Seen, member: Member): boolean {
  const wanted = seen.revisions.get(member.id)
  const { pod, statefulSet } = member
  if (wanted === undefined || pod === undefined || statefulSet === undefined) return false
  const next = statefulSet.spec?.template.metadata?.annotations
  if (next?.[annotations.revision] !== wanted) return false
  if (pod.metadata.annotations?.[annotations.revision] !== wanted) return true
  return isLockedOut(seen, member) && next[annotations.account] === seen.account
}
