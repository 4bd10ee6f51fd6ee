/** Whether a log has to be compacted, and what of it: the rules of Kafka's LogCleanerManager as functions of what is known. */
import { offset, type Offset } from '../../../base/quantities.ts'
import type { SegmentFacts } from '../retention.ts'

export type CompactionSettings = {
  readonly minCleanableDirtyRatio: number
  readonly minCompactionLagMs: number
  /** Infinity for none. */
  readonly maxCompactionLagMs: number
  readonly deleteRetentionMs: number
}

export type CompactionFacts = {
  /** The sealed segments that are on the disk and below the high watermark, the oldest first. */
  readonly segments: readonly SegmentFacts[]
  /** Everything below was compacted. */
  readonly cleaned: Offset
  /** By base offset: when the first tombstones of a segment may go. */
  readonly horizons: ReadonlyMap<number, number>
  /** The earliest timestamp of a first batch of the dirty segments, when `maxCompactionLagMs` makes it matter. */
  readonly earliestDirtyMs: number | undefined
  readonly nowMs: number
}

export type Plan = {
  /** The part of the bytes that may be compacted and were not yet, from 0 to 1. */
  readonly dirtyRatio: number
  /** Whose keys have to be learnt; empty when there is nothing to do but to let tombstones go. */
  readonly dirty: readonly SegmentFacts[]
  /** What has to be filtered. */
  readonly filter: readonly SegmentFacts[]
}

/** A log is due when more than the given part of it is dirty, when something is dirty for too long, or when tombstones have had their time. */
export function planCompaction(facts: CompactionFacts, settings: CompactionSettings): Plan {
  const { segments, cleaned, horizons, earliestDirtyMs, nowMs } = facts
  const oldEnough = segments.slice(0, firstTooYoung(facts, settings))
  const dirty = oldEnough.filter(({ endOffset }) => endOffset > cleaned)
  const dirtyBytes = sum(dirty)
  const cleanBytes = sum(oldEnough) - dirtyBytes
  const dirtyRatio = dirtyBytes === 0 ? 0 : dirtyBytes / (dirtyBytes + cleanBytes)
  const overdue = earliestDirtyMs !== undefined && nowMs - earliestDirtyMs > settings.maxCompactionLagMs
  if (dirtyBytes > 0 && (dirtyRatio > settings.minCleanableDirtyRatio || overdue))
    return { dirtyRatio, dirty, filter: oldEnough }
  const expired = segments.filter(
    ({ baseOffset }) => baseOffset < cleaned && (horizons.get(baseOffset) ?? Infinity) <= nowMs,
  )
  return { dirtyRatio, dirty: [], filter: expired }
}

/**
 * How many times its part of the time a pass may take, when the one before took `haste` times. Compaction is behind when much more is dirty than when the
 * last pass began: more is written than it compacts.
 */
export function hasteOf(haste: number, dirtyBytesBefore: number, dirtyBytes: number): number {
  const isBehind = dirtyBytesBefore > 0 && dirtyBytes > 1.5 * dirtyBytesBefore
  return isBehind ? Math.min(hasteMax, haste * 2) : Math.max(1, haste / 2)
}

const hasteMax = 128

/** The place of the first segment that holds a record within the minimum lag, and so of all behind it. */
function firstTooYoung(
  { segments, cleaned, nowMs }: CompactionFacts,
  { minCompactionLagMs }: CompactionSettings,
): number {
  if (minCompactionLagMs <= 0) return segments.length
  const young = segments.findIndex(
    ({ endOffset, maxTimestampMs }) =>
      endOffset > cleaned && (maxTimestampMs ?? -1) > nowMs - minCompactionLagMs,
  )
  return young < 0 ? segments.length : young
}

/**
 * Where compaction has to go on. What was noted counts only within the log: a log that was cut, or whose start went past it, is compacted
 * from its start.
 */
export const cleanedWithin = (noted: Offset | undefined, logStart: Offset, logEnd: Offset): Offset =>
  noted === undefined || noted > logEnd ? logStart : offset(Math.max(noted, logStart))

export const sum = (segments: readonly SegmentFacts[]): number =>
  segments.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0)
