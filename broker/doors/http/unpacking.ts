import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { unpackedBytesMax } from '../../../protocol/kafka/compression.ts'
import { MalformedRecords } from '../../../protocol/kafka/malformed.ts'
import {
  attributesOf,
  batchBytesOf,
  batchHeaderBytes,
  batchPrefixBytes,
  codecOf,
} from '../../../protocol/kafka/record-batch.ts'
import type { Budget } from './budget.ts'

/** As much as batches may take that are unpacked at the same time. */
export const unpackingBytesMax = 2 * unpackedBytesMax

const gunzipLater = promisify(gunzip)
const zstdLater = promisify(zstdDecompress)

/** Whether the batch at `at` is packed with gzip or zstd. The others unpack at more than a gigabyte a second. */
export function unpacksSlowly(bytes: Buffer, at: number): boolean {
  const codec = codecOf(bytes, at)
  return codec === 'gzip' || codec === 'zstd'
}

/**
 * Unpacks the records of the batch at `at` on the thread pool, so that the event loop goes on. `use` gets a buffer with the
 * unpacked batch at 0; when it has ended, the memory is free again.
 * @throws MalformedRecords
 */
export async function withUnpacked(
  budget: Budget,
  bytes: Buffer,
  at: number,
  use: (batch: Buffer) => void,
): Promise<void> {
  const batch = bytes.subarray(at, at + batchBytesOf(bytes, at))
  const unpack = codecOf(batch, 0) === 'gzip' ? gunzipLater : zstdLater
  const giveBack = await budget.take(unpackedBytesMax)
  try {
    const options = { maxOutputLength: unpackedBytesMax }
    use(plain(batch, await unpack(batch.subarray(batchHeaderBytes), options).catch(refuse)))
  } finally {
    giveBack()
  }
}

function refuse(error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException
  const reason = code === 'ERR_BUFFER_TOO_LARGE' ? `more than ${unpackedBytesMax} bytes unpacked` : message
  throw new MalformedRecords(reason, 0)
}

/** The CRC no longer holds: this is for reading records only. */
function plain(batch: Buffer, records: Buffer): Buffer {
  const whole = Buffer.concat([batch.subarray(0, batchHeaderBytes), records])
  whole.writeInt32BE(whole.length - batchPrefixBytes, 8)
  whole.writeInt16BE(attributesOf(whole, 0) & ~7, 21)
  return whole
}
