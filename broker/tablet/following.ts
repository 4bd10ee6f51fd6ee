/**
 * A replica's way in while it follows: batches come from the leader with their offsets and epochs, are checked, and go to the log as they are. What it
 * holds is what the leader holds up to the same offset, or it is cut back to where that is so.
 */
import { InvariantViolation } from '../../base/assert.ts'
import { epoch, offset, type BrokerId, type Epoch, type Offset } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Clock } from '../../base/world.ts'
import {
  baseOffsetOf,
  batchBytesOf,
  batchHeaderBytes,
  checkBatch,
  lastOffsetOf,
  leaderEpochOf,
} from '../../protocol/kafka/record-batch.ts'
import type { TabletAssignment } from '../../control/model.ts'
import { LogBroken } from '../log/log.ts'
import { noBatches, type Batches } from '../log/read.ts'
import type { Diverging, FetchFrom, Followed } from '../replication/replica.ts'
import type { TabletState } from './appends.ts'
import type { AroundTablets } from './leading.ts'
import type { Keeping } from './keeping.ts'
import type { Mending } from './mending.ts'

/** The tablet, as its following sees it. */
export type FollowingOwner = {
  readonly topicId: string
  readonly partition: number
  readonly highWatermark: Offset
  readonly logStart: Offset
  /** Everything below is as durable as the topic wants. */
  readonly durableEnd: Offset
  /** The leader's high watermark, as it was last told. */
  readonly leaderMark: Offset
  readonly assignment: TabletAssignment | undefined
  /** `bytes` more stand in the file. */
  written(bytes: number): void
  /** The log ends elsewhere now, and what there is is on the disk. */
  moved(): void
  /** The leader's high watermark. */
  learned(highWatermark: Offset): void
  fail(reason: string): void
  /** Batches below the high watermark, from `from` on, which is not at its end. */
  readCopied(from: Offset, bytesMax: number, atLeastOne: boolean): Batches | Promise<Batches>
}

/** Whom it follows in which epoch. */
type From = { readonly leader: BrokerId; readonly epoch: Epoch }
type Around = Pick<AroundTablets, 'self' | 'rules' | 'isCurrent' | 'noteReader' | 'digestOf'>

export class Following implements Followed {
  readonly leader: BrokerId
  readonly epoch: Epoch
  readonly topicId: string
  readonly partition: number
  readonly #owner: FollowingOwner
  readonly #state: TabletState
  readonly #keeping: Keeping
  readonly #mending: Mending
  readonly #clock: Clock
  readonly #around: Around
  /** Where the leader's log begins. */
  #leaderStart = offset(0)
  isAnswered = false
  isPart = false
  #ready: () => void = () => undefined

  constructor(
    owner: FollowingOwner,
    state: TabletState,
    { keeping, mending }: { readonly keeping: Keeping; readonly mending: Mending },
    clock: Clock,
    around: Around,
    { leader, epoch: inEpoch }: From,
  ) {
    this.#owner = owner
    this.#state = state
    this.#keeping = keeping
    this.#mending = mending
    mending.follows(() => this.#ready())
    this.#clock = clock
    this.#around = around
    this.leader = leader
    this.epoch = inEpoch
    this.topicId = owner.topicId
    this.partition = owner.partition
    // Of the following before.
    void keeping.cutting?.then(() => this.#ready())
  }

  /** Whether consumers may read here: it knows what the leader knows, or did a moment ago. */
  get isCurrent(): boolean {
    return this.#keeping.cutting === undefined && this.#around.isCurrent(this)
  }

  /** Somebody reads here and goes on. */
  noteReader(): void {
    this.#around.noteReader(this)
  }

  /**
   * Like `Tablet.read`, where it follows; nothing when it has not come so far.
   * @throws Refusal, or rejects with one: NOT_LEADER_OR_FOLLOWER when only the leader knows, OFFSET_NOT_AVAILABLE when the leader may have it,
   * OFFSET_OUT_OF_RANGE when that has it no more either
   */
  read(from: Offset, bytesMax: number, atLeastOne: boolean): Batches | Promise<Batches> {
    if (!this.isCurrent)
      throw new Refusal('NOT_LEADER_OR_FOLLOWER', 'this replica does not know what its leader has')
    if (from < this.#owner.logStart) {
      const isGone = from < this.#leaderStart
      throw new Refusal(
        isGone ? 'OFFSET_OUT_OF_RANGE' : 'OFFSET_NOT_AVAILABLE',
        `offset ${from} is not there: this replica begins at ${this.#owner.logStart}`,
      )
    }
    if (from < this.#mending.differingTo)
      throw new Refusal('NOT_LEADER_OR_FOLLOWER', 'this replica does not have what its leader has')
    if (from >= this.#owner.highWatermark) return noBatches
    return this.#owner.readCopied(from, bytesMax, atLeastOne)
  }

  /** `Tablet.endOfEpoch`, for readers below the high watermark. */
  endOfEpoch(asked: number): { readonly epoch: number; readonly endOffset: number } {
    return this.#state.epochs.toldEndOf(asked, this.epoch, this.#state.log.end.offset)
  }

  get isInSync(): boolean {
    const { broker, incarnation } = this.#around.self
    const isr = this.#owner.assignment?.isr ?? []
    return isr.some(member => member.broker === broker && member.incarnation === incarnation)
  }

  get lag(): number {
    return Math.max(0, this.#owner.leaderMark - this.#state.log.end.offset)
  }

  next(): FetchFrom | undefined {
    const { log, epochs } = this.#state
    const end = log.end.offset
    if (this.#keeping.cutting !== undefined || this.#owner.durableEnd < end) return undefined
    // Below what is damaged consumers do not go on reading here.
    const logStart = offset(Math.max(this.#owner.logStart, this.#mending.damagedTo))
    const due = this.#due
    if (due !== undefined) {
      const before = due === log.firstOffset ? undefined : epochs.of(offset(due - 1))
      return { epoch: this.epoch, offset: due, lastEpoch: before ?? -1, logStart, isEnd: false }
    }
    const lastEpoch = end === log.firstOffset ? -1 : (epochs.latest ?? -1)
    return { epoch: this.epoch, offset: end, lastEpoch, logStart, isEnd: true }
  }

  /** What is damaged here and asked for in place of what follows: it says truly how far this log is sound. Below its high watermark every leader has the same. */
  get #due(): Offset | undefined {
    return this.#mending.due
  }

  failed(): void {
    this.#mending.failed()
  }

  leaderDigest(from: Offset, to: Offset): Promise<string | undefined> {
    return this.#around.digestOf(this, from, to)
  }

  onReady(listener: () => void): void {
    this.#ready = listener
  }

  /** What was written is durable. */
  synced(): void {
    this.#ready()
  }

  append(records: Buffer): void {
    if (this.#due !== undefined) {
      void this.#alone(() => this.#mending.take(records), 'could not be mended')
      return
    }
    const { log, producers, epochs } = this.#state
    const before = log.end.offset
    const begun: { readonly of: Epoch; readonly at: Offset }[] = []
    let bytes = 0
    try {
      for (let at = 0; at < records.length;) {
        const size = this.#check(records, at)
        const last = lastOffsetOf(records, at)
        if (log.mustRoll(size, last)) {
          log.flush()
          producers.written()
          log.roll()
        }
        producers.append(records, at, this.#clock.monotonicMs())
        begun.push({ of: epoch(leaderEpochOf(records, at)), at: log.nextOffset })
        bytes += size
        log.append(records, at, at + size)
        at += size
      }
      log.flush()
      producers.written()
    } catch (error) {
      throw this.#failed(error)
    } finally {
      // What stands in the file stays, also when what came behind it was no good.
      if (log.hasStaged) this.#flushQuietly()
      // Nothing to do when all was written.
      producers.discardFrom(log.end.offset)
      for (const { of, at } of begun) if (at < log.end.offset) epochs.seen(of, at)
      if (log.end.offset > before) this.#owner.written(bytes)
    }
  }

  learn(highWatermark: Offset, logStart: Offset, isEnd: boolean): void {
    this.isAnswered = true
    this.isPart ||= isEnd
    this.#leaderStart = logStart
    const wasDue = this.#due !== undefined
    // What follows behind damage may be of another history, and is cut off then.
    if (this.isPart) this.#owner.learned(highWatermark)
    if (!wasDue && this.#due !== undefined) this.#ready()
    const start = offset(Math.min(logStart, this.#owner.highWatermark))
    if (start <= this.#owner.logStart) return
    this.#keeping.startAt(start, 'the leader begins there').catch((error: unknown) => {
      if (error instanceof InvariantViolation) throw error
    })
  }

  cutBack(diverging: Diverging): Promise<void> {
    const { log, epochs } = this.#state
    const own = epochs.endOf(diverging.epoch, Infinity as Epoch, log.end.offset)
    const to = this.#around.rules.cutAt(diverging, own, log.firstOffset)
    if (to === undefined || to >= log.end.offset) return Promise.resolve()
    return this.#cut(() => this.#keeping.truncate(offset(Math.max(to, log.firstOffset))))
  }

  restartAt(start: Offset): Promise<void> {
    if (start > this.#state.log.end.offset) return this.#cut(() => this.#keeping.restartAt(start))
    // What is damaged lies where the leader has nothing any more.
    this.#mending.forgetBelow(start)
    return Promise.resolve()
  }

  #cut(act: () => Promise<void>): Promise<void> {
    return this.#alone(async () => {
      await act()
      this.#mending.forgetFrom(this.#state.log.end.offset)
      this.#owner.moved()
    }, "could not be cut back to where the leader's is the same")
  }

  /** Nothing is asked for until `act` is done; `trouble` is what a failing disk means to the log. */
  #alone(act: () => Promise<void>, trouble: string): Promise<void> {
    const ended = (): void => {
      if (this.#keeping.cutting === run) this.#keeping.cutting = undefined
    }
    const run: Promise<void> = act().then(
      () => {
        ended()
        this.#ready()
      },
      (error: unknown) => {
        ended()
        if (error instanceof InvariantViolation) throw error
        this.#owner.fail(`its log ${trouble}: ${(error as Error).message}`)
      },
    )
    this.#keeping.cutting = run
    return run
  }

  /** Answers the size of the batch at `at`, which is what follows here. */
  #check(records: Buffer, at: number): number {
    const { log, epochs } = this.#state
    const left = records.length - at
    const size = left < batchHeaderBytes ? 0 : batchBytesOf(records, at)
    if (size < batchHeaderBytes || size > left)
      throw corrupt(`a batch of ${size} bytes where ${left} are left`)
    const damage = checkBatch(records, at, at + size)
    if (damage !== undefined) throw corrupt(`a damaged batch (${damage})`)
    const base = baseOffsetOf(records, at)
    if (base !== log.nextOffset) throw corrupt(`offset ${base} where ${log.nextOffset} is due`)
    const of = leaderEpochOf(records, at)
    if (of < (epochs.latest ?? -1) || of > this.epoch)
      throw corrupt(`a batch of epoch ${of} behind ${epochs.latest}, in epoch ${this.epoch}`)
    return size
  }

  #flushQuietly(): void {
    try {
      this.#state.log.flush()
      this.#state.producers.written()
    } catch (error) {
      this.#failed(error)
    }
  }

  /** What a disk's error means to who copies. */
  #failed(error: unknown): unknown {
    if (error instanceof Refusal || error instanceof InvariantViolation) return error
    if (error instanceof LogBroken) this.#owner.fail(error.message)
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined && !(error instanceof LogBroken)) return error
    return new Refusal(
      'KAFKA_STORAGE_ERROR',
      `the copy could not be written: ${code ?? (error as Error).message}`,
    )
  }
}

const corrupt = (what: string): Refusal =>
  new Refusal('CORRUPT_MESSAGE', `the leader sent ${what}; nothing from there on was taken`)
