import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { RequestObservation } from '../kube/client.ts'
import type { QueueObservation } from '../kube/work-queue.ts'

const seconds = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60]

/** The operator's figures, under the names that dashboards of controllers know. */

/** As client-go's metric has them, and the dashboards that were made for it. */
const methods: Readonly<Record<RequestObservation['verb'], string>> = {
  get: 'GET',
  list: 'GET',
  watch: 'GET',
  create: 'POST',
  apply: 'PATCH',
  patch: 'PATCH',
  replace: 'PUT',
  delete: 'DELETE',
}

export class Metrics {
  readonly #registry = new Registry()
  readonly #reconciles = new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Runs of the reconciliation, by result.',
    labelNames: ['controller', 'result'],
    registers: [this.#registry],
  })
  readonly #reconcileSeconds = new Histogram({
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'How long a reconciliation took.',
    labelNames: ['controller'],
    buckets: seconds,
    registers: [this.#registry],
  })
  readonly #depth = new Gauge({
    name: 'workqueue_depth',
    help: 'How many LogClusters wait for their turn.',
    labelNames: ['name'],
    registers: [this.#registry],
  })
  readonly #waited = new Histogram({
    name: 'workqueue_queue_duration_seconds',
    help: 'How long a LogCluster waited for its turn.',
    labelNames: ['name'],
    buckets: seconds,
    registers: [this.#registry],
  })
  readonly #added = new Counter({
    name: 'workqueue_adds_total',
    help: 'How often something asked for a reconciliation.',
    labelNames: ['name'],
    registers: [this.#registry],
  })
  readonly #retries = new Counter({
    name: 'workqueue_retries_total',
    help: 'How often a failed reconciliation came again.',
    labelNames: ['name'],
    registers: [this.#registry],
  })
  readonly #requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server, by verb and answer; code 0 is none.',
    labelNames: ['method', 'resource', 'code'],
    registers: [this.#registry],
  })

  constructor({ isLeading }: { readonly isLeading: () => boolean }) {
    collectDefaultMetrics({ register: this.#registry })
    const leader: Gauge = new Gauge({
      name: 'leader_election_master_status',
      help: '1 while this process leads.',
      labelNames: ['name'],
      registers: [this.#registry],
      collect: () => {
        leader.set({ name: 'stele-operator' }, isLeading() ? 1 : 0)
      },
    })
  }

  /** In Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  request({ verb, resource, code }: RequestObservation): void {
    this.#requests.inc({ method: methods[verb], resource, code })
  }

  queue(observation: QueueObservation): void {
    const name = { name: 'logcluster' }
    const controller = 'logcluster'
    switch (observation.kind) {
      case 'depth':
        this.#depth.set(name, observation.depth)
        break
      case 'added':
        this.#added.inc(name)
        break
      case 'retried':
        this.#retries.inc(name)
        break
      case 'begun':
        this.#waited.observe(name, observation.waitedSeconds)
        break
      case 'ended':
        this.#reconciles.inc({ controller, result: observation.result })
        this.#reconcileSeconds.observe({ controller }, observation.seconds)
    }
  }
}
