/**
 * The three ways to bytes: the tail in memory, the page cache on the event loop, the disk through the thread pool. All answer whole
 * batches; those that come from a file were checked, so that a reader never sees one whose CRC is wrong.
 */
import { offset, type Offset } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import { batchBytesOf, batchHeaderBytes, countOf, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { cutBatches, type Cut } from './cut-batches.ts'
import type { LogShared } from './log.ts'
import type { ReadBuffers } from './read-buffers.ts'
import type { Segment } from './segment.ts'
import type { Tail } from './tail.ts'

/** Whole batches back to back. `release` is called exactly once, when the bytes were sent or are not needed. */
export type Batches = { readonly pieces: readonly Buffer[]; readonly bytes: number; release(): void }

export type ReadRequest = {
  readonly segment: Segment
  readonly from: Offset
  /** Where readable bytes end in the segment: a place between two batches. */
  readonly endPosition: number
  readonly bytesMax: number
  readonly atLeastOne: boolean
}

/** Stored bytes that are not a sound batch; the tablet counts it and tells the reader CORRUPT_MESSAGE. */
export class StoredBatchDamaged extends Refusal {
  readonly path: string
  readonly position: number
  constructor(path: string, position: number, from: number) {
    super(
      'CORRUPT_MESSAGE',
      `the batch that holds offset ${from} is damaged on disk (${path}, position ${position})`,
    )
    this.path = path
    this.position = position
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
  let start = floor
  while (true) {
    const { bytes, at } = tail.at(start)
    if (lastOffsetOf(bytes, at) >= from) break
    start += batchBytesOf(bytes, at)
  }
  if (endPosition - start <= bytesMax) return tail.slice(start, endPosition)
  let end = Math.max(start, segment.files.offsets.floorByValue(start + bytesMax)?.value ?? 0)
  while (end < endPosition) {
    const { bytes, at } = tail.at(end)
    const size = batchBytesOf(bytes, at)
    if (end + size - start > bytesMax && !(end === start && atLeastOne)) break
    end += size
  }
  return end === start ? noBatches : tail.slice(start, end)
}

/** From the file on the event loop, for bytes that the page cache is known to hold. */
export function readActiveNow(buffers: ReadBuffers, floor: number, request: ReadRequest): Batches {
  const { segment, endPosition } = request
  let position = floor
  let wanted = firstReadBytes(request, position)
  while (true) {
    const buffer = buffers.take(wanted)
    const got = segment.files.log.read(buffer.subarray(0, Math.min(wanted, endPosition - position)), position)
    const next = take(buffers, buffer, got, position, request)
    if ('pieces' in next) return next
    position = next.position
    wanted = next.wanted
  }
}

/** From the file through the thread pool; opens it when it has to. */
export async function readSegmentLater(
  { segmentCache, readBuffers }: LogShared,
  request: ReadRequest,
): Promise<Batches> {
  const { segment, endPosition } = request
  const { log } = await segmentCache.pin(segment)
  try {
    let position = segment.floorPosition(request.from)
    let wanted = firstReadBytes(request, position)
    while (true) {
      const buffer = readBuffers.take(wanted)
      const got = await log.readLater(buffer.subarray(0, Math.min(wanted, endPosition - position)), position)
      const next = take(readBuffers, buffer, got, position, request)
      if ('pieces' in next) return next
      position = next.position
      wanted = next.wanted
    }
  } finally {
    segmentCache.unpin(segment)
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
  position: number,
  request: ReadRequest,
): Batches | { position: number; wanted: number } {
  const { segment, from, endPosition, bytesMax, atLeastOne } = request
  const cut = beyondEnd(cutBatches(buffer, got, from, bytesMax, atLeastOne), position, endPosition)
  if (cut.kind === 'batches') {
    const piece = buffer.subarray(cut.start, cut.end)
    return { pieces: [piece], bytes: piece.length, release: () => buffers.give(buffer) }
  }
  buffers.give(buffer)
  if (cut.kind === 'too-large') return noBatches
  if (cut.kind === 'damaged') throw new StoredBatchDamaged(segment.files.log.path, position + cut.at, from)
  const next = position + cut.at
  return { position: next, wanted: Math.min(Math.max(cut.bytes, bytesMax), endPosition - next) }
}

/** A batch that says it goes beyond the readable end is damaged: reading more will not show it. */
function beyondEnd(cut: Cut, position: number, endPosition: number): Cut {
  if (cut.kind !== 'more' || position + cut.at + cut.bytes <= endPosition) return cut
  return { kind: 'damaged', at: cut.at }
}
