import { annotations } from '../../control/kubernetes/resources/names.ts'
import type { Member } from '../observe/members.ts'
import { podOf, type Seen } from '../observe/seen.ts'
import { revisionOf } from '../resources/pod.ts'

/** Whether the member's pod runs another revision than the one that its StatefulSet would start now, and that is wanted. */
export function isOutdated(seen: Seen, member: Member): boolean {
  const wanted = podOf(seen, member)
  const { pod, statefulSet } = member
  if (wanted === undefined || pod === undefined || statefulSet === undefined) return false
  const next = statefulSet.spec?.template.metadata?.annotations?.[annotations.revision]
  return next === revisionOf(wanted) && pod.metadata.annotations?.[annotations.revision] !== next
}
