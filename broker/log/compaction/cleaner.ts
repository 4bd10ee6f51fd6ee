/**
 * The heavy work of compaction: in come orders that name sealed segments, out come files that can take their place. One pass is one map of newest
 * offsets and any number of segments filtered by it. It reads and writes on whatever thread it runs, as fast as it may, and changes nothing
 * that the log knows of.
 */
import { KIB, offset } from '../../../base/quantities.ts'
import type { DiskFile, World } from '../../../base/world.ts'
import { emptiedBatch, gapBatch } from '../../../protocol/kafka/compacted-batch.ts'
import { unpackedBytesMax } from '../../../protocol/kafka/compression.ts'
import { MalformedRecords } from '../../../protocol/kafka/malformed.ts'
import {
  baseOffsetOf,
  countOf,
  isControl,
  lastOffsetDeltaOf,
  lastOffsetOf,
  leaderEpochOf,
} from '../../../protocol/kafka/record-batch.ts'
import { RecordWalk, walkRecords } from '../../../protocol/kafka/record-walk.ts'
import { scanBatches } from '../scan.ts'
import { segmentPath } from '../segment-names.ts'
import { CleanedSegment, removeCleaned } from './cleaned-segment.ts'
import { filterBatch, FilterCounts } from './filter-batch.ts'
import { OffsetMap } from './offset-map.ts'
import { Pace, type PaceLimits } from './pace.ts'

/** A sealed segment: its files hold `sizeBytes` and its offsets are [baseOffset, endOffset). */
export type Span = { readonly baseOffset: number; readonly endOffset: number; readonly sizeBytes: number }

export type Pass = PaceLimits & {
  readonly directory: string
  /** Whose keys to learn, from offset `from` on. */
  readonly dirty: readonly Span[]
  readonly from: number
  /** Where to end when there is nothing to learn: everything below was compacted before. */
  readonly cleaned: number
  readonly mapBytesMax: number
  /** 16 bytes nobody can guess. */
  readonly hashKey: Uint8Array
  readonly nowMs: number
  readonly deleteRetentionMs: number
  /** Last offsets of batches that stay though they are empty, because they hold the last sequence number of a producer. */
  readonly lastOfProducers: readonly number[]
  readonly segmentBytes: number
  readonly indexIntervalBytes: number
}

/** Stored bytes that are not what was written. */
export type Damage = {
  readonly kind: 'damage'
  readonly path: string
  readonly position: number
  readonly why: string
}

/** The map holds every key from `Pass.from` up to `endOffset`, which is short of the end of what is dirty when the map is full. */
export type Begun = { readonly kind: 'begun'; readonly endOffset: number; readonly keys: number }

export type Cleaned = {
  readonly kind: 'cleaned'
  /** How many of the spans it stands for. */
  readonly spans: number
  readonly sizeBytes: number
  /** When tombstones that stayed may go; undefined when none waits. */
  readonly horizonMs: number | undefined
  /** False when there was nothing to take away: no files were left. */
  readonly changed: boolean
  readonly records: number
  readonly recordsRemoved: number
  readonly tombstonesRemoved: number
  readonly unreadableBatches: number
}

export type Cleaner = {
  /** Begins a pass; the one before is over. */
  begin(pass: Pass): Promise<Begun | Damage>
  /**
   * Filters the first of `spans`, and as many of those behind it as should fit into one segment with it, into files named `.cleaned` of the first one's
   * base offset. Rejects with the disk's error, and leaves no files then.
   */
  clean(spans: readonly Span[]): Promise<Cleaned | Damage>
  /** Frees what the last pass holds. */
  end(): Promise<void>
}

type Running = {
  readonly pass: Pass
  readonly newest: OffsetMap
  readonly endOffset: number
  readonly pace: Pace
}

/** So much is read, unpacked, hashed and written between two rests: less than a millisecond of work when it is not compressed. */
const pieceBytes = 64 * KIB
/** As Kafka reads an index. */
const relativeOffsetMax = 0x7fff_ffff
const positionMax = 0x7fff_ffff
/** The event loop renames the files of so many segments in one go: a millisecond or two. */
const spansMax = 32

export class LocalCleaner implements Cleaner {
  readonly #world: World
  #running: Running | undefined

  constructor(world: World) {
    this.#world = world
  }

  async begin(pass: Pass): Promise<Begun | Damage> {
    this.#running = undefined
    const newest = new OffsetMap(pass.mapBytesMax, pass.hashKey)
    const pace = new Pace(this.#world.clock, pass)
    let endOffset = pass.cleaned
    for (const span of pass.dirty) {
      let full: number | undefined
      const damage = await this.#scan(pass, span, pace, (bytes, at) => {
        full ??= learn(newest, bytes, at, pass.from)
      })
      if (damage !== undefined) return damage
      endOffset = full ?? span.endOffset
      if (full !== undefined) break
    }
    this.#running = { pass, newest, endOffset, pace }
    return { kind: 'begun', endOffset, keys: newest.size }
  }

  async clean(spans: readonly Span[]): Promise<Cleaned | Damage> {
    const running = this.#running
    const [first] = spans
    if (running === undefined || first === undefined) throw new Error('there is nothing to clean')
    const { pass, pace } = running
    const { disk } = this.#world
    const into = await CleanedSegment.create(
      disk,
      pass.directory,
      first.baseOffset,
      pass.indexIntervalBytes,
      pace,
    )
    let done: Cleaned | Damage | undefined
    try {
      done = await this.#cleanInto(into, spans, running)
      return done
    } finally {
      into.close()
      if (done?.kind !== 'cleaned' || !done.changed)
        await removeCleaned(disk, pass.directory, first.baseOffset)
    }
  }

  end(): Promise<void> {
    this.#running = undefined
    return Promise.resolve()
  }

  async #cleanInto(
    into: CleanedSegment,
    spans: readonly Span[],
    { pass, newest, endOffset, pace }: Running,
  ): Promise<Cleaned | Damage> {
    const counts = new FilterCounts()
    const rules = { newest, endOffset, nowMs: pass.nowMs, deleteRetentionMs: pass.deleteRetentionMs }
    const lastOfProducers = new Set(pass.lastOfProducers)
    const base = spans[0]?.baseOffset ?? 0
    let changed = false
    let taken = 0
    let readBytes = 0
    /** Offsets leave no gap, whatever goes: a header stands for as many batches in a row as went. */
    const gone = new Gone(into)
    for (const span of spans) {
      if (taken > 0 && !fits(span, base, into.sizeBytes, readBytes, pass.segmentBytes)) break
      if (taken === spansMax) break
      taken++
      readBytes += span.sizeBytes
      let end = span.baseOffset
      const damage = await this.#scan(pass, span, pace, (bytes, at) => {
        end = lastOffsetOf(bytes, at) + 1
        const filtered = filterBatch(bytes, at, rules, counts)
        changed ||= filtered.kind !== 'same' && countOf(bytes, at) > 0
        if (filtered.kind === 'emptied' && !lastOfProducers.has(lastOffsetOf(bytes, at))) {
          const joined = gone.add(bytes, at)
          changed ||= joined
          return
        }
        gone.flush()
        if (filtered.kind === 'same') into.add(bytes, at)
        else into.add(filtered.kind === 'reduced' ? filtered.batch : emptiedBatch(bytes, at), 0)
      })
      if (damage !== undefined) return damage
      // Offsets that a broken disk has lost lie between segments, where readers are told of them.
      if (end !== span.endOffset) break
    }
    gone.flush()
    changed ||= taken > 1
    if (changed) await into.finish()
    return {
      kind: 'cleaned',
      spans: taken,
      sizeBytes: into.sizeBytes,
      horizonMs: counts.horizonMs === Infinity ? undefined : counts.horizonMs,
      changed,
      records: counts.records,
      recordsRemoved: counts.removed,
      tombstonesRemoved: counts.tombstonesRemoved,
      unreadableBatches: counts.unreadable,
    }
  }

  /** Every batch of a segment, checked. */
  async #scan(
    { directory }: Pass,
    { baseOffset, sizeBytes }: Span,
    pace: Pace,
    visit: (bytes: Buffer, at: number) => void,
  ): Promise<Damage | undefined> {
    const path = segmentPath(directory, offset(baseOffset), 'log')
    const file = paced(this.#world.disk.open(path, 'read'), pace)
    try {
      const { position, damage } = await scanBatches(file, 0, sizeBytes, baseOffset, visit, pieceBytes)
      return damage === undefined ? undefined : { kind: 'damage', path, position, why: damage }
    } finally {
      file.close()
    }
  }
}

/** Batches that go, one behind the other in one leader epoch. */
class Gone {
  readonly #into: CleanedSegment
  #stretch: { readonly from: number; readonly to: number; readonly leaderEpoch: number } | undefined

  constructor(into: CleanedSegment) {
    this.#into = into
  }

  /** Takes the batch at b[at, …). Answers whether another went just before it, so that one header is left of both. */
  add(b: Buffer, at: number): boolean {
    const leaderEpoch = leaderEpochOf(b, at)
    const joined = this.#stretch?.leaderEpoch === leaderEpoch
    if (!joined) this.flush()
    const from = this.#stretch?.from ?? baseOffsetOf(b, at)
    this.#stretch = { from, to: lastOffsetOf(b, at) + 1, leaderEpoch }
    return joined
  }

  /** Puts a header where they were. */
  flush(): void {
    if (this.#stretch === undefined) return
    const { from, to, leaderEpoch } = this.#stretch
    this.#into.add(gapBatch(from, to, leaderEpoch), 0)
    this.#stretch = undefined
  }
}

/** Whether a segment fits behind what is written, when as much of it stays as of those before; at worst the result is one segment too large. */
function fits(
  span: Span,
  base: number,
  writtenBytes: number,
  readBytes: number,
  segmentBytes: number,
): boolean {
  return (
    writtenBytes * (1 + span.sizeBytes / readBytes) <= segmentBytes &&
    writtenBytes + span.sizeBytes <= positionMax &&
    span.endOffset - base <= relativeOffsetMax
  )
}

/** Puts the keys of the batch at `at` into the map. Answers the offset of the first record that finds no room, or undefined. */
function learn(newest: OffsetMap, bytes: Buffer, at: number, from: number): number | undefined {
  if (lastOffsetOf(bytes, at) < from || isControl(bytes, at) || countOf(bytes, at) === 0) return undefined
  const records = readable(bytes, at)
  if (records === undefined) return undefined
  const walk = new RecordWalk(records, countOf(bytes, at), lastOffsetDeltaOf(bytes, at))
  while (walk.next()) {
    const offset = baseOffsetOf(bytes, at) + walk.offsetDelta
    if (offset < from || walk.keyBytes < 0) continue
    if (!newest.put(walk.bytes, walk.keyStart, walk.keyBytes, offset)) return offset
  }
  return undefined
}

/** The unpacked records of a batch, when all of them can be read: one that cannot takes the place of nothing. */
function readable(bytes: Buffer, at: number): Buffer | undefined {
  try {
    const walk = walkRecords(bytes, at, unpackedBytesMax)
    while (walk.next());
    return walk.bytes
  } catch (error) {
    if (!(error instanceof MalformedRecords)) throw error
    return undefined
  }
}

/** Reads on this thread, when the pace allows. */
const paced = (file: DiskFile, pace: Pace): DiskFile => ({
  path: file.path,
  sizeBytes: () => file.sizeBytes(),
  read: (into, at) => file.read(into, at),
  async readLater(into, at) {
    await pace.rest()
    const got = file.read(into, at)
    pace.did(got)
    return got
  },
  write: (pieces, at) => file.write(pieces, at),
  truncate: sizeBytes => file.truncate(sizeBytes),
  sync: () => file.sync(),
  syncNow: () => file.syncNow(),
  close: () => file.close(),
})
