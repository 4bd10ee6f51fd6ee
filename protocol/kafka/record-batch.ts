// Enters: a buffer with Kafka record batches (magic 2) in it. Leaves: the fields of their headers, read and patched in place.
// Always holds: records are never looked at here; what lies under the CRC changes only together with the CRC.
//
//    0 baseOffset i64        given by the leader
//    8 batchLength i32       bytes behind this field: the whole batch takes 12 more
//   12 leaderEpoch i32       given by the leader
//   16 magic i8              2
//   17 crc u32               CRC-32C of everything from 21 on
//   21 attributes i16        bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon
//   23 lastOffsetDelta i32
//   27 baseTimestamp i64
//   35 maxTimestamp i64
//   43 producerId i64        -1 without idempotence
//   51 producerEpoch i16
//   53 baseSequence i32
//   57 count i32
//   61 records
import { crc32c } from '../../base/crc32c.ts'
import { readInt64, writeInt64 } from '../../base/int64.ts'
import type { RefusalCode } from '../../base/refusals.ts'

/** Bytes in front of the first record. */
export const batchHeaderBytes = 61
/** Bytes in front of what `batchLength` counts. */
export const batchPrefixBytes = 12

export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type CodecName = (typeof codecs)[number]

const crcFrom = 21
const logAppendTimeBit = 0x08
const transactionalBit = 0x10
const controlBit = 0x20

// Each answers a field of the batch that begins at `at`; the header must lie in the buffer.
export const baseOffsetOf = (b: Buffer, at: number): number => readInt64(b, at)
/** Bytes of the whole batch. */
export const batchBytesOf = (b: Buffer, at: number): number => b.readInt32BE(at + 8) + batchPrefixBytes
export const leaderEpochOf = (b: Buffer, at: number): number => b.readInt32BE(at + 12)
export const magicOf = (b: Buffer, at: number): number => b.readInt8(at + 16)
export const crcOf = (b: Buffer, at: number): number => b.readUInt32BE(at + 17)
export const attributesOf = (b: Buffer, at: number): number => b.readInt16BE(at + 21)
/** The name of the codec, or undefined for a number that stands for none. */
export const codecOf = (b: Buffer, at: number): CodecName | undefined => codecs[attributesOf(b, at) & 7]
export const isLogAppendTime = (b: Buffer, at: number): boolean =>
  (attributesOf(b, at) & logAppendTimeBit) !== 0
export const isTransactional = (b: Buffer, at: number): boolean =>
  (attributesOf(b, at) & transactionalBit) !== 0
export const isControl = (b: Buffer, at: number): boolean => (attributesOf(b, at) & controlBit) !== 0
export const lastOffsetDeltaOf = (b: Buffer, at: number): number => b.readInt32BE(at + 23)
export const lastOffsetOf = (b: Buffer, at: number): number => baseOffsetOf(b, at) + lastOffsetDeltaOf(b, at)
export const baseTimestampOf = (b: Buffer, at: number): number => readInt64(b, at + 27)
export const maxTimestampOf = (b: Buffer, at: number): number => readInt64(b, at + 35)
export const producerIdOf = (b: Buffer, at: number): number => readInt64(b, at + 43)
export const producerEpochOf = (b: Buffer, at: number): number => b.readInt16BE(at + 51)
export const baseSequenceOf = (b: Buffer, at: number): number => b.readInt32BE(at + 53)
export const countOf = (b: Buffer, at: number): number => b.readInt32BE(at + 57)

/** The leader's two fields; they lie outside the CRC. */
export function placeBatch(b: Buffer, at: number, baseOffset: number, leaderEpoch: number): void {
  writeInt64(b, baseOffset, at)
  b.writeInt32BE(leaderEpoch, at + 12)
}

/** Says that the batch was appended at `nowMs` (message.timestamp.type=LogAppendTime), and computes the CRC anew. */
export function stampLogAppendTime(b: Buffer, at: number, nowMs: number): void {
  b.writeInt16BE(attributesOf(b, at) | logAppendTimeBit, at + 21)
  writeInt64(b, nowMs, at + 35)
  sealBatch(b, at)
}

/** Computes the CRC of a batch whose length field is right. */
export function sealBatch(b: Buffer, at: number): void {
  b.writeUInt32BE(crcNow(b, at), at + 17)
}

const crcNow = (b: Buffer, at: number): number => crc32c(b.subarray(at + crcFrom, at + batchBytesOf(b, at)))

/**
 * What is wrong with the batch at `at`, whose bytes end at `end` at the latest; undefined when it is whole and sound. Compaction may
 * have left it fewer records than offsets.
 * CORRUPT_MESSAGE: torn, or the CRC does not match. UNSUPPORTED_FOR_MESSAGE_FORMAT: another magic. INVALID_RECORD: the CRC
 * matches, but the fields contradict each other (Kafka's LogValidator).
 */
export function checkBatch(b: Buffer, at: number, end: number): RefusalCode | undefined {
  if (end - at < batchHeaderBytes) return 'CORRUPT_MESSAGE'
  const magic = magicOf(b, at)
  if (magic !== 2) return magic === 0 || magic === 1 ? 'UNSUPPORTED_FOR_MESSAGE_FORMAT' : 'CORRUPT_MESSAGE'
  const bytes = batchBytesOf(b, at)
  if (bytes < batchHeaderBytes || bytes > end - at) return 'CORRUPT_MESSAGE'
  if (crcOf(b, at) !== crcNow(b, at)) return 'CORRUPT_MESSAGE'
  if (codecOf(b, at) === undefined) return 'UNSUPPORTED_COMPRESSION_TYPE'
  return countOf(b, at) < 0 || lastOffsetDeltaOf(b, at) < countOf(b, at) - 1 ? 'INVALID_RECORD' : undefined
}

/**
 * What is wrong with the records of one partition in a Produce request, from `at` to `end`: they must be exactly one sound
 * batch as a client may send it: base offset 0, as many records as offsets, no control records (Kafka's ProduceRequest and LogValidator).
 */
export function checkProduced(b: Buffer, at: number, end: number): RefusalCode | undefined {
  // Kafka does not see a torn batch at all, and so misses the one that has to be there.
  if (end - at < batchHeaderBytes || batchBytesOf(b, at) > end - at) return 'INVALID_RECORD'
  const wrong = checkBatch(b, at, end)
  if (wrong !== undefined) return wrong
  if (batchBytesOf(b, at) !== end - at) return 'INVALID_RECORD'
  const count = countOf(b, at)
  if (count <= 0 || lastOffsetDeltaOf(b, at) !== count - 1) return 'INVALID_RECORD'
  if (baseOffsetOf(b, at) !== 0 || isControl(b, at)) return 'INVALID_RECORD'
  const idempotent = producerIdOf(b, at) >= 0
  if (idempotent && (producerEpochOf(b, at) < 0 || baseSequenceOf(b, at) < 0)) return 'INVALID_RECORD'
  return undefined
}
