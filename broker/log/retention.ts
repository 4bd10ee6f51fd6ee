import type { Offset } from '../../base/quantities.ts'

export type SegmentFacts = {
  readonly baseOffset: Offset
  readonly endOffset: Offset
  readonly sizeBytes: number
  /** Undefined for an empty segment. */
  readonly maxTimestampMs: number | undefined
}

export type RetentionLimits = { readonly retentionMs: number; readonly retentionBytes: number }

/**
 * Which records may go: answers the new log start, never behind `highWatermark`. The oldest segments go while they are older than
 * `retentionMs` (by their newest record), or while what is left without them still holds `retentionBytes` (Kafka's rules); the first one
 * that stays ends it, and none behind it is looked at. One without timestamps, as compaction may leave it, goes with the one behind it.
 * `totalBytes` is what all of them hold.
 * When even the active segment is too old the answer is its end: the log has to roll before it can be dropped.
 */
export async function retainedFrom(
  segments: AsyncIterable<SegmentFacts>,
  totalBytes: number,
  { retentionMs, retentionBytes }: RetentionLimits,
  nowMs: number,
  highWatermark: Offset,
): Promise<Offset | undefined> {
  let excessBytes = totalBytes - retentionBytes
  let start: Offset | undefined
  for await (const { endOffset, sizeBytes, maxTimestampMs } of segments) {
    if (endOffset > highWatermark) break
    const tooOld = maxTimestampMs !== undefined && maxTimestampMs >= 0 && nowMs - maxTimestampMs > retentionMs
    const tooMuch = excessBytes >= sizeBytes
    const ageless = maxTimestampMs === undefined || maxTimestampMs < 0
    if (!tooOld && !tooMuch && !ageless) break
    excessBytes -= sizeBytes
    if (tooOld || tooMuch) start = endOffset
  }
  return start
}
