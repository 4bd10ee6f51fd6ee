import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { openKubernetesStore } from '../../control/kubernetes/store.ts'
import { logTopics, type LogTopic } from '../../control/kubernetes/resources/log-topic.ts'
import { annotations, apiVersion } from '../../control/kubernetes/resources/names.ts'
import { SimKube, type SimClient } from '../../test/sim/kube.ts'
import { quietLog, startPlacing } from '../../test/sim/kube-placing.ts'
import { Seeded } from '../../test/sim/seeded.ts'
import { startBroker, type RunningBroker } from '../main.ts'
import { realClock } from '../world/clock.ts'

const cluster = 'events'
const namespace = 'default'

export type ClusterBroker = {
  readonly kafka: number
  readonly external: number
  readonly http: string
  readonly running: RunningBroker
  readonly api: SimClient
}

/** Real brokers in this process, with real doors, and a simulated API server between them. */
export class TestCluster {
  readonly kube: SimKube
  readonly brokers: ClusterBroker[] = []
  readonly lost: string[] = []
  readonly #random: Seeded
  readonly #directories: string[] = []
  #stopPlacing: () => void = () => undefined

  private constructor(seed: number) {
    this.#random = new Seeded(seed)
    this.kube = new SimKube({ clock: realClock, random: this.#random.fork() })
    this.placing(true)
  }

  /** Whether the operator works. What is left undone is done with the next change of a topic. */
  placing(works: boolean): void {
    this.#stopPlacing()
    const place = { clock: realClock, cluster, namespace }
    this.#stopPlacing = works ? startPlacing(this.kube, place) : () => undefined
  }

  /** `{id}` in a setting is the broker's number. */
  static async start(count: number, settings: Record<string, string> = {}): Promise<TestCluster> {
    const all = new TestCluster(count)
    for (let id = 0; id < count; id++) {
      all.#directories[id] = mkdtempSync(join(tmpdir(), `stele-cluster-${id}-`))
      all.brokers[id] = await all.startBroker(id, settings)
    }
    return all
  }

  async startBroker(
    id: number,
    settings: Record<string, string> = {},
    noticeMs?: number,
  ): Promise<ClusterBroker> {
    const random = this.#random.fork()
    const api = this.kube.client(realClock, `broker-${id}`)
    const running = await startBroker({
      dataDirectory: this.#directories[id] ?? '',
      cluster: {
        clusterId: 'AAAAAAAAAAAAAAAAAAAAAQ',
        ...(noticeMs !== undefined && { noticeMs }),
        openStore: world =>
          openKubernetesStore({
            ...world,
            random: { bytes: bytes => random.bytes(bytes) },
            api,
            log: quietLog,
            cluster,
            namespace,
            pod: `${cluster}-broker-${id}-0`,
            lost: why => void this.lost.push(why),
          }),
      },
      kafka: undefined,
      http: undefined,
      settings: {
        'broker.id': String(id),
        listeners: 'PLAINTEXT://127.0.0.1:0,HTTP://127.0.0.1:0,EXTERNAL://127.0.0.1:0',
        'advertised.listeners': `EXTERNAL://broker-${id}.example.test:${30_000 + id}`,
        'offsets.topic.num.partitions': '4',
        'group.initial.rebalance.delay.ms': '0',
        ...Object.fromEntries(
          Object.entries(settings).map(([name, value]) => [name, value.replaceAll('{id}', String(id))]),
        ),
      },
      log: pino({ level: 'silent' }),
      version: 'test',
    })
    const port = (addresses: readonly string[]): number => Number(addresses[0]?.split(':').at(-1))
    return {
      kafka: port(running.kafka),
      external: port(running.external),
      http: `http://${running.http[0]}`,
      running,
      api,
    }
  }

  broker(id: number): ClusterBroker {
    const broker = this.brokers[id]
    if (broker === undefined) throw new Error(`there is no broker ${id}`)
    return broker
  }

  /** A topic whose tablets lie where it is said: one list of brokers a tablet. Resolves when every broker knows it. */
  async makeTopic(name: string, places: readonly (readonly number[])[]): Promise<void> {
    this.kube.set(logTopics, { namespace, name }, (): LogTopic => ({
      apiVersion,
      kind: 'LogTopic',
      metadata: { name, namespace, annotations: { [annotations.assignment]: JSON.stringify(places) } },
      spec: {
        cluster,
        name,
        tablets: places.length,
        replication: places[0]?.length ?? 1,
        deletionPolicy: 'Delete',
      },
    }))
    for (const { http } of this.brokers) {
      for (const partition of places.keys()) {
        const served = async (): Promise<boolean> =>
          (await fetch(`${http}/v1/topics/${name}/partitions/${partition}/records`)).ok
        while (!(await served())) await new Promise(resolve => setImmediate(resolve))
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopPlacing()
    for (const { running } of this.brokers) await running.stop()
    for (const directory of this.#directories) rmSync(directory, { recursive: true })
  }
}
