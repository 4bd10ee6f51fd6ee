/**
 * One tablet's log on disk. In come checked batches that carry their offsets; they are gathered in memory and written by `flush`, once a turn
 * of the event loop. Out come whole batches by offset. What is in the files is always a row of whole batches without a gap.
 */
import { assert, InvariantViolation } from '../../base/assert.ts'
import { KIB, offset, type Offset } from '../../base/quantities.ts'
import type { World } from '../../base/world.ts'
import {
  baseOffsetOf,
  batchBytesOf,
  lastOffsetOf,
  maxTimestampOf,
} from '../../protocol/kafka/record-batch.ts'
import { swapIn, SwapUnfinished } from './compaction/swap.ts'
import { fill, type Filled, type Hole } from './holes.ts'
import { LookUps } from './look-ups.ts'
import { openCut } from './place.ts'
import { readActiveNow, readSegmentLater, readTail, type Batches, type ReadRequest } from './read.ts'
import type { ReadBuffers } from './read-buffers.ts'
import type { SegmentFacts } from './retention.ts'
import type { SegmentCache } from './segment-cache.ts'
import { SegmentRow } from './segment-row.ts'
import { Segment } from './segment.ts'
import { chunkBytesMax, type TailMemory } from './tail-memory.ts'
import { Tail } from './tail.ts'

/** What the logs of a broker share. */
export type LogShared = {
  readonly world: World
  readonly tailMemory: TailMemory
  readonly segmentCache: SegmentCache
  readonly readBuffers: ReadBuffers
}

export type LogSettings = {
  readonly segmentBytes: number
  readonly segmentMs: number
  readonly segmentIndexBytes: number
  readonly indexIntervalBytes: number
}

/** A place between two batches: the offset of the next record, and where it stands. */
export type LogPosition = { readonly offset: Offset; readonly segment: Offset; readonly position: number }

/** The file could not be brought back to its last whole batch: the log must not be written any more. */
export class LogBroken extends Error {
  override name = 'LogBroken'
}

/** Larger batches are written straight from where they were received: copying them would cost more than the system call. */
const directBytes = chunkBytesMax / 2
/** Reads of bytes that this run wrote not long ago are answered on the event loop up to this size: the page cache has them. */
const warmReadBytesMax = 256 * KIB
const warmBytes = 64 * 1024 * KIB

export class Log {
  readonly directory: string
  settings: LogSettings
  readonly lookUps: LookUps
  readonly #shared: LogShared
  readonly #row: SegmentRow
  #tail: Tail
  #end: LogPosition
  /** Batches gathered since the last flush: last offset, position, bytes, largest timestamp of each. */
  readonly #staged: number[] = []
  #stagedPosition: number
  #stagedOffset: Offset
  /** Position in the active segment from which on this run has written. */
  #warmFrom: number
  /** Sealed, and not yet on the disk with all its files. */
  readonly #unsynced = new Set<Segment>()
  /** Their files are being replaced. */
  readonly #swapping = new Set<Segment>()
  /** A swap went wrong behind the point of no return: their files have no names any more, or wrong ones, until the next start. */
  readonly #nameless = new Set<Segment>()
  #swaps = 0
  /** What must not happen at once: a sync, a swap, a cut. Each settles when it is done, and never rejects. */
  #syncing: Promise<unknown> | undefined
  #swapUnderWay: Promise<unknown> | undefined
  #cutting: Promise<unknown> | undefined
  #closed = false
  #directoryUnsynced = false
  #sealedBytes: number

  /** Takes segments that were checked (`openLog`); the files of the last one are open. */
  constructor(shared: LogShared, directory: string, settings: LogSettings, segments: Segment[], end: Offset) {
    const active = segments.at(-1)
    assert(active !== undefined && active.isOpen, 'a log has an active segment')
    this.#shared = shared
    this.directory = directory
    this.settings = settings
    const row = new SegmentRow(segments)
    this.#row = row
    this.lookUps = new LookUps({
      row,
      cache: shared.segmentCache,
      end: () => this.#end,
      isClosed: () => this.#closed,
    })
    this.#sealedBytes = this.#row.sealedBytes
    this.#end = { offset: end, segment: active.baseOffset, position: active.sizeBytes }
    this.#stagedOffset = end
    this.#stagedPosition = active.sizeBytes
    this.#warmFrom = active.sizeBytes
    this.#tail = new Tail(shared.tailMemory, active.sizeBytes)
    for (const segment of segments) if (segment.inUse && segment !== active) this.#unsynced.add(segment)
  }

  /** The first offset that is in a file; the tablet's log start may be behind it. */
  get firstOffset(): Offset {
    return this.#row.at(0).baseOffset
  }

  /** Behind the last batch that was written. */
  get end(): LogPosition {
    return this.#end
  }

  /** The offset of the next record, with those that are gathered but not yet written. */
  get nextOffset(): Offset {
    return this.#stagedOffset
  }

  get sizeBytes(): number {
    return this.#sealedBytes + this.#row.active.sizeBytes
  }

  get segmentCount(): number {
    return this.#row.list.length
  }

  /** How many bytes stand behind `at`; within its segment by its share of the offsets, so that no file is asked. */
  bytesFrom(at: Offset): number {
    return this.#row.bytesFrom(at, this.#end.offset)
  }

  get hasStaged(): boolean {
    return this.#staged.length > 0
  }

  /** True when a batch of `bytes` has to begin a new segment: `roll` first. */
  mustRoll(bytes: number, lastOffset: number): boolean {
    const active = this.#row.active
    if (this.#stagedPosition === 0) return false
    const { segmentBytes, segmentMs, segmentIndexBytes } = this.settings
    return (
      this.#stagedPosition + bytes > segmentBytes ||
      this.#shared.world.clock.nowMs() - (active.startedMs ?? Infinity) > segmentMs ||
      active.files.offsets.sizeBytes + 8 > segmentIndexBytes ||
      active.files.times.sizeBytes + 12 > segmentIndexBytes ||
      lastOffset - active.baseOffset > 0x7fff_ffff
    )
  }

  /**
   * Gathers the batch at bytes[start, end), which begins at `nextOffset`; its bytes are copied, or written at once when it is large.
   * @throws what `flush` throws
   */
  append(bytes: Buffer, start: number, end: number): void {
    assert(baseOffsetOf(bytes, start) === this.#stagedOffset, 'offsets leave no gap')
    const size = end - start
    assert(batchBytesOf(bytes, start) === size, 'one whole batch is appended at a time')
    const last = lastOffsetOf(bytes, start)
    this.#staged.push(last, this.#stagedPosition, size, maxTimestampOf(bytes, start))
    if (size < directBytes) this.#tail.add(bytes, start, end, this.#stagedPosition)
    this.#stagedPosition += size
    this.#stagedOffset = offset(last + 1)
    if (size >= directBytes) this.#write([...this.#tail.unwritten(), bytes.subarray(start, end)], true)
  }

  /**
   * Writes what was gathered, in one piece. After an error nothing of it is in the log.
   * @throws the disk's error, or LogBroken when the file could not be cut back
   */
  flush(): void {
    if (this.#staged.length > 0) this.#write(this.#tail.unwritten(), false)
  }

  /** Seals the active segment and begins the next one; everything must have been flushed. After an error the log is as before. */
  roll(): void {
    assert(this.#staged.length === 0, 'everything is written before the segment is sealed')
    const sealed = this.#row.active
    assert(sealed.sizeBytes > 0, 'only a segment with batches is sealed')
    const next = Segment.create(this.#shared.world.disk, this.directory, this.#end.offset)
    this.#unsynced.add(sealed)
    this.#directoryUnsynced = true
    this.#sealedBytes += sealed.sizeBytes
    this.#row.list.push(next)
    this.#end = { offset: this.#end.offset, segment: next.baseOffset, position: 0 }
    this.#tail.restart(0)
    this.#stagedPosition = 0
    this.#warmFrom = 0
  }

  /**
   * Makes durable what was written before the call, and answers up to where. One call at a time.
   * @throws the disk's error: what is on the disk is then unknown, and the log must not be used on
   */
  sync(): Promise<LogPosition> {
    if (this.#cutting !== undefined) return this.#cutting.then(() => this.sync())
    const run = this.#sync()
    this.#syncing = Promise.allSettled([run])
    return run
  }

  async #sync(): Promise<LogPosition> {
    const end = this.#end
    const sealed = [...this.#unsynced]
    const active = this.#row.active
    const directory = this.#directoryUnsynced
    for (const segment of sealed) await this.#syncSealed(segment)
    // Retention or a deletion may have taken it out meanwhile.
    if (active.isOpen) await active.files.log.sync()
    if (directory) {
      await this.#shared.world.disk.syncDirectory(this.directory)
      if (this.#row.active === active) this.#directoryUnsynced = false
    }
    return end
  }

  /**
   * Makes the indexes durable too, so that recovery need not look below what is written.
   * @throws the disk's error when they cannot be written, LogBroken when they cannot be synced
   */
  async syncIndexes(): Promise<void> {
    for (const segment of [...this.#unsynced, this.#row.active]) {
      if (segment.isOpen) await syncIndexesOf(segment)
    }
  }

  /** Sealed segments that a sync has not covered yet; their files are open. */
  get unsyncedSegments(): number {
    return this.#unsynced.size
  }

  /**
   * Whole batches from the one that holds `from` up to `to` (a place between two batches), from one segment only.
   * From memory or the page cache at once, else as a promise.
   */
  read(from: Offset, to: LogPosition, bytesMax: number, atLeastOne: boolean): Batches | Promise<Batches> {
    const i = this.#row.numberOf(from)
    const segment = this.#row.at(i)
    const last = segment.baseOffset === to.segment && to.offset < this.lookUps.endOffsetOf(i)
    // A position in a segment that is readable to its end means nothing any more once it was compacted.
    const endPosition = last ? to.position : segment.sizeBytes
    const endOffset = last ? to.offset : this.lookUps.endOffsetOf(i)
    const request: ReadRequest = { segment, from, endPosition, endOffset, bytesMax, atLeastOne }
    if (segment !== this.#row.active) return readSegmentLater(this.#shared, request)
    const floor = segment.floor(from)
    const position = floor?.value ?? 0
    if (this.#tail.reachesBackTo(from)) {
      return readTail(this.#tail, Math.max(position, this.#tail.from), request)
    }
    const warmFrom = Math.max(this.#warmFrom, segment.sizeBytes - warmBytes)
    const now = position >= warmFrom && bytesMax <= warmReadBytesMax
    const batches = now ? readActiveNow(this.#shared.readBuffers, floor, request) : undefined
    return batches ?? readSegmentLater(this.#shared, request)
  }

  /** Every sound batch of the log that begins in [from, to), in order. */
  replay(
    visit: (bytes: Buffer, at: number) => void,
    from = this.firstOffset,
    to = this.#end.offset,
  ): Promise<void> {
    return this.lookUps.replay(visit, from, to)
  }

  /** Where the batch begins that holds `at`; the end of the log when none does, its beginning when it begins behind `at`. */
  async placeOf(at: Offset): Promise<LogPosition> {
    if (at >= this.#end.offset) return this.#end
    const { segment, place } = await this.lookUps.find(at)
    return { offset: place.offset, segment: segment.baseOffset, position: place.position }
  }

  /**
   * Cuts the log back to the beginning of the batch that holds `to`, durably, and answers the renamed files, to be removed later. Nothing is
   * appended or read behind `to` meanwhile. A crash on the way leaves the log as it was, or shorter: a row of whole batches in any case. The
   * recovery point must not lie behind the cut.
   * @throws the disk's error: the log must then not be used on
   */
  async truncate(to: Offset): Promise<string[]> {
    assert(this.#staged.length === 0, 'everything is written before the log is cut')
    return this.#alone(async () => (to >= this.#end.offset ? [] : this.#truncate(to)))
  }

  /**
   * Begins again, empty, at `start`, behind everything there is. `commit` makes that durable for the next recovery: when it fails, or before
   * it has ended, the log is as it was. Answers the renamed files, to be removed later.
   */
  async restartAt(start: Offset, commit: () => Promise<void>): Promise<string[]> {
    assert(this.#staged.length === 0 && start > this.#end.offset, 'a log begins again behind its end')
    return this.#alone(async () => {
      const next = Segment.create(this.#shared.world.disk, this.directory, start)
      await this.#shared.world.disk.syncDirectory(this.directory)
      await commit()
      const names = this.#takeOutFrom(0)
      this.#goOnIn(next)
      return names
    })
  }

  /**
   * Fills `hole` in place with sound batches for exactly its offsets, durably. The log must not be used on when it answers 'not synced'.
   * @throws the disk's error: there is a hole still
   */
  fill(hole: Hole, cover: Buffer): Promise<Filled> {
    return this.#alone(() => fill(this.#shared.segmentCache, this.#row, hole, cover))
  }

  /** Takes out every sealed segment that ends at or below `start`; answers the renamed files, to be removed later. */
  dropBefore(start: Offset): string[] {
    const names: string[] = []
    while (this.#row.list.length > 1 && this.#row.at(1).baseOffset <= start) {
      const segment = this.#row.at(0)
      if (this.#swapping.has(segment)) break
      const nameless = this.#nameless.delete(segment)
      if (!nameless) names.push(...segment.markDeleted())
      this.#row.list.shift()
      this.#unsynced.delete(segment)
      this.#sealedBytes -= segment.sizeBytes
      this.#shared.segmentCache.drop(segment)
      if (nameless) this.#shared.segmentCache.unpin(segment)
    }
    return names
  }

  /** The sealed segments that are on the disk, the oldest first: what may be compacted. */
  async sealed(): Promise<SegmentFacts[]> {
    const sealed: SegmentFacts[] = []
    for await (const facts of this.lookUps.segmentFacts()) {
      const segment = this.#row.at(this.#row.numberOf(facts.baseOffset))
      if (segment === this.#row.active || this.#unsynced.has(segment)) break
      sealed.push(facts)
    }
    return sealed
  }

  /**
   * Puts cleaned files in the place of the sealed segments that make up [from, to). Reads that are under way go on in the old ones. Answers the
   * files to remove later, or undefined when the segments are not the same any more and nothing was done.
   * @throws SwapUnfinished; another error before anything was changed
   */
  swap(from: Offset, to: Offset, sizeBytes: number): Promise<string[] | undefined> {
    if (this.#cutting !== undefined) return this.#cutting.then(() => this.swap(from, to, sizeBytes))
    const run = this.#swap(from, to, sizeBytes)
    this.#swapUnderWay = Promise.allSettled([run])
    return run
  }

  async #swap(from: Offset, to: Offset, sizeBytes: number): Promise<string[] | undefined> {
    const { world, segmentCache } = this.#shared
    const old = this.#row.list.slice(this.#row.numberOf(from), this.#row.numberOf(to))
    const pinned: Segment[] = []
    const unpin = (): void => pinned.forEach(segment => segmentCache.unpin(segment))
    try {
      for (const segment of old) {
        await segmentCache.pin(segment)
        pinned.push(segment)
      }
    } catch (error) {
      unpin()
      throw error
    }
    if (!this.#row.consistsOf(from, to, old)) {
      unpin()
      return undefined
    }
    for (const segment of old) this.#swapping.add(segment)
    try {
      const replaced = await swapIn(world.disk, this.directory, old, to, String(this.#swaps++))
      this.#replace(old, new Segment(world.disk, this.directory, from, sizeBytes))
      unpin()
      return replaced
    } catch (error) {
      for (const segment of old) this.#swapping.delete(segment)
      // Behind the rename that decides, the old files have no names to be opened by: they stay open.
      if (error instanceof SwapUnfinished) for (const segment of old) this.#nameless.add(segment)
      else unpin()
      throw error
    }
  }

  /** A swap went wrong when it was decided already: the next start ends it, and until then none is made. */
  get isHalfSwapped(): boolean {
    return this.#nameless.size > 0
  }

  /** Closes all files, those that are being read when the reads are done. What was not written is gone, what was not synced may be. */
  close(): void {
    this.#closed = true
    this.#tail.close()
    this.#unsynced.clear()
    for (const segment of this.#row.list) this.#shared.segmentCache.drop(segment)
    for (const segment of this.#nameless) this.#shared.segmentCache.unpin(segment)
    this.#nameless.clear()
  }

  /** Does `act` while no sync, no swap and no other cut is under way. */
  async #alone<T>(act: () => Promise<T>): Promise<T> {
    assert(this.#cutting === undefined, 'one cut is under way at a time')
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#cutting = promise
    try {
      await this.#syncing
      await this.#swapUnderWay
      return await act()
    } finally {
      this.#cutting = undefined
      resolve()
    }
  }

  async #truncate(to: Offset): Promise<string[]> {
    const { segment: old, place } = await this.lookUps.find(to)
    const segment = await openCut(this.#shared.world.disk, old, place, this.settings.indexIntervalBytes)
    if (this.#closed) segment.close()
    if (this.#closed) return []
    // The newest go first: what a crash leaves of them has no gap.
    const i = this.#row.numberOf(old.baseOffset)
    const names = this.#takeOutFrom(i + 1)
    this.#forget(old)
    this.#row.list.splice(i, 1)
    segment.files.log.truncate(place.position)
    this.#goOnIn(segment, place.offset)
    await this.#shared.world.disk.syncDirectory(this.directory)
    if (segment.isOpen) await segment.files.log.sync()
    return names
  }

  /** Takes the segments from number `from` on out of the log, the newest first; answers the renamed files. */
  #takeOutFrom(from: number): string[] {
    const names: string[] = []
    for (const segment of this.#row.list.splice(from).toReversed()) {
      names.push(...segment.markDeleted())
      this.#forget(segment)
    }
    return names
  }

  #forget(segment: Segment): void {
    assert(!this.#nameless.has(segment), 'a log whose files lost their names is not cut')
    this.#unsynced.delete(segment)
    this.#shared.segmentCache.drop(segment)
  }

  /** `segment` is the active one now, behind those that are left. */
  #goOnIn(segment: Segment, end = segment.baseOffset): void {
    this.#row.list.push(segment)
    this.#sealedBytes = this.#row.sealedBytes
    this.#end = { offset: end, segment: segment.baseOffset, position: segment.sizeBytes }
    this.#stagedOffset = end
    this.#stagedPosition = segment.sizeBytes
    this.#warmFrom = segment.sizeBytes
    this.#tail.restart(segment.sizeBytes)
  }

  #replace(old: readonly Segment[], segment: Segment): void {
    this.#row.list.splice(this.#row.numberOf(segment.baseOffset), old.length, segment)
    this.#sealedBytes += segment.sizeBytes
    for (const one of old) {
      this.#swapping.delete(one)
      this.#sealedBytes -= one.sizeBytes
      this.#shared.segmentCache.drop(one)
    }
  }

  #write(pieces: Buffer[], pastTail: boolean): void {
    const active = this.#row.active
    try {
      active.files.log.write(pieces, active.sizeBytes)
    } catch (error) {
      this.#cutBack(error)
      throw error
    }
    active.startedMs ??= this.#shared.world.clock.nowMs()
    const staged = this.#staged
    for (let i = 0; i < staged.length; i += 4) {
      const last = staged[i] ?? 0
      const position = staged[i + 1] ?? 0
      const bytes = staged[i + 2] ?? 0
      const timestampMs = staged[i + 3] ?? 0
      active.note(last, position, bytes, timestampMs, this.settings.indexIntervalBytes)
    }
    staged.length = 0
    if (pastTail) this.#tail.restart(this.#stagedPosition)
    else this.#tail.written(this.#stagedPosition)
    this.#end = { offset: this.#stagedOffset, segment: active.baseOffset, position: this.#stagedPosition }
  }

  #cutBack(cause: unknown): void {
    const active = this.#row.active
    this.#staged.length = 0
    this.#tail.discardUnwritten()
    this.#stagedOffset = this.#end.offset
    this.#stagedPosition = this.#end.position
    try {
      active.files.log.truncate(active.sizeBytes)
    } catch {
      throw new LogBroken(
        `${active.files.log.path} could not be cut back to ${active.sizeBytes} bytes after a failed write`,
        { cause },
      )
    }
  }

  /**
   * Retention may take the segment out of the log while it is being synced. A full disk does not take its indexes: they can be
   * rebuilt, so that is no failure; they stay in memory, and the next sync tries again.
   */
  async #syncSealed(segment: Segment): Promise<void> {
    if (this.#unsynced.has(segment)) await segment.files.log.sync()
    if (!this.#unsynced.has(segment)) return
    try {
      segment.persistIndexes()
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      return
    }
    await segment.syncIndexes()
    if (this.#unsynced.delete(segment)) this.#shared.segmentCache.adopt(segment)
  }
}

async function syncIndexesOf(segment: Segment): Promise<void> {
  segment.persistIndexes()
  try {
    await segment.syncIndexes()
  } catch (cause) {
    throw new LogBroken(`the indexes of ${segment.files.log.path} could not be synced`, { cause })
  }
}
