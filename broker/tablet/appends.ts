/**
 * The leader's way in. Batches of one turn come in one by one, get their offsets, and go to the log in one write; then each is answered, or
 * handed to those that wait for the high watermark. After a write that failed, the log, the producers and the answers agree that nothing of it happened.
 */
import type { Logger } from 'pino'
import { offset, type Epoch, type Offset } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import { LimitedLog } from '../../base/limited-log.ts'
import type { Clock } from '../../base/world.ts'
import {
  countOf,
  lastOffsetDeltaOf,
  placeBatch,
  stampLogAppendTime,
} from '../../protocol/kafka/record-batch.ts'
import type { LeaderEpochs } from '../log/leader-epochs.ts'
import { LogBroken, type Log } from '../log/log.ts'
import type { TopicSettings } from '../settings/resolve.ts'
import { refuseBatch } from './admission.ts'
import type { Acks, Appending } from './appending.ts'
import type { Producers } from './producers.ts'
import { Unanswered, type Append } from './unanswered.ts'

/** What `openTablet` found in the directory. */
export type TabletState = { readonly log: Log; readonly epochs: LeaderEpochs; readonly producers: Producers }

/** The tablet, as its appends see it. */
export type AppendsOwner = {
  readonly topic: string
  readonly partition: number
  readonly settings: TopicSettings
  readonly epoch: Epoch
  readonly logStart: Offset
  readonly highWatermark: Offset
  /** Another broker may lead by now. */
  readonly isUnheard: boolean
  readonly counters: { messagesIn: number; bytesIn: number; failedAppends: number }
  /** `bytes` more stand in the file; the high watermark may follow before this returns. */
  written(bytes: number): void
  /** The log can not be written any more. */
  fail(reason: string): void
}

/** A write that failed so long ago, with none after it, says nothing of the disk as it is now. */
const troubleMs = 60_000

export class Appends {
  readonly #owner: AppendsOwner
  readonly #state: TabletState
  readonly #clock: Clock
  readonly #log: Logger
  /** A full disk is said now and then, not at every try. */
  readonly #troubles: LimitedLog
  readonly #unanswered: Unanswered
  /** The last write failed. */
  #failure: { readonly why: string; readonly atMs: number } | undefined
  /** Appends of this turn, until `flush`. */
  #staged: Append[] = []
  readonly #flushLater = (): void => void this.flush()
  #stagedBytes = 0
  #stagedRecords = 0

  constructor(owner: AppendsOwner, state: TabletState, clock: Clock, log: Logger) {
    this.#owner = owner
    this.#state = state
    this.#clock = clock
    this.#log = log
    this.#troubles = new LimitedLog(log, clock, 10)
    this.#unanswered = new Unanswered(clock)
  }

  /** `Tablet.append`, once it is clear that this tablet leads and has enough replicas. */
  offer(
    bytes: Buffer,
    start: number,
    end: number,
    acks: Acks,
    deadlineMs: number,
    appending: Appending,
    slot: number,
  ): void {
    const { log, producers } = this.#state
    const { topic, settings } = this.#owner
    const nowMs = this.#clock.nowMs()
    const refusal = refuseBatch(topic, settings, bytes, start, end, nowMs)
    if (refusal !== undefined) return this.#refuse(appending, slot, refusal)
    const verdict = producers.check(bytes, start)
    if (typeof verdict === 'object') {
      const { baseOffset, lastOffset } = verdict
      this.#stage({
        appending,
        slot,
        acks,
        baseOffset,
        endOffset: lastOffset + 1,
        logAppendTimeMs: -1,
        deadlineMs,
      })
      return
    }
    if (verdict === 'OUT_OF_ORDER_SEQUENCE_NUMBER' && this.#owner.isUnheard) {
      // What is missing may have been written there, and clients do not try that again.
      const why = `what the batch follows is not on this broker, which may not lead ${this.#name()} any more`
      return this.#refuse(appending, slot, new Refusal('NOT_LEADER_OR_FOLLOWER', why))
    }
    if (verdict !== 'next') {
      const why = `${this.#name()} refused the batch's producer epoch or sequence number`
      return this.#refuse(appending, slot, new Refusal(verdict, why))
    }
    if (log.mustRoll(end - start, log.nextOffset + lastOffsetDeltaOf(bytes, start))) {
      const failure = this.#roll()
      if (failure !== undefined) return this.#refuse(appending, slot, failure)
    }
    const baseOffset = log.nextOffset
    const endOffset = baseOffset + lastOffsetDeltaOf(bytes, start) + 1
    const logAppendTimeMs = settings.messageTimestampType === 'LogAppendTime' ? nowMs : -1
    if (logAppendTimeMs >= 0) stampLogAppendTime(bytes, start, logAppendTimeMs)
    placeBatch(bytes, start, baseOffset, this.#owner.epoch)
    producers.append(bytes, start, this.#clock.monotonicMs())
    this.#stagedBytes += end - start
    this.#stagedRecords += countOf(bytes, start)
    this.#stage({ appending, slot, acks, baseOffset, endOffset, logAppendTimeMs, deadlineMs })
    try {
      log.append(bytes, start, end)
    } catch (error) {
      this.#failed(error)
      return
    }
    if (!log.hasStaged) this.#written()
  }

  /** One write for all appends of this turn, then their answers. Answers why it failed, or undefined. */
  flush(): Refusal | undefined {
    if (this.#staged.length === 0) return undefined
    try {
      this.#state.log.flush()
    } catch (error) {
      return this.#failed(error)
    }
    this.#written()
    return undefined
  }

  /** Why the last write failed, when that was a moment ago; undefined when nothing was written since then, or something was. */
  get trouble(): string | undefined {
    const failure = this.#failure
    return failure === undefined || this.#clock.monotonicMs() - failure.atMs > troubleMs
      ? undefined
      : failure.why
  }

  /** The high watermark moved. */
  advanced(): void {
    this.#unanswered.reached(this.#owner.highWatermark, this.#owner.logStart)
  }

  /** Too few replicas are in sync, or another may lead: whoever waits is told. */
  refuseWaiting(refusal: Refusal): void {
    this.#unanswered.refuseAll(refusal)
  }

  /** The tablet serves no more: whoever still waits is refused. */
  end(refusal: Refusal): void {
    const staged = this.#takeStaged()
    for (const append of staged) append.appending.refused(append.slot, refusal)
    this.#unanswered.refuseAll(refusal)
  }

  #stage(append: Append): void {
    this.#staged.push(append)
    if (this.#staged.length === 1) this.#clock.endOfTurn(this.#flushLater)
  }

  #written(): void {
    const { log, epochs, producers } = this.#state
    const owner = this.#owner
    const bytes = this.#stagedBytes
    const records = this.#stagedRecords
    const staged = this.#takeStaged()
    this.#failure = undefined
    producers.written()
    // Offsets leave no gap, so what was just written are the last ones.
    if (bytes > 0) epochs.seen(owner.epoch, offset(log.end.offset - records))
    owner.counters.messagesIn += records
    owner.counters.bytesIn += bytes
    this.#log.trace({ end: log.end.offset, batches: staged.length, bytes }, 'appended')
    for (const append of staged) {
      if (append.acks === -1) this.#unanswered.add(append)
      else append.appending.appended(append.slot, append.baseOffset, append.logAppendTimeMs, owner.logStart)
    }
    owner.written(bytes)
    this.advanced()
  }

  #failed(error: unknown): Refusal {
    if (!isDiskError(error)) throw error
    const staged = this.#takeStaged()
    this.#state.producers.discardFrom(this.#state.log.end.offset)
    this.#owner.counters.failedAppends += staged.length
    const refusal = this.#storageFailure(error)
    for (const append of staged) append.appending.refused(append.slot, refusal)
    if (error instanceof LogBroken) this.#owner.fail(error.message)
    return refusal
  }

  /** Answers why the segment could not be rolled, or undefined. */
  #roll(): Refusal | undefined {
    const { log } = this.#state
    // Who comes behind appends that failed was judged as if they were there.
    const failure = this.flush()
    if (failure !== undefined) return failure
    try {
      const { segment } = log.end
      if (log.end.position === 0) return undefined
      log.roll()
      this.#log.info({ sealed: segment, baseOffset: log.end.segment }, 'segment rolled')
      return undefined
    } catch (error) {
      if (!isDiskError(error)) throw error
      return this.#storageFailure(error)
    }
  }

  #takeStaged(): Append[] {
    const staged = this.#staged
    this.#staged = []
    this.#stagedBytes = 0
    this.#stagedRecords = 0
    return staged
  }

  #storageFailure(error: unknown): Refusal {
    const { code, message } = error as NodeJS.ErrnoException
    this.#troubles.error({ code, error: message }, 'write failed; nothing of it is in the log')
    const why = code === 'ENOSPC' ? 'the disk is full' : (code ?? message)
    this.#failure = { why: `it could not be written: ${why}`, atMs: this.#clock.monotonicMs() }
    return new Refusal('KAFKA_STORAGE_ERROR', `${this.#name()} could not be written: ${why}`)
  }

  #refuse(appending: Appending, slot: number, refusal: Refusal): void {
    this.#owner.counters.failedAppends++
    this.#log.debug({ code: refusal.code, reason: refusal.message }, 'append refused')
    appending.refused(slot, refusal)
  }

  #name(): string {
    return `${this.#owner.topic}-${this.#owner.partition}`
  }
}

/** Anything else is a bug, and nobody's reply. */
function isDiskError(error: unknown): boolean {
  if (error instanceof LogBroken) return true
  const { code } = error as NodeJS.ErrnoException
  return code !== undefined && !code.startsWith('ERR_')
}
