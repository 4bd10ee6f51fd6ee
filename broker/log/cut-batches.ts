import {
  baseOffsetOf,
  batchBytesOf,
  batchHeaderBytes,
  checkBatch,
  lastOffsetOf,
} from '../../protocol/kafka/record-batch.ts'

/** What a read brought, in the order in which it is decided. */
export type Cut =
  /** Whole, checked batches stand at [start, end); `next` is the offset behind them. */
  | { readonly kind: 'batches'; readonly start: number; readonly end: number; readonly next: number }
  /** Nothing yet: read on from `at`, at least `bytes` bytes. */
  | { readonly kind: 'more'; readonly at: number; readonly bytes: number; readonly due: Due }
  /** The batch fits, but not into the bytes that the reader allows. */
  | { readonly kind: 'too-large' }
  /** The bytes at `at` are no sound batch. */
  | { readonly kind: 'damaged'; readonly at: number }

/** What is known of the batch that begins the bytes: its first or its last offset, or neither. */
export type Due = { readonly base: number | undefined; readonly last: number | undefined }

/**
 * Finds the batch that holds offset `from` in bytes[0, got) and takes whole batches from there on while they fit into `bytesMax`.
 * Each is checked, also that its offsets go on where those before end (no CRC covers them); the cut ends before one that is
 * damaged. `available` bytes are readable from bytes[0] on, of which `got` are here. `atLeastOne` takes the first batch however large it is.
 */
export function cutBatches(
  bytes: Buffer,
  got: number,
  available: number,
  due: Due,
  from: number,
  bytesMax: number,
  atLeastOne: boolean,
): Cut {
  let start = 0
  let base = due.base
  while (true) {
    if (start + batchHeaderBytes > available) return { kind: 'damaged', at: start }
    if (start + batchHeaderBytes > got)
      return more(start, batchHeaderBytes, start === 0 ? due : { ...noneDue, base })
    const size = batchBytesOf(bytes, start)
    if (size < batchHeaderBytes || start + size > available) return { kind: 'damaged', at: start }
    if (base !== undefined && baseOffsetOf(bytes, start) !== base) return { kind: 'damaged', at: start }
    if (start === 0 && due.last !== undefined && lastOffsetOf(bytes, start) !== due.last)
      return { kind: 'damaged', at: start }
    if (lastOffsetOf(bytes, start) >= from) break
    base = lastOffsetOf(bytes, start) + 1
    start += size
  }
  if (baseOffsetOf(bytes, start) > from) return { kind: 'damaged', at: start }
  const first = batchBytesOf(bytes, start)
  if (first > bytesMax && !atLeastOne) return { kind: 'too-large' }
  if (start + first > got) return more(start, first, start === 0 ? due : { ...noneDue, base })
  if (checkBatch(bytes, start, got) !== undefined) return { kind: 'damaged', at: start }
  return soundFrom(bytes, start, got, bytesMax)
}

/** The sound batches that begin with the one at `start`, which is. */
function soundFrom(bytes: Buffer, start: number, got: number, bytesMax: number): Cut {
  let end = start + batchBytesOf(bytes, start)
  let base = lastOffsetOf(bytes, start) + 1
  while (end + batchHeaderBytes <= got) {
    const size = batchBytesOf(bytes, end)
    if (end + size > got || end + size - start > bytesMax) break
    if (baseOffsetOf(bytes, end) !== base || checkBatch(bytes, end, got) !== undefined) break
    base = lastOffsetOf(bytes, end) + 1
    end += size
  }
  return { kind: 'batches', start, end, next: base }
}

export const noneDue: Due = { base: undefined, last: undefined }

const more = (at: number, bytes: number, due: Due): Cut => ({ kind: 'more', at, bytes, due })
