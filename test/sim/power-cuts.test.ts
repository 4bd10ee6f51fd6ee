/**
 * Random histories of tablets with `stele.flush=os` while power fails, also everywhere at once. What was acknowledged may be missing only behind where a leader began
 * that was not in sync, and such a one leads only when every member of the last set lost its power; all the rest is promised as ever.
 */
import { expect, test } from 'vitest'
import { readFile } from '../../base/files.ts'
import type { Topic } from '../../control/model.ts'
import type { ControlEvent } from '../../control/store.ts'
import { complaintsOf, type Told } from './checker.ts'
import { SimCluster, type SimNode } from './cluster.ts'
import { Producer, Reader, recordsIn } from './cluster-clients.ts'
import { Comparisons } from './comparisons.ts'

const histories = Number(process.env['STELE_HISTORIES'] ?? 8)
const firstSeed = Number(process.env['STELE_SEED'] ?? 1)

type Deed =
  | 'blackout'
  | 'one keeps all'
  | 'power'
  | 'kill'
  | 'start'
  | 'checkpoint'
  | 'isolate'
  | 'join'
  | 'lost answers'
const deeds: readonly [Deed, ...Deed[]] = [
  'blackout',
  'blackout',
  'one keeps all',
  'power',
  'power',
  'kill',
  'start',
  'start',
  'start',
  'checkpoint',
  'isolate',
  'join',
  'lost answers',
]

class PowerHistory {
  readonly cluster: SimCluster
  readonly told: Told[] = []
  readonly complaints: string[] = []
  readonly did: string[] = []
  /** How often somebody led who was not in sync. */
  cuts = 0
  /** By broker the last run of which something may be lost. */
  readonly #powerless = new Map<number, number>()
  readonly #clients: (Producer | Reader)[] = []
  #topic: Topic | undefined

  constructor(seed: number) {
    this.cluster = new SimCluster({ seed, brokers: 3, lagMsMax: 600, restoreMs: 500 })
    this.cluster.control.onChange = event => this.#changed(event)
  }

  get #id(): string {
    return this.#topic?.id ?? ''
  }

  get #tablet(): string {
    return `${this.#id}/0`
  }

  /** Answers how many records were acknowledged. */
  async live(): Promise<number> {
    const { cluster } = this
    const { random } = cluster
    await cluster.startAll()
    this.#topic = await cluster.makeTopic('t', {
      'stele.flush': 'os',
      'min.insync.replicas': random.chance(0.7) ? '2' : '1',
    })
    const tell = (told: Told): void => void this.told.push(told)
    for (let n = 0; n < 2; n++) {
      const producer = new Producer(cluster, this.#id, 0, 100 + n, tell)
      producer.survivesLoss = true
      const reader = new Reader(cluster, this.#id, 0, `reader ${n}`, tell)
      reader.validates = true
      this.#clients.push(producer, reader)
    }
    for (const client of this.#clients) client.run().catch((error: unknown) => cluster.failed(error))
    const comparisons = new Comparisons(cluster)
    for (let step = 0; step < 12; step++) {
      comparisons.look()
      this.#do(random.pick(deeds))
      await this.#pass(random.between(20, 2_500))
    }
    await this.#end()
    comparisons.check()
    this.complaints.push(...complaintsOf(this.told))
    return this.told.reduce((sum, one) => sum + (one.kind === 'acknowledged' ? one.values.length : 0), 0)
  }

  #do(deed: Deed): void {
    const { cluster } = this
    const { random, nodes, control, shared } = cluster
    const node = random.pick(nodes as [SimNode, ...SimNode[]])
    this.did.push(`${Math.round(cluster.clock.monotonicMs())} ${deed} ${node.host}`)
    const acts: Record<Deed, () => void> = {
      blackout: () => {
        for (const one of nodes) this.#cutPower(one)
        for (const one of nodes) if (random.chance(0.7)) one.start()
      },
      // Nobody may lead before it is back.
      'one keeps all': () => {
        node.kill()
        for (const one of nodes) if (one !== node) this.#cutPower(one)
        for (const one of nodes) if (one !== node) one.start()
      },
      power: () => {
        this.#cutPower(node)
        if (random.chance(0.5)) node.start()
      },
      kill: () => {
        node.kill()
        if (random.chance(0.5)) node.start()
      },
      start: () => nodes.forEach(one => void (random.chance(0.8) && one.start())),
      checkpoint: () => {
        for (const tablet of node.broker?.tablets.all() ?? []) void tablet.checkpoint().catch(() => undefined)
      },
      isolate: () => {
        for (const one of nodes) if (one !== node) shared.network.cut(node.host, one.host)
        if (random.chance(0.5)) control.cutOff(node.id)
      },
      join: () => {
        shared.network.heal()
        control.heal()
      },
      'lost answers': () => (control.lostAnswers = random.chance(0.5) ? 0.3 : 0),
    }
    acts[deed]()
  }

  #cutPower(node: SimNode): void {
    const run = this.cluster.control.state.brokers.get(node.id)?.incarnation ?? 0
    this.#powerless.set(node.id, run)
    node.cutPower(this.cluster.random.pick(['tear', 'tear', 'lose', 'keep']))
  }

  #changed(event: ControlEvent): void {
    if (event.kind !== 'topic-changed' || event.topic.id !== this.#id) return
    const [before, now] = [event.before.tablets[0], event.topic.tablets[0]]
    if (before === undefined || now === undefined || before.epoch === now.epoch) return
    const run = now.isr.find(({ broker }) => broker === now.leader)?.incarnation
    const winner = before.found?.find(one => one.broker === now.leader && one.incarnation === run)
    if (winner === undefined) {
      if (before.isr.every(({ broker }) => broker !== now.leader))
        this.complaints.push(`broker ${now.leader} was not in sync, and leads unheard`)
      return
    }
    this.cuts++
    this.told.push({ kind: 'cut', tablet: this.#tablet, from: winner.end })
    const members = (before.found ?? []).filter(one => before.isr.some(({ broker }) => broker === one.broker))
    if (members.some(one => one.epoch > winner.epoch || (one.epoch === winner.epoch && one.end > winner.end)))
      this.complaints.push(`broker ${now.leader} leads from ${winner.end} on, and another had more`)
    for (const { broker, incarnation } of before.isr)
      if ((this.#powerless.get(broker) ?? 0) < incarnation)
        this.complaints.push(`run ${incarnation} of broker ${broker} lost nothing, and was not waited for`)
  }

  async #pass(ms: number): Promise<void> {
    for (let i = 0; i < 4; i++) {
      await this.cluster.run(ms / 4)
      for (const { node, tablet } of this.cluster.replicas(this.#id)) {
        const run = `${node.id}/${node.broker?.incarnation}`
        const { highWatermark, epoch } = tablet
        this.told.push({ kind: 'mark', tablet: this.#tablet, run, highWatermark })
        if (tablet.role === 'leader') this.told.push({ kind: 'leads', tablet: this.#tablet, run, epoch })
      }
    }
  }

  async #end(): Promise<void> {
    const { cluster } = this
    const { control, shared, nodes } = cluster
    this.did.push(`${Math.round(cluster.clock.monotonicMs())} end`)
    shared.network.heal()
    control.heal()
    control.lostAnswers = 0
    for (const node of nodes) node.start()
    await this.#pass(3_000)
    for (const client of this.#clients) if (client instanceof Producer) client.stopped = true
    await cluster.until(() => this.#isQuiet())
    for (const client of this.#clients) client.stopped = true
    for (const { node, tablet } of cluster.replicas(this.#id)) {
      const { disk } = node.sim.world
      const { directory } = tablet.identity
      const records = disk
        .list(directory)
        .filter(name => name.endsWith('.log'))
        .flatMap(name => recordsIn(readFile(disk, `${directory}/${name}`) ?? Buffer.alloc(0)))
      const { highWatermark } = tablet
      this.told.push({ kind: 'holds', tablet: this.#tablet, run: node.host, highWatermark, records })
    }
  }

  #isQuiet(): boolean {
    const { cluster } = this
    const replicas = cluster.replicas(this.#id)
    const end = cluster.leader(this.#id)?.logEnd
    const inSync = cluster.control.state.topicsById.get(this.#id)?.tablets[0]?.isr.length
    return (
      replicas.length === 3 &&
      inSync === 3 &&
      replicas.every(({ tablet }) => tablet.logEnd === end && tablet.highWatermark === end) &&
      this.#clients.every(client => (client instanceof Producer ? !client.busy : client.next === end))
    )
  }
}

async function live(seed: number): Promise<{ readonly acknowledged: number; readonly cuts: number }> {
  const history = new PowerHistory(seed)
  try {
    const acknowledged = await history.live()
    if (history.complaints.length > 0) throw new Error(history.complaints.slice(0, 20).join('\n'))
    return { acknowledged, cuts: history.cuts }
  } catch (cause) {
    throw new Error(
      `repeat with: STELE_SEED=${seed} STELE_HISTORIES=1 npx vitest run --project unit test/sim/power-cuts.test.ts\n${history.did.join('\n')}`,
      { cause },
    )
  }
}

test(`${histories} histories of power cuts keep what os mode promises`, { timeout: 3_600_000 }, async () => {
  let [acknowledged, cuts] = [0, 0]
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
    const lived = await live(seed)
    acknowledged += lived.acknowledged
    cuts += lived.cuts
  }
  expect(acknowledged).toBeGreaterThan(histories * 20)
  expect(cuts).toBeGreaterThan(histories / 4)
})
