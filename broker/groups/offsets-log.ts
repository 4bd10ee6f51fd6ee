/**
 * One tablet of `__consumer_offsets` as its coordinator uses it. In go records, and whoever wrote them is told when they are as durable
 * as acks=all; out come all records there are, once, when the coordinator begins. Always holds: records take effect in memory in
 * the order in which they stand in the log.
 */
import type { Logger } from 'pino'
import { offset } from '../../base/quantities.ts'
import type { Refusal, RefusalCode } from '../../base/refusals.ts'
import type { Clock } from '../../base/world.ts'
import type { KeyAndValue } from '../../protocol/kafka/group-records.ts'
import { unpackedBytesMax } from '../../protocol/kafka/compression.ts'
import { MalformedRecords } from '../../protocol/kafka/malformed.ts'
import { batchBytesOf, isControl, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords, type StoredRecord } from '../../protocol/kafka/records.ts'
import { StoredBatchDamaged } from '../log/read.ts'
import type { Tablet } from '../tablet/tablet.ts'

const readBytes = 1024 * 1024
/** Many records go into several batches of about this size; a topic takes larger ones, but not without end. */
const batchBytes = 512 * 1024

/** A record, and what it does once it is durable. */
export type Change = KeyAndValue & { readonly effect?: () => void }

/** Who is told how a write goes, in the order of the log. */
type Writing = {
  /** These changes are durable now. A write of several batches says so of each batch. */
  durable(changes: readonly Change[]): void
  /** All is decided: undefined when every record is durable, or why some are not. */
  settled(refused: RefusalCode | undefined): void
}

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
   * Writes records (at least one) in one batch, or in several when they are very many: then some may be refused, and others not.
   * Answers how it went; after `offsets.commit.timeout.ms` that it is not known (REQUEST_TIMED_OUT), though `writing` will be told.
   */
  write(records: readonly Change[], writing: Writing): Promise<RefusalCode | undefined> {
    const timestamp = this.#clock.nowMs()
    const inBatches = [...parts(records)]
    const batches = inBatches.map(part =>
      buildBatch(part.map(({ key, value }) => ({ key, value, headers: [], timestamp }))),
    )
    return new Promise(resolve => {
      const patience = this.#clock.after(this.#timeoutMs, () => resolve('REQUEST_TIMED_OUT'))
      const write = new Write(inBatches, {
        durable: part => writing.durable(part),
        settled: refused => {
          patience.cancel()
          writing.settled(refused)
          resolve(refused)
        },
      })
      for (const [n, batch] of batches.entries())
        this.tablet.append(batch, 0, batch.length, -1, Infinity, write, n)
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
      if (!(error instanceof StoredBatchDamaged)) throw error
      const next = await this.#behindDamage(at, error)
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

  /** Where to go on behind what cannot be read at `at`. When nothing sound follows in the file, that is where the next file begins. */
  async #behindDamage(at: number, { path, damaged }: StoredBatchDamaged): Promise<number> {
    if (damaged.to !== undefined) return Math.max(damaged.to, at + 1)
    const end = this.tablet.highWatermark
    let [within, step] = [at, 1]
    while (within + step < end && (await this.#damagedIn(path, within + step)))
      [within, step] = [within + step, step * 2]
    let behind = Math.min(within + step, end)
    while (behind - within > 1) {
      const middle = Math.floor((within + behind) / 2)
      if (await this.#damagedIn(path, middle)) within = middle
      else behind = middle
    }
    return behind
  }

  /** Whether `at` cannot be read because of damage in this file, rather than in another one. */
  async #damagedIn(path: string, at: number): Promise<boolean> {
    try {
      const batches = await this.tablet.read(offset(at), 1, true)
      batches.release()
      return false
    } catch (error) {
      if (error instanceof StoredBatchDamaged) return error.path === path
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

function* parts(records: readonly Change[]): Generator<Change[], void> {
  let part: Change[] = []
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
  readonly #batches: readonly (readonly Change[])[]
  readonly #writing: Writing
  #left: number
  #refused: RefusalCode | undefined

  constructor(batches: readonly (readonly Change[])[], writing: Writing) {
    this.#batches = batches
    this.#writing = writing
    this.#left = batches.length
  }

  appended(slot: number): void {
    this.#writing.durable(this.#batches[slot] ?? [])
    this.#decided()
  }

  refused(_slot: number, refusal: Refusal): void {
    this.#refused ??= refusal.code
    this.#decided()
  }

  #decided(): void {
    this.#left -= 1
    if (this.#left === 0) this.#writing.settled(this.#refused)
  }
}
