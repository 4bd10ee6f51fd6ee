import {
  logClusters,
  type LogCluster,
  type LogClusterSpec,
} from '../../../control/kubernetes/resources/log-cluster.ts'
import {
  logTopics,
  type LogTopic,
  type LogTopicSpec,
} from '../../../control/kubernetes/resources/log-topic.ts'
import { apiVersion } from '../../../control/kubernetes/resources/names.ts'
import type { KubeApi, KubeObject } from '../../../kube/api.ts'
import { customResourceDefinitions, pods, statefulSets } from '../../../kube/resources.ts'
import { startOperator, type Operator } from '../../../operator/main.ts'
import { SimClock, type SimProcess } from '../clock.ts'
import { SimKube, type Call } from '../kube.ts'
import { SimKubelets } from '../kubelet.ts'
import { Seeded } from '../seeded.ts'

export const namespace = 'logs'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** A simulated Kubernetes with an operator, which a test may kill and start again. */
export class Operated {
  readonly clock = new SimClock(Date.UTC(2026, 0, 1))
  readonly kube: SimKube
  readonly kubelets: SimKubelets
  readonly random: Seeded
  operator: Operator | undefined
  #process: SimProcess = { alive: true }
  #runs = 0

  constructor(seed = 1, zones: readonly string[] = ['a', 'b', 'c']) {
    this.random = new Seeded(seed)
    const clock = this.clock.clockOf({ alive: true })
    this.kube = new SimKube({ clock, random: this.random.fork() })
    this.define()
    this.kubelets = new SimKubelets(this.kube, clock, zones)
  }

  /** Makes the definition of LogClusters, anew if it was there. */
  define(): void {
    const key = { namespace: '', name: 'logclusters.stele.dev' }
    this.kube.set(customResourceDefinitions, key, () => undefined)
    this.kube.set(customResourceDefinitions, key, () => ({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: key.name },
    }))
  }

  /** Starts an operator; `through` stands between it and the API server. */
  start(through: (api: KubeApi) => KubeApi = api => api, image = 'stele:1'): Operator {
    this.#process = { alive: true }
    this.#runs += 1
    const clock = this.clock.clockOf(this.#process)
    const random = this.random.fork()
    this.operator = startOperator({
      connect: () => through(this.kube.client(clock, 'operator')),
      clock,
      random: { bytes: count => random.bytes(count) },
      log: silent,
      image,
      pod: { name: `operator-${this.#runs}`, namespace: 'system' },
    })
    return this.operator
  }

  /** As kill -9 does. */
  kill(): void {
    this.#process.alive = false
    this.operator = undefined
  }

  cluster(spec: Partial<LogClusterSpec> = {}, name = 'events', annotations?: Record<string, string>): void {
    const usual = {
      brokers: 3,
      storage: { size: '10Gi' },
      deletionPolicy: 'Retain',
      replaceAfter: '5m',
    } as const
    this.kube.set(logClusters, { namespace, name }, now => ({
      ...(now ?? { apiVersion, kind: 'LogCluster' }),
      metadata: { ...now?.metadata, namespace, name, ...(annotations && { annotations }) },
      spec: { ...(now?.spec ?? usual), ...spec },
    }))
  }

  topic(name: string, spec: Partial<LogTopicSpec> = {}): void {
    const usual = { cluster: 'events', tablets: 1, replication: 1, deletionPolicy: 'Delete' } as const
    this.kube.set(logTopics, { namespace, name }, now => ({
      ...(now ?? { apiVersion, kind: 'LogTopic' }),
      metadata: { ...now?.metadata, namespace, name },
      spec: { ...(now?.spec ?? usual), ...spec },
    }))
  }

  clusterNow(name = 'events'): LogCluster | undefined {
    return this.kube.peek(logClusters, { namespace, name })
  }

  topicNow(name: string): LogTopic | undefined {
    return this.kube.peek(logTopics, { namespace, name })
  }

  condition(type: string, name = 'events') {
    return this.clusterNow(name)?.status?.conditions?.find(one => one.type === type)
  }

  get ready(): number {
    return this.kube
      .peekAll(pods)
      .filter(pod =>
        pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
      ).length
  }

  /** Until the operator says that everything is as it is wanted, of what is wanted now. */
  async converged(name = 'events'): Promise<void> {
    await this.clock.runUntil(() => {
      const cluster = this.clusterNow(name)
      if (cluster?.status?.observedGeneration !== cluster?.metadata.generation) return false
      return this.condition('Progressing', name)?.reason === 'Converged'
    }, 600_000)
    await this.quiet()
  }

  /** Until nobody has written for longer than the operator remembers a fight, or waits before it asks again what it could not learn. */
  async quiet(): Promise<void> {
    for (let before = -1; before < this.writes.length;) {
      before = this.writes.length
      await this.clock.runFor(70_000)
    }
  }

  /** What the operator wrote, its own Lease aside. */
  get writes(): Call[] {
    return this.kube.writes.filter(({ name }) => name !== 'stele-operator')
  }

  /** Whether the operator says of what is wanted now that it is so, or that it waits for a user. */
  isSettled(name = 'events'): boolean {
    const cluster = this.clusterNow(name)
    if (cluster?.status?.observedGeneration !== cluster?.metadata.generation) return false
    return ['Converged', 'DrainBlocked'].includes(this.condition('Progressing', name)?.reason ?? '')
  }

  async settled(name = 'events'): Promise<void> {
    await this.clock.runUntil(() => this.isSettled(name), 900_000)
    await this.quiet()
  }

  sets(): string[] {
    return this.kube.peekAll(statefulSets).map(({ metadata }) => metadata.name)
  }
}

export const namesOf = (objects: readonly KubeObject[]): string[] =>
  objects.map(({ metadata }) => metadata.name)
