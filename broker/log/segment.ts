/**
 * One file of a tablet's log with its two sparse indexes. In come batches in rising order, out come positions in the file. The files of
 * a sealed segment are opened when needed and closed by the `SegmentCache`; those of the active one stay open.
 */
import { assert } from '../../base/assert.ts'
import { offset, type Offset } from '../../base/quantities.ts'
import type { Disk, DiskFile } from '../../base/world.ts'
import { countOf, lastOffsetOf, maxTimestampOf } from '../../protocol/kafka/record-batch.ts'
import { segmentPath } from './segment-names.ts'
import { soundBatches } from './sound-batches.ts'
import { offsetEntries, SparseIndex, timeEntries, type EntryLayout, type IndexEntry } from './sparse-index.ts'

type Indexes = { readonly offsets: SparseIndex; readonly times: SparseIndex }
export type SegmentFiles = Indexes & { readonly log: DiskFile }

const fileKinds = ['log', 'index', 'timeindex'] as const
const unlimited = { key: Infinity, value: Infinity }
/** As many readers go on where they ended without a look into the index. */
const startsKept = 16
/** Kafka's default; a rebuilt index need not be exactly the one that was lost. */
const rebuiltIntervalBytes = 4096

/** The largest timestamp of the records in the batch at `at`; -1 when compaction has left none. */
export const newestOf = (b: Buffer, at: number): number => (countOf(b, at) === 0 ? -1 : maxTimestampOf(b, at))

export class Segment {
  readonly baseOffset: Offset
  readonly directory: string
  /** Bytes of whole batches in the file. */
  sizeBytes: number
  /** When its first batch was appended (wall clock), for `segment.ms`; after a start, what its index says of that. */
  startedMs: number | undefined
  /** Being written or synced: its files stay open. */
  inUse = false
  /** How many reads are using the open files. */
  pins = 0
  /** It is no part of a log any more, or another one has taken its place; its files are closed when the last read is done. */
  dropped = false
  readonly #disk: Disk
  #files: SegmentFiles | undefined
  #opening: Promise<SegmentFiles> | undefined
  #bytesSinceEntry = 0
  /** Undefined while no batch was seen. */
  #maxTimestampMs: number | undefined
  #maxTimestampOffset = 0
  /** Where batches begin that readers will ask for next: base offset -> position, the newest last. */
  readonly #starts = new Map<number, number>()

  constructor(disk: Disk, directory: string, baseOffset: Offset, sizeBytes: number) {
    this.#disk = disk
    this.directory = directory
    this.baseOffset = baseOffset
    this.sizeBytes = sizeBytes
  }

  /**
   * Makes the files of a new, empty segment; those of an attempt that failed halfway are used again. They count only after the directory
   * was synced. `suffix` stands behind the names of files that are not part of the log yet.
   */
  static create(disk: Disk, directory: string, baseOffset: Offset, suffix = ''): Segment {
    const segment = new Segment(disk, directory, baseOffset, 0)
    segment.inUse = true
    const path = segmentPath(directory, baseOffset, 'log') + suffix
    const left = disk.stat(path) !== undefined
    const log = disk.open(path, left ? 'write' : 'create')
    try {
      assert(log.sizeBytes() === 0, 'only an empty file is taken for a new segment')
      segment.#files = { log, ...segment.#newIndexes(suffix) }
    } catch (error) {
      log.close()
      throw error
    }
    return segment
  }

  get isOpen(): boolean {
    return this.#files !== undefined
  }

  get files(): SegmentFiles {
    assert(this.#files !== undefined, 'the files of a segment in use are open')
    return this.#files
  }

  /** Opens the files; an index that is missing or makes no sense is rebuilt from the log. */
  open(): Promise<SegmentFiles> {
    if (this.#files !== undefined) return Promise.resolve(this.#files)
    this.#opening ??= this.#open(unlimited, unlimited, this.sizeBytes).finally(
      () => (this.#opening = undefined),
    )
    return this.#opening
  }

  /**
   * Opens the files after a crash: index entries at or behind `recoveryPoint` are not believed. An index that is of no use is rebuilt for
   * what stands before `position`, where the recovery point is in the file, or where recovery begins otherwise.
   */
  async openForRecovery(recoveryPoint: Offset, position: number): Promise<void> {
    const below = position === 0 ? 0 : recoveryPoint - this.baseOffset
    await this.#open({ key: below, value: position }, { key: Infinity, value: below }, position)
  }

  /**
   * Opens the files of a segment that is being cut: index entries behind `entry` are not believed. The batches from there on have to be noted
   * again, which makes up for the entries that go.
   */
  async openCut(entry: IndexEntry | undefined): Promise<SegmentFiles> {
    const key = (entry?.key ?? -1) + 1
    return this.#open({ key, value: Infinity }, { key: Infinity, value: key }, this.sizeBytes)
  }

  close(): void {
    if (this.#files === undefined) return
    const { log, offsets, times } = this.#files
    this.#files = undefined
    this.#starts.clear()
    log.close()
    offsets.close()
    times.close()
  }

  /**
   * Remembers a batch that stands in the file: counts it, and adds index entries every `intervalBytes`, as Kafka does: the entry
   * names the batch's last offset and its position, and goes before the batch that crosses the interval.
   */
  note(
    batchLastOffset: number,
    position: number,
    bytes: number,
    timestampMs: number,
    intervalBytes: number,
  ): void {
    if (this.#maxTimestampMs === undefined || timestampMs > this.#maxTimestampMs) {
      this.#maxTimestampMs = timestampMs
      this.#maxTimestampOffset = batchLastOffset
    }
    if (this.#bytesSinceEntry > intervalBytes) {
      this.files.offsets.append(batchLastOffset - this.baseOffset, position)
      this.#noteTimestamp()
      this.#bytesSinceEntry = 0
    }
    this.#bytesSinceEntry += bytes
    this.sizeBytes = position + bytes
  }

  /** Puts the indexes into their files, with a last time entry that says how new the segment is. Durable after `syncIndexes`. */
  persistIndexes(): void {
    this.#noteTimestamp()
    this.files.offsets.persist()
    this.files.times.persist()
  }

  /** Both at once: the files may be closed as soon as their syncs have begun. */
  async syncIndexes(): Promise<void> {
    await Promise.all([this.files.offsets.sync(), this.files.times.sync()])
  }

  /** The largest timestamp of its batches and that batch's last offset; undefined when it is empty or was not opened yet. */
  get maxTimestamp(): { readonly ms: number; readonly offset: Offset } | undefined {
    const ms = this.#maxTimestampMs
    return ms === undefined ? undefined : { ms, offset: offset(this.#maxTimestampOffset) }
  }

  /** The index entry of a batch at or before the one that holds `target`: its last offset in the segment, and its position. */
  floor(target: Offset): IndexEntry | undefined {
    return this.files.offsets.floor(target - this.baseOffset)
  }

  /** Where the batch begins whose base offset is `from`, when a reader has ended there; a hint, for what stands there may have been mended since. */
  startOf(from: number): number | undefined {
    return this.#starts.get(from)
  }

  /** A reader has seen sound batches up to `position`, where the one with base offset `next` begins, or will. */
  noteStart(next: number, position: number): void {
    this.#starts.delete(next)
    this.#starts.set(next, position)
    if (this.#starts.size <= startsKept) return
    for (const oldest of this.#starts.keys()) {
      this.#starts.delete(oldest)
      return
    }
  }

  forgetStart(from: number): void {
    this.#starts.delete(from)
  }

  /** Renames the files so that they are not part of the log any more; answers the names to remove later. */
  markDeleted(): string[] {
    return this.#rename('.deleted')
  }

  /** The same. `mark` tells these files from those of other segments that had the same place. */
  markReplaced(mark: string): string[] {
    return this.#rename(`.${mark}.deleted`)
  }

  /** Sets the files aside for a person to look at. */
  setAside(): string[] {
    this.close()
    return this.#rename('.cut')
  }

  #rename(suffix: string): string[] {
    return fileKinds.flatMap(kind => {
      const path = segmentPath(this.directory, this.baseOffset, kind)
      if (this.#disk.stat(path) === undefined) return []
      this.#disk.rename(path, path + suffix)
      return [path + suffix]
    })
  }

  async #open(offsetLimit: IndexEntry, timeLimit: IndexEntry, rebuildBytes: number): Promise<SegmentFiles> {
    const log = this.#disk.open(segmentPath(this.directory, this.baseOffset, 'log'), 'write')
    try {
      const indexes =
        (await this.#openIndexes(offsetLimit, timeLimit)) ?? (await this.#rebuiltIndexes(log, rebuildBytes))
      this.#files = { log, ...indexes }
    } catch (error) {
      log.close()
      throw error
    }
    this.#learnFromIndex()
    return this.#files
  }

  /** Undefined unless both are of use. They are opened in the same turn as the log, so that renaming them right after does not matter. */
  async #openIndexes(offsetLimit: IndexEntry, timeLimit: IndexEntry): Promise<Indexes | undefined> {
    const opening = [
      this.#index('index', offsetEntries, offsetLimit),
      this.#index('timeindex', timeEntries, timeLimit),
    ] as const
    const [offsets, times] = await Promise.allSettled(opening)
    if (offsets.status === 'fulfilled' && times.status === 'fulfilled' && offsets.value && times.value) {
      const indexes = { offsets: offsets.value, times: times.value }
      if ((indexes.offsets.last?.value ?? -1) < this.sizeBytes) return indexes
    }
    for (const opened of [offsets, times]) if (opened.status === 'fulfilled') opened.value?.close()
    for (const opened of [offsets, times]) {
      if (opened.status === 'rejected' && (opened.reason as NodeJS.ErrnoException).code !== 'EIO')
        throw opened.reason
    }
    return undefined
  }

  /**
   * New indexes for the first `toBytes` of the log, made without a trace on this segment: others may be reading it meanwhile. They get
   * their names once they are on the disk, so that no power cut leaves half of one.
   */
  async #rebuiltIndexes(log: DiskFile, toBytes: number): Promise<Indexes> {
    const indexes = this.#newIndexes('.new')
    const rebuilt = new Segment(this.#disk, this.directory, this.baseOffset, 0)
    rebuilt.#files = { log, ...indexes }
    try {
      for await (const { bytes, at, end, position } of soundBatches(
        log,
        0,
        toBytes,
        this.baseOffset,
        Infinity,
      )) {
        const last = lastOffsetOf(bytes, at)
        rebuilt.note(last, position, end - at, newestOf(bytes, at), rebuiltIntervalBytes)
      }
      rebuilt.#noteTimestamp()
    } catch (error) {
      indexes.offsets.close()
      indexes.times.close()
      throw error
    }
    try {
      rebuilt.persistIndexes()
      await rebuilt.syncIndexes()
      for (const kind of ['index', 'timeindex'] as const) {
        const path = segmentPath(this.directory, this.baseOffset, kind)
        this.#disk.rename(`${path}.new`, path)
      }
    } catch {
      // On a full or failing disk they serve while the segment is open, and are made again the next time.
    }
    return indexes
  }

  #index(kind: 'index' | 'timeindex', layout: typeof offsetEntries, limit: { key: number; value: number }) {
    return SparseIndex.open(this.#disk, segmentPath(this.directory, this.baseOffset, kind), layout, limit)
  }

  #newIndexes(suffix: string): Indexes {
    const create = (kind: 'index' | 'timeindex', layout: EntryLayout): SparseIndex =>
      SparseIndex.create(this.#disk, segmentPath(this.directory, this.baseOffset, kind) + suffix, layout)
    const offsets = create('index', offsetEntries)
    try {
      return { offsets, times: create('timeindex', timeEntries) }
    } catch (error) {
      offsets.close()
      throw error
    }
  }

  #noteTimestamp(): void {
    const ms = this.#maxTimestampMs
    if (ms !== undefined && ms >= 0) this.files.times.append(ms, this.#maxTimestampOffset - this.baseOffset)
  }

  #learnFromIndex(): void {
    const { first, last } = this.files.times
    if (first !== undefined) this.startedMs ??= first.key
    if (this.#maxTimestampMs !== undefined || this.sizeBytes === 0) return
    this.#maxTimestampMs = last?.key ?? -1
    this.#maxTimestampOffset = this.baseOffset + (last?.value ?? 0)
  }
}
