/**
 * The three ways to bytes: the tail in memory, the page cache on the event loop, the disk through the thread pool. All answer whole
 * batches; those that come from a file were checked, so that a reader never sees one whose CRC is wrong.
 */
import { offset, type Offset } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import { batchBytesOf, batchHeaderBytes, countOf, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { cutBatches, noneDue, type Due } from './cut-batches.ts'
import type { LogShared } from './log.ts'
import type { ReadBuffers } from './read-buffers.ts'
import type { Segment } from './segment.ts'
import { findAmidDamage } from './sound-batches.ts'
import type { IndexEntry } from './sparse-index.ts'
import type { Tail } from './tail.ts'

/** Whole batches back to back. `release` is called exactly once, when the bytes were sent or are not needed. */
export type Batches = { readonly pieces: readonly Buffer[]; readonly bytes: number; release(): void }

export type ReadRequest = {
  readonly segment: Segment
  readonly from: Offset
  /** Where readable bytes end in the segment, a place between two batches, and the offset there. */
  readonly endPosition: number
  readonly endOffset: Offset
  readonly bytesMax: number
  readonly atLeastOne: boolean
}

/** Stored bytes that are not a sound batch; the tablet counts it and tells the reader CORRUPT_MESSAGE. */
export class StoredBatchDamaged extends Refusal {
  readonly path: string
  /** The offset that was asked for. */
  readonly wanted: Offset
  /** Where a sound batch is due and none stands. */
  readonly position: number
  /** The offsets [from, to) that cannot be read; `to` is undefined when nothing sound follows in the segment. */
  readonly damaged: { readonly from: Offset; readonly to: Offset | undefined }

  constructor(path: string, position: number, wanted: Offset, damaged: StoredBatchDamaged['damaged']) {
    const { from, to } = damaged
    super(
      'CORRUPT_MESSAGE',
      `the batch that holds offset ${wanted} is damaged on disk (${path}, position ${position}); ` +
        (to === undefined
          ? `nothing from offset ${from} on can be read in this file`
          : `offsets ${from} to ${to - 1} cannot be read`),
    )
    this.path = path
    this.wanted = wanted
    this.position = position
    this.damaged = damaged
  }
}

export const noBatches: Batches = { pieces: [], bytes: 0, release: () => undefined }

/** The offset behind batches of which none has a record; undefined when one has, or there are none. */
export function endOfEmpty({ pieces }: Batches): Offset | undefined {
  let end: Offset | undefined
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += batchBytesOf(piece, at)) {
      if (countOf(piece, at) > 0) return undefined
      end = offset(lastOffsetOf(piece, at) + 1)
    }
  }
  return end
}

/** From memory, in place. `floor` is a position at or before the batch looked for. */
export function readTail(
  tail: Tail,
  floor: number,
  { segment, from, endPosition, bytesMax, atLeastOne }: ReadRequest,
): Batches {
  const start = skipTo(tail, floor, from)
  if (endPosition - start <= bytesMax) return tail.slice(start, endPosition)
  const known = Math.max(start, segment.files.offsets.floorByValue(start + bytesMax)?.value ?? 0)
  const end = takeUpTo(tail, known, start + bytesMax)
  if (end > start) return tail.slice(start, end)
  const { chunk, position } = tail.stretchAt(start)
  return atLeastOne ? tail.slice(start, start + batchBytesOf(chunk.bytes, start - position)) : noBatches
}

/** Where the batch that holds `from` begins. */
function skipTo(tail: Tail, floor: number, from: Offset): number {
  let next = floor
  while (true) {
    const { chunk, position, filledBytes } = tail.stretchAt(next)
    let at = next - position
    while (at < filledBytes) {
      if (lastOffsetOf(chunk.bytes, at) >= from) return position + at
      at += batchBytesOf(chunk.bytes, at)
    }
    next = position + at
  }
}

/** Where the last batch from `start` on ends that does not go beyond `limit`, which lies before the end of what is written. */
function takeUpTo(tail: Tail, start: number, limit: number): number {
  let next = start
  while (true) {
    const { chunk, position, filledBytes } = tail.stretchAt(next)
    let at = next - position
    while (at < filledBytes) {
      const end = at + batchBytesOf(chunk.bytes, at)
      if (position + end > limit) return position + at
      at = end
    }
    next = position + at
  }
}

/**
 * From the file on the event loop, for bytes that the page cache is known to hold. Answers undefined when what is there is no sound
 * batch: `readSegmentLater` then finds out.
 */
export function readActiveNow(
  buffers: ReadBuffers,
  floor: IndexEntry | undefined,
  request: ReadRequest,
): Batches | undefined {
  const { log } = request.segment.files
  let place = firstPlace(request, floor)
  while (true) {
    const buffer = buffers.take(place.wanted)
    let got = 0
    try {
      got = log.read(buffer.subarray(0, place.wanted), place.position)
    } catch (error) {
      buffers.give(buffer)
      throw error
    }
    const next = take(buffers, buffer, got, place, request)
    if ('pieces' in next) return next
    if (next.damaged) return undefined
    place = next
  }
}

/** From the file through the thread pool; opens it when it has to. */
export async function readSegmentLater(
  { segmentCache, readBuffers }: LogShared,
  request: ReadRequest,
): Promise<Batches> {
  const { segment, from, endPosition, endOffset } = request
  const { log } = await segmentCache.pin(segment)
  try {
    let place = firstPlace(request, segment.floor(from))
    let hinted = segment.startOf(from) !== undefined
    let amidDamage = false
    while (true) {
      const buffer = readBuffers.take(place.wanted)
      let got = 0
      try {
        got = await log.readLater(buffer.subarray(0, place.wanted), place.position)
      } catch (error) {
        readBuffers.give(buffer)
        throw error
      }
      const next = take(readBuffers, buffer, got, place, request)
      if ('pieces' in next) return next
      place = next
      if (!next.damaged) continue
      if (hinted) {
        // Where a reader has ended something else may have been written since, when damage was mended.
        hinted = false
        segment.forgetStart(from)
        place = firstPlace(request, segment.floor(from))
        continue
      }
      const found = amidDamage
        ? { from, to: undefined }
        : await findAmidDamage(segment, log, from, endPosition, endOffset)
      if ('from' in found) throw new StoredBatchDamaged(log.path, next.position, from, found)
      amidDamage = true
      place = { ...noneDue, position: found.position, wanted: firstReadBytes(request, found.position) }
    }
  } finally {
    segmentCache.unpin(segment)
  }
}

/** Where to read, how much, and what is known of the batch there. */
type Place = Due & { readonly position: number; readonly wanted: number }

/** Where a reader before has ended, or else where the index says: mostly a batch too early. */
function firstPlace(request: ReadRequest, floor: IndexEntry | undefined): Place {
  const { segment, from, endPosition, bytesMax } = request
  const { baseOffset } = segment
  const start = segment.startOf(from)
  if (start !== undefined && start < endPosition) {
    const wanted = Math.min(Math.max(bytesMax, batchHeaderBytes), endPosition - start)
    return { position: start, wanted, base: from, last: undefined }
  }
  const position = floor?.value ?? 0
  return {
    position,
    wanted: firstReadBytes(request, position),
    base: floor === undefined ? baseOffset : undefined,
    last: floor === undefined ? undefined : baseOffset + floor.key,
  }
}

/** An index entry stands at most one interval and one batch before the batch looked for; mostly this read is the only one. */
const firstReadBytes = ({ bytesMax, endPosition }: ReadRequest, position: number): number =>
  Math.min(Math.max(bytesMax, batchHeaderBytes) + 8192, endPosition - position)

/** The batches in what was read, or where to read on. The buffer goes back unless batches were found in it. */
function take(
  buffers: ReadBuffers,
  buffer: Buffer,
  got: number,
  place: Place,
  { segment, from, endPosition, bytesMax, atLeastOne }: ReadRequest,
): Batches | (Place & { readonly damaged: boolean }) {
  const available = endPosition - place.position
  const cut = cutBatches(buffer, got, available, place, from, bytesMax, atLeastOne)
  if (cut.kind === 'batches') {
    const piece = buffer.subarray(cut.start, cut.end)
    segment.noteStart(cut.next, place.position + cut.end)
    return { pieces: [piece], bytes: piece.length, release: () => buffers.give(buffer) }
  }
  buffers.give(buffer)
  if (cut.kind === 'too-large') return noBatches
  const position = place.position + cut.at
  // A file that ends before its readable end has lost bytes: reading on would never end.
  if (cut.kind === 'damaged' || got < place.wanted) return { ...place, position, damaged: true }
  const wanted = Math.min(Math.max(cut.bytes, bytesMax), endPosition - position)
  return { ...cut.due, position, wanted, damaged: false }
}
