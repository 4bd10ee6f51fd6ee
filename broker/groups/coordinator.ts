/**
 * The coordinator of the groups whose records lie in one tablet of `__consumer_offsets`. In come what members and tools ask for, once
 * all records were read; out go answers, and records. Always holds: what was answered as kept is in the log, and a group that
 * is deleted takes with it whatever was committed to it before.
 */
import type { Logger } from 'pino'
import { Refusal, type RefusalCode } from '../../base/refusals.ts'
import type { World } from '../../base/world.ts'
import {
  groupRecord,
  offsetRecord,
  readGroupRecord,
  type StoredGroup,
  type StoredOffset,
} from '../../protocol/kafka/group-records.ts'
import { consumerProtocolType } from '../../protocol/kafka/consumer-protocol.ts'
import { MalformedRequest } from '../../protocol/kafka/malformed.ts'
import type { StoredRecord } from '../../protocol/kafka/records.ts'
import type { Tablet } from '../tablet/tablet.ts'
import { CommittedOffsets, type CommittedOffset } from './committed-offsets.ts'
import { expired, topicsRead } from './expiry.ts'
import { kept, overheadBytes, type GroupMemory } from './group-memory.ts'
import type { JoinAnswer, JoinRequest, Leaver, Speaker, SyncAnswer, SyncRequest } from './group-messages.ts'
import { Group, type GroupSurroundings } from './group.ts'
import { storedWith } from './group-views.ts'
import { OffsetsLog, type Change } from './offsets-log.ts'

type CoordinatorSettings = {
  readonly groupMaxSize: number
  readonly groupInitialRebalanceDelayMs: number
  readonly offsetsCommitTimeoutMs: number
  readonly offsetsRetentionMs: number
}

export type CoordinatorOptions = {
  readonly world: World
  readonly log: Logger
  readonly memory: GroupMemory
  readonly settings: CoordinatorSettings
  /** Undefined when there is no topic of this name. */
  readonly topicId: (topic: string) => string | undefined
}

/** A group with what it has committed. */
export type CoordinatedGroup = { group: Group; readonly offsets: CommittedOffsets }

/** A few milliseconds' work. */
const restoredBytesPerTurn = 256 * 1024
/** So many offsets may be looked at in one turn of the event loop when they expire. */
const lookedAtPerTurn = 1_000

/** `writing` counts what was handed to the log for it and is not decided. */
type Entry = CoordinatedGroup & { writing: number; whenIdle: (() => void)[] }

export type OffsetCommit = CommittedOffset
export type TopicPartition = { readonly topic: string; readonly partition: number }

export class Coordinator {
  readonly tablet: Tablet
  /** In which it leads the tablet: another epoch has another coordinator. */
  readonly epoch: number
  readonly #options: CoordinatorOptions
  readonly #log: Logger
  readonly #offsetsLog: OffsetsLog
  readonly #around: GroupSurroundings
  readonly #groups = new Map<string, Entry>()
  #state: 'loading' | 'active' | 'ended' = 'loading'

  constructor(tablet: Tablet, options: CoordinatorOptions) {
    const { world, memory, settings } = options
    this.tablet = tablet
    this.epoch = tablet.epoch
    this.#options = options
    this.#log = options.log.child({ offsets: tablet.partition })
    this.#offsetsLog = new OffsetsLog(tablet, world.clock, this.#log, settings.offsetsCommitTimeoutMs)
    this.#around = {
      clock: world.clock,
      random: world.random,
      memory,
      sizeMax: settings.groupMaxSize,
      initialRebalanceDelayMs: settings.groupInitialRebalanceDelayMs,
      keep: (id, stored, done) => void this.#keep(id, stored, done),
      note: (group, what, facts) => this.#log.info({ group, ...facts }, what),
    }
  }

  get loading(): boolean {
    return this.#state === 'loading'
  }

  /** Whether it leads the tablet, and nobody else may lead it by now. */
  get leads(): boolean {
    return this.tablet.role === 'leader' && this.tablet.led?.isStale !== true
  }

  /** Reads all records; requests are refused until then. Rejects when the tablet cannot be read, and may be tried again. */
  async load(): Promise<void> {
    const { clock } = this.#options.world
    const startedMs = clock.monotonicMs()
    const groups = new Map<string, Buffer>()
    let records = 0
    try {
      await this.#offsetsLog.readAll(
        () => this.loading,
        record => {
          if (!this.loading) return
          records += 1
          this.#replay(record, groups)
        },
      )
    } catch (error) {
      // What was read so far is not what there is.
      this.#discardAll('NOT_COORDINATOR')
      throw error
    }
    await this.#restoreAll(groups)
    if (!this.loading) return
    this.#state = 'active'
    for (const { group } of this.#groups.values()) group.begin()
    this.#forgetVanishedTopics()
    const tookMs = Math.round(clock.monotonicMs() - startedMs)
    if (records > 0) this.#log.info({ groups: this.#groups.size, records, tookMs }, 'groups loaded')
  }

  /** Another broker coordinates from now on, or this one stops: whoever waits is told so, and nothing is written. */
  end(code: RefusalCode): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#discardAll(code)
  }

  /** @throws Refusal COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR */
  checkActive(): void {
    if (this.#state === 'loading') {
      throw new Refusal('COORDINATOR_LOAD_IN_PROGRESS', 'the groups are still being read from the log')
    }
    if (this.#state === 'ended' || !this.leads) {
      throw new Refusal('NOT_COORDINATOR', 'this broker does not coordinate the group any more')
    }
  }

  join(groupId: string, request: JoinRequest): Promise<JoinAnswer> {
    const { memberId } = request
    const entry = this.#groups.get(groupId) ?? (memberId === '' ? this.#create(groupId) : undefined)
    if (entry === undefined) {
      const refused = memberId === '' ? 'GROUP_MAX_SIZE_REACHED' : 'UNKNOWN_MEMBER_ID'
      return Promise.resolve({ refused, memberId })
    }
    return new Promise(resolve => entry.group.join(request, resolve))
  }

  sync(groupId: string, request: SyncRequest): Promise<SyncAnswer> {
    const group = this.#groups.get(groupId)?.group
    if (group === undefined) return Promise.resolve({ refused: 'UNKNOWN_MEMBER_ID' })
    return new Promise(resolve => group.sync(request, resolve))
  }

  heartbeat(groupId: string, speaker: Speaker): RefusalCode | undefined {
    const group = this.#groups.get(groupId)?.group
    return group === undefined ? 'UNKNOWN_MEMBER_ID' : group.heartbeat(speaker)
  }

  leave(groupId: string, leavers: readonly Leaver[]): RefusalCode | (RefusalCode | undefined)[] {
    return this.#groups.get(groupId)?.group.leave(leavers) ?? leavers.map(() => 'UNKNOWN_MEMBER_ID')
  }

  /** Keeps offsets. Answers undefined once they are as durable as acks=all, or why they are not. */
  commit(
    groupId: string,
    speaker: Speaker,
    offsets: readonly OffsetCommit[],
  ): Promise<RefusalCode | undefined> {
    const found = this.#groups.get(groupId)
    // A client outside of any group commits as nobody in no generation; that is also how a group without members begins.
    if (found === undefined && speaker.generation >= 0) return Promise.resolve('GROUP_ID_NOT_FOUND')
    const entry = found ?? this.#create(groupId)
    if (entry === undefined) return Promise.resolve('INVALID_COMMIT_OFFSET_SIZE')
    const refused = entry.group.mayCommit(speaker)
    if (refused !== undefined || offsets.length === 0) return Promise.resolve(refused)
    if (!this.#options.memory.fits(entry.offsets.growthBy(offsets)))
      return Promise.resolve('INVALID_COMMIT_OFFSET_SIZE')
    const { topicId } = this.#options
    const changes = offsets.map(({ topic, partition, value }) => {
      const meant = topicId(topic)
      const effect = (): void => {
        entry.offsets.set(topic, partition, value)
        // The topic was deleted while this was on its way: what has its name now is another one.
        if (topicId(topic) !== meant) void this.#forget(entry, [{ topic, partition }])
      }
      return { ...offsetRecord(groupId, topic, partition, value), effect }
    })
    return this.#write(entry, changes, commitToldAs)
  }

  /** The group, unless there is none of this name. */
  find(groupId: string): CoordinatedGroup | undefined {
    const entry = this.#groups.get(groupId)
    return entry?.group.state === 'Dead' ? undefined : entry
  }

  *groups(): Generator<CoordinatedGroup, void> {
    for (const entry of this.#groups.values()) if (entry.group.state !== 'Dead') yield entry
  }

  /** Deletes a group without members, with its offsets. Answers why not, or undefined when it is gone for good. */
  async delete(groupId: string): Promise<RefusalCode | undefined> {
    const entry = this.#groups.get(groupId)
    if (entry === undefined || entry.group.state === 'Dead') return 'GROUP_ID_NOT_FOUND'
    if (entry.group.state !== 'Empty') return 'NON_EMPTY_GROUP'
    return this.#remove(entry)
  }

  /**
   * Forgets offsets. Consumers' groups keep those of topics they read; other groups with members keep all. Answers why
   * nothing was done, or for each why it stayed.
   */
  async deleteOffsets(
    groupId: string,
    places: readonly TopicPartition[],
  ): Promise<RefusalCode | (RefusalCode | undefined)[]> {
    const entry = this.#groups.get(groupId)
    if (entry === undefined || entry.group.state === 'Dead') return 'GROUP_ID_NOT_FOUND'
    const { group } = entry
    if (group.state !== 'Empty' && group.protocolType !== consumerProtocolType) return 'NON_EMPTY_GROUP'
    // Consumers whose subscriptions nobody understands may read anything.
    const read = group.state === 'Empty' ? new Set() : topicsRead(group)
    const isRead = (topic: string): boolean => read?.has(topic) ?? true
    const stays = places.map(({ topic }) => (isRead(topic) ? 'GROUP_SUBSCRIBED_TO_TOPIC' : undefined))
    const doomed = places.filter(
      ({ topic, partition }, i) =>
        stays[i] === undefined && (entry.writing > 0 || entry.offsets.get(topic, partition) !== undefined),
    )
    const refused = await this.#forget(entry, doomed)
    return refused === undefined ? stays : stays.map(code => code ?? refused)
  }

  /** The topic is deleted, and so is what was committed for it. */
  topicDeleted(topic: string): void {
    for (const entry of this.#groups.values()) void this.#forget(entry, [...entry.offsets.of(topic)])
  }

  /** Forgets offsets that are old enough, and groups of which nothing is left. Others get their turn meanwhile. */
  async expire(): Promise<void> {
    const { settings, world } = this.#options
    let looked = 0
    for (const entry of this.#groups.values()) {
      if (looked >= lookedAtPerTurn) {
        looked = 0
        await new Promise<void>(turned => world.clock.endOfTurn(turned))
      }
      if (this.#state !== 'active' || this.tablet.role !== 'leader') return
      looked += 1 + entry.offsets.size
      // An offset that is being committed again is not old.
      if (entry.writing > 0 || entry.group.state === 'Dead') continue
      const old = expired(entry.group, entry.offsets, settings.offsetsRetentionMs, world.clock.nowMs())
      if (entry.group.unused && old.length === entry.offsets.size) void this.#remove(entry)
      else void this.#forget(entry, old)
    }
  }

  #create(groupId: string): Entry | undefined {
    const { memory } = this.#options
    const bytes = overheadBytes.group + groupId.length
    if (!memory.fits(bytes)) {
      this.#log.warn(
        { usedBytes: memory.usedBytes },
        'a new group is refused: stele.group.memory.bytes is used up',
      )
      return undefined
    }
    return this.#enter(groupId, new Group(groupId, this.#around))
  }

  #enter(groupId: string, group: Group): Entry {
    const { memory } = this.#options
    const entry = { group, offsets: new CommittedOffsets(memory), writing: 0, whenIdle: [] }
    this.#groups.set(groupId, entry)
    memory.change(overheadBytes.group + groupId.length)
    return entry
  }

  #discardAll(code: RefusalCode): void {
    for (const entry of this.#groups.values()) this.#discard(entry, code)
    this.#groups.clear()
  }

  #discard(entry: Entry, code: RefusalCode): void {
    entry.group.end(code)
    entry.offsets.clear()
    this.#options.memory.change(-overheadBytes.group - entry.group.id.length)
  }

  /** Nobody may use it from now on; what was on its way before is waited for, and then everything is taken out of the log. */
  async #remove(entry: Entry): Promise<RefusalCode | undefined> {
    const { group, offsets } = entry
    const stored = storedWith(group, ({ assignment }) => assignment)
    group.end('COORDINATOR_NOT_AVAILABLE')
    if (entry.writing > 0) await new Promise<void>(resolve => entry.whenIdle.push(resolve))
    if (this.#state !== 'active') return 'NOT_COORDINATOR'
    let left: StoredGroup | undefined = stored
    const changes = [
      ...[...offsets].map(place => tombstone(entry, place)),
      { ...groupRecord(group.id, null), effect: () => (left = undefined) },
    ]
    return this.#write(entry, changes, toldAs, refused => {
      if (this.#groups.get(group.id) !== entry) return
      if (refused === undefined) {
        this.#groups.delete(group.id)
        this.#discard(entry, 'COORDINATOR_NOT_AVAILABLE')
        return
      }
      // What could not be taken out is still there, and may be used again.
      entry.group =
        left === undefined ? new Group(group.id, this.#around) : Group.restored(group.id, left, this.#around)
    })
  }

  #forget(entry: Entry, doomed: readonly TopicPartition[]): Promise<RefusalCode | undefined> {
    if (doomed.length === 0) return Promise.resolve(undefined)
    return this.#write(
      entry,
      doomed.map(place => tombstone(entry, place)),
      toldAs,
    )
  }

  async #keep(
    groupId: string,
    stored: StoredGroup,
    done: (refused: RefusalCode | undefined) => void,
  ): Promise<void> {
    const entry = this.#groups.get(groupId)
    if (entry === undefined) return done('NOT_COORDINATOR')
    done(await this.#write(entry, [groupRecord(groupId, stored)], toldAs))
  }

  /** Resolves with undefined once all changes are durable, or with what to tell the client. Each has its effect when it is. */
  async #write(
    entry: Entry,
    changes: readonly Change[],
    told: Translation,
    settled: (refused: RefusalCode | undefined) => void = () => undefined,
  ): Promise<RefusalCode | undefined> {
    entry.writing += 1
    const refused = await this.#offsetsLog.write(changes, {
      durable: these => {
        if (this.#state === 'active') for (const { effect } of these) effect?.()
      },
      settled: refused => {
        entry.writing -= 1
        if (this.#state === 'active') settled(refused)
        if (entry.writing === 0) for (const act of entry.whenIdle.splice(0)) act()
      },
    })
    return refused === undefined ? undefined : (told[refused] ?? refused)
  }

  #replay(record: StoredRecord, groups: Map<string, Buffer>): void {
    try {
      const read = record.key === null ? undefined : readGroupRecord(record.key, record.value)
      if (read === undefined) {
        this.#log.warn({ at: record.offset }, 'a record that is not about groups is passed over')
      } else if (read.kind === 'group') {
        if (record.value === null) groups.delete(read.group)
        else groups.set(read.group, kept(record.value))
      } else this.#replayOffset(read.group, read, read.value)
    } catch (error) {
      if (!(error instanceof MalformedRequest)) throw error
      this.#log.error({ at: record.offset, error: error.reason }, 'a damaged record is passed over')
    }
  }

  #replayOffset(groupId: string, { topic, partition }: TopicPartition, value: StoredOffset | null): void {
    const known = this.#groups.get(groupId)
    if (value !== null) {
      const entry = known ?? this.#enter(groupId, new Group(groupId, this.#around))
      entry.offsets.set(topic, partition, value)
    } else if (known !== undefined) {
      known.offsets.delete(topic, partition)
      if (known.offsets.size > 0) return
      this.#groups.delete(groupId)
      this.#discard(known, 'COORDINATOR_NOT_AVAILABLE')
    }
  }

  /** Others get their turn meanwhile. */
  async #restoreAll(groups: ReadonlyMap<string, Buffer>): Promise<void> {
    const { clock } = this.#options.world
    let bytes = 0
    for (const [id, value] of groups) {
      if (!this.loading) return
      this.#restore(id, value)
      bytes += overheadBytes.group + value.length
      if (bytes < restoredBytesPerTurn) continue
      bytes = 0
      await new Promise<void>(turned => clock.endOfTurn(turned))
    }
  }

  #restore(groupId: string, value: Buffer): void {
    const read = readGroupRecord(groupRecord(groupId, null).key, value)
    if (read?.kind !== 'group' || read.value === null) return
    const group = Group.restored(groupId, read.value, this.#around)
    const entry = this.#groups.get(groupId)
    if (entry === undefined) this.#enter(groupId, group)
    else entry.group = group
  }

  /** Topics that were deleted while nobody coordinated. */
  #forgetVanishedTopics(): void {
    for (const entry of this.#groups.values()) {
      const vanished = [...entry.offsets].filter(({ topic }) => this.#options.topicId(topic) === undefined)
      if (vanished.length > 0)
        this.#log.info({ group: entry.group.id, ...counted(vanished) }, 'offsets forgotten')
      void this.#forget(entry, vanished)
    }
  }
}

type Translation = Partial<Record<RefusalCode, RefusalCode>>

/** What a failed write is called to those who coordinate with us (Kafka's translation). */
const toldAs: Translation = {
  UNKNOWN_TOPIC_OR_PARTITION: 'COORDINATOR_NOT_AVAILABLE',
  NOT_ENOUGH_REPLICAS: 'COORDINATOR_NOT_AVAILABLE',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 'COORDINATOR_NOT_AVAILABLE',
  REQUEST_TIMED_OUT: 'COORDINATOR_NOT_AVAILABLE',
  NOT_LEADER_OR_FOLLOWER: 'NOT_COORDINATOR',
  KAFKA_STORAGE_ERROR: 'NOT_COORDINATOR',
  BROKER_STOPPING: 'NOT_COORDINATOR',
  MESSAGE_TOO_LARGE: 'UNKNOWN_SERVER_ERROR',
  RECORD_LIST_TOO_LARGE: 'UNKNOWN_SERVER_ERROR',
}

/** Who commits can do something about the size of what it commits. */
const commitToldAs: Translation = {
  ...toldAs,
  MESSAGE_TOO_LARGE: 'INVALID_COMMIT_OFFSET_SIZE',
  RECORD_LIST_TOO_LARGE: 'INVALID_COMMIT_OFFSET_SIZE',
}

/** Takes an offset away. */
const tombstone = ({ group, offsets }: Entry, { topic, partition }: TopicPartition): Change => ({
  ...offsetRecord(group.id, topic, partition, null),
  effect: () => offsets.delete(topic, partition),
})

const counted = (vanished: readonly CommittedOffset[]): object => ({
  offsets: vanished.length,
  topics: [...new Set(vanished.map(({ topic }) => topic))].slice(0, 5),
})
