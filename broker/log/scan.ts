/**
 * Walks the batches of a segment file from a position on, checking each: what comes out is every good batch in order, and where and why
 * the walk ended.
 */
import {
  baseOffsetOf,
  batchBytesOf,
  batchHeaderBytes,
  checkBatch,
  lastOffsetOf,
} from '../../protocol/kafka/record-batch.ts'
import { MIB } from '../../base/quantities.ts'
import type { DiskFile } from '../../base/world.ts'

/** The batch stands at bytes[at, end) and in the file at `position`; the buffer is used again after the call. */
export type BatchVisitor = (bytes: Buffer, at: number, end: number, position: number) => void

export type ScanEnd = {
  /** Everything in [from, position) was good. */
  readonly position: number
  /** Undefined when the walk reached `to`; otherwise what is wrong with the bytes at `position`. */
  readonly damage: string | undefined
  /** That is that the file ends before the batch does, if its length is right. */
  readonly isIncomplete: boolean
}

const readBytesMost = MIB

/** Checks every batch in [from, to) of the file, `readBytes` at a time. Offsets leave no gap; `nextOffset` is due at `from`. */
export async function scanBatches(
  file: DiskFile,
  from: number,
  to: number,
  nextOffset: number,
  visit: BatchVisitor,
  readBytes = readBytesMost,
): Promise<ScanEnd> {
  let buffer = Buffer.allocUnsafe(Math.min(readBytes, to - from))
  let position = from
  let expected = nextOffset
  while (position < to) {
    const wanted = Math.min(buffer.length, to - position)
    const got = await file.readLater(buffer.subarray(0, wanted), position)
    let at = 0
    while (at < got) {
      const size = wholeBatch(buffer, at, got)
      if (size === undefined) break
      const damage = checkBatch(buffer, at, at + size) ?? wrongOffset(baseOffsetOf(buffer, at), expected)
      if (damage !== undefined) return { position: position + at, damage, isIncomplete: false }
      visit(buffer, at, at + size, position + at)
      expected = lastOffsetOf(buffer, at) + 1
      at += size
    }
    if (at > 0) {
      position += at
      continue
    }
    const damage = incomplete(buffer, got, to - position)
    if (damage !== undefined) {
      const isIncomplete = got < batchHeaderBytes || batchBytesOf(buffer, 0) >= batchHeaderBytes
      return { position, damage, isIncomplete }
    }
    buffer = Buffer.allocUnsafe(batchBytesOf(buffer, 0))
  }
  return { position, damage: undefined, isIncomplete: false }
}

const wrongOffset = (found: number, due: number): string | undefined =>
  found === due ? undefined : `offset ${found} where ${due} is due`

/** The size of the batch at `at` when all of it is in bytes[at, end). */
function wholeBatch(bytes: Buffer, at: number, end: number): number | undefined {
  if (end - at < batchHeaderBytes) return undefined
  const size = batchBytesOf(bytes, at)
  return size >= batchHeaderBytes && at + size <= end ? size : undefined
}

/** Why no whole batch begins here, or undefined when a larger read will show one. */
function incomplete(bytes: Buffer, got: number, remaining: number): string | undefined {
  if (got < batchHeaderBytes) return `only ${got} bytes of a batch header`
  const size = batchBytesOf(bytes, 0)
  if (size < batchHeaderBytes) return `a batch length of ${size} bytes`
  if (size > remaining) return `a batch of ${size} bytes where ${remaining} are left`
  return got < Math.min(bytes.length, remaining) ? 'the file ends early' : undefined
}
