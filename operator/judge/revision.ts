import { annotations } from '../../control/kubernetes/resources/names.ts'
import type { Member } from '../observe/members.ts'
import type { Seen } from '../observe/seen.ts'

/** Whether the member's pod has tokens of a ServiceAccount that is gone: whatever it asks of the API server is refused, for good. */
export function isLockedOut({ account }: Seen, { pod }: Member): boolean {
  const had = pod?.metadata.annotations?.[annotations.account]
  return had !== undefined && account !== undefined && had !== account
}

/** Whether the member's pod runs another revision than the one that its StatefulSet would start now, and that is wanted. */
export function isOutdated(seen: Seen, member: Member): boolean {
  const wanted = seen.revisions.get(member.id)
  const { pod, statefulSet } = member
  if (wanted === undefined || pod === undefined || statefulSet === undefined) return false
  const next = statefulSet.spec?.template.metadata?.annotations?.[annotations.revision]
  return next === wanted && pod.metadata.annotations?.[annotations.revision] !== next
}
