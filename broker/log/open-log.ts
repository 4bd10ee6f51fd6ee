/**
 * Opens a tablet's directory. After a clean stop its segments are taken as they are; after a crash every batch from the recovery point on is
 * checked, and the log is cut at the first that is incomplete or bad: unsynced pages reach the disk in any order, so good batches
 * behind a bad one prove nothing. What is cut is kept beside the log.
 */
import { assert } from '../../base/assert.ts'
import { KIB, MIB, offset, type Offset } from '../../base/quantities.ts'
import type { Disk } from '../../base/world.ts'
import { lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import type { TabletCheckpoint } from './checkpoint.ts'
import { cleanedSuffix } from './compaction/cleaned-segment.ts'
import { finishSwaps } from './compaction/swap.ts'
import { Log, type LogSettings, type LogShared } from './log.ts'
import { scanBatches, type BatchVisitor } from './scan.ts'
import { baseOffsetOf, segmentPath } from './segment-names.ts'
import { newestOf, Segment } from './segment.ts'

export type OpenLogOptions = {
  readonly shared: LogShared
  readonly directory: string
  readonly settings: LogSettings
  /** Undefined when this tablet was never checkpointed. */
  readonly checkpoint: TabletCheckpoint | undefined
  /** The last stop was a clean one: nothing has to be checked. */
  readonly clean: boolean
  /** Sees every batch that recovery checks, in order. */
  readonly visit: BatchVisitor
  /** Called now and then with the bytes that were checked since the last call. */
  readonly progress: (bytes: number) => void
}

export type Recovered = {
  readonly log: Log
  readonly checkedBytes: number
  /** A torn tail that was cut off and kept, or undefined when the log was whole. */
  readonly cut:
    | { readonly path: string; readonly offset: Offset; readonly bytes: number; readonly damage: string }
    | undefined
  /** Offsets [from, to) that were known to be on disk and are not there any more. They are never given again. */
  readonly lost: { readonly from: Offset; readonly to: Offset } | undefined
}

export async function openLog(options: OpenLogOptions): Promise<Recovered> {
  const { shared, directory, settings, checkpoint, clean } = options
  const { disk } = shared.world
  disk.makeDirectory(directory)
  const logStart = checkpoint?.logStart ?? offset(0)
  const recoveryPoint = checkpoint?.recoveryPoint ?? offset(0)
  const segments = await findSegments(disk, directory, logStart)
  if (segments.length === 0 && recoveryPoint > logStart) {
    throw new Error(`${directory} had offsets ${logStart} to ${recoveryPoint} and has no segment now`)
  }
  if (segments.length === 0) segments.push(Segment.create(disk, directory, logStart))
  const checked = clean ? await openClean(segments) : await recover(segments, options)
  let { end } = checked
  const lost = end < recoveryPoint ? { from: end, to: recoveryPoint } : undefined
  if (lost !== undefined) {
    segments.push(Segment.create(disk, directory, recoveryPoint))
    end = recoveryPoint
  }
  const active = segments.at(-1)
  for (const segment of segments) {
    if (segment === active) segment.inUse = true
    else if (segment.isOpen) shared.segmentCache.adopt(segment)
  }
  await disk.syncDirectory(directory)
  const log = new Log(shared, directory, settings, segments, end)
  return { log, checkedBytes: checked.checkedBytes, cut: checked.cut, lost }
}

type Checked = { end: Offset; checkedBytes: number; cut: Recovered['cut'] }

/** The segments by base offset; leftovers of interrupted deletions and rolls are cleared away. */
async function findSegments(disk: Disk, directory: string, logStart: Offset): Promise<Segment[]> {
  await finishSwaps(disk, directory)
  const names = disk.list(directory)
  const bases = names.flatMap(name => baseOffsetOf(name, 'log') ?? [])
  const known = new Set(bases)
  for (const name of names) {
    const orphan = baseOffsetOf(name, 'index') ?? baseOffsetOf(name, 'timeindex')
    const leftover = ['.deleted', '.tmp', cleanedSuffix].some(suffix => name.endsWith(suffix))
    if (leftover || (orphan !== undefined && !known.has(orphan))) {
      await disk.remove(`${directory}/${name}`)
    }
  }
  const segments = bases.map(base => {
    const path = segmentPath(directory, base, 'log')
    return new Segment(disk, directory, base, disk.stat(path)?.sizeBytes ?? 0)
  })
  while (segments.length > 1 && (segments[1]?.baseOffset ?? 0) <= logStart) {
    for (const name of segments.shift()?.markDeleted() ?? []) await disk.remove(name)
  }
  return segments
}

/** Nothing to check: the end follows from the last batches of the last segment. */
async function openClean(segments: readonly Segment[]): Promise<Checked> {
  const active = segments.at(-1)
  assert(active !== undefined, 'a log has an active segment')
  await active.open()
  let end: Offset = active.baseOffset
  const from = active.files.offsets.last?.value ?? 0
  const scanned = await scanBatches(
    active.files.log,
    from,
    active.sizeBytes,
    active.baseOffset,
    (bytes, at) => {
      end = offset(lastOffsetOf(bytes, at) + 1)
    },
  )
  active.sizeBytes = scanned.position
  return { end, checkedBytes: 0, cut: undefined }
}

/** Checks from the recovery point on; takes damaged segments and what lies behind them out of `segments`. */
async function recover(segments: Segment[], options: OpenLogOptions): Promise<Checked> {
  const recoveryPoint = options.checkpoint?.recoveryPoint ?? offset(0)
  const first = Math.max(
    segments.findLastIndex(segment => segment.baseOffset <= recoveryPoint),
    0,
  )
  let checkedBytes = 0
  let end = segments[first]?.baseOffset ?? recoveryPoint
  let cut: Recovered['cut']
  for (const [i, segment] of segments.slice(first).entries()) {
    const gap = i > 0 && segment.baseOffset !== end
    if (gap) {
      cut = setAside(segments, first + i, end, `the next segment begins at ${segment.baseOffset}`)
      break
    }
    await segment.openForRecovery(recoveryPoint)
    const from = startOf(segment, i === 0 ? options.checkpoint : undefined)
    if (from > 0) end = recoveryPoint
    const fileBytes = segment.sizeBytes
    const scanned = await check(segment, from, fileBytes, options, at => (end = at))
    checkedBytes += scanned.position - from
    if (scanned.damage === undefined) continue
    const behind = setAside(segments, first + i + 1, end, scanned.damage)
    const path = await cutOff(options.shared.world.disk, segment, scanned.position, fileBytes)
    cut = { path, offset: end, bytes: fileBytes - scanned.position + behind.bytes, damage: scanned.damage }
    break
  }
  await syncAll(segments, first, options)
  return { end, checkedBytes, cut }
}

/** Where to begin in the segment that holds the recovery point; at its start when the file does not even reach that point. */
function startOf(segment: Segment, checkpoint: TabletCheckpoint | undefined): number {
  if (checkpoint === undefined || checkpoint.recoveryPoint <= segment.baseOffset) return 0
  return segment.sizeBytes >= checkpoint.position ? checkpoint.position : 0
}

/** Takes the segments from number `from` on out of the log; their files stay, renamed. */
function setAside(segments: Segment[], from: number, end: Offset, damage: string) {
  const behind = segments.splice(from)
  const names = behind.flatMap(segment => segment.setAside())
  return {
    path: names[0] ?? '',
    offset: end,
    bytes: behind.reduce((sum, segment) => sum + segment.sizeBytes, 0),
    damage,
  }
}

async function check(
  segment: Segment,
  from: number,
  to: number,
  { settings, visit, progress, checkpoint }: OpenLogOptions,
  reached: (end: Offset) => void,
) {
  const recoveryPoint = checkpoint?.recoveryPoint ?? 0
  let reported = from
  const scanned = await scanBatches(
    segment.files.log,
    from,
    to,
    segment.baseOffset,
    (bytes, at, end, position) => {
      const last = lastOffsetOf(bytes, at)
      segment.note(last, position, end - at, newestOf(bytes, at), settings.indexIntervalBytes)
      if (last >= recoveryPoint) visit(bytes, at, end, position)
      reached(offset(last + 1))
      if (position - reported > 16 * MIB) {
        progress(position - reported)
        reported = position
      }
    },
  )
  progress(scanned.position - reported)
  segment.sizeBytes = scanned.position
  return scanned
}

/** What was recovered may still be only in the page cache of the run before: it counts once it is on the disk. */
async function syncAll(
  segments: Segment[],
  first: number,
  { shared, directory }: OpenLogOptions,
): Promise<void> {
  for (const segment of segments.slice(first)) {
    segment.persistIndexes()
    await segment.files.log.sync()
    await segment.syncIndexes()
  }
  await shared.world.disk.syncDirectory(directory)
}

/** Cuts the file at `from`; what stood behind is copied to `<segment>.log.<from>.cut` first. Answers the path of the copy. */
async function cutOff(disk: Disk, segment: Segment, from: number, to: number): Promise<string> {
  const { log } = segment.files
  const beside = `${log.path}.${from}.cut`
  const kept = disk.open(beside, disk.stat(beside) === undefined ? 'create' : 'write')
  try {
    kept.truncate(0)
    const chunk = Buffer.allocUnsafe(Math.min(256 * KIB, Math.max(to - from, 1)))
    for (let at = from; at < to; at += chunk.length) {
      const got = await log.readLater(chunk.subarray(0, Math.min(chunk.length, to - at)), at)
      kept.write([chunk.subarray(0, got)], at - from)
    }
    await kept.sync()
  } finally {
    kept.close()
  }
  log.truncate(from)
  return beside
}
