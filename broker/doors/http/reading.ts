import type { Offset } from '../../../base/quantities.ts'
import { unpackedBytesMax } from '../../../protocol/kafka/compression.ts'
import { MalformedRecords } from '../../../protocol/kafka/malformed.ts'
import { batchBytesOf, countOf, isControl, lastOffsetOf } from '../../../protocol/kafka/record-batch.ts'
import { readRecords, type StoredRecord } from '../../../protocol/kafka/records.ts'
import type { Source } from '../../queues/source.ts'
import type { Budget } from './budget.ts'
import { Advice } from './errors.ts'
import { unpacksSlowly, withUnpacked } from './unpacking.ts'

type Read = Pick<Source, 'topic' | 'partition' | 'read'>

export type Wanted = {
  readonly from: number
  /** So much of the log is read at once, but one batch at least. */
  readonly bytesMax: number
  readonly unpacking: Budget
  /**
   * Takes a record, or answers false when it has no room for it: then reading ends in front of it. The buffers of a record
   * are valid only during the call.
   */
  readonly take: (record: StoredRecord) => boolean
}

/**
 * Hands records on: those of one piece of the log, or none when `from` is the high watermark.
 * @returns the offset to read on from
 * @throws Refusal of `Tablet.read`; CORRUPT_MESSAGE when the first record cannot be read, with the offset behind it
 */
export async function readOn(tablet: Read, wanted: Wanted): Promise<number> {
  const reading = new Reading(tablet, wanted)
  while (!reading.ended) {
    const read = tablet.read(reading.next as Offset, wanted.bytesMax, true)
    const batches = read instanceof Promise ? await read : read
    try {
      const [first] = batches.pieces
      if (batches.bytes === 0 || first === undefined) break
      const bytes = batches.pieces.length === 1 ? first : Buffer.concat(batches.pieces)
      for (let at = 0; at < bytes.length && !reading.ended; at += batchBytesOf(bytes, at)) {
        if (unpacksSlowly(bytes, at)) await reading.packedBatch(bytes, at)
        else reading.batch(bytes, at, bytes, at)
      }
    } finally {
      batches.release()
    }
    // Control batches are nothing to show: a piece of them alone is no answer.
    if (reading.taken > 0) break
  }
  return reading.next
}

/** The records of a batch are gone through in one turn of the event loop. No client puts so many into one. */
const recordsMax = 1_000_000

function refuseTooMany(bytes: Buffer, at: number): void {
  if (countOf(bytes, at) > recordsMax) throw new MalformedRecords(`more than ${recordsMax} records`, 0)
}

class Reading {
  readonly #tablet: Read
  readonly #wanted: Wanted
  next: number
  taken = 0
  ended = false

  constructor(tablet: Read, wanted: Wanted) {
    this.#tablet = tablet
    this.#wanted = wanted
    this.next = wanted.from
  }

  async packedBatch(bytes: Buffer, at: number): Promise<void> {
    try {
      refuseTooMany(bytes, at)
      await withUnpacked(this.#wanted.unpacking, bytes, at, batch => this.batch(bytes, at, batch, 0))
    } catch (error) {
      this.#broken(error, lastOffsetOf(bytes, at))
    }
  }

  /** The batch at `at` of `bytes`, whose records are to be had from `from[fromAt]`. */
  batch(bytes: Buffer, at: number, from: Buffer, fromAt: number): void {
    const last = lastOffsetOf(bytes, at)
    try {
      refuseTooMany(bytes, at)
      if (!isControl(bytes, at)) this.#records(from, fromAt)
      if (!this.ended) this.next = Math.max(this.next, last + 1)
    } catch (error) {
      this.#broken(error, last)
    }
  }

  #records(batch: Buffer, at: number): void {
    for (const record of readRecords(batch, at, unpackedBytesMax)) {
      if (record.offset < this.next) continue
      if (!this.#wanted.take(record)) {
        this.ended = true
        return
      }
      this.taken += 1
      this.next = record.offset + 1
    }
  }

  /** What was taken before is an answer; the next reader begins at what is broken and is told. */
  #broken(error: unknown, last: number): void {
    if (!(error instanceof MalformedRecords)) throw error
    if (this.taken === 0) throw this.#unreadable(last, error.reason)
    this.ended = true
  }

  #unreadable(last: number, reason: string): Advice {
    const { topic, partition } = this.#tablet
    return new Advice(
      'CORRUPT_MESSAGE',
      `Offsets ${this.next} to ${last} of partition ${partition} of ${topic} hold records that cannot be read: ${reason}`,
      `Their producer has written them so. Read on behind them with offset=${last + 1}.`,
      false,
    )
  }
}
