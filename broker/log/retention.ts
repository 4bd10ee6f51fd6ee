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
 * `retentionMs` (by their newest record), or while what is left without them still holds `retentionBytes` (Kafka's rules).
 * A segment without timestamps, as compaction may leave it, goes with the one behind it.
 * When even the active segment is too old the answer is its end: the log has to roll before it can be dropped.
 */
export function retainedFrom(
  segments: readonly SegmentFacts[],
  { retentionMs, retentionBytes }: RetentionLimits,
  nowMs: number,
  highWatermark: Offset,
): Offset | undefined {
  let excessBytes = segments.reduce((sum, segment) => sum + segment.sizeBytes, 0) - retentionBytes
  let start: Offset | undefined
  for (const { endOffset, sizeBytes, maxTimestampMs } of segments) {
    if (endOffset > highWatermark || sizeBytes === 0) break
    const tooOld = maxTimestampMs !== undefined && maxTimestampMs >= 0 && nowMs - maxTimestampMs > retentionMs
    const tooMuch = excessBytes >= sizeBytes
    const ageless = maxTimestampMs === undefined || maxTimestampMs < 0
    if (!tooOld && !tooMuch && !ageless) break
    excessBytes -= sizeBytes
    if (tooOld || tooMuch) start = endOffset
  }
  return start
}
