// A LogCluster as its owner sees it with kubectl, and what to wait for.
import { until, type Namespace, type Pod } from './cluster.ts'
import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import type { LogTopic } from '../../control/kubernetes/resources/log-topic.ts'

const apiVersion = 'stele.dev/v1alpha1'

export class OwnedCluster {
  readonly #namespace: Namespace
  readonly #name: string

  constructor(namespace: Namespace, name: string) {
    this.#namespace = namespace
    this.#name = name
  }

  cluster = (spec: object): object => ({
    apiVersion,
    kind: 'LogCluster',
    metadata: { name: this.#name },
    // Fewer tablets of groups' offsets than usual: a broker that starts is ready sooner.
    spec: {
      brokers: 3,
      config: { 'offsets.topic.num.partitions': 5 },
      listeners: [{ type: 'NodePort' }],
      ...spec,
    },
  })

  topic = (name: string, tablets: number, spec: object = {}): object => ({
    apiVersion,
    kind: 'LogTopic',
    metadata: { name },
    spec: { cluster: this.#name, tablets, ...spec },
  })

  seen = (): Promise<LogCluster> => this.#namespace.get('logcluster', this.#name)

  /** What an owner does to the cluster's spec. */
  change = (spec: object): Promise<string> =>
    this.#namespace.kubectl('patch', 'logcluster', this.#name, '--type=merge', '-p', JSON.stringify({ spec }))

  remove = (): Promise<string> => this.#namespace.kubectl('delete', 'logcluster', this.#name, '--timeout=60s')

  pods = (): Promise<Pod[]> => this.#namespace.pods(this.#brokers)

  /** Brokers' pods; each line is another one when its pod is another one, or has started again. */
  uids = async (): Promise<string[]> =>
    (await this.pods())
      .map(({ metadata, status }) => {
        const restarts = status.containerStatuses?.map(({ restartCount }) => restartCount).join()
        return `${metadata.name} ${restarts} ${metadata.uid}`
      })
      .sort()

  names = async (kind: string): Promise<string[]> =>
    (await this.#namespace.kubectl('get', kind, '-l', `stele.dev/cluster=${this.#name}`, '-o', 'name'))
      .split('\n')
      .filter(Boolean)

  /** Waits until the cluster has `count` brokers, all of them ready, and the operator has nothing left to do. */
  converged = (count: number): Promise<void> =>
    until(
      `${count} ready brokers`,
      async () => {
        const { metadata, status } = await this.seen()
        const condition = (type: string) => status?.conditions?.find(each => each.type === type)?.status
        return (
          status?.observedGeneration === metadata.generation &&
          condition('Available') === 'True' &&
          condition('Progressing') === 'False' &&
          status?.brokers?.length === count &&
          status.brokers.every(({ ready }) => ready)
        )
      },
      { limitMs: 180_000, everyMs: 500, explain: this.explain },
    )

  async topicReady(name: string): Promise<LogTopic> {
    await this.#namespace
      .kubectl('wait', '--for=condition=Ready', `logtopic/${name}`, '--timeout=60s')
      .catch(async error => {
        throw new Error(`${String(error)}\n${await this.explain()}`, { cause: error })
      })
    return this.#namespace.get('logtopic', name)
  }

  /** What the operator says is wrong or going on, for errors of tests. */
  explain = async (): Promise<string> => {
    const { kubectl } = this.#namespace
    const said = await Promise.all([
      kubectl('get', 'logclusters,logtopics,pods,pvc', '-o', 'wide'),
      kubectl('get', 'logcluster', this.#name, '-o', 'jsonpath={.status}').catch(String),
      kubectl('get', 'events.events.k8s.io', '--sort-by=.metadata.creationTimestamp'),
      kubectl('logs', '-l', this.#brokers, '--tail=10', '--prefix').catch(String),
    ])
    return said.join('\n')
  }

  get #brokers(): string {
    return `stele.dev/cluster=${this.#name},stele.dev/broker-id`
  }
}
