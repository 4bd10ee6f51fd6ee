/**
 * Where a segment's file is damaged, and what fills it again: in comes the segment with what should stand in it, out come the stretches without a sound
 * batch. Filled is exactly such a stretch, so what is sound is never written over.
 */
import { KIB, offset, type Offset } from '../../base/quantities.ts'
import type { DiskFile } from '../../base/world.ts'
import { baseOffsetOf, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import type { Pace } from './compaction/pace.ts'
import type { SegmentCache } from './segment-cache.ts'
import type { SegmentRow } from './segment-row.ts'
import type { Segment } from './segment.ts'
import { soundBatches, type SoundBatch } from './sound-batches.ts'

/** No sound batch stands at [position, endPosition) of the file of segment `of`, where those of the offsets [from, to) should. */
export type Hole = {
  readonly of: Segment
  readonly from: Offset
  readonly to: Offset
  readonly position: number
  readonly endPosition: number
}

/**
 * 'gone': the segment is not the same any more. 'other size': what fills it has not the size of what was there. Nothing was changed then. 'not synced': what
 * is on the disk is not known.
 */
export type Filled = 'filled' | 'gone' | 'other size' | 'not synced'

/** Whether the sound batch at `at` says of itself what is known of it otherwise: no CRC covers its leader epoch. */
export type IsRight = (bytes: Buffer, at: number) => boolean

/** Is shown every batch of `of` that is sound and right; its bytes are used again. */
export type Seen = (batch: SoundBatch, of: Segment) => void

const pacedBytesMin = 256 * KIB

/** The holes of a segment whose `file` is open, as far as it is written now; `pace` for who has time. */
export async function holesIn(
  file: DiskFile,
  of: Segment,
  endOffset: Offset,
  isRight: IsRight,
  pace?: Pace,
  seen?: Seen,
): Promise<Hole[]> {
  const { baseOffset, sizeBytes } = of
  let pacedBytes = 0
  const holes: Hole[] = []
  let [from, position] = [baseOffset, 0]
  const soundFrom = (at: Offset, standsAt: number): void => {
    if (at > from || standsAt > position) holes.push({ of, from, to: at, position, endPosition: standsAt })
  }
  for await (const batch of soundBatches(file, 0, sizeBytes, baseOffset, endOffset)) {
    const { bytes, at, end } = batch
    if (!isRight(bytes, at)) continue
    seen?.(batch, of)
    soundFrom(offset(baseOffsetOf(bytes, at)), batch.position)
    from = offset(lastOffsetOf(bytes, at) + 1)
    position = batch.position + end - at
    if (pace === undefined || position - pacedBytes < pacedBytesMin) continue
    pace.did(position - pacedBytes)
    pacedBytes = position
    await pace.rest()
  }
  pace?.did(sizeBytes - pacedBytes)
  soundFrom(endOffset, sizeBytes)
  return holes
}

/**
 * Fills `hole` in place with `cover`, sound batches for exactly its offsets; on the disk when this resolves. A crash on the way leaves a hole.
 * @throws the disk's error: there is a hole still
 */
export async function fill(cache: SegmentCache, row: SegmentRow, hole: Hole, cover: Buffer): Promise<Filled> {
  if (!row.list.includes(hole.of)) return 'gone'
  if (cover.length !== hole.endPosition - hole.position) return 'other size'
  const { log } = await cache.pin(hole.of)
  try {
    log.write([cover], hole.position)
    return await log.sync().then(
      () => 'filled' as const,
      () => 'not synced' as const,
    )
  } finally {
    cache.unpin(hole.of)
  }
}
