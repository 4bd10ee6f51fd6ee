import { pods } from '../../../kube/resources.ts'
import type { JsonPatch } from '../../../kube/api.ts'
import { isGoing } from '../../observe/members.ts'
import type { Seen } from '../../observe/seen.ts'
import { brokerLabels } from '../../resources/labels.ts'
import { keyOf, type Step } from '../step.ts'

/** Labels that somebody took off a broker's pod: without them its StatefulSet lets go of it and can make no other, and no Service finds it. */
export const relabel = ({ members, cluster }: Seen): Step[] =>
  members.flatMap(({ pod, id }) => {
    if (pod === undefined || isGoing(pod)) return []
    const { labels = {}, name, uid } = pod.metadata
    const missing = Object.entries(brokerLabels(cluster.metadata.name, id)).filter(
      ([label, value]) => labels[label] !== value,
    )
    if (missing.length === 0) return []
    const patch: JsonPatch = [
      { op: 'test', path: '/metadata/uid', value: uid },
      ...(pod.metadata.labels === undefined
        ? [{ op: 'add', path: '/metadata/labels', value: {} } as const]
        : []),
      ...missing.map(
        ([label, value]) =>
          ({ op: 'add', path: `/metadata/labels/${label.replaceAll('/', '~1')}`, value }) as const,
      ),
    ]
    const event = {
      type: 'Normal',
      reason: 'PutBack',
      action: 'PutBack',
      note: `the labels of the Pod ${name} were edited, and are as the operator made them again`,
    } as const
    return [
      {
        kind: 'patch',
        resource: pods,
        key: keyOf(pod),
        patch,
        putsBack: true,
        event,
        reason: 'it lacks its labels',
      },
    ]
  })
