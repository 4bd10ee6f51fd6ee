/**
 * The operator: connect, elect, watch, queue, reconcile. A connection to the API server enters; LogClusters become what they are to be.
 * What always holds: one operator writes at a time, and what matters stands in objects, so that any other can go on from any moment.
 */
import type { Clock, Random } from '../base/world.ts'
import type { KubeApi } from '../kube/api.ts'
import type { RequestObservation } from '../kube/client.ts'
import { Election, type ElectionTimings } from '../kube/election.ts'
import { EventRecorder } from '../kube/events.ts'
import type { Log } from '../kube/log.ts'
import { WorkQueue } from '../kube/work-queue.ts'
import { labels } from '../control/kubernetes/resources/names.ts'
import { leadersApi } from './leaders-api.ts'
import { Metrics } from './metrics.ts'
import { Watches } from './observe/watches.ts'
import { reconciler } from './reconcile.ts'
import { manager } from './resources/labels.ts'

export type OperatorOptions = {
  /** Makes the connection to the API server, which tells every request. */
  readonly connect: (onRequest: (observation: RequestObservation) => void) => KubeApi
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** The brokers' image where a LogCluster names none. */
  readonly image: string
  /** Whose LogClusters it looks after; those of all namespaces when it is not given. */
  readonly watchNamespace?: string
  /** The pod it runs in. */
  readonly pod: { readonly name: string; readonly namespace: string }
  readonly timings?: Partial<ElectionTimings>
}

export type Operator = {
  /** Whether it does its work, or stands by. */
  isReady(): boolean
  /** In Prometheus' text format. */
  metrics(): Promise<string>
  /** Rejects when a bug ended it. */
  readonly stopped: Promise<void>
  /** Ends what is under way and hands the leadership back. */
  stop(): Promise<void>
}

export function startOperator(options: OperatorOptions): Operator {
  const { clock, random, log, pod, timings } = options
  const state = { leads: false, synced: false }
  const metrics = new Metrics({ isLeading: () => election.isLeading })
  const api = options.connect(observation => metrics.request(observation))
  const election = new Election({
    api,
    clock,
    random,
    log,
    lease: { namespace: pod.namespace, name: manager },
    identity: pod.name,
    labels: { [labels.name]: manager, [labels.managedBy]: manager },
    onLeading: async signal => {
      state.leads = true
      const own = leadersApi(api, () => election.isLeading)
      await lead({ ...options, api: own, metrics }, signal, () => (state.synced = true))
      state.leads = state.synced = false
    },
    ...(timings !== undefined && { timings }),
  })
  election.start()
  return {
    isReady: () => !state.leads || state.synced,
    metrics: () => metrics.text(),
    stopped: election.stopped,
    stop: () => election.stop(),
  }
}

type Leading = OperatorOptions & { readonly api: KubeApi; readonly metrics: Metrics }

/** Looks after all LogClusters until `signal` is aborted. */
async function lead(options: Leading, signal: AbortSignal, onSynced: () => void): Promise<void> {
  const { api, clock, random, log, image, pod, watchNamespace, metrics } = options
  const world = { api, clock, random, log }
  const events = new EventRecorder({ ...world, controller: 'stele.dev/operator', instance: pod.name })
  let synced = false
  const watches: Watches = new Watches({
    ...world,
    ...(watchNamespace !== undefined && { namespace: watchNamespace }),
    // Half a view is none: before everything was listed nothing is decided.
    onChange: key => synced && queue.add(key),
  })
  const queue: WorkQueue = new WorkQueue({
    clock,
    random,
    log,
    work: reconciler({ api, clock, watches, events, log, image }),
    onObservation: observation => metrics.queue(observation),
  })
  const over = aborted(signal)
  const listed = watches.start().then(() => {
    synced = true
    for (const key of watches.keys()) queue.add(key)
    onSynced()
  })
  listed.catch(() => undefined)
  try {
    await Promise.race([over, queue.stopped, watches.stopped])
  } finally {
    await Promise.all([queue.stop(), watches.stop(), events.stop()])
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
