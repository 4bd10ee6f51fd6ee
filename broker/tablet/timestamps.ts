/** Looks for a record by its timestamp: the indexes say where to begin, the batches' headers which batch, its records which one. */
import { InvariantViolation } from '../../base/assert.ts'
import { KIB, offset, type Offset } from '../../base/quantities.ts'
import {
  baseOffsetOf,
  batchBytesOf,
  countOf,
  lastOffsetOf,
  maxTimestampOf,
} from '../../protocol/kafka/record-batch.ts'
import { unpackedBytesMax } from '../../protocol/kafka/compression.ts'
import { readRecords } from '../../protocol/kafka/records.ts'
import type { Batches } from '../log/read.ts'

export type TimestampedOffset = { readonly offset: Offset; readonly timestampMs: number }

type Readable = { read(from: Offset, bytesMax: number, atLeastOne: boolean): Batches | Promise<Batches> }

/** The first record at or behind the batch that holds `from`, but not below `lowest`, whose timestamp is at least `timestampMs`. */
export async function findTimestamp(
  tablet: Readable,
  from: Offset,
  lowest: Offset,
  timestampMs: number,
): Promise<TimestampedOffset | undefined> {
  let next = from
  while (true) {
    const batches = await tablet.read(next, 64 * KIB, true)
    try {
      if (batches.bytes === 0) return undefined
      for (const piece of batches.pieces) {
        for (let at = 0; at < piece.length; at += batchBytesOf(piece, at)) {
          next = offset(lastOffsetOf(piece, at) + 1)
          if (maxTimestampOf(piece, at) < timestampMs || countOf(piece, at) === 0) continue
          const found = inBatch(piece, at, lowest, timestampMs)
          if (found !== undefined) return found
        }
      }
    } finally {
      batches.release()
    }
  }
}

/** A batch whose records cannot be unpacked is answered as a whole: its producer's data is opaque to the log. */
function inBatch(
  bytes: Buffer,
  at: number,
  lowest: Offset,
  timestampMs: number,
): TimestampedOffset | undefined {
  try {
    for (const record of readRecords(bytes, at, unpackedBytesMax)) {
      if (record.timestamp >= timestampMs && record.offset >= lowest)
        return { offset: offset(record.offset), timestampMs: record.timestamp }
    }
    return undefined
  } catch (error) {
    if (error instanceof InvariantViolation) throw error
    return {
      offset: offset(Math.max(baseOffsetOf(bytes, at), lowest)),
      timestampMs: maxTimestampOf(bytes, at),
    }
  }
}
