import { isDeepStrictEqual } from 'node:util'
import type { Condition } from '../../control/kubernetes/resources/condition.ts'
import { logClusters, type LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import {
  logTopics,
  type LogTopic,
  type LogTopicStatus,
} from '../../control/kubernetes/resources/log-topic.ts'
import { ApiError, type KubeApi, type KubeObject, type Resource } from '../../kube/api.ts'
import type { Fact } from '../../kube/events.ts'
import type { Fault } from '../judge/fault.ts'
import { groundOf } from '../judge/topic.ts'
import { isGoing } from '../observe/members.ts'
import type { Observed } from '../observe/observed.ts'
import { dyingIn, withoutDying } from '../observe/removal.ts'
import { see, type Seen } from '../observe/seen.ts'
import { keyOf } from '../plan/step.ts'
import { clusterReport } from '../status/cluster.ts'
import { strandedStatus, topicStatus } from '../status/topic.ts'
import { writesAtOnce } from './apply.ts'
import { inParallel } from './parallel.ts'

export type ReportOptions = {
  readonly api: KubeApi
  readonly wrote: (resource: Resource, object: KubeObject) => void
  readonly record: (fact: Fact) => void
  readonly signal: AbortSignal
}

/**
 * Writes the status of the LogCluster and of its topics, where it is different, and tells what is new in it; conditions of the LogCluster alone while
 * data of one before it are being removed.
 */
export async function report(
  observed: Observed,
  refused: readonly Fault[],
  options: ReportOptions,
): Promise<void> {
  const { cluster, nowMs } = observed
  if (cluster === undefined || isGoing(cluster)) {
    if (cluster !== undefined) return
    const stranded = [...observed.topics.values()].map((topic): Wanted => [
      topic,
      strandedStatus(topic, nowMs),
    ])
    await reportTopics(stranded, options)
    return
  }
  const dying = dyingIn(observed)
  if (dying.size > 0)
    return reportSeen(see(withoutDying(observed, dying), cluster), cluster, refused, options)
  const seen = see(observed, cluster)
  const ground = groundOf(seen)
  await reportTopics(
    seen.topicViews.map((view): Wanted => [view.topic, topicStatus(seen, view, ground)]),
    options,
  )
  await reportSeen(seen, cluster, refused, options)
}

/** The same of the LogCluster alone, while much is still to be done. */
export async function reportCluster(
  observed: Observed,
  refused: readonly Fault[],
  options: ReportOptions,
): Promise<void> {
  const { cluster } = observed
  if (cluster === undefined || isGoing(cluster)) return
  const seen = see(withoutDying(observed, dyingIn(observed)), cluster)
  await reportSeen(seen, cluster, refused, options)
}

async function reportSeen(
  seen: Seen,
  cluster: LogCluster,
  refused: readonly Fault[],
  options: ReportOptions,
): Promise<void> {
  const { status: now, news } = clusterReport(seen, refused)
  const { observedGeneration, conditions = [] } = now
  // Nothing of what is about to go is to be taken for this LogCluster's own, then or later.
  const isWaiting = dyingIn(seen).size > 0
  const status = isWaiting
    ? { ...cluster.status, ...(observedGeneration !== undefined && { observedGeneration }), conditions }
    : now
  if (isDeepStrictEqual(status, cluster.status)) return
  if (!(await write(logClusters, cluster, status, options))) return
  for (const { reason, message } of news) {
    options.record({ regarding: cluster, type: 'Warning', reason, action: 'Check', note: message })
  }
}

type Wanted = readonly [LogTopic, LogTopicStatus]

async function reportTopics(wanted: readonly Wanted[], options: ReportOptions): Promise<void> {
  const different = wanted.filter(
    ([topic, status]) => !isGoing(topic) && !isDeepStrictEqual(status, topic.status),
  )
  await inParallel(different, writesAtOnce, async ([topic, status]) => {
    options.signal.throwIfAborted()
    if (!(await write(logTopics, topic, status, options))) return
    const [now] = status.conditions ?? []
    const [before] = topic.status?.conditions ?? []
    if (now !== undefined && isNews(before, now)) {
      options.record({
        regarding: topic,
        type: 'Warning',
        reason: now.reason,
        action: 'Check',
        note: now.message,
      })
    }
  })
}

/** These pass by themselves, or are told of the LogCluster: a broker that is away is one event, and not one a topic. */
const passing = new Set(['WaitingForBrokers', 'Placing', 'NoLeader'])

const isNews = (before: Condition | undefined, now: Condition): boolean =>
  now.status === 'False' && !passing.has(now.reason) && now.message !== before?.message

/** False when the object is gone. */
async function write<T extends KubeObject>(
  resource: Resource<T>,
  object: T,
  status: unknown,
  { api, wrote }: ReportOptions,
): Promise<boolean> {
  try {
    const patch = [
      { op: 'test', path: '/metadata/uid', value: object.metadata.uid },
      { op: 'add', path: '/status', value: status },
    ] as const
    wrote(resource, await api.patch(resource, keyOf(object), patch, { subresource: 'status' }))
    return true
  } catch (error) {
    if (error instanceof ApiError && error.code === 404) return false
    throw error
  }
}
