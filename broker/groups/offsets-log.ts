/**
 * One tablet of `__consumer_offsets` as its coordinator uses it. In go records, and whoever wrote them is told when they are as durable
 * as acks=all; out come all records there are, once, when the coordinator begins. Always holds: records take effect in memory in
 * the order in which they stand in the log.
 */
import type { Logger } from 'pino'
import { offset } from '../../base/quantities.ts'
import { Refusal, type RefusalCode } from '../../base/refusals.ts'
import type { Clock } from '../../base/world.ts'
import type { KeyAndValue } from '../../protocol/kafka/group-records.ts'
import { MalformedRecords } from '../../protocol/kafka/malformed.ts'
import { batchBytesOf, isControl, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords, type StoredRecord } from '../../protocol/kafka/records.ts'
import type { Tablet } from '../tablet/tablet.ts'

const readBytes = 1024 * 1024
const unpackedBytesMax = 64 * 1024 * 1024
/** Many records go into several batches of about this size; a topic takes larger ones, but not without end. */
const batchBytes = 512 * 1024

/** Called when a write is decided, in the order of writes: undefined when the records are durable, or why they are not. */
export type Settled = (refused: RefusalCode | undefined) => void

export class OffsetsLog {
  readonly tablet: Tablet
  readonly #clock: Clock
  readonly #log: Logger
  readonly #timeoutMs: number

  constructor(tablet: Tablet, clock: Clock, log: Logger, timeoutMs: number) {
    this.tablet = tablet
    this.#clock = clock
    this.#log = log
    this.#timeoutMs = timeoutMs
  }

  /**
   * Writes records (at least one) in one batch, or in several when they are very many. Answers how it went; after
   * `offsets.commit.timeout.ms` that it is not known (REQUEST_TIMED_OUT), though `settled` will be told.
   */
  write(records: readonly KeyAndValue[], settled: Settled): Promise<RefusalCode | undefined> {
    const timestamp = this.#clock.nowMs()
    const batches = [...parts(records)].map(part =>
      buildBatch(part.map(record => ({ ...record, headers: [], timestamp }))),
    )
    return new Promise(resolve => {
      const patience = this.#clock.after(this.#timeoutMs, () => resolve('REQUEST_TIMED_OUT'))
      const write = new Write(batches.length, refused => {
        patience.cancel()
        settled(refused)
        resolve(refused)
      })
      for (const batch of batches) this.tablet.append(batch, 0, batch.length, -1, Infinity, write, 0)
    })
  }

  /**
   * Hands out every record of the log as it is when this is called, oldest first, a stretch at a time so that others get their turn.
   * What is damaged is passed over with a line in the log. `record` may keep no views. Ends early when nobody wants more; rejects
   * when the tablet stops serving.
   */
  async readAll(wanted: () => boolean, record: (record: StoredRecord) => void): Promise<void> {
    const end = this.tablet.logEnd
    let at: number = this.tablet.logStart
    while (at < end && wanted()) {
      if (at >= this.tablet.highWatermark) await this.#readable(at)
      at = await this.#readSome(at, record)
      await new Promise<void>(turned => this.#clock.endOfTurn(turned))
    }
  }

  /** Reads some batches from `at` on and answers behind them. */
  async #readSome(at: number, record: (record: StoredRecord) => void): Promise<number> {
    try {
      const batches = await this.tablet.read(offset(at), readBytes, true)
      let next = at
      for (const piece of batches.pieces)
        for (let from = 0; from < piece.length; from += batchBytesOf(piece, from))
          next = this.#readBatch(piece, from, at, record)
      batches.release()
      return next
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'CORRUPT_MESSAGE') throw error
      const next = await this.#behindDamage(at)
      this.#log.error({ from: at, to: next - 1 }, 'records of groups are damaged on disk and passed over')
      return next
    }
  }

  #readBatch(piece: Buffer, from: number, at: number, record: (record: StoredRecord) => void): number {
    try {
      if (!isControl(piece, from))
        for (const read of readRecords(piece, from, unpackedBytesMax)) if (read.offset >= at) record(read)
    } catch (error) {
      if (!(error instanceof MalformedRecords)) throw error
      this.#log.error({ batchEnd: lastOffsetOf(piece, from), error: error.message }, 'a batch is passed over')
    }
    return lastOffsetOf(piece, from) + 1
  }

  /** The first offset behind `damaged` that can be read: none between it and there can. */
  async #behindDamage(damaged: number): Promise<number> {
    const end = this.tablet.highWatermark
    let [bad, step] = [damaged, 1]
    while (bad + step < end && !(await this.#canRead(bad + step))) [bad, step] = [bad + step, step * 2]
    let good = Math.min(bad + step, end)
    while (good - bad > 1) {
      const middle = Math.floor((bad + good) / 2)
      if (await this.#canRead(middle)) good = middle
      else bad = middle
    }
    return good
  }

  async #canRead(at: number): Promise<boolean> {
    try {
      const batches = await this.tablet.read(offset(at), 1, true)
      batches.release()
      return true
    } catch (error) {
      if (error instanceof Refusal && error.code === 'CORRUPT_MESSAGE') return false
      throw error
    }
  }

  async #readable(at: number): Promise<void> {
    await new Promise<void>(resolve => {
      const stop = this.tablet.onReadable(tablet => {
        if (tablet.role === 'leader' && tablet.highWatermark <= at) return
        stop()
        resolve()
      })
    })
  }
}

function* parts(records: readonly KeyAndValue[]): Generator<KeyAndValue[], void> {
  let part: KeyAndValue[] = []
  let bytes = 0
  for (const record of records) {
    const size = record.key.length + (record.value?.length ?? 0)
    if (part.length > 0 && bytes + size > batchBytes) {
      yield part
      part = []
      bytes = 0
    }
    part.push(record)
    bytes += size
  }
  yield part
}

/** Follows one write: its batches are decided in the order they were appended. */
class Write {
  readonly #settled: Settled
  #left: number
  #refused: RefusalCode | undefined

  constructor(batches: number, settled: Settled) {
    this.#left = batches
    this.#settled = settled
  }

  appended(): void {
    this.#decided()
  }

  refused(_slot: number, refusal: Refusal): void {
    this.#refused ??= refusal.code
    this.#decided()
  }

  #decided(): void {
    this.#left -= 1
    if (this.#left === 0) this.#settled(this.#refused)
  }
}
