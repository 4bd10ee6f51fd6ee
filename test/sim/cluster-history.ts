/** A random history of a cluster: clients at work while brokers are killed, paused and cut off, power fails, and the control store comes and goes. */
import { readFile } from '../../base/files.ts'
import { offset, type BrokerId } from '../../base/quantities.ts'
import type { Rules } from '../../broker/replication/rules.ts'
import type { Acks } from '../../broker/tablet/appending.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import type { Topic } from '../../control/model.ts'
import { isMoving, movedBack, movedTo } from '../../control/moves.ts'
import type { Told } from './checker.ts'
import { SimCluster, type SimNode } from './cluster.ts'
import { Flips } from './cluster-flips.ts'
import { Producer, Reader, recordsIn } from './cluster-clients.ts'

export type HistoryOptions = { readonly seed: number; readonly rules?: Rules; readonly steps?: number }

const lagMsMax = 600
const stopLooksMax = 150
const settings = { 'log.segment.bytes': '6000', 'log.index.interval.bytes': '400' }

type Wanted = { readonly name: string; readonly settings: Record<string, string>; readonly acks?: Acks }

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
  /** Bits flip in some histories. */
  readonly #flips: Flips | undefined
  #topics: Topic[] = []
  #producers: Producer[] = []
  #readers: Reader[] = []
  #clients = 0
  readonly #replicas = new WeakMap<Tablet, number>()
  #replicaCount = 0
  /** What was done to the cluster, for whoever looks at a failure. */
  readonly deeds: string[] = []

  constructor({ seed, rules, steps = 14 }: HistoryOptions) {
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
    this.#steps = steps
    this.#flips = seed % 4 === 1 ? new Flips(this.cluster, this.#keepsPower) : undefined
  }

  /** Lives it to the end; answers how many records were acknowledged. */
  async live(): Promise<number> {
    const { cluster } = this
    const { random } = cluster
    await cluster.startAll()
    if (random.chance(0.4)) cluster.control.lostAnswers = 0.3
    if (random.chance(0.5)) cluster.shared.network.delayMs = { min: 1, max: random.between(5, 60) }
    const wanted: Wanted[] = [
      { name: 'two', settings: { 'min.insync.replicas': '2' } },
      { name: 'one', settings: { 'min.insync.replicas': '1' } },
      // Without power cuts it promises the same.
      ...(this.#keepsPower
        ? [{ name: 'cached', settings: { 'stele.flush': 'os', 'min.insync.replicas': '2' } }]
        : []),
    ]
    for (const one of wanted) await this.#make(one)
    for (let step = 0; step < this.#steps; step++) {
      await this.#trouble()
      this.#flips?.perhaps(this.#topics)
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

  #assignments() {
    return this.#topics.flatMap(({ id, name }) => {
      const assignment = this.cluster.control.state.topicsById.get(id)?.tablets[0]
      return assignment === undefined ? [] : [{ name, assignment }]
    })
  }

  get #keepsPower(): boolean {
    return this.cluster.options.seed % 3 === 0
  }

  async #make({ name, settings: own, acks }: Wanted): Promise<void> {
    const { cluster } = this
    const topic = await cluster.makeTopic(name, own, 1, 3)
    this.#topics.push(topic)
    const tell = (told: Told): void => void this.told.push(told)
    for (let n = 0; n < 2; n++)
      this.#begin(new Producer(cluster, topic.id, 0, 100 + this.#clients++, tell, acks))
    this.#begin(new Reader(cluster, topic.id, 0, `reader ${this.#clients++}`, tell))
  }

  #begin(client: Producer | Reader): void {
    if (client instanceof Producer) this.#producers.push(client)
    else this.#readers.push(client)
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
    const leaders = this.#topics.flatMap(({ id }) => this.cluster.leader(id)?.leader ?? [])
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
    const deeds: Record<string, () => Promise<void> | void> = {
      start: () => {
        for (const one of cluster.nodes) if (!one.runs && random.chance(0.8)) one.start()
      },
      kill: () => {
        node.kill()
        if (random.chance(0.6)) node.start()
      },
      stop: () => {
        if (node.paused) return
        node.stop()
      },
      power: () => {
        if (this.#keepsPower) return node.kill()
        node.cutPower(random.pick(['tear', 'tear', 'lose', 'keep']))
        if (random.chance(0.6)) node.start()
      },
      blackout: () => {
        if (this.#keepsPower) return
        for (const one of cluster.nodes) one.cutPower()
        for (const one of cluster.nodes) one.start()
      },
      'lost disk': async () => {
        if (!this.#isSound || this.#flips?.isWhole(this.#topics) === false) return
        await node.loseDisk()
        if (random.chance(0.8)) node.start()
      },
      'delete records': () => {
        // What is damaged below the log start nobody has any more.
        if (this.#flips?.isWhole(this.#topics) === false) return
        const topic = this.#topics[random.below(this.#topics.length)]
        const leader = topic && cluster.leader(topic.id)
        if (leader === undefined || cluster.nodes.some(one => one.paused && one.id === leader.leader)) return
        const below = random.chance(0.5) ? leader.highWatermark : random.below(leader.highWatermark + 1)
        this.told.push({ kind: 'cleared', tablet: nameOf(leader), below })
        void leader.deleteRecordsBefore(offset(below)).catch(() => undefined)
      },
      pause: () => {
        if (node.runs) node.pause()
      },
      resume: () => {
        for (const one of cluster.nodes) if (one.paused) one.resume()
      },
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
        if (node.broker === undefined || node.paused) return
        for (const tablet of node.broker.tablets.all()) void tablet.checkpoint().catch(() => undefined)
      },
      'another topic': () => this.#makeAgain(),
      move: () => this.#move(),
      'move back': () => {
        for (const { id } of this.#topics) {
          const now = control.state.topicsById.get(id)?.tablets[0]
          if (now !== undefined && random.chance(0.5)) control.move(id, 0, movedBack(now))
        }
      },
    }
    const deed = random.pick(often)
    this.deeds.push(`${Math.round(cluster.clock.monotonicMs())} ${deed} ${node.host} ${other.host}`)
    await deeds[deed]?.()
  }

  /** Somebody wants the replicas of a topic elsewhere, whatever goes on; two at least, so that one disk is no loss. */
  #move(): void {
    const { control, random, nodes } = this.cluster
    const topic = this.#topics[random.below(this.#topics.length)]
    const now = topic && control.state.topicsById.get(topic.id)?.tablets[0]
    if (topic === undefined || now === undefined) return
    const ids = nodes.map(({ id }) => id)
    const target: BrokerId[] = []
    const count = random.between(2, 3.99)
    while (target.length < Math.floor(count)) {
      const next = random.pick(ids as [BrokerId, ...BrokerId[]])
      if (!target.includes(next)) target.push(next)
    }
    control.move(topic.id, 0, movedTo(now, target))
  }

  /** Whether all replicas are in sync in their present runs and nothing is in the way: one disk is then no loss. */
  get #isSound(): boolean {
    const { control, nodes, shared } = this.cluster
    const quiet = nodes.every(one => one.runs && !one.paused && !control.isAway(one.id) && !one.isAiling)
    if (!quiet || nodes.some(one => nodes.some(other => shared.network.isCut(one.host, other.host))))
      return false
    return this.#topics.every(({ id }) => {
      const { replicas = [], isr = [] } = control.state.topicsById.get(id)?.tablets[0] ?? {}
      return replicas.every(replica =>
        isr.some(
          ({ broker, incarnation }) =>
            broker === replica && incarnation === nodes[replica]?.broker?.incarnation,
        ),
      )
    })
  }

  /** A topic is deleted and made again under its name, when the control store can be reached. */
  async #makeAgain(): Promise<void> {
    const { cluster } = this
    const { control, random } = cluster
    const [first] = cluster.able
    const node = cluster.able.find(({ id }) => !control.isAway(id))
    if (node?.broker === undefined || node !== first || random.chance(0.5)) return
    const topic = this.#topics[0]
    if (topic === undefined) return
    this.#topics = this.#topics.filter(one => one !== topic)
    for (const client of [...this.#producers, ...this.#readers])
      if (client.topicId === topic.id) client.stopped = true
    this.told.push({ kind: 'deleted', tablet: `${topic.id}/0` })
    await cluster.clock.finish(node.broker.store.deleteTopic(topic.name, topic.id))
    await this.#make({ name: topic.name, settings: { ...topic.settings } })
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
      if (node.paused) node.resume()
    }
    // What was under way on failing disks fails before the nodes are looked at.
    await this.#pass(200)
    await cluster.until(() => cluster.nodes.every(({ isStopping }) => !isStopping))
    for (const node of cluster.nodes) {
      // What a failing disk took out of service comes back with the next run.
      if (node.isAiling) node.kill()
      if (!node.runs) node.start()
    }
    await cluster.until(() => cluster.nodes.every(({ runs }) => runs))
    await this.#pass(1_000)
    for (const producer of this.#producers) producer.stopped = true
    try {
      await cluster.until(() => this.#isQuiet(), 30_000)
    } catch (cause) {
      throw new Error(`it does not come to rest: ${JSON.stringify(this.#state())}`, { cause })
    }
    await this.#flips?.end(this.#topics)
    this.#observe()
    for (const reader of this.#readers) reader.stopped = true
    for (const topic of this.#topics) {
      for (const { node, tablet } of cluster.replicas(topic.id)) {
        const { highWatermark } = tablet
        this.told.push({
          kind: 'holds',
          tablet: nameOf(tablet),
          run: this.#replicaOf(node, tablet),
          highWatermark,
          records: heldBy(node, tablet),
        })
      }
    }
  }

  #isQuiet(): boolean {
    const { cluster } = this
    if (this.#producers.some(({ busy }) => busy)) return false
    return this.#topics.every(({ id }) => {
      const leader = cluster.leader(id)
      const replicas = cluster.replicas(id)
      const assignment = cluster.control.state.topicsById.get(id)?.tablets[0]
      if (leader === undefined || assignment === undefined || isMoving(assignment)) return false
      const count = assignment.replicas.length
      if (replicas.length !== count || assignment.isr.length !== count) return false
      const end = leader.logEnd
      const same = replicas.every(({ tablet }) => tablet.logEnd === end && tablet.highWatermark === end)
      return same && this.#readers.every(reader => reader.topicId !== id || reader.next === end)
    })
  }

  #state(): unknown {
    return this.#topics.map(({ name, id }) => ({
      name,
      assignment: this.cluster.control.state.topicsById.get(id)?.tablets[0],
      runs: this.cluster.nodes.map(node => node.broker?.incarnation),
      replicas: this.cluster.replicas(id).map(({ node, tablet }) => ({
        at: node.host,
        role: tablet.role,
        why: tablet.offlineReason,
        epoch: tablet.epoch,
        end: tablet.logEnd,
        mark: tablet.highWatermark,
      })),
      readers: this.#readers.filter(({ topicId }) => topicId === id).map(({ next }) => next),
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

const nameOf = ({ topicId, partition }: Tablet): string => `${topicId}/${partition}`
const runOf = (node: SimNode): string => `${node.id}/${node.broker?.incarnation ?? 0}`

/** What stands in the files of a replica. */
function heldBy(node: SimNode, tablet: Tablet) {
  const { disk } = node.sim.world
  const { directory } = tablet.identity
  return disk
    .list(directory)
    .filter(name => name.endsWith('.log'))
    .flatMap(name => recordsIn(readFile(disk, `${directory}/${name}`) ?? Buffer.alloc(0)))
    .filter(record => record.offset >= tablet.logStart)
}
