/**
 * One file of a tablet's log with its two sparse indexes. In come batches in rising order, out come positions in the file. The files of
 * a sealed segment are opened when needed and closed by the `SegmentCache`; those of the active one stay open.
 */
import { assert } from '../../base/assert.ts'
import { offset, type Offset } from '../../base/quantities.ts'
import type { Disk, DiskFile } from '../../base/world.ts'
import { countOf, lastOffsetOf, maxTimestampOf } from '../../protocol/kafka/record-batch.ts'
import { scanBatches } from './scan.ts'
import { segmentPath } from './segment-names.ts'
import { offsetEntries, SparseIndex, timeEntries } from './sparse-index.ts'

export type SegmentFiles = {
  readonly log: DiskFile
  readonly offsets: SparseIndex
  readonly times: SparseIndex
}

const fileKinds = ['log', 'index', 'timeindex'] as const

/** The largest timestamp of the records in the batch at `at`; -1 when compaction has left none. */
export const newestOf = (b: Buffer, at: number): number => (countOf(b, at) === 0 ? -1 : maxTimestampOf(b, at))

export class Segment {
  readonly baseOffset: Offset
  readonly directory: string
  /** Bytes of whole batches in the file. */
  sizeBytes: number
  /** When its first batch was appended (wall clock), for `segment.ms`. */
  startedMs: number | undefined
  /** Being written or synced: its files stay open. */
  inUse = false
  /** How many reads are using the open files. */
  pins = 0
  /** Another one has taken its place: its files are closed after the last read. */
  retired = false
  readonly #disk: Disk
  readonly #suffix: string
  #files: SegmentFiles | undefined
  #opening: Promise<SegmentFiles> | undefined
  #bytesSinceEntry = 0
  #maxTimestamp: { readonly ms: number; readonly offset: Offset } | undefined

  /** `suffix` stands behind the names of files that are not part of the log yet. */
  constructor(disk: Disk, directory: string, baseOffset: Offset, sizeBytes: number, suffix = '') {
    this.#disk = disk
    this.#suffix = suffix
    this.directory = directory
    this.baseOffset = baseOffset
    this.sizeBytes = sizeBytes
  }

  /** Makes the files of a new, empty segment. They count only after the directory was synced. */
  static create(disk: Disk, directory: string, baseOffset: Offset, suffix = ''): Segment {
    const segment = new Segment(disk, directory, baseOffset, 0, suffix)
    segment.inUse = true
    const log = disk.open(segment.#path('log'), 'create')
    try {
      segment.#files = { log, ...segment.#newIndexes() }
    } catch (error) {
      log.close()
      void disk.remove(log.path).catch(() => undefined)
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
    this.#opening ??= this.#open(
      { key: Infinity, value: this.sizeBytes },
      { key: Infinity, value: Infinity },
    ).finally(() => (this.#opening = undefined))
    return this.#opening
  }

  /** Opens the files after a crash: index entries at or behind `recoveryPoint` are not believed. */
  async openForRecovery(recoveryPoint: Offset): Promise<void> {
    const below = Math.max(recoveryPoint - this.baseOffset, 0)
    const log = this.#disk.open(this.#path('log'), 'write')
    const offsets =
      below === 0
        ? undefined
        : await this.#index('index', offsetEntries, { key: below, value: this.sizeBytes })
    const times = offsets && (await this.#index('timeindex', timeEntries, { key: Infinity, value: below }))
    if (offsets !== undefined && times === undefined) offsets.close()
    this.#files =
      offsets !== undefined && times !== undefined ? { log, offsets, times } : { log, ...this.#newIndexes() }
    this.#learnTimestamp()
  }

  close(): void {
    if (this.#files === undefined) return
    const { log, offsets, times } = this.#files
    this.#files = undefined
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
    if (this.#maxTimestamp === undefined || timestampMs > this.#maxTimestamp.ms) {
      this.#maxTimestamp = { ms: timestampMs, offset: offset(batchLastOffset) }
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
    return this.#maxTimestamp
  }

  /** Where a scan for `target` has to begin: at or before the batch that holds it. */
  floorPosition(target: Offset): number {
    return this.files.offsets.floor(target - this.baseOffset)?.value ?? 0
  }

  /** Renames the files so that they are not part of the log any more; answers the names to remove later. */
  markDeleted(): string[] {
    this.close()
    return this.#rename('.deleted')
  }

  /** The same, but what reads in them reads on. `mark` tells these files from those of other segments that had the same place. */
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
      const path = this.#path(kind)
      if (this.#disk.stat(path) === undefined) return []
      this.#disk.rename(path, path + suffix)
      return [path + suffix]
    })
  }

  async #open(
    offsetLimit: { key: number; value: number },
    timeLimit: { key: number; value: number },
  ): Promise<SegmentFiles> {
    const log = this.#disk.open(this.#path('log'), 'write')
    const offsets = await this.#index('index', offsetEntries, offsetLimit)
    const times = await this.#index('timeindex', timeEntries, timeLimit)
    if (offsets !== undefined && times !== undefined) {
      this.#files = { log, offsets, times }
      this.#learnTimestamp()
      return this.#files
    }
    offsets?.close()
    times?.close()
    return this.#rebuild(log)
  }

  async #rebuild(log: DiskFile): Promise<SegmentFiles> {
    const files = { log, ...this.#newIndexes() }
    this.#files = files
    const { sizeBytes } = this
    const intervalBytes = 4096
    await scanBatches(log, 0, sizeBytes, this.baseOffset, (bytes, at, end, position) => {
      this.note(lastOffsetOf(bytes, at), position, end - at, newestOf(bytes, at), intervalBytes)
    })
    this.sizeBytes = sizeBytes
    this.persistIndexes()
    return files
  }

  #index(kind: 'index' | 'timeindex', layout: typeof offsetEntries, limit: { key: number; value: number }) {
    return SparseIndex.open(this.#disk, this.#path(kind), layout, limit)
  }

  #newIndexes(): { offsets: SparseIndex; times: SparseIndex } {
    const offsets = SparseIndex.create(this.#disk, this.#path('index'), offsetEntries)
    try {
      const times = SparseIndex.create(this.#disk, this.#path('timeindex'), timeEntries)
      return { offsets, times }
    } catch (error) {
      offsets.close()
      throw error
    }
  }

  #path(kind: (typeof fileKinds)[number]): string {
    return segmentPath(this.directory, this.baseOffset, kind) + this.#suffix
  }

  #noteTimestamp(): void {
    const max = this.#maxTimestamp
    if (max !== undefined && max.ms >= 0) this.files.times.append(max.ms, max.offset - this.baseOffset)
  }

  #learnTimestamp(): void {
    const last = this.files.times.last
    if (last !== undefined)
      this.#maxTimestamp = { ms: last.key, offset: offset(this.baseOffset + last.value) }
    else if (this.sizeBytes > 0) this.#maxTimestamp = { ms: -1, offset: this.baseOffset }
  }
}
