/**
 * Opens a tablet's directory. After a clean stop its segments are taken as they are; after a crash every batch from the recovery point on is
 * checked, and the log is cut at the first that is incomplete or bad: unsynced pages reach the disk in any order, so good batches
 * behind a bad one prove nothing. What is cut is kept beside the log.
 */
import { assert } from '../../base/assert.ts'
import { KIB, MIB, offset, type Offset } from '../../base/quantities.ts'
import type { Disk, DiskFile } from '../../base/world.ts'
import { baseOffsetOf as recordBaseOffsetOf, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import type { TabletCheckpoint } from './checkpoint.ts'
import { finishSwaps } from './compaction/swap.ts'
import { Log, type LogSettings, type LogShared } from './log.ts'
import { scanBatches, type BatchVisitor } from './scan.ts'
import { baseOffsetOf, segmentPath } from './segment-names.ts'
import { newestOf, Segment } from './segment.ts'
import { soundBatches } from './sound-batches.ts'

export type OpenLogOptions = {
  readonly shared: LogShared
  readonly directory: string
  readonly settings: LogSettings
  /** Undefined when this tablet was never checkpointed. */
  readonly checkpoint: TabletCheckpoint | undefined
  /** The last stop was a clean one: nothing has to be checked. */
  readonly clean: boolean
  /** All that was written is still there, synced or not: a batch that is no good has changed since, and nothing behind it is given up. */
  readonly kept?: boolean
  /** Sees every batch that recovery checks, in order. */
  readonly visit: BatchVisitor
  /** Called now and then with the bytes that were checked since the last call. */
  readonly progress: (bytes: number) => void
}

/** Offsets from `from` up to, not with, `to`. */
type Offsets = { readonly from: Offset; readonly to: Offset }

export type Recovered = {
  readonly log: Log
  readonly checkedBytes: number
  /** A torn tail that was cut off and kept, or undefined when the log was whole. */
  readonly cut:
    | {
        readonly path: string
        readonly offset: Offset
        readonly bytes: number
        readonly damage: string
        /** It ends in the middle of a batch, as a write that did not come to its end leaves it, and nothing sound stands behind. */
        readonly isUnfinished: boolean
      }
    | undefined
  /** What was known to be on disk and is not there any more. These offsets are never given again. */
  readonly lost: readonly Offsets[]
  /** What is there and cannot be read; it may be had from others. */
  readonly damaged: readonly Offsets[]
}

export async function openLog(options: OpenLogOptions): Promise<Recovered> {
  const { shared, directory, settings, checkpoint } = options
  const { disk } = shared.world
  disk.makeDirectory(directory)
  const { logStart, recoveryPoint } = checkpoint ?? { logStart: offset(0), recoveryPoint: offset(0) }
  const segments = await findSegments(disk, directory, logStart, recoveryPoint)
  if (segments.length === 0 && recoveryPoint > logStart) {
    throw new Error(`${directory} had offsets ${logStart} to ${recoveryPoint} and has no segment now`)
  }
  try {
    const checked =
      segments.length === 0
        ? { ...nothingFound, end: logStart }
        : ((await openClean(segments, options)) ?? (await recover(segments, options)))
    const { end, cut, checkedBytes } = checked
    const lost = [...checked.lost]
    const first = segments[0]?.baseOffset ?? end
    if (checkpoint !== undefined && first > logStart) lost.unshift({ from: logStart, to: first })
    if (segments.length === 0 || checked.endsSealed) segments.push(Segment.create(disk, directory, end))
    const active = segments.at(-1)
    for (const segment of segments) {
      if (segment === active) segment.inUse = true
      else if (segment.isOpen && !segment.inUse) shared.segmentCache.adopt(segment)
    }
    await disk.syncDirectory(directory)
    const log = new Log(shared, directory, settings, segments, end)
    return { log, checkedBytes, cut, lost, damaged: checked.damaged }
  } catch (error) {
    for (const segment of segments) shared.segmentCache.drop(segment)
    throw error
  }
}

type Checked = {
  end: Offset
  checkedBytes: number
  cut: Recovered['cut']
  lost: Offsets[]
  damaged: Offsets[]
  /** The last segment does not reach `end`: the log goes on in a new one. */
  endsSealed: boolean
}

const nothingFound = { checkedBytes: 0, cut: undefined, lost: [], damaged: [], endsSealed: false }

/** The segments by base offset; leftovers of interrupted deletions, rolls and compactions are cleared away. */
async function findSegments(
  disk: Disk,
  directory: string,
  logStart: Offset,
  recoveryPoint: Offset,
): Promise<Segment[]> {
  await finishSwaps(disk, directory)
  const names = disk.list(directory)
  const bases = names.flatMap(name => baseOffsetOf(name, 'log') ?? [])
  const known = new Set(bases)
  for (const name of names) {
    const orphan = baseOffsetOf(name, 'index') ?? baseOffsetOf(name, 'timeindex')
    if (/\.(?:deleted|tmp|new|cleaned)$/.test(name) || (orphan !== undefined && !known.has(orphan))) {
      await disk.remove(`${directory}/${name}`)
    }
  }
  const found = bases.map(base => {
    const path = segmentPath(directory, base, 'log')
    return new Segment(disk, directory, base, disk.stat(path)?.sizeBytes ?? 0)
  })
  const start = found.findLastIndex(segment => segment.baseOffset <= logStart)
  const [kept, gone] = [[] as Segment[], [] as Segment[]]
  for (const [i, segment] of found.entries()) {
    const emptyBelow = segment.sizeBytes === 0 && segment.baseOffset < recoveryPoint && i < found.length - 1
    const goes = i < start || emptyBelow
    ;(goes ? gone : kept).push(segment)
  }
  for (const segment of gone) await remove(disk, segment)
  return kept
}

async function remove(disk: Disk, segment: Segment): Promise<void> {
  for (const name of segment.markDeleted()) await disk.remove(name)
}

/** Nothing to check after a clean stop: the checkpoint says where the log ends. Undefined when the files do not bear it out. */
async function openClean(
  segments: Segment[],
  { clean, checkpoint }: OpenLogOptions,
): Promise<Checked | undefined> {
  const active = segments.at(-1)
  assert(active !== undefined, 'a log has an active segment')
  if (!clean || checkpoint === undefined) return undefined
  const { recoveryPoint: end, segment, position } = checkpoint
  const borneOut =
    active.sizeBytes === 0
      ? active.baseOffset === end
      : active.baseOffset === segment && active.sizeBytes === position
  if (!borneOut) return undefined
  await active.open()
  return { ...nothingFound, end }
}

/** Checks from the recovery point on; takes damaged segments and what lies behind them out of `segments`. */
async function recover(segments: Segment[], options: OpenLogOptions): Promise<Checked> {
  const { checkpoint, shared } = options
  const { disk } = shared.world
  const first = firstToCheck(segments, checkpoint)
  const checked: Checked = {
    ...nothingFound,
    end: segments[first]?.baseOffset ?? offset(0),
    lost: [],
    damaged: [],
  }
  for (let i = first; i < segments.length; i++) {
    const segment = segments[i]
    assert(segment !== undefined, 'segments are looked at by their number')
    if (i > first && segment.baseOffset !== checked.end) {
      if (segment.sizeBytes === 0 && segment.baseOffset < checked.end) {
        // A roll failed here, and the log went on in the segment before.
        segments.splice(i--, 1)
        await remove(disk, segment)
        continue
      }
      checked.cut = setAside(segments, i, checked.end, `the next segment begins at ${segment.baseOffset}`)
      break
    }
    const before = segments[i - 1]
    if (i > first && before?.inUse === false) before.close()
    const from = i === first ? startOf(segment, checkpoint) : 0
    checked.endsSealed = from === undefined
    if (from === undefined) {
      await salvage(segment, checked, checkpoint?.recoveryPoint ?? checked.end)
      continue
    }
    await recoverSegment(segments, i, from, checked, options)
    if (checked.cut !== undefined) break
  }
  return checked
}

async function recoverSegment(
  segments: Segment[],
  i: number,
  from: number,
  checked: Checked,
  options: OpenLogOptions,
): Promise<void> {
  const segment = segments[i]
  assert(segment !== undefined, 'segments are looked at by their number')
  const recoveryPoint = options.checkpoint?.recoveryPoint ?? offset(0)
  if (from > 0) checked.end = recoveryPoint
  await segment.openForRecovery(recoveryPoint, from)
  const fileBytes = segment.sizeBytes
  const reached = (end: Offset): void => void (checked.end = end)
  let scanned = await check(segment, from, fileBytes, checked.end, options, reached)
  while (scanned.damage !== undefined && options.kept === true) {
    const next = await behind(segment, scanned.position, fileBytes, checked.end, segments[i + 1])
    if (next === undefined) break
    checked.damaged.push({ from: checked.end, to: next.offset })
    checked.end = next.offset
    scanned = await check(segment, next.position, fileBytes, checked.end, options, reached)
  }
  checked.checkedBytes += scanned.position - from
  if (scanned.damage !== undefined) {
    const cutOut = setAside(segments, i + 1, checked.end, scanned.damage)
    const { log } = segment.files
    const isUnfinished =
      scanned.isIncomplete &&
      cutOut.bytes === 0 &&
      !(await standsSound(log, scanned.position, fileBytes, checked.end))
    const path = await cutOff(options.shared.world.disk, segment, scanned.position, fileBytes)
    const bytes = fileBytes - scanned.position + cutOut.bytes
    checked.cut = { path, offset: checked.end, bytes, damage: scanned.damage, isUnfinished }
  }
  if (options.checkpoint?.syncFailed === true) await writeAgain(segment, from)
  // What was recovered may still be only in the page cache of the run before: it counts once it is on the disk.
  await segment.files.log.sync()
  try {
    segment.persistIndexes()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    segment.inUse = true // Its indexes stay in memory until the log finds room for them.
    return
  }
  await segment.syncIndexes()
}

/** Makes the system write to the disk what it may believe to have written. */
async function writeAgain(segment: Segment, from: number): Promise<void> {
  const { log } = segment.files
  const chunk = Buffer.allocUnsafe(Math.min(MIB, segment.sizeBytes - from))
  for (let at = from; at < segment.sizeBytes; at += chunk.length) {
    const got = await log.readLater(chunk.subarray(0, Math.min(chunk.length, segment.sizeBytes - at)), at)
    log.write([chunk.subarray(0, got)], at)
  }
}

/** The number of the segment that holds the recovery point. */
function firstToCheck(segments: readonly Segment[], checkpoint: TabletCheckpoint | undefined): number {
  if (checkpoint === undefined) return 0
  const exact = segments.findIndex(segment => segment.baseOffset === checkpoint.segment)
  if (exact >= 0) return exact
  return Math.max(
    0,
    segments.findLastIndex(segment => segment.baseOffset <= checkpoint.recoveryPoint),
  )
}

/** Where to begin in the segment that holds the recovery point; undefined when the file does not even reach that point. */
function startOf(segment: Segment, checkpoint: TabletCheckpoint | undefined): number | undefined {
  if (checkpoint === undefined || checkpoint.recoveryPoint <= segment.baseOffset) return 0
  const reaches = checkpoint.segment === segment.baseOffset && segment.sizeBytes >= checkpoint.position
  return reaches ? checkpoint.position : undefined
}

/** All that should be in this file was on disk and checked, and some of it is gone. It is left as it is; what can be read will be read. */
async function salvage(segment: Segment, checked: Checked, recoveryPoint: Offset): Promise<void> {
  const { log } = await segment.open()
  let next = segment.baseOffset
  const { sizeBytes } = segment
  for await (const { bytes, at } of soundBatches(log, 0, sizeBytes, next, recoveryPoint)) {
    const base = offset(recordBaseOffsetOf(bytes, at))
    if (base > next) checked.lost.push({ from: next, to: base })
    next = offset(lastOffsetOf(bytes, at) + 1)
  }
  if (next < recoveryPoint) checked.lost.push({ from: next, to: recoveryPoint })
  checked.end = recoveryPoint
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
    isUnfinished: false,
  }
}

/** The next sound batch behind damage at `from`, or the end of the file where a segment follows; undefined when nothing does. */
async function behind(
  segment: Segment,
  from: number,
  to: number,
  due: Offset,
  next: Segment | undefined,
): Promise<{ readonly position: number; readonly offset: Offset } | undefined> {
  const end = next?.baseOffset ?? Infinity
  for await (const { bytes, at, position } of soundBatches(segment.files.log, from, to, due, end))
    // One where `due` should stand has another offset: nothing of it can be believed.
    if (position > from) return { position, offset: offset(recordBaseOffsetOf(bytes, at)) }
  return next && next.baseOffset > due ? { position: to, offset: next.baseOffset } : undefined
}

/** Whether a sound batch begins anywhere in [from, to) of the file. */
async function standsSound(log: DiskFile, from: number, to: number, due: Offset): Promise<boolean> {
  const { done } = await soundBatches(log, from, to, due, Infinity).next()
  return done !== true
}

/** Checks [from, to) of the segment's file, where offset `due` stands at `from`. */
async function check(
  segment: Segment,
  from: number,
  to: number,
  due: Offset,
  { settings, visit, progress, checkpoint }: OpenLogOptions,
  reached: (end: Offset) => void,
) {
  const recoveryPoint = checkpoint?.recoveryPoint ?? 0
  let reported = from
  const { log } = segment.files
  const scanned = await scanBatches(log, from, to, due, (bytes, at, end, position) => {
    const last = lastOffsetOf(bytes, at)
    segment.note(last, position, end - at, newestOf(bytes, at), settings.indexIntervalBytes)
    if (last >= recoveryPoint) visit(bytes, at, end, position)
    reached(offset(last + 1))
    if (position - reported > 16 * MIB) {
      progress(position - reported)
      reported = position
    }
  })
  progress(scanned.position - reported)
  segment.sizeBytes = scanned.position
  return scanned
}

/** Cuts the file at `from`; what stood behind is copied to `<segment>.log.<from>.cut` first. Answers the path of the copy. */
async function cutOff(disk: Disk, segment: Segment, from: number, to: number): Promise<string> {
  const { log } = segment.files
  const path = `${log.path}.${from}.cut`
  const beside = `${path}.tmp`
  const kept = disk.open(beside, disk.stat(beside) === undefined ? 'create' : 'write')
  try {
    kept.truncate(0)
    const chunk = Buffer.allocUnsafe(Math.min(256 * KIB, to - from))
    for (let at = from; at < to; at += chunk.length) {
      const got = await log.readLater(chunk.subarray(0, Math.min(chunk.length, to - at)), at)
      kept.write([chunk.subarray(0, got)], at - from)
    }
    await kept.sync()
  } finally {
    kept.close()
  }
  disk.rename(beside, path)
  await disk.syncDirectory(segment.directory)
  log.truncate(from)
  return path
}
