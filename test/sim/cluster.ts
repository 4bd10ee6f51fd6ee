/** A whole cluster in one process: brokers on their own disks, a network and a control store between them, everything from one seed. */
import { InvariantViolation } from '../../base/assert.ts'
import { brokerId, type BrokerId } from '../../base/quantities.ts'
import type { Rules } from '../../broker/replication/rules.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { startSimBroker, type SimBroker } from './broker.ts'
import { SimControl } from './control.ts'
import type { CrashKind } from './disk.ts'
import { Seeded } from './seeded.ts'
import { simShared, simWorld, type SimShared, type SimWorld } from './world.ts'

export type ClusterOptions = {
  readonly seed: number
  readonly brokers: number
  readonly settings?: Readonly<Record<string, string>>
  readonly lagMsMax?: number
  readonly restoreMs?: number
  readonly rules?: Rules
}

export class SimNode {
  readonly id: BrokerId
  readonly host: string
  readonly sim: SimWorld
  readonly #cluster: SimCluster
  /** Undefined while it does not run; a paused one runs. */
  broker: SimBroker | undefined
  #starting = 0
  #boots = 1
  paused = false
  /** It is about to stop in order. */
  isStopping = false
  /** There is a process, perhaps one that still recovers. */
  isUp = false

  constructor(cluster: SimCluster, id: number, seed: number, shared: SimShared) {
    this.#cluster = cluster
    this.id = brokerId(id)
    this.host = `broker-${id}`
    this.sim = simWorld({ seed, shared, host: this.host })
  }

  /** Starts its next process; it serves a while later. */
  start(): void {
    if (this.isUp) return
    this.isUp = true
    const run = ++this.#starting
    const { control, options } = this.#cluster
    const cluster = {
      self: this.id,
      host: this.host,
      bootId: `boot-${this.#boots}`,
      lagMsMax: options.lagMsMax ?? 3_000,
      ...(options.restoreMs !== undefined && { restoreMs: options.restoreMs }),
      ...(options.rules && { rules: options.rules }),
      storeOf: control.storeOf.bind(control),
    }
    const starting = startSimBroker(this.sim, { ...options.settings }, { cluster, openMax: 8 })
    starting.then(
      broker => {
        if (run === this.#starting) this.broker = broker
      },
      (error: unknown) => {
        if (run === this.#starting) this.#cluster.failed(error)
      },
    )
  }

  /** A tablet of it is out of service. */
  get isAiling(): boolean {
    return [...(this.broker?.tablets.all() ?? [])].some(({ role }) => role === 'offline')
  }

  get runs(): boolean {
    return this.broker !== undefined
  }

  /** Stops it in order, unless it is killed before it comes to that. */
  stop(): void {
    const { broker } = this
    const run = this.#starting
    if (broker === undefined || this.isStopping) return
    this.isStopping = true
    const end = (): void => {
      if (run === this.#starting) this.kill()
    }
    broker.stop().then(end, (error: unknown) => {
      if (error instanceof InvariantViolation) this.#cluster.failed(error)
      end()
    })
  }

  kill(): void {
    this.#ends()
    this.sim.kill()
  }

  cutPower(how: CrashKind = 'tear'): void {
    this.#ends()
    this.#boots++
    this.sim.crash(how)
  }

  /** Its disk is gone, and an empty one in its place. It does not run then. */
  async loseDisk(): Promise<void> {
    this.kill()
    const { disk } = this.sim.world
    await this.#cluster.clock.finish(disk.remove('/data'))
    await this.#cluster.clock.finish(disk.syncDirectory('/'))
  }

  pause(): void {
    this.paused = true
    this.sim.pause()
  }

  resume(): void {
    this.paused = false
    this.sim.resume()
  }

  #ends(): void {
    this.#starting++
    this.broker = undefined
    this.paused = false
    this.isStopping = false
    this.isUp = false
  }
}

export class SimCluster {
  readonly options: ClusterOptions
  readonly random: Seeded
  readonly shared: SimShared
  readonly control: SimControl
  readonly nodes: readonly SimNode[]
  #failure: unknown

  constructor(options: ClusterOptions) {
    this.options = options
    this.random = new Seeded(options.seed)
    this.shared = simShared(this.random.fork())
    this.control = new SimControl(this.shared.clock, this.random.fork())
    this.nodes = Array.from(
      { length: options.brokers },
      (_, id) => new SimNode(this, id, this.random.below(2 ** 31), this.shared),
    )
  }

  get clock(): SimShared['clock'] {
    return this.shared.clock
  }

  failed(error: unknown): void {
    this.#failure ??= error
  }

  /** @throws what a broker could not start for */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  async run(forMs: number): Promise<void> {
    await this.clock.runFor(forMs)
    this.check()
  }

  async until(holds: () => boolean, limitMs = 60_000): Promise<void> {
    await this.clock.runUntil(() => this.#failure !== undefined || holds(), limitMs)
    this.check()
  }

  async startAll(): Promise<void> {
    for (const node of this.nodes) if (!node.runs) node.start()
    await this.until(() => this.nodes.every(node => node.runs))
  }

  /** Brokers that answer, and do not stop before they have. */
  get able(): SimNode[] {
    return this.nodes.filter(({ runs, paused, isStopping }) => runs && !paused && !isStopping)
  }

  /** Makes a topic with a replica on every broker. */
  async makeTopic(
    name: string,
    settings: Record<string, string> = {},
    tablets = 1,
    replicas = this.nodes.length,
  ) {
    const [node] = this.able
    if (node?.broker === undefined) throw new Error('no broker runs')
    const [topic] = await this.clock.finish(
      node.broker.store.createTopics([{ name, settings, tablets, replication: replicas }]),
    )
    if (topic === undefined || !('id' in topic)) throw topic ?? new Error('no answer')
    return topic
  }

  /** The tablet where it is led, if the broker that leads knows. */
  leader(topicId: string, partition = 0): Tablet | undefined {
    const found = this.nodes.flatMap(node => {
      const tablet = [...(node.broker?.tablets.all() ?? [])].find(
        one => one.topicId === topicId && one.partition === partition,
      )
      return tablet?.role === 'leader' ? [tablet] : []
    })
    return found.sort((a, b) => b.epoch - a.epoch)[0]
  }

  replicas(topicId: string, partition = 0): { readonly node: SimNode; readonly tablet: Tablet }[] {
    return this.nodes.flatMap(node => {
      const tablet = [...(node.broker?.tablets.all() ?? [])].find(
        one => one.topicId === topicId && one.partition === partition,
      )
      return tablet === undefined ? [] : [{ node, tablet }]
    })
  }
}
