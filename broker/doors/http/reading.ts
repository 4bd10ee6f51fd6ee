import { MIB } from '../../../base/quantities.ts'
import type { Offset } from '../../../base/quantities.ts'
import { MalformedRecords } from '../../../protocol/kafka/malformed.ts'
import { batchBytesOf, isControl, lastOffsetOf } from '../../../protocol/kafka/record-batch.ts'
import { readRecords, type StoredRecord } from '../../../protocol/kafka/records.ts'
import type { Tablet } from '../../tablet/tablet.ts'
import type { Budget } from './budget.ts'
import { Advice } from './errors.ts'
import { unpackedBytesMax, withUnpacked } from './unpacking.ts'

/** Reads this much of a log at once. */
const pieceBytesMax = MIB

/** Takes a record, or answers false when it has no room for it: then reading ends in front of it. */
export type Take = (record: StoredRecord) => boolean

/**
 * Hands the records from `from` on to `take`: one piece of the log, or none when `from` is the high watermark. The buffers of
 * a record are valid only during the call.
 * @returns the offset to read on from
 * @throws Refusal of `Tablet.read`; CORRUPT_MESSAGE when the first record cannot be read, with the offset behind it
 */
export async function readOn(tablet: Tablet, from: number, unpacking: Budget, take: Take): Promise<number> {
  const reading = new Reading(tablet, from, take)
  while (!reading.ended) {
    const batches = await tablet.read(reading.next as Offset, pieceBytesMax, true)
    try {
      const [first] = batches.pieces
      if (batches.bytes === 0 || first === undefined) break
      const bytes = batches.pieces.length === 1 ? first : Buffer.concat(batches.pieces)
      for (let at = 0; at < bytes.length && !reading.ended; at += batchBytesOf(bytes, at)) {
        await reading.batch(bytes, at, unpacking)
      }
    } finally {
      batches.release()
    }
    // Control batches are nothing to show: a piece of them alone is no answer.
    if (reading.taken > 0) break
  }
  return reading.next
}

class Reading {
  readonly #tablet: Tablet
  readonly #take: Take
  next: number
  taken = 0
  ended = false

  constructor(tablet: Tablet, from: number, take: Take) {
    this.#tablet = tablet
    this.#take = take
    this.next = from
  }

  async batch(bytes: Buffer, at: number, unpacking: Budget): Promise<void> {
    const last = lastOffsetOf(bytes, at)
    try {
      if (!isControl(bytes, at)) await withUnpacked(unpacking, bytes, at, batch => this.#records(batch))
      if (!this.ended) this.next = Math.max(this.next, last + 1)
    } catch (error) {
      if (!(error instanceof MalformedRecords)) throw error
      if (this.taken === 0) throw this.#unreadable(last, error.reason)
      this.ended = true
    }
  }

  #records(batch: Buffer): void {
    for (const record of readRecords(batch, 0, unpackedBytesMax)) {
      if (record.offset < this.next) continue
      if (!this.#take(record)) {
        this.ended = true
        return
      }
      this.taken += 1
      this.next = record.offset + 1
    }
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
