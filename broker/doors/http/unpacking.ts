import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { MIB } from '../../../base/quantities.ts'
import { MalformedRecords } from '../../../protocol/kafka/malformed.ts'
import {
  attributesOf,
  batchBytesOf,
  batchHeaderBytes,
  batchPrefixBytes,
  codecOf,
} from '../../../protocol/kafka/record-batch.ts'
import type { Budget } from './budget.ts'

/** A batch that would unpack to more is refused to readers. */
export const unpackedBytesMax = 64 * MIB
/** As much as batches may take that are unpacked at the same time. */
export const unpackingBytesMax = 2 * unpackedBytesMax

const unpackLater = { gzip: promisify(gunzip), zstd: promisify(zstdDecompress) }

/**
 * The batch at `at` with its records unpacked where that is slow (gzip, zstd): on the thread pool, so that the event loop
 * goes on. Others unpack at more than a gigabyte a second and stay as they are. `use` gets a buffer with the batch at 0.
 * @throws MalformedRecords
 */
export async function withUnpacked<Result>(
  budget: Budget,
  bytes: Buffer,
  at: number,
  use: (batch: Buffer) => Result,
): Promise<Result> {
  const batch = bytes.subarray(at, at + batchBytesOf(bytes, at))
  const codec = codecOf(batch, 0)
  if (codec !== 'gzip' && codec !== 'zstd') return use(batch)
  const giveBack = await budget.take(unpackedBytesMax)
  try {
    const options = { maxOutputLength: unpackedBytesMax }
    const records = await unpackLater[codec](batch.subarray(batchHeaderBytes), options).catch(refuse)
    return use(plain(batch, records))
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
