/**
 * The groups of a broker: from a group's name to its coordinator. A group belongs to a tablet of `__consumer_offsets` by its name's hash,
 * and is coordinated by that tablet's leader. In come names and changes of leadership; out go coordinators. Always holds: there is a
 * coordinator for each of those tablets that leads here, in the epoch it leads in, and for no other.
 */
import type { Logger } from 'pino'
import type { BrokerId } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Timer, World } from '../../base/world.ts'
import { offsetsTopic } from '../../control/model.ts'
import type { ControlStore } from '../../control/store.ts'
import type { BrokerSettings } from '../settings/resolve.ts'
import type { Tablet } from '../tablet/tablet.ts'
import type { Tablets } from '../tablet/tablets.ts'
import { Coordinator, type CoordinatedGroup } from './coordinator.ts'
import { GroupMemory } from './group-memory.ts'

const minuteMs = 60_000
const loadedAtOnce = 4
/** A tablet that could not be read is read again after so long, however often somebody asks. */
const loadAgainMs = 10_000
/** So long a topic that another broker makes is waited for. */
const madeElsewhereMsMax = 10_000

export type GroupsOptions = {
  readonly world: World
  readonly store: ControlStore
  readonly tablets: Tablets
  readonly log: Logger
  readonly settings: BrokerSettings
  /** Somebody has said how many replicas `__consumer_offsets` gets: with fewer brokers it is not made yet. */
  readonly replicationIsGiven?: boolean
}

export class Groups {
  readonly #options: GroupsOptions
  readonly #memory: GroupMemory
  readonly #coordinators = new Map<number, Coordinator>()
  readonly #unfollow = new Map<Coordinator, () => void>()
  #waiting: Coordinator[] = []
  #loading = 0
  #making: Promise<void> | undefined
  #state: 'new' | 'begun' | 'ended' = 'new'
  #expiry: Timer | undefined
  #unwatch: () => void = () => undefined

  constructor(options: GroupsOptions) {
    this.#options = options
    this.#memory = new GroupMemory(options.settings.groupMemoryBytes)
  }

  get usedBytes(): number {
    return this.#memory.usedBytes
  }

  /** The tablets are there: from now on their groups are loaded, and changes followed. */
  begin(): void {
    this.#state = 'begun'
    this.#unwatch = this.#options.store.watch(event => {
      if (event.kind !== 'topic-created' && event.kind !== 'topic-changed' && event.kind !== 'topic-deleted')
        return
      const { name } = event.topic
      if (name === offsetsTopic) void this.#followLater()
      else if (event.kind === 'topic-deleted')
        for (const one of this.#coordinators.values()) one.topicDeleted(name)
    })
    this.#follow()
    this.#expireLater()
  }

  /** Members that wait are told to look for their coordinator again. What is being written goes on. */
  end(): void {
    this.#state = 'ended'
    this.#unwatch()
    this.#expiry?.cancel()
    for (const coordinator of this.#coordinators.values()) coordinator.end('COORDINATOR_NOT_AVAILABLE')
    this.#coordinators.clear()
  }

  /** The tablet of `__consumer_offsets` that a group belongs to (Kafka's `partitionFor`); undefined before there is any. */
  partitionOf(groupId: string): number | undefined {
    const count = this.#options.store.topics().get(offsetsTopic)?.tablets.length
    return count === undefined ? undefined : positive(javaHash(groupId)) % count
  }

  /** The broker that coordinates the group. Makes the topic when there is none. Rejects with COORDINATOR_NOT_AVAILABLE. */
  async coordinatorId(groupId: string): Promise<BrokerId> {
    await this.ensureTopic()
    const partition = this.partitionOf(groupId)
    const leader = this.#options.store.topics().get(offsetsTopic)?.tablets[partition ?? -1]?.leader
    if (leader === undefined || this.#state === 'ended')
      throw new Refusal('COORDINATOR_NOT_AVAILABLE', `nobody leads ${offsetsTopic}-${partition} now`)
    return leader
  }

  /**
   * The coordinator of the group, when it is here and has read its records.
   * @throws Refusal NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE
   */
  of(groupId: string): Coordinator {
    if (this.#state === 'ended') throw new Refusal('COORDINATOR_NOT_AVAILABLE', 'the broker is stopping')
    const partition = this.partitionOf(groupId)
    const tablet = partition === undefined ? undefined : this.#options.tablets.find(offsetsTopic, partition)
    if (this.#state === 'new' || tablet?.role === 'recovering')
      throw new Refusal('COORDINATOR_LOAD_IN_PROGRESS', 'the broker is still recovering')
    const coordinator = tablet && this.#coordinatorOf(tablet)
    if (coordinator === undefined)
      throw new Refusal('NOT_COORDINATOR', 'this broker does not coordinate the group')
    coordinator.checkActive()
    return coordinator
  }

  /**
   * Every group that is coordinated here.
   * @throws Refusal COORDINATOR_LOAD_IN_PROGRESS while some are still being read
   */
  *all(): Generator<CoordinatedGroup, void> {
    if (this.#state === 'new')
      throw new Refusal('COORDINATOR_LOAD_IN_PROGRESS', 'the broker is still recovering')
    for (const coordinator of this.#coordinators.values()) {
      if (!coordinator.leads) continue
      coordinator.checkActive()
      yield* coordinator.groups()
    }
  }

  /** The same without those that are still being read. */
  *loaded(): Generator<CoordinatedGroup, void> {
    for (const coordinator of this.#coordinators.values())
      if (!coordinator.loading) yield* coordinator.groups()
  }

  /** Makes `__consumer_offsets` when it is first needed. Rejects with COORDINATOR_NOT_AVAILABLE. */
  async ensureTopic(): Promise<void> {
    if (this.#options.store.topics().has(offsetsTopic)) return
    this.#making ??= this.#makeTopic().finally(() => (this.#making = undefined))
    await this.#making
  }

  async #makeTopic(): Promise<void> {
    const { store, settings, log, replicationIsGiven = false } = this.#options
    const brokersMax = replicationIsGiven ? Infinity : Math.max(1, store.brokers().size)
    const replication = Math.min(settings.offsetsTopicReplicationFactor, brokersMax)
    const [made] = await store.createTopics([
      {
        name: offsetsTopic,
        tablets: settings.offsetsTopicNumPartitions,
        replication,
        settings: topicSettings(settings),
      },
    ])
    if (made instanceof Refusal && made.code !== 'TOPIC_ALREADY_EXISTS') {
      log.error({ reason: made.message }, `${offsetsTopic} could not be made`)
      throw new Refusal('COORDINATOR_NOT_AVAILABLE', `${offsetsTopic} could not be made: ${made.message}`)
    }
    await this.#madeElsewhere()
    await this.#followLater()
  }

  /** Another broker makes it at the same time, and this one may hear of it later. Rejects with COORDINATOR_NOT_AVAILABLE. */
  #madeElsewhere(): Promise<void> {
    const { store, world } = this.#options
    return new Promise((resolve, reject) => {
      if (store.topics().has(offsetsTopic)) return resolve()
      const stop = store.watch(() => {
        if (!store.topics().has(offsetsTopic)) return
        stop()
        timer.cancel()
        resolve()
      })
      const timer = world.clock.after(madeElsewhereMsMax, () => {
        stop()
        reject(new Refusal('COORDINATOR_NOT_AVAILABLE', `${offsetsTopic} is still being made`))
      })
    })
  }

  /** Called inside a change of the control store, which the tablets follow too: they go first. */
  async #followLater(): Promise<void> {
    await Promise.resolve()
    await this.#options.tablets.settled()
    this.#follow()
  }

  /** Brings the coordinators in line with the tablets that lead here. */
  #follow(): void {
    if (this.#state !== 'begun') return
    const { store, tablets } = this.#options
    const count = store.topics().get(offsetsTopic)?.tablets.length ?? 0
    for (const [partition, coordinator] of this.#coordinators)
      if (tablets.find(offsetsTopic, partition) !== coordinator.tablet) this.#release(partition, coordinator)
    for (let partition = 0; partition < count; partition++) {
      const tablet = tablets.find(offsetsTopic, partition)
      if (tablet !== undefined) this.#coordinatorOf(tablet)
    }
  }

  /** The coordinator of a tablet that leads here; begins to load it when the leadership is a new one. */
  #coordinatorOf(tablet: Tablet): Coordinator | undefined {
    const { partition } = tablet
    const known = this.#coordinators.get(partition)
    const leads = tablet.role === 'leader'
    if (known !== undefined && (!leads || known.tablet !== tablet || known.epoch !== tablet.epoch))
      this.#release(partition, known)
    if (!leads || this.#coordinators.has(partition)) return this.#coordinators.get(partition)
    const { world, store, log, settings } = this.#options
    const coordinator = new Coordinator(tablet, {
      world,
      log,
      memory: this.#memory,
      settings: { ...settings, offsetsRetentionMs: settings.offsetsRetentionMinutes * minuteMs },
      topicId: topic => store.topics().get(topic)?.id,
    })
    this.#coordinators.set(partition, coordinator)
    const unfollow = tablet.onReadable(() => {
      if (tablet.role !== 'leader') this.#release(partition, coordinator)
    })
    this.#unfollow.set(coordinator, unfollow)
    this.#waiting.push(coordinator)
    void this.#loadNext()
    return coordinator
  }

  #release(partition: number, coordinator: Coordinator): void {
    coordinator.end('NOT_COORDINATOR')
    this.#unfollow.get(coordinator)?.()
    this.#unfollow.delete(coordinator)
    if (this.#coordinators.get(partition) === coordinator) this.#coordinators.delete(partition)
  }

  async #loadNext(): Promise<void> {
    if (this.#loading >= loadedAtOnce) return
    const coordinator = this.#waiting.shift()
    if (coordinator === undefined) return
    this.#loading += 1
    try {
      if (coordinator.loading) await coordinator.load()
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#notLoaded(coordinator, error)
    }
    this.#loading -= 1
    void this.#loadNext()
  }

  /** Whoever asks meanwhile is told to wait. */
  #notLoaded(coordinator: Coordinator, { message: reason }: Refusal): void {
    const { tablet } = coordinator
    const { world, log } = this.#options
    const leads = tablet.role === 'leader'
    const againInMs = leads ? loadAgainMs : undefined
    log.error({ offsets: tablet.partition, reason, againInMs }, 'groups not loaded')
    if (!leads) return this.#release(tablet.partition, coordinator)
    world.clock.after(loadAgainMs, () => {
      this.#waiting.push(coordinator)
      void this.#loadNext()
    })
  }

  #expireLater(): void {
    const { world, settings } = this.#options
    this.#expiry = world.clock.after(settings.offsetsRetentionCheckIntervalMs, () => void this.#expire())
  }

  async #expire(): Promise<void> {
    for (const coordinator of this.#coordinators.values()) await coordinator.expire()
    if (this.#state === 'begun') this.#expireLater()
  }
}

/** Groups' records go when others take their place, never by age or size. */
const topicSettings = (settings: BrokerSettings): Record<string, string> => ({
  'cleanup.policy': 'compact',
  'segment.bytes': String(settings.offsetsTopicSegmentBytes),
})

/** Java's `String.hashCode`. */
export function javaHash(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}

/** Kafka's `Utils.abs`. */
const positive = (hash: number): number => (hash === -0x8000_0000 ? 0 : Math.abs(hash))
