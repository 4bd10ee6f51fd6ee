/**
 * Compaction of one tablet's log. In come looks and passes, out goes a log in which of every key the newest record is left, with its offset. The active
 * segment and what lies above the high watermark are never touched; the heavy work is a `Cleaner`'s, here is what decides and swaps.
 */
import type { Logger } from 'pino'
import { offset, type Offset } from '../../../base/quantities.ts'
import type { World } from '../../../base/world.ts'
import type { Log } from '../log.ts'
import type { SegmentFacts } from '../retention.ts'
import type { CleanState } from './clean-state.ts'
import { removeCleaned } from './cleaned-segment.ts'
import type { Cleaned, Cleaner, Damage } from './cleaner.ts'
import { cleanedWithin, hasteOf, planCompaction, sum, type CompactionSettings, type Plan } from './plan.ts'
import type { PaceLimits } from './pace.ts'
import { SwapUnfinished } from './swap.ts'

/** What a tablet knows and its log does not. */
export type CompactionOwner = {
  readonly settings: CompactionSettings
  readonly logStart: Offset
  /** What is at or behind it may still change. */
  readonly stableEnd: Offset
  /** False when the tablet is gone: nothing of it is to be touched. */
  readonly serves: boolean
  /** The last offset of each producer's last batch. */
  lastOfProducers(): readonly number[]
  /** Something in the segment that begins at `base` is damaged. */
  damaged(base: Offset): void
  /** These files are part of the log no more. */
  removeLater(names: readonly string[]): void
}

export type PassLimits = PaceLimits & {
  /** Memory for the map of newest offsets. */
  readonly mapBytesMax: number
}

/** The smallest record, of seven bytes, grows to eleven. */
const growthMax = 1.6
const nothing: Plan = { dirtyRatio: 0, dirty: [], filter: [] }

export class Compaction {
  readonly counters = {
    /** Passes that came to their end. */
    passes: 0,
    /** Bytes of segments that were filtered, and of what took their place. */
    bytesRead: 0,
    bytesWritten: 0,
    recordsRemoved: 0,
    tombstonesRemoved: 0,
  }
  /** As of the last look. */
  dirtyRatio = 0
  readonly #world: World
  readonly #logger: Logger
  readonly #log: Log
  readonly #state: CleanState
  readonly #owner: CompactionOwner
  /** What was dirty when the last pass began, in bytes, and its haste. */
  #last = { dirtyBytes: 0, haste: 1 }
  /** Why nothing is compacted any more: for as long as the segment that begins at `base` is there, or until the next start. */
  #stuck: { readonly base: number | undefined } | undefined

  constructor(world: World, logger: Logger, log: Log, state: CleanState, owner: CompactionOwner) {
    this.#world = world
    this.#logger = logger
    this.#log = log
    this.#state = state
    this.#owner = owner
  }

  /** True when damage keeps the log from being compacted. */
  get isStuck(): boolean {
    return this.#stuck !== undefined
  }

  /** What was damaged is whole again. */
  mended(): void {
    if (this.#stuck?.base !== undefined) this.#stuck = undefined
  }

  /** What there is to do now; `filter` is empty when it is nothing. */
  async look(): Promise<Plan> {
    const segments = await this.#stable()
    if (this.#stuck !== undefined) {
      const { base } = this.#stuck
      if (base === undefined || segments.some(({ baseOffset }) => baseOffset === base)) return nothing
      this.#stuck = undefined
    }
    const { settings, logStart } = this.#owner
    const cleaned = cleanedWithin(this.#state.cleaned, logStart, this.#log.end.offset)
    const { horizons } = this.#state
    const nowMs = this.#world.clock.nowMs()
    const earliestDirtyMs =
      settings.maxCompactionLagMs >= nowMs ? undefined : await this.#earliest(segments, cleaned)
    const plan = planCompaction({ segments, cleaned, horizons, earliestDirtyMs, nowMs }, settings)
    this.dirtyRatio = plan.dirtyRatio
    return plan
  }

  /**
   * One pass: as many of the dirty keys as the map holds. What is left is dirty still. Answers whether the pass came to its end.
   * @throws the disk's error: the log is whole, and what was swapped in before stays
   */
  async run({ dirty, filter }: Plan, cleaner: Cleaner, limits: PassLimits): Promise<boolean> {
    const { settings, logStart } = this.#owner
    const { segmentBytes, indexIntervalBytes } = this.#log.settings
    const cleaned = cleanedWithin(this.#state.cleaned, logStart, this.#log.end.offset)
    const dirtyBytes = sum(dirty)
    if (dirtyBytes > 0)
      this.#last = { dirtyBytes, haste: hasteOf(this.#last.haste, this.#last.dirtyBytes, dirtyBytes) }
    const begun = await cleaner.begin({
      directory: this.#log.directory,
      dirty,
      from: cleaned,
      cleaned,
      hashKey: this.#world.random.bytes(16),
      nowMs: this.#world.clock.nowMs(),
      deleteRetentionMs: settings.deleteRetentionMs,
      lastOfProducers: this.#owner.lastOfProducers(),
      segmentBytes,
      indexIntervalBytes,
      ...limits,
      timeShare: Math.min(1, limits.timeShare * this.#last.haste),
    })
    if (!this.#owner.serves) return false
    if (begun.kind === 'damage') return this.#damaged(begun)
    let rest = filter.filter(({ baseOffset }) => baseOffset < begun.endOffset)
    while (rest.length > 0) {
      const taken = await this.#clean(adjacent(rest), cleaner)
      if (taken === undefined) return false
      rest = rest.slice(taken)
    }
    this.#state.cleaned = offset(begun.endOffset)
    await this.#state.save(this.#log.firstOffset)
    this.counters.passes++
    this.#logger.info({ cleaned: begun.endOffset, keys: begun.keys, ...this.counters }, 'log compacted')
    return true
  }

  /** Cleans the first of `segments`, and those behind it that fit into one with it. Answers how many; undefined when the pass cannot go on. */
  async #clean(segments: readonly SegmentFacts[], cleaner: Cleaner): Promise<number | undefined> {
    const [first] = segments
    if (first === undefined || !this.#hasRoom(segments)) return undefined
    const cleaned = await cleaner.clean(segments)
    if (!this.#owner.serves) return undefined
    if (cleaned.kind === 'damage') {
      this.#damaged(cleaned)
      return undefined
    }
    const to = segments[cleaned.spans - 1]?.endOffset ?? first.endOffset
    if (cleaned.changed && !(await this.#swap(first.baseOffset, to, cleaned))) return undefined
    this.#state.replaced(first.baseOffset, to, cleaned.horizonMs)
    this.counters.bytesRead += segments
      .slice(0, cleaned.spans)
      .reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0)
    this.counters.bytesWritten += cleaned.changed ? cleaned.sizeBytes : 0
    this.counters.recordsRemoved += cleaned.recordsRemoved
    this.counters.tombstonesRemoved += cleaned.tombstonesRemoved
    if (cleaned.unreadableBatches > 0) {
      this.#logger.warn(
        { from: first.baseOffset, to, batches: cleaned.unreadableBatches },
        'batches whose records cannot be read stay as they are',
      )
    }
    return cleaned.spans
  }

  /** False when the segments are not there any more as they were, because retention took some away. */
  async #swap(from: Offset, to: Offset, { sizeBytes }: Cleaned): Promise<boolean> {
    try {
      const replaced = await this.#log.swap(from, to, sizeBytes)
      if (replaced !== undefined) {
        this.#owner.removeLater([...replaced, ...this.#log.dropBefore(this.#owner.logStart)])
        return true
      }
    } catch (error) {
      if (error instanceof SwapUnfinished) {
        this.#stuck = { base: undefined }
        if (!this.#owner.serves) return false
        this.#logger.error(
          { error },
          'compaction stops until the broker is started again, which finishes what is half done',
        )
        return false
      }
      await removeCleaned(this.#world.disk, this.#log.directory, from)
      throw error
    }
    await removeCleaned(this.#world.disk, this.#log.directory, from)
    return false
  }

  /** The sealed segments that do not change any more. */
  async #stable(): Promise<SegmentFacts[]> {
    const sealed = await this.#log.sealed()
    return sealed.filter(({ endOffset }) => endOffset <= this.#owner.stableEnd)
  }

  async #earliest(segments: readonly SegmentFacts[], cleaned: Offset): Promise<number | undefined> {
    let earliest: number | undefined
    for (const { baseOffset, endOffset } of segments) {
      const timestamp = endOffset > cleaned ? await this.#log.lookUps.firstTimestamp(baseOffset) : undefined
      if (timestamp !== undefined && timestamp > 0) earliest = Math.min(timestamp, earliest ?? timestamp)
    }
    return earliest
  }

  /** For one segment of as much as fits into it. Records may take more than before: a delete horizon makes their timestamps longer. */
  #hasRoom(segments: readonly SegmentFacts[]): boolean {
    const { segmentBytes } = this.#log.settings
    const firstBytes = segments[0]?.sizeBytes ?? 0
    const allBytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const bytes = growthMax * Math.max(firstBytes, Math.min(allBytes, segmentBytes))
    if (this.#world.disk.space(this.#log.directory).freeBytes > bytes) return true
    this.#logger.warn({ bytes }, 'the disk has no room to compact a segment')
    return false
  }

  #damaged({ path, position, why }: Damage): false {
    const base = Number(/(\d{20})\.log$/.exec(path)?.[1] ?? 0)
    this.#stuck = { base }
    this.#owner.damaged(offset(base))
    this.#logger.error(
      { path, position, why },
      'a segment is damaged: the log is not compacted for as long as it has this segment',
    )
    return false
  }
}

/** Those at the beginning that follow upon each other. */
function adjacent(segments: readonly SegmentFacts[]): SegmentFacts[] {
  const gap = segments.findIndex(({ baseOffset }, i) => i > 0 && segments[i - 1]?.endOffset !== baseOffset)
  return segments.slice(0, gap < 0 ? segments.length : gap)
}
