import type { LogTopic, LogTopicStatus } from '../../control/kubernetes/resources/log-topic.ts'
import { annotations } from '../../control/kubernetes/resources/names.ts'
import { targetOf } from '../../control/moves.ts'
import { judged, offlineText, type JudgedTablet } from '../../control/kubernetes/standing.ts'
import { brokersText } from '../judge/cluster.ts'
import {
  agreedCopies,
  copiesOf,
  leadersToCome,
  tabletCount,
  topicFault,
  wantedCopies,
  type Ground,
} from '../judge/topic.ts'
import { electionRemedy, wordFault } from '../judge/elections.ts'
import type { Fault } from '../judge/fault.ts'
import type { Seen } from '../observe/seen.ts'
import type { TopicView } from '../../control/kubernetes/ownership.ts'
import { conditionsOf, type Judgement } from './conditions.ts'

export function topicStatus(seen: Seen, view: TopicView, ground: Ground): LogTopicStatus {
  const { topic } = view
  const { generation } = topic.metadata
  const at = { generation, nowMs: seen.nowMs }
  const placed = view.takenBy === undefined ? tabletCount(view) : 0
  const tablets = view.slices.flatMap(slice => judged(slice, seen.standings))
  const replication = replicationOf(view)
  const led = tablets.filter(({ state }) => state !== 'offline').length
  return {
    ...(generation !== undefined && { observedGeneration: generation }),
    conditions: conditionsOf(topic.status?.conditions, [ready(seen, view, ground, tablets)], at),
    ...(placed > 0 && { topicId: view.id }),
    ...(placed > 0 && replication !== undefined && { replication }),
    // What was placed once is remembered: only so is seen what was lost.
    tablets: Math.max(placed, topic.status?.tablets ?? 0),
    led: placed > 0 ? led : 0,
  }
}

/** What all tablets were last told, or have been told by now. */
function replicationOf(view: TopicView): number | undefined {
  const wanted = wantedCopies(view)
  return wanted !== undefined && wanted === agreedCopies(view) ? wanted : copiesOf(view)
}

/** Of a LogTopic whose LogCluster is not there. */
export function strandedStatus(topic: LogTopic, nowMs: number): LogTopicStatus {
  const { generation, namespace } = topic.metadata
  const message = `spec.cluster: there is no LogCluster ${topic.spec.cluster} in the namespace ${namespace}: make it, or a LogTopic for another one`
  const judgement = notReady({ reason: 'ClusterNotFound', message })
  return {
    ...topic.status,
    ...(generation !== undefined && { observedGeneration: generation }),
    conditions: conditionsOf(topic.status?.conditions, [judgement], { generation, nowMs }),
  }
}

const notReady = ({ reason, message }: Fault): Judgement => ({
  type: 'Ready',
  status: 'False',
  reason,
  message,
})

function ready(seen: Seen, view: TopicView, ground: Ground, tablets: readonly JudgedTablet[]): Judgement {
  const fault =
    topicFault(seen, view) ?? placeFault(view, ground) ?? wordFault(view) ?? servedFault(view, tablets)
  if (fault !== undefined) return notReady(fault)
  const count = tabletCount(view)
  const { replication } = view.topic.spec
  const others = tablets.filter(tablet => targetOf(tablet).length !== replication).length
  if (wantedCopies(view) !== undefined) {
    const message = `spec.replication is ${replication}: ${others} of ${count} tablets still have another number of replicas`
    return { type: 'Ready', status: 'True', reason: 'ChangingReplication', message }
  }
  const told =
    others === 0
      ? ''
      : `; ${others} of them not as many replicas as spec.replication says, ${replication}, as Kafka's tools have told them`
  const message = `${count} ${count === 1 ? 'tablet has its' : 'tablets have their'} places${told}`
  return { type: 'Ready', status: 'True', reason: 'Placed', message }
}

function placeFault(view: TopicView, ground: Ground): Fault | undefined {
  const { tablets, replication } = view.topic.spec
  const placed = tabletCount(view)
  if (placed > tablets) {
    return {
      reason: 'TabletsCannotShrink',
      message: `spec.tablets is ${tablets}, the topic has ${placed} and tablets are never taken away: set it to ${placed} or more`,
    }
  }
  if (placed === tablets) return undefined
  const copies = copiesOf(view) ?? replication
  if (ground.tooEarly || copies > ground.members.length) {
    return {
      reason: 'WaitingForBrokers',
      message: `${copies} of the LogCluster's brokers have to be running for its tablets; ${ground.members.length} have registered`,
    }
  }
  const toCome = leadersToCome(view, ground)
  if (toCome.length > 0) {
    return {
      reason: 'WaitingForBrokers',
      message: `the annotation ${annotations.assignment} wants tablets led by ${brokersText(toCome)}, not registered yet: wait, or choose other brokers`,
    }
  }
  return { reason: 'Placing', message: `${tablets - placed} of ${tablets} tablets get their places` }
}

function servedFault(view: TopicView, placed: readonly JudgedTablet[]): Fault | undefined {
  const offline = offlineText(placed)
  if (offline === undefined) return undefined
  const count = placed.filter(({ state }) => state === 'offline').length
  const remedy = electionRemedy(view, placed)
  const message = `${count} of ${placed.length} tablets are offline: ${offline}`
  return { reason: 'NoLeader', message: remedy === undefined ? message : `${message}: ${remedy}` }
}
