// The brokers of a cluster in the rig, as processes, machines and volumes of the host: what a test breaks, and how it sees that all are well again.
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import type { Namespace, Pod } from './cluster.ts'
import { nodes as machines, type Node } from './rig/layout.ts'
import { until } from './rig/until.ts'
import { directoryOfNamed } from './rig/volumes.ts'
import { recordsIn } from '../sim/cluster-clients.ts'
import type { Told } from '../sim/checker.ts'
import type { SliceTablet, TabletSlice } from '../../control/kubernetes/resources/tablet-slice.ts'
import type { Broker } from '../../control/model.ts'

type Lease = { metadata: { name: string; annotations?: Record<string, string> } }
type Found = { readonly tablets: readonly SliceTablet[]; readonly runs: ReadonlyMap<number, number> }

/** The namespace: what is asked with kubectl is asked there. */
type Where = Pick<Namespace, 'name' | 'kubectl'>

export class Brokers {
  readonly #namespace: Where
  readonly #cluster: string
  readonly #topic: string

  constructor(namespace: Where, cluster: string, topic: string) {
    this.#namespace = namespace
    this.#cluster = cluster
    this.#topic = topic
  }

  /** The tablets of the topic and the runs of the brokers, as the API server has them. */
  async look(): Promise<Found> {
    const { kubectl } = this.#namespace
    type Item = (TabletSlice & { kind: 'TabletSlice' }) | (Lease & { kind: 'Lease' })
    const { items } = JSON.parse(
      await kubectl('get', 'tabletslices,leases', '-l', `stele.dev/cluster=${this.#cluster}`, '-o', 'json'),
    ) as { items: Item[] }
    const tablets = items.flatMap(one =>
      one.kind === 'TabletSlice' && one.topic.name === this.#topic ? one.tablets : [],
    )
    const runs = items.flatMap(one => {
      if (one.kind !== 'Lease') return []
      const { brokerId, incarnation } = JSON.parse(
        one.metadata.annotations?.['stele.dev/broker'] ?? '{}',
      ) as Broker
      return [[brokerId, incarnation] as const]
    })
    return { tablets, runs: new Map(runs) }
  }

  async leaderOf(tablet: number): Promise<number> {
    const leader = (await this.look()).tablets[tablet]?.leader
    if (leader === undefined) throw new Error(`nobody leads ${tablet}`)
    return leader
  }

  /** Waits until every tablet has all its replicas in sync, in the runs that brokers have now, and is led. */
  allInSync = (explain: () => Promise<string>): Promise<void> =>
    until(
      'all replicas in sync',
      async () => {
        const { tablets, runs } = await this.look()
        return (
          tablets.length > 0 &&
          tablets.every(
            ({ leader, isr, replicas }) =>
              leader !== undefined &&
              isr.length === replicas.length &&
              isr.every(({ broker, incarnation }) => runs.get(broker) === incarnation),
          )
        )
      },
      { everyMs: 300, limitMs: 120_000, explain },
    )

  podOf = (id: number): string => `${this.#cluster}-broker-${id}-0`
  claimOf = (id: number): string => `${this.#cluster}-broker-${id}`

  async machineOf(id: number): Promise<Node> {
    const pod = await this.pod(id)
    const machine = machines.find(({ name }) => name === pod.spec.nodeName)
    if (machine === undefined) throw new Error(`broker ${id} runs nowhere`)
    return machine
  }

  pod = (id: number): Promise<Pod> => this.#get<Pod>('pod', this.podOf(id))

  async isReady(id: number): Promise<boolean> {
    const { status } = await this.pod(id)
    return status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
  }

  /** Sends a signal to the broker's process, as the host knows it. */
  async signal(id: number, signal: NodeJS.Signals): Promise<void> {
    process.kill(await this.processOf(id), signal)
  }

  /** Its id for the host: containers are processes of this machine. */
  async processOf(id: number): Promise<number> {
    const host = `//${this.podOf(id)}.${this.#cluster}-brokers.${this.#namespace.name}.svc:`
    for (const pid of await readdir('/proc')) {
      if (!/^\d+$/.test(pid)) continue
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      if (command.includes(host) && command.includes('--control=kubernetes')) return Number(pid)
    }
    throw new Error(`broker ${id} has no process`)
  }

  /** Where the host sees the broker's volume. */
  async volumeOf(id: number): Promise<string> {
    const claim = await this.#get<{ spec: { volumeName: string } }>('pvc', this.claimOf(id))
    return directoryOfNamed(claim.spec.volumeName)
  }

  /** Removes all that is on the broker's volume. */
  async wipe(id: number): Promise<void> {
    const volume = await this.volumeOf(id)
    for (const name of await readdir(volume)) await rm(join(volume, name), { recursive: true })
  }

  async #get<Item>(kind: string, name: string): Promise<Item> {
    return JSON.parse(await this.#namespace.kubectl('get', kind, name, '-o', 'json')) as Item
  }

  /** What each broker has on its disk of the topic's tablets, which end at `ends`. */
  async holdings(ids: readonly number[], ends: readonly number[]): Promise<Told[]> {
    const { runs } = await this.look()
    const told = ids.map(async id => {
      const tablets = join(await this.volumeOf(id), 'tablets')
      return Promise.all(
        ends.map(async (highWatermark, partition): Promise<Told> => {
          const records = await recordsOf(tablets, `${this.#topic}-${partition}.`)
          const run = `${id}/${runs.get(id)}`
          return { kind: 'holds', tablet: `${this.#topic}/${partition}`, run, highWatermark, records }
        }),
      )
    })
    return (await Promise.all(told)).flat()
  }
}

async function recordsOf(tablets: string, prefix: string) {
  const [directory] = (await readdir(tablets)).filter(
    name => name.startsWith(prefix) && !name.includes('.stray'),
  )
  if (directory === undefined) return []
  const files = (await readdir(join(tablets, directory))).filter(name => name.endsWith('.log')).toSorted()
  const all = []
  for (const name of files) all.push(...recordsIn(await readFile(join(tablets, directory, name))))
  return all
}
