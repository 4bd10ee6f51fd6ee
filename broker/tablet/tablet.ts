/**
 * One replica of a tablet and its life. In come batches from producers and reads from consumers; out go acknowledgements, and batches below
 * the high watermark. What was acknowledged is in the log as its mode promises, and what a reader sees never changes.
 */
import type { Logger } from 'pino'
import { assert } from '../../base/assert.ts'
import { epoch, incarnation, offset, type BrokerId, type Epoch, type Offset } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import { LimitedLog } from '../../base/limited-log.ts'
import type { InSync, TabletAssignment } from '../../control/model.ts'
import { countedReplicas } from '../../control/moves.ts'
import type { TabletCheckpoint } from '../log/checkpoint.ts'
import type { LogPosition } from '../log/log.ts'
import { noBatches, type Batches } from '../log/read.ts'
import type { Limits } from '../replication/leadership.ts'
import { othersHoldMore } from '../replication/out-of-sync.ts'
import type { Followed, Led, Replica } from '../replication/replica.ts'
import type { TopicSettings } from '../settings/resolve.ts'
import { Appends, type TabletState } from './appends.ts'
import type { Acks, Appending } from './appending.ts'
import { Durable, synced } from './durable.ts'
import { Following } from './following.ts'
import { Keeping, type Kept } from './keeping.ts'
import { Leading } from './leading.ts'
import { Marks } from './marks.ts'
import { Mending } from './mending.ts'
import { Reading } from './reading.ts'
import { closings, nextRole, refusalOf, type Closing, type Role } from './role.ts'
import type { TabletIdentity, TabletShared } from './shared.ts'
import type { TimestampedOffset } from './timestamps.ts'

const syncAgainMs = 100

export class Tablet implements Kept, Replica {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly identity: TabletIdentity
  readonly counters = { messagesIn: 0, bytesIn: 0, bytesOut: 0, failedAppends: 0, damagedReads: 0 }
  /** What becomes of what is stored: checkpoints, retention, compaction; undefined before it is opened. */
  keeping: Keeping | undefined
  /** What of it was damaged, and is to be copied again from others; undefined before it is opened. */
  mending: Mending | undefined
  /** It began without its records in this run: what earlier ones were granted does not count. */
  bornIn = incarnation(0)
  /** Its log was cut, perhaps by more than nobody counted on: it waits for others that can lead, and as long again for one that holds more. */
  unsureUntilMs = 0
  #settings: TopicSettings
  readonly #shared: TabletShared
  readonly #log: Logger
  #role: Role = 'recovering'
  #offlineReason = 'it is still being recovered'
  #closedWith: Closing = 'UNKNOWN_TOPIC_OR_PARTITION'
  #state: TabletState | undefined
  #appends: Appends | undefined
  #assignment: TabletAssignment | undefined
  readonly #marks = new Marks()
  readonly #reading: Reading
  #leads: Leading | undefined
  #follows: Following | undefined
  readonly #readers = new Set<(tablet: Tablet) => void>()
  readonly #durable = new Durable()

  constructor(shared: TabletShared, identity: TabletIdentity, settings: TopicSettings) {
    this.#shared = shared
    this.identity = identity
    this.topic = identity.topic
    this.topicId = identity.topicId
    this.partition = identity.partition
    this.#settings = settings
    this.#log = shared.log.child({ topic: identity.topic, partition: identity.partition })
    // What a failing disk says again and again.
    this.#reading = new Reading(this, new LimitedLog(this.#log, shared.world.clock, 10))
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
    return this.keeping?.logStart ?? offset(0)
  }

  get highWatermark(): Offset {
    return this.#marks.highWatermark.offset
  }

  /** The same for who asks where the newest records end. Refusal OFFSET_NOT_AVAILABLE: a leader before may have shown more than is known yet. */
  get latest(): Offset {
    if (this.#leads?.isStale === true) throw this.#notLeading()
    if (this.#leads?.leadership.hasPassedStart === false)
      throw new Refusal(
        'OFFSET_NOT_AVAILABLE',
        `a new leader of ${this.#name()} is finding out how far it was read`,
      )
    return this.highWatermark
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
    return this.#marks.readableBytes
  }

  get writtenBytes(): number {
    return this.#marks.writtenBytes
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

  get led(): Led | undefined {
    return this.#leads
  }

  get followed(): Followed | undefined {
    return this.#follows
  }

  /** Whether anybody may wait for what it writes to be on the disk. */
  get isAwaited(): boolean {
    return this.#follows?.isInSync ?? true
  }

  /** Everything below is as durable as the topic wants. */
  get durableEnd(): Offset {
    return this.#settings.flush === 'os' ? this.logEnd : this.#marks.synced.offset
  }

  get leaderMark(): Offset {
    return this.#marks.leaderMark
  }

  get nowMs(): number {
    return this.#shared.world.clock.monotonicMs()
  }

  get isUnheard(): boolean {
    return this.#leads?.isUnheard === true
  }

  get limits(): Limits {
    const { minInsyncReplicas, replication } = this.#settings
    const lagMsMax = this.#shared.replication?.lagMsMax ?? Infinity
    return { lagMsMax, minInsync: minInsyncReplicas, alone: replication === 'best-effort' }
  }

  get held(): Replica['held'] {
    const state = this.#state
    if (state === undefined || this.keeping?.cutting !== undefined) return undefined
    const { end, firstOffset } = state.log
    return { epoch: end.offset === firstOffset ? -1 : (state.epochs.latest ?? -1), end: end.offset }
  }

  get election(): Replica['election'] {
    const { flush, uncleanLeaderElectionEnable } = this.#settings
    return { os: flush === 'os', unclean: uncleanLeaderElectionEnable }
  }

  /** Whether this run may count as the one that an entry of the in-sync set names. */
  mayRenew(entry: InSync): boolean {
    if (entry.incarnation < this.bornIn || this.isUnsure) return false
    return this.#shared.replication?.mayRenew(entry, this.#settings.flush === 'fsync') ?? true
  }

  get isUnsure(): boolean {
    const { nowMs, unsureUntilMs: untilMs } = this
    if (untilMs === 0 || nowMs < untilMs || this.#follows?.isAnswered === true) return untilMs > 0
    return nowMs < untilMs + this.limits.lagMsMax && othersHoldMore(this, this.#shared.replication?.self)
  }

  /** Its directory was opened and checked; `mark` is where its high watermark is known to have been. */
  opened(
    state: TabletState,
    logStart: Offset,
    checkpoint: TabletCheckpoint | undefined,
    mark: LogPosition,
  ): void {
    assert(this.#role === 'recovering', 'a tablet is opened once')
    this.#state = state
    this.#appends = new Appends(this, state, this.#shared.world.clock, this.#log)
    const keeping = new Keeping(this, state, this.#shared, this.#log, logStart, checkpoint)
    this.keeping = keeping
    this.mending = new Mending(this, state, keeping, this.#shared.world.clock, this.#log)
    this.#marks.opened(state.log.end, mark)
    state.log.settings = this.#settings
  }

  /** Leads in the epoch of `assignment`, which the control store has granted. */
  lead(assignment: TabletAssignment): void {
    const state = this.#state
    assert(state !== undefined || this.#role === 'offline', 'a tablet leads after it was opened')
    // What was gathered carries the epoch it was gathered in.
    this.#appends?.flush()
    this.#assignment = assignment
    const cutting = this.keeping?.cutting
    if (cutting !== undefined) {
      // Nothing is appended while the log is being cut.
      void cutting.then(() => {
        if (this.#assignment === assignment && this.#role === 'follower') this.lead(assignment)
      })
      return
    }
    this.#role = nextRole(this.#role, 'lead')
    const latest = state?.epochs.latest
    if (latest !== undefined && latest >= assignment.epoch) {
      this.fail(
        `its log has batches of epoch ${latest}, and the control store now grants epoch ${assignment.epoch}: someone restored an old copy of control.json, or of its TabletSlice`,
      )
    }
    if (this.#role === 'leader' && state !== undefined) this.#beginToLead(state, assignment)
    this.#wakeReaders()
    this.#shared.replication?.changed(this)
  }

  #beginToLead(state: TabletState, assignment: TabletAssignment): void {
    const { replication: around } = this.#shared
    this.#follows = undefined
    this.#leads?.end()
    this.#leads = undefined
    if (around === undefined || assignment.replicas.length === 1)
      return this.#advance(this.#marks.synced, this.#marks.writtenBytes)
    this.#marks.grown(state.log.end)
    this.#leads = Leading.begin(this, state, around, assignment)
    this.#leads.grown(this.durableEnd)
  }

  /** Its leader goes on in the same epoch, with other replicas or others in sync. */
  assigned(assignment: TabletAssignment): void {
    assert(assignment.epoch === this.#assignment?.epoch, 'another epoch has another leader')
    const alone = this.#assignment.replicas.length === 1
    this.#assignment = assignment
    const state = this.#state
    // Who gets its first other replica, or loses its last one, begins to count anew.
    if (state !== undefined && alone !== (assignment.replicas.length === 1))
      this.#beginToLead(state, assignment)
    this.#leads?.assigned(assignment)
    this.#shared.replication?.changed(this)
  }

  /** Another broker leads, or nobody does: what was appended stays, and those that wait are sent away. */
  follow(assignment: TabletAssignment): void {
    assert(this.#state !== undefined || this.#role === 'offline', 'a tablet follows after it was opened')
    const led = this.#role === 'leader'
    if (led) this.#appends?.flush()
    this.#assignment = assignment
    this.#role = nextRole(this.#role, 'follow')
    this.#leads?.end()
    this.#leads = undefined
    if (led) {
      this.mending?.followsNow()
      this.#endWaiting(this.#notLeading())
    }
    if (this.#role === 'follower') this.#beginToFollow(assignment)
    if (!led) this.#wakeReaders()
    this.#shared.replication?.changed(this)
  }

  #beginToFollow({ leader, epoch: inEpoch }: TabletAssignment): void {
    const { replication: around, world } = this.#shared
    const before = this.#follows
    if (before?.leader === leader && before?.epoch === inEpoch) return
    this.#follows = undefined
    const [state, keeping, mending] = [this.#state, this.keeping, this.mending]
    if (!around || !state || !keeping || !mending) return
    const latest = state.epochs.latest ?? -1
    if (latest > inEpoch) {
      this.#log.error(
        { latest, epoch: inEpoch },
        'it is told to follow in an epoch that is over; it waits for another',
      )
      return
    }
    if (leader === undefined || leader === around.self.broker) return
    this.#marks.leaderMark = this.highWatermark
    const from = { leader, epoch: inEpoch }
    this.#follows = new Following(this, state, { keeping, mending }, world.clock, around, from)
  }

  /** Takes it out of service; what is on the disk stays as it is. */
  fail(reason: string): void {
    if (this.#role === 'removed' || this.#role === 'offline') return
    this.#role = nextRole(this.#role, 'fail')
    this.#offlineReason = reason
    this.#log.error({ reason }, 'tablet is offline')
    this.#endRole()
    this.#endWaiting(new Refusal('KAFKA_STORAGE_ERROR', `${this.#name()} is offline: ${this.#offlineReason}`))
  }

  /** Its topic was deleted, it was taken from this broker, or the broker stops. */
  close(code: Closing): void {
    if (this.#role === 'removed') return
    this.#role = nextRole(this.#role, 'remove')
    this.#closedWith = code
    this.#offlineReason = closings[code]
    this.#endRole()
    this.#endWaiting(this.#notLeading())
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
    if (this.#leads?.keepsOut(() => appending.refused(slot, this.#notLeading())) === true) return
    const { assignment } = this
    assert(assignment !== undefined, 'a leader has an assignment')
    const enough = Math.min(this.#settings.minInsyncReplicas, countedReplicas(assignment))
    const inSync = this.#leads?.leadership.inSyncAtLeast ?? assignment.isr.length
    if (acks === -1 && inSync < enough && !this.limits.alone) {
      const why = `${inSync} replicas of ${this.#name()} are in sync, and acks=all needs ${enough}`
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
      const why = `offset ${from} of ${this.#name()} is not there: it holds ${this.logStart} to ${this.highWatermark}`
      throw new Refusal('OFFSET_OUT_OF_RANGE', why)
    }
    if (this.#leads?.isStale === true) throw this.#notLeading()
    if (from >= this.highWatermark) return noBatches
    return this.#reading.read(state.log, from, this.#marks.highWatermark, bytesMax, atLeastOne)
  }

  /** From where consumers may read while it follows; undefined while only the leader knows what they may. */
  get copy(): Following | undefined {
    return this.#follows?.isCurrent === true ? this.#follows : undefined
  }

  readCopied(from: Offset, bytesMax: number, atLeastOne: boolean): Batches | Promise<Batches> {
    if (this.#state === undefined || this.#follows === undefined) throw this.#notLeading()
    const to = this.#marks.highWatermark
    return this.#reading.read(this.#state.log, from, to, bytesMax, atLeastOne, this.#follows)
  }

  /** Calls `listener` whenever the high watermark moved, and when the tablet stops serving or serves in another epoch. Answers how to stop. */
  onReadable(listener: (tablet: Tablet) => void): () => void {
    this.#readers.add(listener)
    return () => this.#readers.delete(listener)
  }

  /** The first record with at least this timestamp, or undefined when all below the high watermark are older. */
  async offsetForTimestamp(timestampMs: number): Promise<TimestampedOffset | undefined> {
    return this.#reading.offsetForTimestamp(this.#leading().log, timestampMs)
  }

  /** The first record with the largest timestamp, or undefined when the tablet is empty. */
  async maxTimestamp(): Promise<TimestampedOffset | undefined> {
    return this.#reading.maxTimestamp(this.#leading().log)
  }

  /** The largest epoch at or below the one asked, and where it ended (KIP-101); -1 and -1 when the log knows of none. */
  endOfEpoch(asked: number): { readonly epoch: number; readonly endOffset: number } {
    return this.#leading().epochs.toldEndOf(asked, this.epoch, this.logEnd)
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
      const why = `${before} is not between 0 and the high watermark ${this.highWatermark} of ${this.#name()}`
      throw new Refusal('OFFSET_OUT_OF_RANGE', why)
    }
    try {
      await this.keeping?.startAt(before, 'records were deleted on request')
    } catch (error) {
      throw this.#reading.failure(error, 'could not be cut')
    }
    if (!this.serves) throw this.#notLeading()
    return this.logStart
  }

  /** Drops what `retention.ms` and `retention.bytes` do not keep, and producers that were silent for so long. */
  async applyRetention(producerIdExpirationMs: number): Promise<void> {
    await this.keeping?.applyRetention(producerIdExpirationMs)
  }

  /** Makes everything written until now durable and lets recovery begin there. */
  async checkpoint(): Promise<void> {
    await this.keeping?.checkpoint()
  }

  flush(): void {
    this.#appends?.flush()
  }

  /** For the group commit: makes durable what is written. A disk that fails to sync takes the tablet out of service. */
  async sync(): Promise<void> {
    const state = this.#state
    if (state === undefined || !this.isOpen) return
    const bytes = this.#marks.writtenBytes
    const position = await synced(state.log)
    if (!this.isOpen) return
    if (position instanceof Error) return this.syncFailed(`the disk failed to sync: ${position.message}`)
    if (position === 'later') {
      this.#shared.world.clock.after(syncAgainMs, () => this.#shared.groupCommit.request(this))
      return
    }
    this.#marks.synced = position
    this.#grown(position, bytes)
    this.#durable.reached(position.offset)
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
    const marks = this.#marks
    marks.writtenBytes += bytes
    const os = this.#settings.flush === 'os'
    if (this.#leads !== undefined || this.#follows !== undefined) marks.grown(state.log.end)
    if (bytes > 0) this.#leads?.appended(this.durableEnd)
    if (os) this.#grown(state.log.end, marks.writtenBytes)
    // Sealed segments stay open until they are synced, so they are also when nobody waits for it.
    if (os ? state.log.unsyncedSegments > 0 : bytes > 0) this.#shared.groupCommit.request(this)
  }

  /** Everything up to `position` is as durable as the topic wants. */
  #grown(position: LogPosition, writtenBytes: number): void {
    if (this.#leads !== undefined) return this.#leads.grown(this.durableEnd)
    if (this.#follows === undefined) {
      if (this.#role === 'leader') this.#advance(position, writtenBytes)
      return
    }
    this.learned(this.#marks.leaderMark)
    this.#follows.synced()
  }

  /** For its leadership: the high watermark may follow. */
  advanced(): void {
    if (this.#marks.advanceTo(this.#leads?.highWatermark ?? this.highWatermark)) this.#readable()
  }

  /** For its leadership: who waits for acks=all would wait for nothing. */
  refuseWaiting(refusal: Refusal): void {
    this.#appends?.refuseWaiting(refusal)
  }

  /** For its reads: another leads, or is about to because this log is damaged. */
  get goesElsewhere(): boolean {
    return !this.serves || (this.mending?.mayFollow === true && this.#leads?.hasHeirs === true)
  }

  readFailure(error: unknown): unknown {
    return this.#reading.readFailure(error)
  }

  /** For its following: the leader's high watermark. */
  learned(highWatermark: Offset): void {
    if (this.#marks.learned(highWatermark)) this.#readable()
  }

  /** For its following: the log was cut back, or begins anew, and all of it is on the disk. */
  moved(): void {
    const end = this.#state?.log.end
    if (end !== undefined && this.#marks.cutTo(end, this.logStart))
      this.#log.error({ end: end.offset }, 'records that could be read were cut off')
  }

  /** The high watermark moves to `position`; it never goes back. */
  #advance(position: LogPosition, writtenBytes: number): void {
    if (this.#marks.advance(position, writtenBytes)) this.#readable()
  }

  #readable(): void {
    this.#appends?.advanced()
    this.#wakeReaders()
  }

  /** Resolves when everything below `end` is on the disk. */
  durable(end: Offset): Promise<void> {
    const waiting = this.#durable.wait(end)
    this.#shared.groupCommit.request(this)
    return waiting
  }

  #endRole(): void {
    this.#leads?.end()
    this.#leads = undefined
    this.#follows = undefined
    this.#shared.replication?.changed(this)
  }

  #endWaiting(refusal: Refusal): void {
    this.#appends?.end(refusal)
    this.#durable.refuseAll(refusal)
    this.#wakeReaders()
  }

  #wakeReaders(): void {
    for (const reader of this.#readers) reader(this)
  }

  #leading(): TabletState {
    if (this.#role !== 'leader' || this.#state === undefined || this.#leads?.isStale === true)
      throw this.#notLeading()
    return this.#state
  }

  #notLeading(): Refusal {
    return refusalOf(this.#role, this.#name(), this.#offlineReason, this.#closedWith)
  }

  #name(): string {
    return `${this.topic}-${this.partition}`
  }
}
