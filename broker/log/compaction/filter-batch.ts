/**
 * One batch of a compacted log: what stays of it. In comes a checked batch and the newest offset of every key, out comes whether it stays as it is,
 * with fewer records, or without any. The rules are Kafka's (LogCleaner, KIP-534).
 */
import {
  deleteHorizonOf,
  reducedBatch,
  restampedRecord,
  type LeftRecords,
} from '../../../protocol/kafka/compacted-batch.ts'
import { unpackedBytesMax } from '../../../protocol/kafka/compression.ts'
import { MalformedRecords } from '../../../protocol/kafka/malformed.ts'
import {
  baseOffsetOf,
  baseTimestampOf,
  countOf,
  isControl,
  isLogAppendTime,
  lastOffsetDeltaOf,
  lastOffsetOf,
  maxTimestampOf,
} from '../../../protocol/kafka/record-batch.ts'
import { RecordWalk, walkRecords } from '../../../protocol/kafka/record-walk.ts'
import type { OffsetMap } from './offset-map.ts'

/** Timestamps count from a horizon, and their differences must stay exact: a tombstone that would wait longer waits for ever. */
const horizonMsMax = 2 ** 52

export type FilterRules = {
  readonly newest: OffsetMap
  /** Of everything below, older records of the same key are gone or go now. */
  readonly endOffset: number
  readonly nowMs: number
  readonly deleteRetentionMs: number
}

export type Filtered =
  | { readonly kind: 'same' }
  | { readonly kind: 'reduced'; readonly batch: Buffer }
  | { readonly kind: 'emptied' }

/** What filtering has met so far. */
export class FilterCounts {
  records = 0
  removed = 0
  tombstonesRemoved = 0
  /** Batches that stay as they are because their records cannot be read. */
  unreadable = 0
  /** When the first tombstone that stayed may go; Infinity when none waits. */
  horizonMs = Infinity
}

const same: Filtered = { kind: 'same' }
const emptied: Filtered = { kind: 'emptied' }

/**
 * Filters the batch at `at`. A record goes when a newer one of its key is known, when it has no key, and when it is a tombstone behind its
 * horizon; what stands at or behind `endOffset` stays.
 */
export function filterBatch(b: Buffer, at: number, rules: FilterRules, counts: FilterCounts): Filtered {
  if (baseOffsetOf(b, at) >= rules.endOffset || isControl(b, at)) return same
  if (countOf(b, at) === 0) return emptied
  counts.records += countOf(b, at)
  try {
    return filter(b, at, rules, counts)
  } catch (error) {
    if (!(error instanceof MalformedRecords)) throw error
    counts.unreadable++
    return same
  }
}

function filter(b: Buffer, at: number, rules: FilterRules, counts: FilterCounts): Filtered {
  const { endOffset, nowMs, deleteRetentionMs } = rules
  const horizonMs = deleteHorizonOf(b, at)
  const walk = walkRecords(b, at, unpackedBytesMax)
  /** Where the records that stay begin and end in the unpacked bytes. */
  const stretches: number[] = []
  let count = 0
  let expired = 0
  let tombstones = false
  let maxDelta = -Infinity
  while (walk.next()) {
    const verdict = judge(walk, baseOffsetOf(b, at) + walk.offsetDelta, horizonMs, rules)
    if (verdict === 'expired') expired++
    if (verdict !== 'keep') continue
    count++
    if (!walk.hasValue) tombstones = true
    maxDelta = Math.max(maxDelta, walk.timestampDelta)
    if (stretches.at(-1) === walk.start) stretches[stretches.length - 1] = walk.end
    else stretches.push(walk.start, walk.end)
  }
  counts.removed += countOf(b, at) - count
  counts.tombstonesRemoved += expired
  if (count === 0) return emptied
  const waiting = tombstones && lastOffsetOf(b, at) < endOffset
  const newHorizonMs =
    waiting && horizonMs === undefined && nowMs + deleteRetentionMs <= horizonMsMax
      ? nowMs + deleteRetentionMs
      : undefined
  if (waiting) counts.horizonMs = Math.min(counts.horizonMs, newHorizonMs ?? horizonMs ?? Infinity)
  if (count === countOf(b, at) && newHorizonMs === undefined) return same
  const records: Buffer[] = []
  for (let i = 0; i < stretches.length; i += 2)
    records.push(walk.bytes.subarray(stretches[i], stretches[i + 1]))
  const maxTimestamp = baseTimestampOf(b, at) + maxDelta
  const left = { records, count, maxTimestamp, deleteHorizonMs: newHorizonMs }
  const batch = reducedBatch(
    b,
    at,
    newHorizonMs === undefined ? left : { ...left, records: restamped(b, at, left, newHorizonMs) },
  )
  return { kind: 'reduced', batch }
}

function judge(
  walk: RecordWalk,
  offset: number,
  horizonMs: number | undefined,
  { newest, endOffset, nowMs }: FilterRules,
): 'keep' | 'superseded' | 'expired' {
  if (offset >= endOffset) return 'keep'
  if (walk.keyBytes < 0 || newest.get(walk.bytes, walk.keyStart, walk.keyBytes) > offset) return 'superseded'
  return !walk.hasValue && horizonMs !== undefined && nowMs >= horizonMs ? 'expired' : 'keep'
}

/** The same records with timestamps that count from a delete horizon. */
function restamped(
  b: Buffer,
  at: number,
  { records, count }: LeftRecords,
  deleteHorizonMs: number,
): Buffer[] {
  const appendTime = isLogAppendTime(b, at) ? maxTimestampOf(b, at) : undefined
  const walk = new RecordWalk(Buffer.concat(records), count, lastOffsetDeltaOf(b, at))
  const again: Buffer[] = []
  while (walk.next()) {
    const timestamp = appendTime ?? baseTimestampOf(b, at) + walk.timestampDelta
    again.push(restampedRecord(walk, timestamp - deleteHorizonMs))
  }
  return again
}
