/** A random history of a cluster: clients at work while brokers are killed, paused and cut off, power fails, and the control store comes and goes. */
import { offset, type BrokerId } from '../../base/quantities.ts'
import type { Rules } from '../../broker/replication/rules.ts'
import type { Acks } from '../../broker/tablet/appending.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import type { Topic } from '../../control/model.ts'
import { isMoving, movedBack, movedTo } from '../../control/moves.ts'
import type { Told } from './checker.ts'
import { SimCluster, type SimNode } from './cluster.ts'
import { Comparisons } from './comparisons.ts'
import { CarelessProducer } from './careless-producer.ts'
import { Flips } from './cluster-flips.ts'
import { NearReader, Producer, Reader } from './cluster-clients.ts'
import { heldBy } from './held.ts'
import { compact, compactAll, maintain } from './upkeep.ts'

export type HistoryOptions = {
  readonly seed: number
  readonly rules?: Rules
  readonly steps?: number
  /** With consumers that read from followers too. */
  readonly near?: boolean
}

const lagMsMax = 600
const stopLooksMax = 150
const settings = {
  'log.segment.bytes': '6000',
  'log.index.interval.bytes': '400',
  // Time itself takes nothing away, whatever a clock says.
  'log.retention.ms': '-1',
}
const yearMs = 365 * 24 * 3_600_000
/** Whoever's clock is off takes what clients send all the same. */
const anyTime = { 'message.timestamp.after.max.ms': String(100 * yearMs) }
const compacted = {
  'cleanup.policy': 'compact',
  'segment.bytes': '900',
  'min.cleanable.dirty.ratio': '0',
  'file.delete.delay.ms': '100',
  'delete.retention.ms': String(10 * yearMs),
}

/** False: there was nothing to do it to. */
type Done = void | boolean

type Wanted = {
  readonly name: string
  readonly settings: Record<string, string>
  readonly acks?: Acks
  /** 1 when it is not given. */
  readonly tablets?: number
}

export type Rolled = {
  readonly acknowledged: number
  /** How long an acks=all write waited at most, from when it was first sent. */
  readonly longestMs: number
  /** Tablets that still counted on a broker when it had stopped. */
  readonly counted: readonly string[]
}

export class ClusterHistory {
  readonly cluster: SimCluster
  readonly told: Told[] = []
  readonly #steps: number
  readonly #near: boolean
  /** In some histories bits flip. */
  readonly #flips: Flips | undefined
  readonly #comparisons: Comparisons | undefined
  #topics: Topic[] = []
  #producers: (Producer | CarelessProducer)[] = []
  #readers: Reader[] = []
  #clients = 0
  readonly #replicas = new WeakMap<Tablet, number>()
  #replicaCount = 0
  /** What was done to the cluster, for whoever looks at a failure. */
  readonly deeds: string[] = []
  /** How often each deed was more than a wish. */
  readonly done = new Map<string, number>()

  constructor({ seed, rules, steps = 18, near = false }: HistoryOptions) {
    const restoreMs = 300 + (seed % 5) * 300
    // With a fourth broker there is somewhere to move to.
    const brokers = seed % 2 === 0 ? 4 : 3
    this.cluster = new SimCluster({
      seed,
      brokers,
      settings,
      lagMsMax,
      restoreMs,
      ...(rules && { rules }),
    })
    this.#comparisons = seed % 4 === 2 ? new Comparisons(this.cluster) : undefined
    this.#steps = steps
    this.#near = near
    this.#flips = seed % 4 === 1 ? new Flips(this.cluster, this.#keepsPower) : undefined
  }

  /** Lives it to the end; answers how many records were acknowledged. */
  async live(): Promise<number> {
    const { cluster } = this
    const { random } = cluster
    await cluster.startAll()
    if (random.chance(0.4)) {
      cluster.control.lostAnswers = 0.3
      this.#did('lost answers')
    }
    if (random.chance(0.5)) {
      cluster.shared.network.delayMs = { min: 1, max: random.between(5, 60) }
      this.#did('slow network')
    }
    const wanted: Wanted[] = [
      { name: 'two', settings: { 'min.insync.replicas': '2', ...anyTime }, tablets: 2 },
      { name: 'one', settings: { 'min.insync.replicas': '1', ...(random.chance(0.7) && anyTime) } },
      { name: 'keyed', settings: { 'min.insync.replicas': '2', ...anyTime, ...compacted } },
      { name: 'loose', settings: { 'stele.replication': 'best-effort', ...anyTime } },
      // Without power cuts it promises the same.
      ...(this.#keepsPower
        ? [{ name: 'cached', settings: { 'stele.flush': 'os', 'min.insync.replicas': '2', ...anyTime } }]
        : []),
    ]
    for (const one of wanted) await this.#make(one)
    const compacts = random.chance(0.5)
    for (let step = 0; step < this.#steps; step++) {
      if (compacts && compact(cluster)) this.#did('compact')
      await this.#trouble()
      this.#flips?.perhaps(this.#plain)
      this.#comparisons?.look()
      await this.#pass(random.between(20, 700))
    }
    await this.#end()
    return this.#producers.reduce((sum, { acknowledged }) => sum + acknowledged, 0)
  }

  /** Each broker in turn is stopped in order and started again, under load, and in the end the preferred leaders lead. */
  async roll(): Promise<Rolled> {
    const { cluster } = this
    const { random, nodes } = cluster
    await cluster.startAll()
    if (random.chance(0.5)) cluster.shared.network.delayMs = { min: 0.05, max: random.between(1, 40) }
    // Nothing is lost by who stops in order: so not even what one replica has acknowledged alone.
    for (const acks of [-1, -1, 1] as const)
      await this.#make({ name: `t${this.#topics.length}`, settings: { 'min.insync.replicas': '2' }, acks })
    const counted: string[] = []
    for (const node of nodes) {
      await this.#pass(random.between(100, 1_000))
      node.stop()
      for (let looks = 0; node.isStopping; looks++) {
        if (looks === stopLooksMax) throw new Error(`${node.host} does not come to its stop`)
        await this.#pass(20)
      }
      for (const { name, assignment } of this.#assignments())
        if (assignment.isr.some(({ broker }) => broker === node.id)) counted.push(`${name} on ${node.id}`)
      await this.#pass(random.between(0, 500))
      node.start()
      await cluster.until(() => this.#assignments().every(({ assignment }) => assignment.isr.length === 3))
    }
    const preferred = (): boolean =>
      this.#assignments().every(({ assignment: { leader, replicas } }) => leader === replicas[0])
    await cluster.until(preferred)
    await this.#end()
    const all = this.#producers.filter(({ acks }) => acks === -1)
    return {
      acknowledged: this.#producers.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
      longestMs: Math.max(...all.map(({ longestMs }) => longestMs)),
      counted,
    }
  }

  /** Records that followers have served. */
  get copied(): number {
    return this.#readers.reduce((sum, one) => sum + (one instanceof NearReader ? one.copied : 0), 0)
  }

  #assignments() {
    return this.#topics.flatMap(topic =>
      (this.cluster.control.state.topicsById.get(topic.id)?.tablets ?? []).map((assignment, partition) => ({
        topic,
        name: topic.name,
        partition,
        assignment,
      })),
    )
  }

  /** Compaction leaves gaps, and of a best-effort topic the leader alone may have what is damaged. */
  get #plain(): readonly Topic[] {
    return this.#topics.filter(topic => !isCompacted(topic) && !isBestEffort(topic))
  }

  /** Any tablet, with its topic. */
  #any() {
    const all = this.#assignments()
    return all[this.cluster.random.below(all.length)]
  }

  get #keepsPower(): boolean {
    return this.cluster.options.seed % 3 === 0
  }

  async #make({ name, settings: own, acks, tablets = 1 }: Wanted): Promise<void> {
    const { cluster } = this
    const topic = await cluster.makeTopic(name, own, tablets, 3)
    this.#topics.push(topic)
    const tell = (told: Told): void => void this.told.push(told)
    for (let partition = 0; partition < tablets; partition++) {
      if (own['stele.replication'] === 'best-effort') {
        tell({ kind: 'best effort', tablet: `${topic.id}/${partition}` })
        this.#begin(new CarelessProducer(cluster, topic.id, partition, 100 + this.#clients++))
        continue
      }
      if (isCompacted(topic)) tell({ kind: 'compacted', tablet: `${topic.id}/${partition}` })
      for (let n = 0; n < 2; n++) {
        const producer = new Producer(cluster, topic.id, partition, 100 + this.#clients++, tell, acks)
        if (isCompacted(topic)) producer.keys = 12
        this.#begin(producer)
      }
      this.#begin(new Reader(cluster, topic.id, partition, `reader ${this.#clients++}`, tell))
      for (let n = 0; this.#near && n < 2; n++)
        this.#begin(new NearReader(cluster, topic.id, partition, `near ${this.#clients++}`, tell))
    }
  }

  #begin(client: Producer | CarelessProducer | Reader): void {
    if (client instanceof Reader) this.#readers.push(client)
    else this.#producers.push(client)
    client.run().catch((error: unknown) => this.cluster.failed(error))
  }

  /** Time passes, and what the brokers say of themselves is written down. */
  async #pass(ms: number): Promise<void> {
    const pieces = 4
    for (let i = 0; i < pieces; i++) {
      await this.cluster.run(ms / pieces)
      this.#observe()
    }
  }

  #observe(): void {
    for (const node of this.cluster.nodes) {
      if (node.broker === undefined || node.paused) continue
      for (const tablet of node.broker.tablets.all()) {
        const name = nameOf(tablet)
        const run = runOf(node)
        const replica = this.#replicaOf(node, tablet)
        this.told.push({ kind: 'mark', tablet: name, run: replica, highWatermark: tablet.highWatermark })
        if (tablet.role === 'leader')
          this.told.push({ kind: 'leads', tablet: name, run, epoch: tablet.epoch })
      }
    }
  }

  /** A replica that was moved away and comes back in the same run is another one. */
  #replicaOf(node: SimNode, tablet: Tablet): string {
    const number = this.#replicas.get(tablet) ?? ++this.#replicaCount
    this.#replicas.set(tablet, number)
    return `${runOf(node)} (${number})`
  }

  /** Mostly one that leads something: there most is at stake. */
  #target(): SimNode {
    const { nodes, random } = this.cluster
    const leaders = this.#assignments().flatMap(
      ({ topic, partition }) => this.cluster.leader(topic.id, partition)?.leader ?? [],
    )
    const leading = nodes.filter(({ id }) => leaders.includes(id))
    return random.pick(
      (leading.length > 0 && random.chance(0.6) ? leading : nodes) as [SimNode, ...SimNode[]],
    )
  }

  async #trouble(): Promise<void> {
    const { cluster } = this
    const { random, shared, control } = cluster
    const node = this.#target()
    const other = random.pick(cluster.nodes as [SimNode, ...SimNode[]])
    const deeds: Record<string, () => Promise<Done> | Done> = {
      start: () => {
        for (const one of cluster.nodes) if (!one.runs && random.chance(0.8)) one.start()
      },
      kill: () => {
        node.kill()
        if (random.chance(0.6)) node.start()
      },
      stop: () => {
        if (node.paused || !node.runs) return false
        node.stop()
        return true
      },
      power: () => {
        if (this.#keepsPower) return false
        node.cutPower(random.pick(['tear', 'tear', 'lose', 'keep']))
        if (random.chance(0.6)) node.start()
        return true
      },
      blackout: () => {
        if (this.#keepsPower) return false
        for (const one of cluster.nodes) one.cutPower()
        for (const one of cluster.nodes) one.start()
        return true
      },
      'lost disk': async () => {
        if (!this.#isSound || !this.#isWhole) return false
        await node.loseDisk()
        if (random.chance(0.8)) node.start()
        return true
      },
      'delete records': () => {
        // What is damaged below the log start nobody has any more.
        if (!this.#isWhole) return false
        const chosen = this.#any()
        // The broker refuses that for compacted topics.
        const leader =
          chosen && !isCompacted(chosen.topic) && cluster.leader(chosen.topic.id, chosen.partition)
        if (!leader || cluster.nodes.some(one => one.paused && one.id === leader.leader)) return false
        const below = random.chance(0.5) ? leader.highWatermark : random.below(leader.highWatermark + 1)
        this.told.push({ kind: 'cleared', tablet: nameOf(leader), below })
        void leader.deleteRecordsBefore(offset(below)).catch(() => undefined)
        return true
      },
      pause: () => {
        if (!node.runs || node.paused) return false
        node.pause()
        return true
      },
      resume: () => {
        const paused = cluster.nodes.filter(one => one.paused)
        for (const one of paused) one.resume()
        return paused.length > 0
      },
      'clock jump': () => {
        const jumpMs = random.pick([60_000, 3_600_000, 24 * 3_600_000, 40 * 24 * 3_600_000])
        node.sim.wall.offMs = random.between(-jumpMs, jumpMs)
      },
      'clocks apart': () => {
        for (const one of cluster.nodes) one.sim.wall.offMs = random.between(-6, 6) * 3_600_000
      },
      'clocks right': () => {
        for (const one of cluster.nodes) one.sim.wall.offMs = 0
      },
      maintenance: () => maintain(cluster),
      compact: () => compact(cluster),
      cut: () => shared.network.cut(node.host, other.host),
      isolate: () => {
        for (const one of cluster.nodes) if (one !== node) shared.network.cut(node.host, one.host)
        if (random.chance(0.5)) control.cutOff(node.id)
      },
      'lone leader': async () => {
        for (const one of cluster.nodes) if (one !== node) shared.network.cut(node.host, one.host)
        control.cutOff(node.id)
        await this.#pass(random.between(700, 1_400))
        node.kill()
        shared.network.heal()
        control.heal()
      },
      'one lags': async () => {
        shared.network.cut(node.host, other.host)
        await this.#pass(random.between(500, 1_200))
        for (const one of cluster.nodes) if (one !== other && (one === node || random.chance(0.5))) one.kill()
        shared.network.heal()
      },
      join: () => {
        shared.network.heal()
        control.heal()
      },
      reset: () => shared.network.reset(node.host, other.host),
      'no control': () => {
        for (const one of cluster.nodes) if (random.chance(0.7)) control.cutOff(one.id)
      },
      'slow disk': () => {
        node.sim.disk.syncMs = random.pick([
          { min: 0.05, max: 2 },
          { min: 5, max: 60 },
        ])
      },
      'full disk': () => {
        node.sim.disk.failShare('write', 0.5, 'ENOSPC', /\.log$/)
      },
      'failing reads': () => {
        node.sim.disk.failShare('read', 0.5, random.pick(['EIO', 'EMFILE']), /\.log$/)
      },
      'failing sync': () => node.sim.disk.failNext('sync', 'EIO', /\.log$/),
      'disk again': () => node.sim.disk.heal(),
      checkpoint: () => {
        if (node.broker === undefined || node.paused) return false
        for (const tablet of node.broker.tablets.all()) void tablet.checkpoint().catch(() => undefined)
        return true
      },
      'another topic': () => this.#makeAgain(),
      move: () => this.#move(),
      'move back': () => {
        if (!this.#isWhole) return false
        for (const { topic, partition, assignment } of this.#assignments())
          if (random.chance(0.5)) control.move(topic.id, partition, movedBack(assignment))
        return true
      },
    }
    const deed = random.pick(often)
    this.deeds.push(`${Math.round(cluster.clock.monotonicMs())} ${deed} ${node.host} ${other.host}`)
    if ((await deeds[deed]?.()) !== false) this.#did(deed)
  }

  #did(deed: string): void {
    this.done.set(deed, (this.done.get(deed) ?? 0) + 1)
  }

  /** What flipped is found and mended: a replica may go, or it could be the last sound one. */
  get #isWhole(): boolean {
    return this.#flips?.isWhole(this.#plain) !== false
  }

  /** Somebody wants the replicas of a topic elsewhere, whatever goes on; two at least, so that one disk is no loss. */
  #move(): Done {
    if (!this.#isWhole) return false
    const { control, random, nodes } = this.cluster
    const chosen = this.#any()
    if (chosen === undefined) return false
    const ids = nodes.map(({ id }) => id)
    const target: BrokerId[] = []
    const count = random.between(2, 3.99)
    while (target.length < Math.floor(count)) {
      const next = random.pick(ids as [BrokerId, ...BrokerId[]])
      if (!target.includes(next)) target.push(next)
    }
    const to = movedTo(chosen.assignment, target)
    control.move(chosen.topic.id, chosen.partition, to)
    return to !== undefined
  }

  /** Whether all replicas are in sync in their present runs and nothing is in the way: one disk is then no loss. */
  get #isSound(): boolean {
    const { control, nodes, shared } = this.cluster
    const quiet = nodes.every(one => one.runs && !one.paused && !control.isAway(one.id) && !one.isAiling)
    if (!quiet || nodes.some(one => nodes.some(other => shared.network.isCut(one.host, other.host))))
      return false
    return this.#assignments().every(({ assignment: { replicas, isr } }) =>
      replicas.every(replica =>
        isr.some(
          ({ broker, incarnation }) =>
            broker === replica && incarnation === nodes[replica]?.broker?.incarnation,
        ),
      ),
    )
  }

  /** A topic is deleted and made again under its name, when the control store can be reached. */
  async #makeAgain(): Promise<Done> {
    const { cluster } = this
    const { control, random } = cluster
    const [node] = cluster.able
    if (node?.broker === undefined || control.isAway(node.id) || random.chance(0.5)) return false
    const [topic, ...others] = this.#topics
    if (topic === undefined) return false
    this.#topics = others
    for (const client of [...this.#producers, ...this.#readers])
      if (client.topicId === topic.id) client.stopped = true
    for (const partition of topic.tablets.keys())
      this.told.push({ kind: 'deleted', tablet: `${topic.id}/${partition}` })
    await cluster.clock.finish(node.broker.store.deleteTopic(topic.name, topic.id))
    await this.#make({ name: topic.name, settings: { ...topic.settings }, tablets: topic.tablets.length })
    return true
  }

  /** Everything is mended; all catch up, and what they hold is written down. */
  async #end(): Promise<void> {
    const { cluster } = this
    const { control, shared } = cluster
    this.deeds.push(...(this.#flips?.done ?? []), `${Math.round(cluster.clock.monotonicMs())} end`)
    shared.network.heal()
    control.heal()
    control.lostAnswers = 0
    shared.network.delayMs = { min: 0.05, max: 0.6 }
    for (const node of cluster.nodes) {
      node.sim.disk.heal()
      node.sim.disk.syncMs = { min: 0.05, max: 2 }
      node.sim.wall.offMs = 0
      if (node.paused) node.resume()
    }
    // What was under way on failing disks fails before the nodes are looked at.
    await this.#pass(200)
    await cluster.until(() => cluster.nodes.every(({ isStopping }) => !isStopping))
    // What a failing disk took out of service comes back with the next run; also of those that were starting on it.
    for (let round = 0; round < 2; round++) {
      for (const node of cluster.nodes) {
        if (node.isAiling) node.kill()
        if (!node.runs) node.start()
      }
      await cluster.until(() => cluster.nodes.every(({ runs }) => runs))
    }
    await this.#pass(1_000)
    for (const producer of this.#producers) producer.stopped = true
    try {
      await cluster.until(() => this.#isQuiet(), 30_000)
    } catch (cause) {
      throw new Error(`it does not come to rest: ${JSON.stringify(this.#state())}`, { cause })
    }
    await this.#flips?.end(this.#plain)
    this.#comparisons?.check()
    this.#observe()
    for (const reader of this.#readers) reader.stopped = true
    await cluster.clock.finish(compactAll(cluster))
    for (const { topic, partition } of this.#assignments()) {
      for (const { node, tablet } of cluster.replicas(topic.id, partition)) {
        const { highWatermark } = tablet
        this.told.push({
          kind: 'holds',
          tablet: nameOf(tablet),
          run: this.#replicaOf(node, tablet),
          highWatermark,
          ...heldBy(node, tablet, highWatermark),
        })
      }
    }
  }

  #isQuiet(): boolean {
    const { cluster } = this
    if (this.#producers.some(({ busy }) => busy)) return false
    return this.#assignments().every(({ topic: { id }, partition, assignment }) => {
      const leader = cluster.leader(id, partition)
      const replicas = cluster.replicas(id, partition)
      if (leader === undefined || isMoving(assignment)) return false
      const count = assignment.replicas.length
      if (replicas.length !== count || assignment.isr.length !== count) return false
      const end = leader.logEnd
      const same = replicas.every(({ tablet }) => tablet.logEnd === end && tablet.highWatermark === end)
      const isOf = (one: Reader): boolean => one.topicId === id && one.partition === partition
      return same && this.#readers.every(reader => !isOf(reader) || reader.next === end)
    })
  }

  #state(): unknown {
    return this.#assignments().map(({ topic: { id }, name, partition, assignment }) => ({
      name: `${name}-${partition}`,
      assignment,
      runs: this.cluster.nodes.map(node => node.broker?.incarnation),
      replicas: this.cluster.replicas(id, partition).map(({ node, tablet }) => ({
        at: node.host,
        role: tablet.role,
        why: tablet.offlineReason,
        epoch: tablet.epoch,
        end: tablet.logEnd,
        mark: tablet.highWatermark,
      })),
      readers: this.#readers
        .filter(one => one.topicId === id && one.partition === partition)
        .map(({ next }) => next),
      busy: this.#producers.filter(({ topicId, busy }) => topicId === id && busy).length,
    }))
  }
}

/** What goes wrong most often does most of the finding. */
const often: [string, ...string[]] = [
  'start',
  ...Array.from({ length: 4 }, () => 'start'),
  ...Array.from({ length: 4 }, () => 'kill'),
  ...Array.from({ length: 3 }, () => 'stop'),
  ...Array.from({ length: 3 }, () => 'power'),
  ...Array.from({ length: 3 }, () => 'isolate'),
  ...Array.from({ length: 3 }, () => 'join'),
  ...Array.from({ length: 2 }, () => 'lone leader'),
  ...Array.from({ length: 2 }, () => 'one lags'),
  ...Array.from({ length: 2 }, () => 'pause'),
  ...Array.from({ length: 2 }, () => 'resume'),
  ...Array.from({ length: 2 }, () => 'cut'),

  'reset',
  'blackout',
  'no control',
  'no control',
  'clock jump',
  'clock jump',
  'clock jump',
  'clocks apart',
  'clocks right',
  'maintenance',
  'maintenance',
  'compact',
  'compact',
  'slow disk',
  'full disk',
  'failing reads',
  'failing sync',
  'lost disk',
  'lost disk',
  'delete records',
  'delete records',
  'disk again',
  'checkpoint',
  'another topic',
  ...Array.from({ length: 9 }, () => 'move'),
  'move back',
]

const isCompacted = ({ settings: own }: Topic): boolean => own['cleanup.policy'] === 'compact'
const isBestEffort = ({ settings: own }: Topic): boolean => own['stele.replication'] === 'best-effort'
const nameOf = ({ topicId, partition }: Tablet): string => `${topicId}/${partition}`
const runOf = (node: SimNode): string => `${node.id}/${node.broker?.incarnation ?? 0}`
