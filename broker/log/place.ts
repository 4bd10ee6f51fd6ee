/** Where in a segment's file the batch stands that holds an offset: the index says where to begin, the headers from there on say where it is. */
import { InvariantViolation } from '../../base/assert.ts'
import { offset, type Offset } from '../../base/quantities.ts'
import type { Disk, DiskFile } from '../../base/world.ts'
import {
  baseOffsetOf,
  batchBytesOf,
  batchHeaderBytes,
  lastOffsetOf,
  maxTimestampOf,
} from '../../protocol/kafka/record-batch.ts'
import type { SegmentCache } from './segment-cache.ts'
import { newestOf, Segment } from './segment.ts'
import type { IndexEntry } from './sparse-index.ts'

/** A batch as the indexes are told of it. */
type WalkedBatch = {
  readonly last: number
  readonly position: number
  readonly bytes: number
  readonly timestampMs: number
}

export type Place = {
  /** Of the first record of the batch. */
  readonly offset: Offset
  readonly position: number
  /** The index entry that the walk began at, and the batches from there up to the place. */
  readonly entry: IndexEntry | undefined
  readonly walked: readonly WalkedBatch[]
}

const windowBytes = 16_384

/** The beginning of the batch that holds `wanted`, in the open segment; the segment's end when none does. */
export async function placeIn(
  segment: Segment,
  log: DiskFile,
  wanted: Offset,
  end: { readonly position: number; readonly offset: Offset },
): Promise<Place> {
  const entry = segment.floor(offset(wanted - 1))
  const walked: WalkedBatch[] = []
  let position = entry?.value ?? 0
  let window = Buffer.alloc(0)
  let windowAt = position
  while (position < end.position) {
    if (position + batchHeaderBytes > windowAt + window.length) {
      const buffer = Buffer.allocUnsafe(Math.min(windowBytes, end.position - position))
      window = buffer.subarray(0, await log.readLater(buffer, position))
      windowAt = position
    }
    const at = position - windowAt
    const bytes = window.length - at < batchHeaderBytes ? 0 : batchBytesOf(window, at)
    if (bytes < batchHeaderBytes) throw new Error(`${log.path} has no batch at position ${position}`)
    const last = lastOffsetOf(window, at)
    if (last >= wanted) return { offset: offset(baseOffsetOf(window, at)), position, entry, walked }
    walked.push({ last, position, bytes, timestampMs: newestOf(window, at) })
    position += bytes
  }
  return { ...end, entry, walked }
}

/** The segment `old` as it will be when its file was cut at `place`, open, with indexes that end there. Nothing is changed yet. */
export async function openCut(
  disk: Disk,
  old: Segment,
  place: Place,
  indexIntervalBytes: number,
): Promise<Segment> {
  if (old.isOpen) persistQuietly(old)
  const segment = new Segment(disk, old.directory, old.baseOffset, place.position)
  await segment.openCut(place.entry)
  segment.inUse = true
  for (const { last, position, bytes, timestampMs } of place.walked)
    segment.note(last, position, bytes, timestampMs, indexIntervalBytes)
  return segment
}

/** A full disk does not take indexes: what is missing of them is made up for by looking at the batches. */
function persistQuietly(segment: Segment): void {
  try {
    segment.persistIndexes()
  } catch (error) {
    if (error instanceof InvariantViolation) throw error
  }
}

/** The largest timestamp of the segment's first batch; undefined when there is none. */
export async function firstTimestampOf(cache: SegmentCache, segment: Segment): Promise<number | undefined> {
  const { log } = await cache.pin(segment)
  try {
    const header = Buffer.alloc(batchHeaderBytes)
    return log.read(header, 0) < batchHeaderBytes ? undefined : maxTimestampOf(header, 0)
  } finally {
    cache.unpin(segment)
  }
}
