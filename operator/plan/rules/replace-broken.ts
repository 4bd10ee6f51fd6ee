import { pods, type Pod } from '../../../kube/resources.ts'
import { isBroken, isStarted } from '../../judge/pod.ts'
import { isLockedOut, isOutdated } from '../../judge/revision.ts'
import { holdsDeleted, isGoing } from '../../observe/members.ts'
import type { Seen } from '../../observe/seen.ts'
import { keyOf, type Step } from '../step.ts'

/** A broker that recovers may take its time; one that still is not ready after so long gets what it is to have. */
const patienceMs = 600_000

/**
 * Takes back a broken revision: a pod of another revision than the wanted one that does not come up is replaced at once. It serves nobody,
 * so nothing is waited for; a pod of the wanted revision is left to the kubelet.
 */
export const replaceBroken = (seen: Seen): Step[] =>
  seen.members.flatMap(member => {
    const { pod, id } = member
    if (
      pod === undefined ||
      member.ready ||
      isGoing(pod) ||
      !isOutdated(seen, member) ||
      holdsDeleted(member)
    )
      return []
    const mayRecover = isStarted(pod) && !isBroken(pod) && !isLockedOut(seen, member)
    if (mayRecover && seen.nowMs - notReadySinceMs(pod) < patienceMs) return []
    const reason = 'it does not become ready, and another revision is wanted'
    return [
      {
        kind: 'delete',
        resource: pods,
        key: keyOf(pod),
        uid: pod.metadata.uid ?? '',
        // It may have become ready since.
        ...(pod.metadata.resourceVersion !== undefined && { resourceVersion: pod.metadata.resourceVersion }),
        reason,
        event: {
          type: 'Normal',
          reason: 'BrokenPodReplaced',
          action: 'ReplacePod',
          note: `the pod of broker ${id} is replaced: ${reason}`,
        },
      },
    ]
  })

function notReadySinceMs({ metadata, status }: Pod): number {
  const since = status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime
  return Date.parse(since ?? metadata.creationTimestamp ?? '1970-01-01T00:00:00Z')
}
