import { logTopics, replicationMax } from '../../../control/kubernetes/resources/log-topic.ts'
import { agreedCopies } from '../../judge/topic.ts'
import { isGoing } from '../../observe/members.ts'
import type { Seen } from '../../observe/seen.ts'
import { keyOf, type Step } from '../step.ts'

/**
 * Kafka's tools change how many replicas a topic has by telling its tablets. When all have been told the same, spec.replication follows: so it says what is, and a later change of it is
 * known to be its owner's.
 */
export const followTools = ({ topicViews }: Seen): Step[] =>
  topicViews.flatMap((view): Step[] => {
    const { topic, takenBy } = view
    const { replication } = topic.spec
    const told = takenBy === undefined ? agreedCopies(view) : undefined
    const isOwners = topic.status?.replication !== replication
    if (told === undefined || told === replication || told > replicationMax || isOwners || isGoing(topic))
      return []
    return [
      {
        kind: 'patch',
        resource: logTopics,
        key: keyOf(topic),
        patch: [
          { op: 'test', path: '/metadata/uid', value: topic.metadata.uid },
          { op: 'test', path: '/spec/replication', value: replication },
          { op: 'replace', path: '/spec/replication', value: told },
        ],
        reason: `all tablets of ${view.name} were told to have ${told} replicas`,
      },
    ]
  })
