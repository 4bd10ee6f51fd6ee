/**
 * One replica of a tablet and its life. In come batches from producers and reads from consumers; out go acknowledgements, and batches below
 * the high watermark. What was acknowledged is in the log as its mode promises, and what a reader sees never changes.
 */
import type { Logger } from 'pino'
import { assert, InvariantViolation } from '../../base/assert.ts'
import { epoch, offset, type BrokerId, type Epoch, type Offset } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import { LimitedLog } from '../../base/limited-log.ts'
import type { World } from '../../base/world.ts'
import type { TabletAssignment } from '../../control/model.ts'
import type { Checkpoints, TabletCheckpoint } from '../log/checkpoint.ts'
import type { Cleaner } from '../log/compaction/cleaner.ts'
import type { Compaction, PassLimits } from '../log/compaction/compaction.ts'
import type { LogPosition, LogShared } from '../log/log.ts'
import { endOfEmpty, noBatches, StoredBatchDamaged, type Batches } from '../log/read.ts'
import type { TopicSettings } from '../settings/resolve.ts'
import { Appends, type TabletState } from './appends.ts'
import type { Acks, Appending } from './appending.ts'
import type { GroupCommit } from './group-commit.ts'
import { Keeping, type Kept } from './keeping.ts'
import { nextRole, type Role } from './role.ts'
import { findTimestamp, type TimestampedOffset } from './timestamps.ts'

/** What the tablets of a broker share. */
export type TabletShared = {
  readonly world: World
  readonly log: Logger
  readonly logs: LogShared
  readonly groupCommit: GroupCommit
  readonly checkpoints: Checkpoints
}

/** Who it is. `name` is the name of its directory. */
export type TabletIdentity = {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly name: string
  readonly directory: string
}

const syncAgainMs = 100

/** Why a replica ends, as those who wait are told; NOT_LEADER_OR_FOLLOWER when it was taken from this broker. */
type Closing = keyof typeof closings
const closings = {
  UNKNOWN_TOPIC_OR_PARTITION: 'its topic was deleted',
  BROKER_STOPPING: 'the broker is stopping',
  NOT_LEADER_OR_FOLLOWER: 'other brokers hold it now',
} as const

const isOutOfDescriptors = (error: unknown): boolean =>
  ['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '')

export class Tablet implements Kept {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly identity: TabletIdentity
  readonly counters = { messagesIn: 0, bytesIn: 0, bytesOut: 0, failedAppends: 0, damagedReads: 0 }
  #settings: TopicSettings
  readonly #shared: TabletShared
  readonly #log: Logger
  /** What a failing disk says again and again. */
  readonly #troubles: LimitedLog
  #role: Role = 'recovering'
  #offlineReason = 'it is still being recovered'
  #closedWith: Closing = 'UNKNOWN_TOPIC_OR_PARTITION'
  #state: TabletState | undefined
  #appends: Appends | undefined
  #keeping: Keeping | undefined
  #assignment: TabletAssignment | undefined
  #highWatermark: LogPosition = { offset: offset(0), segment: offset(0), position: 0 }
  #readableBytes = 0
  #writtenBytes = 0
  readonly #readers = new Set<(tablet: Tablet) => void>()
  #durableWaiters: {
    readonly offset: Offset
    readonly resolve: () => void
    readonly reject: (error: Error) => void
  }[] = []

  constructor(shared: TabletShared, identity: TabletIdentity, settings: TopicSettings) {
    this.#shared = shared
    this.identity = identity
    this.topic = identity.topic
    this.topicId = identity.topicId
    this.partition = identity.partition
    this.#settings = settings
    this.#log = shared.log.child({ topic: identity.topic, partition: identity.partition })
    this.#troubles = new LimitedLog(this.#log, shared.world.clock, 10)
  }

  get role(): Role {
    return this.#role
  }

  get offlineReason(): string | undefined {
    return this.#role === 'leader' || this.#role === 'follower' ? undefined : this.#offlineReason
  }

  /** Why it cannot be served, as far as that does not pass by itself; undefined while it can. */
  get trouble(): string | undefined {
    return this.#role === 'offline' ? this.#offlineReason : this.#appends?.trouble
  }

  get settings(): TopicSettings {
    return this.#settings
  }

  set settings(settings: TopicSettings) {
    this.#settings = settings
    if (this.#state !== undefined) this.#state.log.settings = settings
  }

  get leader(): BrokerId | undefined {
    return this.#assignment?.leader
  }

  /** As it was last told; undefined before. */
  get assignment(): TabletAssignment | undefined {
    return this.#assignment
  }

  get epoch(): Epoch {
    return this.#assignment?.epoch ?? epoch(-1)
  }

  /** The first offset that can be read. */
  get logStart(): Offset {
    return this.#keeping?.logStart ?? offset(0)
  }

  get highWatermark(): Offset {
    return this.#highWatermark.offset
  }

  get logEnd(): Offset {
    return this.#state?.log.end.offset ?? offset(0)
  }

  get sizeBytes(): number {
    return this.#state?.log.sizeBytes ?? 0
  }

  get segmentCount(): number {
    return this.#state?.log.segmentCount ?? 0
  }

  /** Grows by the bytes of every batch that the high watermark passes; only differences mean something. */
  get readableBytes(): number {
    return this.#readableBytes
  }

  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /** What a recovery would have to check, as far as this run has written it. */
  get uncheckpointedBytes(): number {
    return this.#keeping?.uncheckpointedBytes ?? 0
  }

  /** Everything written is on disk, and a recovery would begin behind it. */
  get isCheckpointed(): boolean {
    return this.#keeping?.isCheckpointed ?? false
  }

  /** What it counts about being compacted; undefined before it first was looked at for that. */
  get compaction(): Pick<Compaction, 'counters' | 'dirtyRatio' | 'isStuck'> | undefined {
    return this.#keeping?.compaction
  }

  /** Whether it leads; asked again after every wait. */
  get serves(): boolean {
    return this.#role === 'leader'
  }

  /** Whether its directory was opened and is in use. */
  get isOpen(): boolean {
    return this.#role === 'leader' || this.#role === 'follower'
  }

  /** Whether its directory was opened and nobody has said yet what it is to be. */
  get isWaiting(): boolean {
    return this.#role === 'recovering' && this.#state !== undefined
  }

  /** Its directory was opened and checked. */
  opened(state: TabletState, logStart: Offset, checkpoint: TabletCheckpoint | undefined): void {
    assert(this.#role === 'recovering', 'a tablet is opened once')
    this.#state = state
    this.#appends = new Appends(this, state, this.#shared.world.clock, this.#log)
    this.#keeping = new Keeping(this, state, this.#shared, this.#log, logStart, checkpoint)
    this.#highWatermark = state.log.end
    state.log.settings = this.#settings
  }

  /** Leads in the epoch of `assignment`, which the control store has granted. */
  lead(assignment: TabletAssignment): void {
    const state = this.#state
    assert(state !== undefined || this.#role === 'offline', 'a tablet leads after it was opened')
    // What was gathered carries the epoch it was gathered in.
    this.#appends?.flush()
    this.#assignment = assignment
    this.#role = nextRole(this.#role, 'lead')
    const latest = state?.epochs.latest
    if (latest !== undefined && latest >= assignment.epoch) {
      this.fail(
        `its log has batches of epoch ${latest}, and the control store now grants epoch ${assignment.epoch}: someone restored an old copy of control.json, or of its TabletSlice`,
      )
    }
  }

  /** Its leader goes on in the same epoch, with other replicas or others in sync. */
  assigned(assignment: TabletAssignment): void {
    assert(assignment.epoch === this.#assignment?.epoch, 'another epoch has another leader')
    this.#assignment = assignment
  }

  /** Another broker leads, or nobody does: what was appended stays, and those that wait are sent away. */
  follow(assignment: TabletAssignment): void {
    assert(this.#state !== undefined || this.#role === 'offline', 'a tablet follows after it was opened')
    const led = this.#role === 'leader'
    if (led) this.#appends?.flush()
    this.#assignment = assignment
    this.#role = nextRole(this.#role, 'follow')
    if (led) this.#endWaiting(this.#notLeading())
  }

  /** Takes it out of service; what is on the disk stays as it is. */
  fail(reason: string): void {
    if (this.#role === 'removed' || this.#role === 'offline') return
    this.#role = nextRole(this.#role, 'fail')
    this.#offlineReason = reason
    this.#log.error({ reason }, 'tablet is offline')
    this.#endWaiting(new Refusal('KAFKA_STORAGE_ERROR', this.#offlineMessage()))
  }

  /** Its topic was deleted, it was taken from this broker, or the broker stops. */
  close(code: Closing): void {
    if (this.#role === 'removed') return
    this.#role = nextRole(this.#role, 'remove')
    this.#closedWith = code
    this.#offlineReason = closings[code]
    this.#endWaiting(this.#gone())
    this.#state?.log.close()
  }

  /**
   * Offers one record batch v2 that stands at bytes[start, end). It is checked, gets its offsets and epoch in place, and is copied or
   * written before this returns. The answer comes exactly once: at once when it is refused, at the end of this turn for acks 0 and 1,
   * and for -1 when the high watermark has passed it, or REQUEST_TIMED_OUT at `deadlineMs` of the monotonic clock. A repetition
   * of a batch that was written before (idempotent producers) is answered with the offset that it got then.
   */
  append(
    bytes: Buffer,
    start: number,
    end: number,
    acks: Acks,
    deadlineMs: number,
    appending: Appending,
    slot: number,
  ): void {
    const appends = this.#appends
    if (this.#role !== 'leader' || appends === undefined) return appending.refused(slot, this.#notLeading())
    const assignment = this.#assignment
    assert(assignment !== undefined, 'a leader has an assignment')
    const enough = Math.min(this.#settings.minInsyncReplicas, assignment.replicas.length)
    if (acks === -1 && assignment.isr.length < enough) {
      const why = `${assignment.isr.length} replicas of ${this.#name()} are in sync, and acks=all needs ${enough}`
      return appending.refused(slot, new Refusal('NOT_ENOUGH_REPLICAS', why))
    }
    appends.offer(bytes, start, end, acks, deadlineMs, appending, slot)
  }

  /**
   * Whole batches from the one that holds `from`, below the high watermark, at most `bytesMax` (but one batch when `atLeastOne`).
   * In memory or cached: at once. Refusals are thrown or rejected: OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR,
   * NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_OR_PARTITION.
   */
  read(from: Offset, bytesMax: number, atLeastOne: boolean): Batches | Promise<Batches> {
    const state = this.#state
    if (this.#role !== 'leader' || state === undefined) throw this.#notLeading()
    if (from < this.logStart || from > state.log.end.offset) {
      throw new Refusal(
        'OFFSET_OUT_OF_RANGE',
        `offset ${from} of ${this.#name()} is not there: it holds ${this.logStart} to ${this.highWatermark}`,
      )
    }
    if (from >= this.highWatermark) return noBatches
    try {
      const batches = state.log.read(from, this.#highWatermark, bytesMax, atLeastOne)
      if (!(batches instanceof Promise)) return this.#counted(batches)
      return batches.then(
        read => this.#pastEmpty(read, bytesMax, atLeastOne),
        (error: unknown) => {
          throw this.#readFailure(error)
        },
      )
    } catch (error) {
      throw this.#readFailure(error)
    }
  }

  /** Compaction leaves batches without records; some clients go through their offsets one by one, so those that follow are answered instead. */
  async #pastEmpty(read: Batches, bytesMax: number, atLeastOne: boolean): Promise<Batches> {
    const next = endOfEmpty(read)
    if (next === undefined || next >= this.highWatermark) return this.#counted(read)
    try {
      const further = await this.read(next, bytesMax, atLeastOne)
      if (further.bytes === 0) return this.#counted(read)
      read.release()
      return further
    } catch (error) {
      read.release()
      throw error
    }
  }

  /** Calls `listener` whenever the high watermark moved, and when the tablet stops serving. Answers how to stop. */
  onReadable(listener: (tablet: Tablet) => void): () => void {
    this.#readers.add(listener)
    return () => this.#readers.delete(listener)
  }

  /** The first record with at least this timestamp, or undefined when all below the high watermark are older. */
  async offsetForTimestamp(timestampMs: number): Promise<TimestampedOffset | undefined> {
    const { log } = this.#leading()
    try {
      const from = await log.searchFrom(timestampMs)
      if (from === undefined) return undefined
      return await this.#findTimestamp(from, timestampMs)
    } catch (error) {
      throw this.#diskFailure(error, 'could not be read')
    }
  }

  /** The first record with the largest timestamp, or undefined when the tablet is empty. */
  async maxTimestamp(): Promise<TimestampedOffset | undefined> {
    const { log } = this.#leading()
    try {
      const max = await log.maxTimestamp()
      if (max === undefined || max.ms < 0) return undefined
      return await this.#findTimestamp(max.offset, max.ms)
    } catch (error) {
      throw this.#diskFailure(error, 'could not be read')
    }
  }

  /** The largest epoch at or below the one asked, and where it ended (KIP-101); -1 and -1 when the log knows of none. */
  endOfEpoch(asked: number): { readonly epoch: number; readonly endOffset: number } {
    const found = this.#leading().epochs.endOf(asked, this.epoch, this.logEnd)
    return found === undefined ? { epoch: -1, endOffset: -1 } : { epoch: found.epoch, endOffset: found.end }
  }

  /** The epoch of the record at `at`, or -1. */
  epochOf(at: Offset): number {
    return this.#state?.epochs.of(at) ?? -1
  }

  /**
   * Takes every record below `before` away, durably, and answers the log start.
   * @throws Refusal OFFSET_OUT_OF_RANGE above the high watermark, KAFKA_STORAGE_ERROR
   */
  async deleteRecordsBefore(before: Offset): Promise<Offset> {
    this.#leading()
    if (before < 0 || before > this.highWatermark) {
      throw new Refusal(
        'OFFSET_OUT_OF_RANGE',
        `${before} is not between 0 and the high watermark ${this.highWatermark} of ${this.#name()}`,
      )
    }
    try {
      await this.#keeping?.startAt(before, 'records were deleted on request')
    } catch (error) {
      throw this.#diskFailure(error, 'could not be cut')
    }
    if (!this.serves) throw this.#notLeading()
    return this.logStart
  }

  /** Drops what `retention.ms` and `retention.bytes` do not keep, and producers that were silent for so long. */
  async applyRetention(producerIdExpirationMs: number): Promise<void> {
    await this.#keeping?.applyRetention(producerIdExpirationMs)
  }

  /** Answers how much of it should be compacted now: a part of its bytes, or undefined. */
  async compactionDue(): Promise<number | undefined> {
    return this.#keeping?.compactionDue()
  }

  /** One pass of compaction, when it is due. Answers whether it came to its end. */
  async compact(cleaner: Cleaner, limits: PassLimits): Promise<boolean> {
    return (await this.#keeping?.compact(cleaner, limits)) ?? false
  }

  /** Makes everything written until now durable and lets recovery begin there. */
  async checkpoint(): Promise<void> {
    await this.#keeping?.checkpoint()
  }

  flush(): void {
    this.#appends?.flush()
  }

  /** For the group commit: makes durable what is written. A disk that fails to sync takes the tablet out of service. */
  async sync(): Promise<void> {
    const state = this.#state
    if (state === undefined || !this.isOpen) return
    const bytes = this.#writtenBytes
    let position: LogPosition
    try {
      position = await state.log.sync()
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      if (isOutOfDescriptors(error)) {
        // Nothing was asked of the disk yet: the directory could not be opened.
        this.#shared.world.clock.after(syncAgainMs, () => this.#shared.groupCommit.request(this))
        return
      }
      if (this.isOpen) this.syncFailed(`the disk failed to sync: ${(error as Error).message}`)
      return
    }
    if (!this.isOpen) return
    this.#advance(position, bytes)
    this.#durableWaiters = this.#durableWaiters.filter(waiter => {
      if (waiter.offset > position.offset) return true
      waiter.resolve()
      return false
    })
  }

  /** What the system could not write it may still show: the next recovery has to know. */
  syncFailed(reason: string): void {
    this.fail(reason)
    this.#shared.checkpoints
      .setSyncFailed(this.identity.name)
      .catch((error: unknown) => this.#log.error({ error }, 'could not note that a sync failed'))
  }

  /** For its appends: `bytes` more stand in the file. They can be read once they are as durable as the topic wants. */
  written(bytes: number): void {
    const state = this.#state
    assert(state !== undefined, 'only an open tablet writes')
    this.#writtenBytes += bytes
    const os = this.#settings.flush === 'os'
    if (os) this.#advance(state.log.end, this.#writtenBytes)
    // Sealed segments stay open until they are synced, so they are also when nobody waits for it.
    if (os ? state.log.unsyncedSegments > 0 : bytes > 0) this.#shared.groupCommit.request(this)
  }

  /** The high watermark moves to `position`; it never goes back. */
  #advance(position: LogPosition, writtenBytes: number): void {
    if (position.offset < this.highWatermark) return
    const moved = position.offset > this.highWatermark
    this.#highWatermark = position
    this.#readableBytes = writtenBytes
    if (!moved) return
    this.#appends?.advanced()
    for (const reader of this.#readers) reader(this)
  }

  /** Resolves when everything below `end` is on the disk. */
  durable(end: Offset): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#durableWaiters.push({ offset: end, resolve, reject })
      this.#shared.groupCommit.request(this)
    })
  }

  #endWaiting(refusal: Refusal): void {
    this.#appends?.end(refusal)
    for (const waiter of this.#durableWaiters) waiter.reject(refusal)
    this.#durableWaiters = []
    for (const reader of this.#readers) reader(this)
  }

  #counted(batches: Batches): Batches {
    this.counters.bytesOut += batches.bytes
    return batches
  }

  #readFailure(error: unknown): unknown {
    if (error instanceof StoredBatchDamaged) {
      this.counters.damagedReads++
      this.#troubles.error({ path: error.path, position: error.position }, error.message)
      return error
    }
    return this.#diskFailure(error, 'could not be read')
  }

  /** What a disk's error means to who asked; anything else is a refusal already, or a bug. */
  #diskFailure(error: unknown, what: string): unknown {
    if (error instanceof Refusal || error instanceof InvariantViolation) return error
    const { code, message } = error as NodeJS.ErrnoException
    if (code === undefined) return error
    this.#troubles.error({ code, error: message }, `tablet ${what}`)
    return new Refusal('KAFKA_STORAGE_ERROR', `${this.#name()} ${what}: ${code}`)
  }

  #findTimestamp(from: Offset, timestampMs: number): Promise<TimestampedOffset | undefined> {
    const lowest = this.logStart
    return findTimestamp(this, offset(Math.max(from, lowest)), lowest, timestampMs)
  }

  #leading(): TabletState {
    if (this.#role !== 'leader' || this.#state === undefined) throw this.#notLeading()
    return this.#state
  }

  #notLeading(): Refusal {
    if (this.#role === 'offline' || this.#role === 'recovering')
      return new Refusal('KAFKA_STORAGE_ERROR', this.#offlineMessage())
    if (this.#role === 'removed') return this.#gone()
    return new Refusal('NOT_LEADER_OR_FOLLOWER', `this broker does not lead ${this.#name()}`)
  }

  #gone(): Refusal {
    return new Refusal(this.#closedWith, `${this.#name()} is gone: ${this.#offlineReason}`)
  }

  #offlineMessage(): string {
    return `${this.#name()} is offline: ${this.#offlineReason}`
  }

  #name(): string {
    return `${this.topic}-${this.partition}`
  }
}
