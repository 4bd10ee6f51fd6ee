/**
 * From a request to the tablet that serves it. In come topic names and partitions from the doors, out come tablets led here, or the refusal that
 * says why not; and every change of topics and settings, which resolves when this broker serves it.
 */
import { assert } from '../../base/assert.ts'
import { MIB, type BrokerId, type Epoch, type Incarnation } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { World } from '../../base/world.ts'
import {
  isInternal,
  offsetsTopic,
  type Broker,
  type TabletAssignment,
  type Topic,
} from '../../control/model.ts'
import type { AddOptions, ControlStore, NewTopic, SettingsChange, WriteOptions } from '../../control/store.ts'
import type { Groups } from '../groups/groups.ts'
import {
  describeBroker,
  describeTopic,
  resolveBroker,
  resolveTopic,
  type BrokerSettings,
  type Described,
  type Sources,
  type TopicSettings,
} from '../settings/resolve.ts'
import { isNamed } from '../replication/out-of-sync.ts'
import type { Tablet } from '../tablet/tablet.ts'
import type { Tablets } from '../tablet/tablets.ts'
import { IsrChanges } from './isr-changes.ts'
import { moveReplicas, type WantedMove } from './moves.ts'
import { ProducerIds } from './producer-ids.ts'
import { allowUnclean, offlineOf, type Offline } from './unclean-elections.ts'

export type RouterOptions = {
  readonly world: World
  readonly store: ControlStore
  readonly tablets: Tablets
  readonly groups: Groups
  readonly self: BrokerId
  readonly incarnation: Incarnation
  readonly clusterId: string
  readonly dataDirectory: string
  /** As given on the command line and in the configuration file. */
  readonly staticSettings: Readonly<Record<string, string>>
  /** Undefined where every tablet has one replica. */
  readonly replication?: {
    restore(tablet: { readonly topicId: string; readonly partition: number }): void
    /** Whether the process of a broker is known not to be there now. */
    isDown(broker: BrokerId): boolean
    readonly counters: CopyCounters
    isAlive(broker: BrokerId): boolean
    readonly outOfSync: Readonly<Record<string, number>>
  }
}

/** Bytes of batches that were copied from here and to here, and leaderships that others got from here on purpose. */
type CopyCounters = { readonly bytesOut: number; readonly bytesIn: number; readonly handovers: number }

export type LogDirectory = {
  readonly path: string
  readonly tablets: readonly {
    readonly topic: string
    readonly partition: number
    readonly sizeBytes: number
    /** So many records of what its leader shows to readers are not here. */
    readonly lag: number
  }[]
  readonly freeBytes: number
  readonly totalBytes: number
}

export class Router {
  readonly clusterId: string
  readonly self: BrokerId
  readonly incarnation: Incarnation
  /** From the name of a group to its coordinator. */
  readonly groups: Groups
  readonly isrChanges: IsrChanges
  readonly #options: RouterOptions
  readonly #producerIds: ProducerIds
  readonly #creating = new Map<string, Promise<Topic>>()
  #settings: BrokerSettings
  #state: 'recovering' | 'ready' | 'stopping' = 'recovering'

  constructor(options: RouterOptions) {
    this.#options = options
    this.clusterId = options.clusterId
    this.self = options.self
    this.incarnation = options.incarnation
    this.groups = options.groups
    this.isrChanges = new IsrChanges(options.self)
    this.#producerIds = new ProducerIds(options.self, options.incarnation)
    this.#settings = resolveBroker(this.#sources())
    options.store.watch(event => {
      if (event.kind === 'broker-settings-changed') this.#settings = resolveBroker(this.#sources())
      this.isrChanges.seen(event)
    })
  }

  get settings(): BrokerSettings {
    return this.#settings
  }

  get ready(): boolean {
    return this.#state === 'ready'
  }

  /** See `ControlStore.leaseAgeMs`. */
  get leaseAgeMs(): number | undefined {
    return this.#options.store.leaseAgeMs()
  }

  get notReadyReason(): string | undefined {
    if (this.#state === 'ready') return undefined
    if (this.#state === 'stopping') return 'the broker is stopping'
    const { tabletsDone, tablets, bytesDone, bytes } = this.#options.tablets.progress
    return `recovering: ${tabletsDone} of ${tablets} tablets, ${mib(bytesDone)} of about ${mib(bytes)} MiB checked`
  }

  /** Recovery is over. */
  begin(): void {
    this.#state = 'ready'
  }

  end(): void {
    this.#state = 'stopping'
  }

  brokers(): readonly Broker[] {
    return [...this.#options.store.brokers().values()]
  }

  topics(): ReadonlyMap<string, Topic> {
    return this.#options.store.topics()
  }

  /** Calls `listener` with the name of every topic that was made, changed or deleted, when the tablets here are in line with it. Answers how to stop. */
  watchTopics(listener: (name: string) => void): () => void {
    return this.#options.store.watch(event => {
      if ('topic' in event) listener(event.topic.name)
    })
  }

  topicById(id: string): Topic | undefined {
    return this.#options.store.topicById(id)
  }

  /** Every tablet with a replica here. */
  tablets(): Iterable<Tablet> {
    return this.#options.tablets.all()
  }

  /** Bytes in directories of tablets that were set aside. */
  get strayBytes(): number {
    return this.#options.tablets.strayBytes
  }

  get replication(): CopyCounters {
    return this.#options.replication?.counters ?? { bytesOut: 0, bytesIn: 0, handovers: 0 }
  }

  /** The replica of this tablet here, whatever its role; undefined when there is none. */
  find(topic: string, partition: number): Tablet | undefined {
    return this.#options.tablets.find(topic, partition)
  }

  /** Who leads the tablet, as far as is known here; undefined while nobody does, or who does is not there any more. */
  leaderOf(topic: string, partition: number): { readonly id: BrokerId; readonly epoch: Epoch } | undefined {
    const tablet = this.topics().get(topic)?.tablets[partition]
    if (tablet?.leader === undefined || !isNamed(tablet) || this.isDown(tablet.leader)) return undefined
    return { id: tablet.leader, epoch: tablet.epoch }
  }

  /** How often a replica of this broker began to lead that was not in sync. */
  get ledOutOfSync(): number {
    return Object.values(this.#options.replication?.outOfSync ?? {}).reduce((sum, count) => sum + count, 0)
  }

  /** Why nobody serves the tablet, as far as is known here, and what to do; undefined while somebody does. */
  offline(topic: string, partition: number, assigned: TabletAssignment): Offline | undefined {
    const http = this.broker(this.self)?.addresses.http
    return offlineOf(this.#options.store, topic, partition, assigned, {
      id: this.self,
      trouble: this.find(topic, partition)?.offlineReason,
      server: http && `http://${http.host.includes(':') ? `[${http.host}]` : http.host}:${http.port}`,
    })
  }

  /** Replicas here that cannot be served, with the reasons. */
  get troubled(): readonly { readonly topic: string; readonly partition: number; readonly reason: string }[] {
    return [...this.tablets()].flatMap(({ topic, partition, trouble }) =>
      trouble === undefined ? [] : [{ topic, partition, reason: trouble }],
    )
  }

  /** Clients that are told of a leader that is gone wait for it, and do not ask again who leads. */
  isDown(broker: BrokerId): boolean {
    return broker !== this.self && this.#options.replication?.isDown(broker) === true
  }

  /** Whether clients are told of it: as far as the other brokers and the control store have seen of it, it is there. */
  isAlive(broker: BrokerId): boolean {
    const { replication, store } = this.#options
    return broker === this.self || (replication?.isAlive(broker) ?? !store.isSilent(broker))
  }

  broker(id: BrokerId): Broker | undefined {
    return this.#options.store.brokers().get(id)
  }

  /** @throws Refusal UNKNOWN_TOPIC_OR_PARTITION */
  assignment(topic: string, partition: number): TabletAssignment {
    const known = this.topics().get(topic)
    if (known === undefined) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${topic}`)
    const assignment = known.tablets[partition]
    if (assignment !== undefined) return assignment
    const last = known.tablets.length - 1
    const why = `topic ${topic} has partitions 0 to ${last}, not ${partition}`
    throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', why)
  }

  /**
   * The same as `isPreferred`; and a tablet that another one than its first replica leads goes there at once, if it is led here. Another leader does that by
   * itself within seconds.
   * @throws Refusal UNKNOWN_TOPIC_OR_PARTITION, PREFERRED_LEADER_NOT_AVAILABLE
   */
  prefer(topic: string, partition: number): boolean {
    if (this.isPreferred(topic, partition)) return true
    const topicId = this.topics().get(topic)?.id
    if (topicId !== undefined) this.#options.replication?.restore({ topicId, partition })
    return false
  }

  /**
   * Whether the tablet is led by its first replica.
   * @throws Refusal UNKNOWN_TOPIC_OR_PARTITION; PREFERRED_LEADER_NOT_AVAILABLE when it is not, and cannot be now
   */
  isPreferred(topic: string, partition: number): boolean {
    const { leader, replicas, isr } = this.assignment(topic, partition)
    const [preferred] = replicas
    assert(preferred !== undefined, 'a tablet has replicas')
    if (leader === preferred) return true
    const broker = this.broker(preferred)
    const inSync = isr.find(member => member.broker === preferred)?.incarnation === broker?.incarnation
    if (broker === undefined || !inSync || broker.leaving === true) {
      const why = `broker ${preferred}, the preferred leader of ${topic}-${partition}, is not in sync`
      throw new Refusal('PREFERRED_LEADER_NOT_AVAILABLE', why)
    }
    return false
  }

  /** Lets whoever holds most lead a tablet that nobody leads. Answers the epoch that is to end. See `allowUnclean`. */
  async allowUnclean(topic: string, partition: number): Promise<number> {
    this.assignment(topic, partition)
    return allowUnclean(this.#options.store, this.topics().get(topic)?.id ?? '', partition)
  }

  /** @throws Refusal UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR */
  leading(topic: string, partition: number): Tablet {
    const tablet = this.find(topic, partition)
    if (tablet?.role === 'leader' && tablet.led?.isStale !== true) return tablet
    const { leader } = this.assignment(topic, partition)
    if (leader !== undefined && leader !== this.self)
      throw new Refusal('NOT_LEADER_OR_FOLLOWER', `broker ${leader} leads ${topic}-${partition}`)
    if (tablet?.offlineReason !== undefined) {
      throw new Refusal('KAFKA_STORAGE_ERROR', `${topic}-${partition} is offline: ${tablet.offlineReason}`)
    }
    throw new Refusal('NOT_LEADER_OR_FOLLOWER', `nobody leads ${topic}-${partition} now`)
  }

  /**
   * The same for consumers that may be sent to other replicas (KIP-392): one that follows here serves them too, while it knows what its leader knows.
   * @throws Refusal as `leading`
   */
  readable(topic: string, partition: number): Tablet {
    const tablet = this.find(topic, partition)
    return tablet?.copy === undefined ? this.leading(topic, partition) : tablet
  }

  /**
   * The same as `leading` for a client that writes or deletes records itself: the brokers' own topics are theirs alone.
   * @throws Refusal INVALID_TOPIC_EXCEPTION too
   */
  forClients(topic: string, partition: number): Tablet {
    if (isInternal(topic))
      throw new Refusal('INVALID_TOPIC_EXCEPTION', `only the broker itself writes to ${topic}`)
    return this.leading(topic, partition)
  }

  /**
   * The same for a client that deletes records: not where the last record of each key is kept, which are an application's state.
   * @throws Refusal POLICY_VIOLATION too
   */
  forDeletion(topic: string, partition: number): Tablet {
    const tablet = this.forClients(topic, partition)
    if (tablet.settings.cleanupPolicy.has('delete')) return tablet
    throw new Refusal(
      'POLICY_VIOLATION',
      `${topic} keeps the last record of each key: cleanup.policy is without delete`,
    )
  }

  /** The topic; made with the defaults when it is missing and `auto.create.topics.enable` says so. Rejects with a Refusal. */
  async ensureTopic(name: string): Promise<Topic> {
    const topic = this.topics().get(name)
    if (topic !== undefined) return topic
    if (!this.#settings.autoCreateTopicsEnable) {
      throw new Refusal(
        'UNKNOWN_TOPIC_OR_PARTITION',
        `there is no topic ${name}, and auto.create.topics.enable is false`,
      )
    }
    const creating = this.#creating.get(name) ?? this.#autoCreate(name)
    this.#creating.set(name, creating)
    try {
      return await creating
    } finally {
      this.#creating.delete(name)
    }
  }

  async createTopics(
    wanted: readonly NewTopic[],
    options?: WriteOptions,
  ): Promise<readonly (Topic | Refusal)[]> {
    const made = await this.#options.store.createTopics(wanted, options)
    await this.#options.tablets.settled()
    return made
  }

  async deleteTopic(name: string, id: string): Promise<void> {
    await this.#options.store.deleteTopic(name, id)
  }

  async addTablets(id: string, total: number, options?: AddOptions): Promise<Topic> {
    if (this.topicById(id)?.name === offsetsTopic) {
      const why = `which partition of ${offsetsTopic} a group belongs to depends on how many there are: they stay as many`
      throw new Refusal('INVALID_PARTITIONS', why)
    }
    const topic = await this.#options.store.addTablets(id, total, options)
    await this.#options.tablets.settled()
    return topic
  }

  /** Begins moves of replicas, or takes them back; why it did not, by partition. */
  async moveReplicas(topic: Topic, wanted: readonly WantedMove[]): Promise<ReadonlyMap<number, Refusal>> {
    const refused = await moveReplicas(this.#options.store, topic, wanted)
    await this.#options.tablets.settled()
    return refused
  }

  async alterTopicSettings(id: string, change: SettingsChange): Promise<Topic> {
    this.checkAlteration(id, change)
    return this.#options.store.alterTopicSettings(id, change)
  }

  /**
   * Retention must not forget what groups have committed.
   * @throws Refusal INVALID_CONFIG
   */
  checkAlteration(id: string, { set, unset }: SettingsChange): void {
    const topic = this.topicById(id)
    if (topic?.name !== offsetsTopic) return
    const kept = Object.entries(topic.settings).filter(([name]) => !unset.includes(name))
    const settings = { ...Object.fromEntries(kept), ...set }
    if (!resolveTopic(this.#sources({ ...topic, settings })).cleanupPolicy.has('delete')) return
    const why = 'it keeps the offsets that groups have committed, and retention would delete them'
    throw new Refusal('INVALID_CONFIG', `cleanup.policy of ${topic.name} stays compact: ${why}`)
  }

  alterBrokerSettings(change: SettingsChange): Promise<void> {
    return this.#options.store.alterBrokerSettings(change)
  }

  /** Where the values of a topic's settings come from; those of the broker without a topic, or for one that is not there. */
  settingsSources(topic?: string): Sources {
    return this.#sources(topic === undefined ? undefined : this.topics().get(topic))
  }

  topicSettings(topic: Topic): TopicSettings {
    return resolveTopic(this.#sources(topic))
  }

  describeTopicSettings(topic: Topic): Described[] {
    return describeTopic(this.#sources(topic))
  }

  describeBrokerSettings(): Described[] {
    return describeBroker(this.#sources())
  }

  newProducerId(): number {
    return this.#producerIds.next()
  }

  logDirectory(): LogDirectory {
    const { dataDirectory, world, tablets } = this.#options
    const sizes = [...tablets.all()].map(({ topic, partition, sizeBytes, followed }) => ({
      topic,
      partition,
      sizeBytes,
      lag: followed?.lag ?? 0,
    }))
    return { path: dataDirectory, tablets: sizes, ...world.disk.space(dataDirectory) }
  }

  async #autoCreate(name: string): Promise<Topic> {
    if (name === offsetsTopic) await this.groups.ensureTopic()
    else await this.#createByDefault(name)
    const topic = this.topics().get(name)
    if (topic === undefined)
      throw new Refusal('LEADER_NOT_AVAILABLE', `topic ${name} is not there yet, or not any more`)
    return topic
  }

  async #createByDefault(name: string): Promise<void> {
    const { numPartitions, defaultReplicationFactor } = this.#settings
    const [made] = await this.createTopics([
      { name, settings: {}, tablets: numPartitions, replication: defaultReplicationFactor },
    ])
    if (made instanceof Refusal && made.code !== 'TOPIC_ALREADY_EXISTS') throw made
  }

  #sources(topic?: Topic): Sources {
    const { store, staticSettings } = this.#options
    const both = { dynamic: store.brokerSettings(), static: staticSettings }
    return topic === undefined ? both : { ...both, topic: topic.settings }
  }
}

const mib = (bytes: number): number => Math.round(bytes / MIB)
