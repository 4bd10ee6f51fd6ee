/**
 * What is looked up in a log by something else than an offset to read from: timestamps, the ages and ends of segments, places of batches, every batch
 * there is. In come questions, out come answers as of now; nothing is changed, and segments that go meanwhile are passed over.
 */
import { offset, type Offset } from '../../base/quantities.ts'
import { baseOffsetOf, batchHeaderBytes, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import type { DiskFile } from '../../base/world.ts'
import type { Pace } from './compaction/pace.ts'
import { holesIn, type Hole, type IsRight, type Seen } from './holes.ts'
import type { LogPosition } from './log.ts'
import { firstTimestampOf, placeIn, type Place } from './place.ts'
import type { SegmentFacts } from './retention.ts'
import type { SegmentCache } from './segment-cache.ts'
import type { SegmentRow } from './segment-row.ts'
import type { Segment } from './segment.ts'
import { soundBatches } from './sound-batches.ts'

/** The log, as it is looked at. */
type Looked = {
  readonly row: SegmentRow
  readonly cache: SegmentCache
  end(): LogPosition
  isClosed(): boolean
}

export class LookUps {
  readonly #log: Looked

  constructor(log: Looked) {
    this.#log = log
  }

  /** Where to begin looking for the first record of at least `timestampMs`; undefined when all are older. */
  async searchFrom(timestampMs: number): Promise<Offset | undefined> {
    const { cache } = this.#log
    for await (const { segment, max } of this.#look()) {
      if (max === undefined || max.ms < timestampMs) continue
      if (segment.dropped) return this.searchFrom(timestampMs)
      const { times } = await cache.pin(segment)
      try {
        return offset(segment.baseOffset + (times.floor(timestampMs)?.value ?? 0))
      } finally {
        cache.unpin(segment)
      }
    }
    return undefined
  }

  /** The largest timestamp in the log and the last offset of its batch. */
  async maxTimestamp(): Promise<{ readonly ms: number; readonly offset: Offset } | undefined> {
    let max: { readonly ms: number; readonly offset: Offset } | undefined
    for await (const { max: of } of this.#look())
      if (of !== undefined && (max === undefined || of.ms > max.ms)) max = of
    return max
  }

  /** What retention decides on: every segment, the active one last. Learns each one's age from its files when it is asked for it. */
  async *segmentFacts(): AsyncGenerator<SegmentFacts, void> {
    for await (const { segment, max } of this.#look()) {
      const { baseOffset, sizeBytes } = segment
      const endOffset = this.endOffsetOf(this.#log.row.numberOf(baseOffset))
      yield { baseOffset, endOffset, sizeBytes, maxTimestampMs: max?.ms }
    }
  }

  /** Shows every sound batch of the log that begins in [from, to) to `visit`, in order. */
  async replay(visit: (bytes: Buffer, at: number) => void, from: Offset, to: Offset): Promise<void> {
    for (const [i, segment] of this.#log.row.list.slice().entries()) {
      const endOffset = this.endOffsetOf(i)
      if (segment.baseOffset >= to || endOffset <= from) continue
      const { log } = await this.#log.cache.pin(segment)
      try {
        const { sizeBytes, baseOffset } = segment
        const start = await beginAt(log, segment, from)
        for await (const { bytes, at } of soundBatches(log, start, sizeBytes, baseOffset, endOffset)) {
          const base = baseOffsetOf(bytes, at)
          if (base >= to) break
          if (base >= from) visit(bytes, at)
        }
      } finally {
        this.#log.cache.unpin(segment)
      }
    }
  }

  /** Whether `segment` is still a part of the log as it was. */
  has(segment: Segment): boolean {
    return this.#log.row.list.includes(segment)
  }

  /** Where no sound batch stands in the segment that holds `at`, as far as it is written. Empty when there is no such segment. `seen` is shown the others. */
  async holesAt(at: Offset, isRight: IsRight, pace?: Pace, seen?: Seen): Promise<Hole[]> {
    const { row, cache } = this.#log
    const i = row.numberOf(at)
    const segment = row.at(i)
    const endOffset = this.endOffsetOf(i)
    if (segment.baseOffset > at || endOffset <= at) return []
    const { log } = await cache.pin(segment)
    try {
      const holes = await holesIn(log, segment, endOffset, isRight, pace, seen)
      // What was cut or replaced meanwhile says nothing.
      return this.has(segment) ? holes : []
    } finally {
      cache.unpin(segment)
    }
  }

  /** The largest timestamp of the first batch of the segment that begins at `base`; undefined when it is empty or not there any more. */
  async firstTimestamp(base: Offset): Promise<number | undefined> {
    const { row, cache } = this.#log
    const segment = row.at(row.numberOf(base))
    if (segment.baseOffset !== base || segment.sizeBytes < batchHeaderBytes) return undefined
    return firstTimestampOf(cache, segment)
  }

  /** The segment that holds `at`, and where in it the batch begins that does. */
  async find(at: Offset): Promise<{ readonly segment: Segment; readonly place: Place }> {
    const { row, cache } = this.#log
    const i = row.numberOf(at)
    const segment = row.at(i)
    const end = { position: segment.sizeBytes, offset: this.endOffsetOf(i) }
    const { log } = await cache.pin(segment)
    try {
      return { segment, place: await placeIn(segment, log, at, end) }
    } finally {
      cache.unpin(segment)
    }
  }

  /** Where the segment ends that holds `at`. */
  endAfter(at: Offset): Offset {
    return this.endOffsetOf(this.#log.row.numberOf(at))
  }

  endOffsetOf(i: number): Offset {
    return this.#log.row.list[i + 1]?.baseOffset ?? this.#log.end().offset
  }

  /** Every segment with its largest timestamp, the active one last. One that was taken out meanwhile is passed over for what is there now. */
  async *#look(): AsyncGenerator<{ segment: Segment; max: Segment['maxTimestamp'] }, void> {
    const { row } = this.#log
    let next = row.at(0).baseOffset
    while (!this.#log.isClosed()) {
      const segment = row.at(row.numberOf(next))
      const max = await this.#maxTimestampOf(segment)
      if (segment.dropped) continue
      yield { segment, max }
      if (segment === row.active) return
      next = this.endOffsetOf(row.numberOf(segment.baseOffset))
    }
  }

  /** Learns it from the segment's files when it must. */
  async #maxTimestampOf(segment: Segment) {
    if (segment.maxTimestamp === undefined && segment.sizeBytes > 0 && !segment.dropped) {
      await this.#log.cache.pin(segment)
      this.#log.cache.unpin(segment)
    }
    return segment.maxTimestamp
  }
}

/** Where in the segment's file a batch begins that ends at `from` or before: the index says where, and is believed when that batch stands there. */
async function beginAt(log: DiskFile, segment: Segment, from: Offset): Promise<number> {
  // As in place.ts: what stands before the place says which offset is due there.
  const entry = from > segment.baseOffset ? segment.floor(offset(from - 1)) : undefined
  if (entry === undefined) return 0
  const header = Buffer.alloc(batchHeaderBytes)
  await log.readLater(header, entry.value)
  return lastOffsetOf(header, 0) === segment.baseOffset + entry.key ? entry.value : 0
}
