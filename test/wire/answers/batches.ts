/** Record batches with fixed times, well and badly made. */
import { crc32 } from 'node:zlib'
import { buildBatch, type BatchOptions } from '../../../protocol/kafka/records.ts'
import { batchBytesOf, sealBatch } from '../../../protocol/kafka/record-batch.ts'

export const epochMs = 1_700_000_000_000

/** A batch of one record a value, a second apart. */
export const batch = (
  values: readonly string[],
  options: BatchOptions & { atMs?: number; key?: string | null } = {},
): Buffer =>
  buildBatch(
    values.map((value, n) => ({
      key: typeof options.key === 'string' ? Buffer.from(options.key) : null,
      value: Buffer.from(value),
      headers: [],
      timestamp: (options.atMs ?? epochMs) + n * 1000,
    })),
    options,
  )

/** The batch with something changed in it, and a checksum that fits. */
export function altered(bytes: Buffer, alter: (batch: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes)
  alter(copy)
  if (batchBytesOf(copy, 0) === copy.length) sealBatch(copy, 0)
  return copy
}

/** A message set of the old formats, 0 and 1, of one record. */
export function oldMessage(magic: 0 | 1): Buffer {
  const bytes = Buffer.alloc(magic === 0 ? 27 : 35)
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes.writeInt8(magic, 16)
  if (magic === 1) bytes.writeBigInt64BE(BigInt(epochMs), 18)
  bytes.writeInt32BE(-1, bytes.length - 9)
  bytes.writeInt32BE(1, bytes.length - 5)
  bytes.write('v', bytes.length - 1)
  bytes.writeUInt32BE(crc32(bytes.subarray(16)), 12)
  return bytes
}
