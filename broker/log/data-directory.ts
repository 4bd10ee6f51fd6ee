/**
 * The data directory of one broker: whose it is, that nobody else has it open, and whether the last stop was a clean one.
 * `meta.json` is written once; `clean-shutdown` is written last on a clean stop and removed first on start.
 */
import { randomUuid } from '../../base/uuid.ts'
import { readFile, replaceFileNow } from '../../base/files.ts'
import { incarnation, type BrokerId, type Incarnation } from '../../base/quantities.ts'
import type { Disk, World } from '../../base/world.ts'

const formatVersion = 1
const firstRunVersion = 1
const lookMs = 5_000

export type Meta = {
  readonly formatVersion: number
  readonly clusterId: string
  readonly brokerId: number
  readonly diskId: string
}

/** A data directory that must not be used as it is. The message says which, why and what to do. */
export class DataDirectoryRefused extends Error {
  override name = 'DataDirectoryRefused'
}

export class DataDirectory {
  readonly path: string
  readonly meta: Meta
  /** True when the last run stopped cleanly: nothing has to be recovered. */
  readonly wasClean: boolean
  readonly #world: World
  readonly #lock: { release(): void }

  private constructor(world: World, path: string, meta: Meta, wasClean: boolean, lock: { release(): void }) {
    this.#world = world
    this.path = path
    this.meta = meta
    this.wasClean = wasClean
    this.#lock = lock
  }

  /**
   * Opens `path` for broker `brokerId`, or makes it when there is nothing; `clusterId` is the cluster that it must belong to.
   * @throws DataDirectoryRefused when it belongs to someone else, is in use, of a newer format or not writable
   */
  static open(world: World, path: string, brokerId: BrokerId, clusterId?: string): DataDirectory {
    const { disk } = world
    try {
      disk.makeDirectory(path)
      // Nothing is left behind in what is not ours.
      if (disk.stat(`${path}/meta.json`) === undefined) requireEmpty(disk, path)
      const lock = disk.lock(`${path}/lock`)
      if (lock === undefined) {
        throw new DataDirectoryRefused(
          `${path} is in use by another running broker. Stop that one first, or start this one with another --data directory.`,
        )
      }
      try {
        const meta = readMeta(world, path, brokerId, clusterId)
        disk.makeDirectory(`${path}/tablets`)
        const wasClean = disk.stat(`${path}/clean-shutdown`) !== undefined
        return new DataDirectory(world, path, meta, wasClean, lock)
      } catch (error) {
        lock.release()
        throw error
      }
    } catch (error) {
      throw refusedByDisk(error, path)
    }
  }

  /**
   * Without its control store a directory that holds tablets must not start as if it were new: every topic would be gone.
   * @throws DataDirectoryRefused
   */
  requireControlStore(path: string): void {
    const { disk } = this.#world
    const tablets = disk.list(`${this.path}/tablets`).filter(name => !/\.(?:stray|deleted)$/.test(name))
    if (disk.stat(path) !== undefined || tablets.length === 0) return
    throw new DataDirectoryRefused(
      `${path} is missing, and ${this.path}/tablets holds tablets whose topics only it knows. Restore it from a backup, or start with another --data directory.`,
    )
  }

  /**
   * The first run of the broker on this disk, when `run` is the one that begins now: what earlier ones have written lies elsewhere.
   * Written once, as soon as it is known; a directory from before it was kept has always been its broker's.
   * @throws DataDirectoryRefused
   */
  since(run: Incarnation): Incarnation {
    const { disk } = this.#world
    const path = `${this.path}/first-run.json`
    const content = readFile(disk, path)
    if (content !== undefined) return firstRunIn(path, content)
    const first = disk.list(`${this.path}/tablets`).length === 0 ? run : incarnation(1)
    replaceFileNow(disk, path, Buffer.from(`${JSON.stringify({ version: firstRunVersion, run: first })}\n`))
    return first
  }

  /** From here on a crash needs recovery. */
  async begin(): Promise<void> {
    await this.#world.disk.remove(`${this.path}/clean-shutdown`)
    this.#world.disk.syncDirectoryNow(this.path)
  }

  /** Calls `vanished` when all of it was taken away: files without a name take what is written, and nothing of that is kept. Answers how to stop. */
  lookAfter(vanished: (() => void) | undefined): () => void {
    const { disk, clock } = this.#world
    let stopped = vanished === undefined
    const isThere = (name: string): boolean => {
      try {
        return disk.stat(`${this.path}/${name}`) !== undefined
      } catch {
        // A disk that does not say has taken nothing away.
        return true
      }
    }
    const look = (): void => {
      if (stopped) return
      if (isThere('meta.json') || isThere('tablets')) clock.after(lookMs, look)
      else vanished?.()
    }
    look()
    return () => (stopped = true)
  }

  /** Everything is on disk: the next start need not check it. */
  endCleanly(): void {
    replaceFileNow(this.#world.disk, `${this.path}/clean-shutdown`, Buffer.from('{"version":1}\n'))
  }

  release(): void {
    this.#lock.release()
  }
}

function firstRunIn(path: string, content: Buffer): Incarnation {
  let file: { readonly version?: unknown; readonly run?: unknown }
  try {
    file = JSON.parse(content.toString()) as typeof file
  } catch {
    file = {}
  }
  const { version, run } = file
  if (typeof version === 'number' && version > firstRunVersion)
    throw new DataDirectoryRefused(
      `${path} has format ${version}, and this Stele reads up to format ${firstRunVersion}. Start the newer Stele that wrote it.`,
    )
  if (!Number.isSafeInteger(run))
    throw new DataDirectoryRefused(
      `${path} is damaged: it does not say since which run the broker has this disk. Restore it from a backup, or start with an empty --data directory, which is filled from the other brokers.`,
    )
  return incarnation(run as number)
}

function readMeta(world: World, path: string, brokerId: BrokerId, clusterId: string | undefined): Meta {
  const file = `${path}/meta.json`
  const content = readFile(world.disk, file)
  if (content === undefined) return makeMeta(world, path, brokerId, clusterId)
  let meta: Meta
  try {
    meta = JSON.parse(content.toString()) as Meta
  } catch {
    throw new DataDirectoryRefused(
      `${file} is not readable as JSON. Restore it from a backup, or use another --data directory.`,
    )
  }
  if (
    typeof meta.formatVersion !== 'number' ||
    typeof meta.clusterId !== 'string' ||
    typeof meta.diskId !== 'string'
  ) {
    throw new DataDirectoryRefused(`${file} was not written by Stele. Use another --data directory.`)
  }
  if (meta.formatVersion > formatVersion) {
    throw new DataDirectoryRefused(
      `${path} has format ${meta.formatVersion}, and this Stele reads up to format ${formatVersion}. Start the newer Stele that wrote it.`,
    )
  }
  if (meta.brokerId !== brokerId) {
    throw new DataDirectoryRefused(
      `${path} belongs to broker ${meta.brokerId}, and this is broker ${brokerId}. Set broker.id=${meta.brokerId}, or use another --data directory.`,
    )
  }
  if (clusterId !== undefined && meta.clusterId !== clusterId) {
    throw new DataDirectoryRefused(
      `${path} belongs to cluster ${meta.clusterId}, and this is a broker of cluster ${clusterId}. Use the volume of this cluster's broker, or an empty one.`,
    )
  }
  return meta
}

/** Only an empty directory becomes ours: what we did not write we do not touch. */
function requireEmpty(disk: Disk, path: string): void {
  const foreign = disk
    .list(path)
    .filter(name => !['lock', 'tablets', 'meta.json.tmp', 'reserve', 'lost+found'].includes(name))
  if (foreign.includes('cluster.json')) {
    throw new DataDirectoryRefused(
      `${path} holds a cluster of several brokers. Start it with --brokers, or use another --data directory for one alone.`,
    )
  }
  const tablets = disk.stat(`${path}/tablets`) === undefined ? [] : disk.list(`${path}/tablets`)
  if (foreign.length > 0 || tablets.length > 0) {
    throw new DataDirectoryRefused(
      `${path} is not empty and has no meta.json, so it is not a data directory of Stele` +
        `${foreign.length > 0 ? ` (it holds ${foreign.slice(0, 3).join(', ')})` : ''}. Use an empty or new --data directory.`,
    )
  }
}

function makeMeta(world: World, path: string, brokerId: BrokerId, clusterId: string | undefined): Meta {
  requireEmpty(world.disk, path)
  const meta = {
    formatVersion,
    clusterId: clusterId ?? randomUuid(world.random),
    brokerId,
    diskId: randomUuid(world.random),
  }
  replaceFileNow(world.disk, `${path}/meta.json`, Buffer.from(`${JSON.stringify(meta, undefined, 2)}\n`))
  return meta
}

/** What a disk's error means to who has named the directory `path`; any other error as it is. */
export function refusedByDisk(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new DataDirectoryRefused(
      `${path} cannot be written (${code}). Make it writable for this user, or use another --data directory.`,
    )
  }
  if (code === 'ENOTDIR' || code === 'EEXIST') {
    return new DataDirectoryRefused(
      `${path} is not a directory, or lies in something that is none. Use another --data directory.`,
    )
  }
  if (code === 'ENOENT') {
    return new DataDirectoryRefused(`${path} cannot be made there (ENOENT). Use another --data directory.`)
  }
  if (code === 'ENOSPC') {
    return new DataDirectoryRefused(
      `${path}: the disk is full. Free some space, or use another --data directory.`,
    )
  }
  return error
}
