// Enters: a stored batch and what is left of its records after compaction. Leaves: the batch that takes its place.
// Always holds: offsets, sequence numbers, leader epoch, codec and timestamp type stay those of the batch before.
import { writeInt64 } from '../../base/int64.ts'
import { compress } from './compression.ts'
import {
  attributesOf,
  baseTimestampOf,
  batchHeaderBytes,
  batchPrefixBytes,
  codecOf,
  isLogAppendTime,
  sealBatch,
  type CodecName,
} from './record-batch.ts'
import type { RecordWalk } from './record-walk.ts'
import { varintBytes, writeVarint } from './varint.ts'

/** Says that the base timestamp is the time from which on the batch's tombstones may go (KIP-534). */
const deleteHorizonBit = 0x40
const codecBits = 0x07

/** From when on the tombstones of the batch at `at` may go, in wall-clock milliseconds; undefined when that was not settled yet. */
export const deleteHorizonOf = (b: Buffer, at: number): number | undefined =>
  (attributesOf(b, at) & deleteHorizonBit) === 0 ? undefined : baseTimestampOf(b, at)

export type LeftRecords = {
  /** The records that stay, unpacked, back to back. */
  readonly records: readonly Buffer[]
  readonly count: number
  /** The largest timestamp among them. */
  readonly maxTimestamp: number
  /** The base timestamp that their deltas count from, when it is a new delete horizon. */
  readonly deleteHorizonMs: number | undefined
}

/** The batch at `at` with fewer records, or with a delete horizon. */
export function reducedBatch(b: Buffer, at: number, left: LeftRecords): Buffer {
  const codec: CodecName = codecOf(b, at) ?? 'none'
  const plain = Buffer.concat(left.records)
  const records = compress(codec, plain)
  const batch = Buffer.concat([b.subarray(at, at + batchHeaderBytes), records])
  batch.writeInt32BE(batch.length - batchPrefixBytes, 8)
  if (left.deleteHorizonMs !== undefined) {
    batch.writeInt16BE(attributesOf(b, at) | deleteHorizonBit, 21)
    writeInt64(batch, left.deleteHorizonMs, 27)
  }
  if (!isLogAppendTime(b, at)) writeInt64(batch, left.maxTimestamp, 35)
  batch.writeInt32BE(left.count, 57)
  sealBatch(batch, 0)
  return batch
}

/**
 * Stands for the offsets [from, to) whose records are all gone. Where they were is a batch without records of nobody, so that offsets go on without
 * a gap.
 */
export function gapBatch(from: number, to: number, leaderEpoch: number): Buffer {
  const batch = Buffer.alloc(batchHeaderBytes)
  writeInt64(batch, from, 0)
  batch.writeInt32BE(batch.length - batchPrefixBytes, 8)
  batch.writeInt32BE(leaderEpoch, 12)
  batch.writeInt8(2, 16)
  batch.writeInt32BE(to - from - 1, 23)
  writeInt64(batch, -1, 27)
  writeInt64(batch, -1, 35)
  writeInt64(batch, -1, 43)
  batch.writeInt16BE(-1, 51)
  batch.writeInt32BE(-1, 53)
  sealBatch(batch, 0)
  return batch
}

/** What remains of the batch at `at` when all its records are gone and its sequence numbers still matter. */
export function emptiedBatch(b: Buffer, at: number): Buffer {
  const batch = Buffer.from(b.subarray(at, at + batchHeaderBytes))
  batch.writeInt32BE(batch.length - batchPrefixBytes, 8)
  batch.writeInt16BE(attributesOf(b, at) & ~(codecBits | deleteHorizonBit), 21)
  writeInt64(batch, -1, 27)
  batch.writeInt32BE(0, 57)
  sealBatch(batch, 0)
  return batch
}

/** The record under `walk` with another timestamp delta. */
export function restampedRecord(walk: RecordWalk, timestampDelta: number): Buffer {
  const rest = walk.bytes.subarray(walk.afterTimestamp, walk.end)
  const bytes = 1 + varintBytes(timestampDelta) + rest.length
  const record = Buffer.allocUnsafe(varintBytes(bytes) + bytes)
  let at = writeVarint(record, bytes, 0)
  record[at++] = 0
  at = writeVarint(record, timestampDelta, at)
  rest.copy(record, at)
  return record
}
