import { copiesByBroker, copiesInAll, type CopyProgress } from '../../control/kubernetes/copy-report.ts'
import { annotations } from '../../control/kubernetes/resources/names.ts'
import type { Condition } from '../../control/kubernetes/resources/condition.ts'
import { type LogTopic, topicNameOf } from '../../control/kubernetes/resources/log-topic.ts'
import { countStates, offlineText, unnamedIn, type TabletCounts } from '../../control/kubernetes/standing.ts'
import { plural } from '../format.ts'
import { type BrokerRow, brokerRows } from './brokers.ts'
import type { Seen } from './seen.ts'

export type ClusterSummary = {
  readonly namespace: string
  readonly name: string
  readonly bootstrap: string | undefined
  readonly externalBootstrap: string | undefined
  readonly conditions: readonly Condition[]
  readonly brokers: { readonly wanted: number; readonly ready: number }
  readonly topics: { readonly total: number; readonly notReady: readonly string[] }
  readonly tablets: TabletCounts
  /** What is being copied from broker to broker; undefined while nothing is. */
  readonly copying: CopyProgress | undefined
  readonly well: boolean
  /** What to do, a sentence each. */
  readonly todo: readonly string[]
}

export function summaryOf(seen: Seen): ClusterSummary {
  const { metadata, spec, status } = seen.cluster
  const brokers = brokerRows(seen)
  const conditions = status?.conditions ?? []
  const unready = seen.topics.filter(topic => readiness(topic)?.status !== 'True')
  const todo = [...ofOperator(seen), ...ofBrokers(brokers), ...ofTablets(seen), ...ofTopics(unready)]
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    bootstrap: status?.bootstrap,
    externalBootstrap: status?.externalBootstrap,
    conditions,
    brokers: { wanted: spec.brokers, ready: brokers.filter(({ ready }) => ready).length },
    topics: { total: seen.topics.length, notReady: unready.map(topicNameOf) },
    tablets: countStates(seen.tablets.map(({ state }) => state)),
    copying: copiesInAll(copiesByBroker([...seen.standings.values()].map(({ copies }) => copies)).values()),
    well: todo.length === 0 && isWell(conditions),
    todo,
  }
}

const readiness = ({ status }: LogTopic): Condition | undefined =>
  status?.conditions?.find(({ type }) => type === 'Ready')

const isWell = (conditions: readonly Condition[]): boolean => {
  const holds = (type: string) => conditions.find(condition => condition.type === type)?.status === 'True'
  return holds('Available') && !holds('Degraded')
}

/** What tells whether anybody looks after the cluster. */
function ofOperator({ cluster: { metadata, status } }: Seen): string[] {
  if (metadata.annotations?.[annotations.paused] === 'true')
    return [
      `The operator leaves it as it is: kubectl -n ${metadata.namespace} annotate logcluster ${metadata.name} ${annotations.paused}-`,
    ]
  if (status?.observedGeneration === metadata.generation && metadata.generation !== undefined) return []
  return [
    'The operator has not seen the last change yet. If that stays so, look at it: kubectl get pods -A -l app.kubernetes.io/name=stele,app.kubernetes.io/component=operator',
  ]
}

const ofBrokers = (brokers: readonly BrokerRow[]): string[] =>
  brokers
    .filter(({ ready }) => !ready)
    .map(({ namespace, pod, phase, trouble }) =>
      trouble === undefined
        ? `${pod} is not ready (${phase}): kubectl -n ${namespace} ${phase === 'Pending' ? 'describe pod' : 'logs'} ${pod}`
        : `${pod} does not run: ${trouble}`,
    )

function ofTablets({ cluster: { metadata }, tablets, standings }: Seen): string[] {
  const which = offlineText(tablets, unnamedIn(standings))
  if (which === undefined) return []
  const all = `stele tablets --problems -n ${metadata.namespace} --cluster ${metadata.name}`
  return [`Offline: ${which}. Bring back what they wait for; all of them: ${all}`]
}

/** Which tablets are offline is said once, of the cluster. */
const ofTopics = (topics: readonly LogTopic[]): string[] =>
  topics.flatMap(topic => {
    const { reason, message } = readiness(topic) ?? {}
    if (reason === 'NoLeader') return []
    return reason === undefined
      ? `Topic ${topicNameOf(topic)} is not placed yet.`
      : `Topic ${topicNameOf(topic)} is not ready (${reason}): ${message}`
  })

/** `3 tablets, 1 of them offline, 2 under-replicated`. */
export function tabletsText({ total, offline, underReplicated, moving }: ClusterSummary['tablets']): string {
  const amiss = [
    offline > 0 ? `${offline} offline` : '',
    underReplicated > 0 ? `${underReplicated} under-replicated` : '',
    moving > 0 ? `${moving} moving` : '',
  ].filter(text => text !== '')
  const all = plural(total, 'tablet')
  if (total === 0) return all
  return amiss.length === 0 ? `${all}, all in sync` : `${all}, of them ${amiss.join(', ')}`
}
