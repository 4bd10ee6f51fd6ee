import {
  batchBytesOf,
  batchHeaderBytes,
  checkBatch,
  lastOffsetOf,
} from '../../protocol/kafka/record-batch.ts'

/** What a read brought, in the order in which it is decided. */
export type Cut =
  /** Whole, checked batches stand at [start, end). */
  | { readonly kind: 'batches'; readonly start: number; readonly end: number }
  /** Nothing yet: read on from `at`, at least `bytes` bytes. */
  | { readonly kind: 'more'; readonly at: number; readonly bytes: number }
  /** The batch fits, but not into the bytes that the reader allows. */
  | { readonly kind: 'too-large' }
  /** The bytes at `at` are no sound batch. */
  | { readonly kind: 'damaged'; readonly at: number }

/**
 * Finds the batch that holds offset `from` in bytes[0, got) and takes whole batches from there on while they fit into `bytesMax`.
 * Each is checked; the cut ends before one that is damaged. `atLeastOne` takes the first batch however large it is.
 */
export function cutBatches(
  bytes: Buffer,
  got: number,
  from: number,
  bytesMax: number,
  atLeastOne: boolean,
): Cut {
  let start = 0
  while (true) {
    if (start + batchHeaderBytes > got) return { kind: 'more', at: start, bytes: batchHeaderBytes }
    const size = batchBytesOf(bytes, start)
    if (size < batchHeaderBytes) return { kind: 'damaged', at: start }
    if (lastOffsetOf(bytes, start) >= from) break
    start += size
  }
  const first = batchBytesOf(bytes, start)
  if (first > bytesMax && !atLeastOne) return { kind: 'too-large' }
  if (start + first > got) return { kind: 'more', at: start, bytes: first }
  let end = start
  while (end + batchHeaderBytes <= got) {
    const size = batchBytesOf(bytes, end)
    if (end > start && (end + size > got || end + size - start > bytesMax)) break
    if (checkBatch(bytes, end, got) !== undefined) {
      if (end > start) break
      return { kind: 'damaged', at: start }
    }
    end += size
  }
  return { kind: 'batches', start, end }
}
