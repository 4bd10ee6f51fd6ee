import { readFile, replaceFileNow } from '../../base/files.ts'
import { randomUuid } from '../../base/uuid.ts'
import type { World } from '../../base/world.ts'
import { refusedByDisk } from '../../broker/log/data-directory.ts'
import { Failure } from '../failure.ts'

/** Written by whoever keeps the control store; the number of brokers only grows. */
type ClusterFile = {
  readonly formatVersion: number
  readonly clusterId: string
  readonly brokers: number
}

const formatVersion = 1

export type ClusterDirectory = {
  readonly clusterId: string
  /** The control store's file. */
  readonly control: string
  /** Where broker `id` has its data. */
  readonly of: (id: number) => string
  /** Notes the process of broker `id`: for `othersEnded`, when nobody else knows it any more. */
  readonly noteProcess: (id: number, pid: number) => void
  readonly release: () => void
}

/**
 * The directory of several brokers on one machine: `cluster.json` says that it is one, `control.json` is the control store, `broker-N` is the data directory of broker N.
 * @throws Failure when it is something else, in use, or has more brokers than are asked for
 */
export function openClusterDirectory(world: World, path: string, brokers: number): ClusterDirectory {
  try {
    return open(world, path, brokers)
  } catch (error) {
    throw refusedByDisk(error, path)
  }
}

function open(world: World, path: string, brokers: number): ClusterDirectory {
  const { disk } = world
  disk.makeDirectory(path)
  // Nothing is left behind in what is not ours.
  if (disk.stat(`${path}/cluster.json`) === undefined) requireEmpty(world, path)
  const lock = disk.lock(`${path}/lock`)
  if (lock === undefined)
    throw new Failure(
      `${path} is in use by another running broker.`,
      'Stop that one first, or start with another --data directory.',
    )
  try {
    const { clusterId } = claim(world, path, brokers)
    return {
      clusterId,
      control: `${path}/control.json`,
      of: id => `${path}/broker-${id}`,
      noteProcess: (id, pid) =>
        replaceFileNow(disk, processFile(`${path}/broker-${id}`), Buffer.from(`${pid}\n`)),
      release: () => lock.release(),
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

const othersMsMax = 15_000
const othersLookMs = 50

const processFile = (path: string): string => `${path}.pid`

/**
 * Brokers of an earlier start whose parent was killed end by themselves: resolves when they have, or when that takes too long. One that was paused by hand
 * does not hear that it is alone: `wake` is called with its process.
 */
export async function othersEnded(
  { disk, clock }: World,
  paths: readonly string[],
  wake: (pid: number) => void,
): Promise<void> {
  const inUse = (path: string): boolean => {
    if (disk.stat(`${path}/lock`) === undefined) return false
    const lock = disk.lock(`${path}/lock`)
    lock?.release()
    return lock === undefined
  }
  for (const path of paths.filter(inUse)) {
    const pid = Number(readFile(disk, processFile(path))?.toString())
    if (pid > 0) wake(pid)
  }
  const startedMs = clock.monotonicMs()
  while (paths.some(inUse) && clock.monotonicMs() - startedMs < othersMsMax)
    await new Promise<void>(resolve => clock.after(othersLookMs, resolve))
}

function claim(world: World, path: string, brokers: number): ClusterFile {
  const { disk } = world
  const file = `${path}/cluster.json`
  const before = readCluster(world, path)
  if (before === undefined) requireEmpty(world, path)
  else if (before.brokers > brokers) {
    throw new Failure(
      `${path} holds a cluster of ${before.brokers} brokers: with ${brokers} some of its partitions would have no place.`,
      `Start it with --brokers ${before.brokers}, or use another --data directory.`,
    )
  } else requireControlStore(world, path, before.brokers)
  const now = { ...before, formatVersion, clusterId: before?.clusterId ?? randomUuid(world.random), brokers }
  if (before?.brokers !== brokers)
    replaceFileNow(disk, file, Buffer.from(`${JSON.stringify(now, undefined, 2)}\n`))
  return now
}

function readCluster({ disk }: World, path: string): ClusterFile | undefined {
  const file = `${path}/cluster.json`
  const content = readFile(disk, file)
  if (content === undefined) return undefined
  let found: Partial<ClusterFile>
  try {
    found = JSON.parse(content.toString()) as Partial<ClusterFile>
  } catch {
    found = {}
  }
  const { formatVersion: version, clusterId, brokers } = found
  if (typeof version === 'number' && version > formatVersion)
    throw new Failure(`${file} has format ${version}; this Stele reads up to format ${formatVersion}.`)
  if (typeof version !== 'number' || typeof clusterId !== 'string' || typeof brokers !== 'number')
    throw new Failure(`${file} is damaged, or was not written by Stele.`, remedyOf(disk, path))
  return { ...found, formatVersion: version, clusterId, brokers }
}

/** Only an empty directory becomes ours: what we did not write we do not touch. */
function requireEmpty({ disk }: World, path: string): void {
  const foreign = disk
    .list(path)
    .filter(name => !['lock', 'lost+found', 'cluster.json.tmp', 'control.json.tmp'].includes(name))
  if (foreign.length === 0) return
  if (foreign.includes('meta.json'))
    throw new Failure(
      `${path} holds the data of one broker alone.`,
      'Start it without --brokers, or use another --data directory for several.',
    )
  if (foreign.includes('control.json') && foreign.includes('broker-0'))
    throw new Failure(
      `${path} holds the brokers of a cluster, and its cluster.json is missing.`,
      remedyOf(disk, path),
    )
  throw new Failure(
    `${path} is not empty and has no cluster.json, so it is not the directory of several brokers (it holds ${foreign.slice(0, 3).join(', ')}).`,
    'Use an empty or new --data directory.',
  )
}

/** What it says stands elsewhere too, where the brokers' directories are whole. */
function remedyOf(disk: World['disk'], path: string): string {
  const brokers = disk.list(path).filter(name => /^broker-\d+$/.test(name)).length
  const id = clusterIdOf(disk, `${path}/broker-0/meta.json`)
  if (id === undefined) return 'Restore it from a backup, or use another --data directory.'
  const content = JSON.stringify({ formatVersion, clusterId: id, brokers })
  return `Restore it from a backup, or write it again: echo '${content}' > '${path}/cluster.json'`
}

function clusterIdOf(disk: World['disk'], meta: string): string | undefined {
  try {
    const { clusterId } = JSON.parse(readFile(disk, meta)?.toString() ?? '{}') as Partial<ClusterFile>
    return typeof clusterId === 'string' && /^[\w-]+$/.test(clusterId) ? clusterId : undefined
  } catch {
    return undefined
  }
}

/** Without it every topic would be gone. */
function requireControlStore({ disk }: World, path: string, brokers: number): void {
  if (disk.stat(`${path}/control.json`) !== undefined) return
  for (let id = 0; id < brokers; id++) {
    const tablets = `${path}/broker-${id}/tablets`
    if (disk.stat(tablets) === undefined || disk.list(tablets).length === 0) continue
    throw new Failure(
      `${path}/control.json is missing, and ${tablets} holds tablets whose topics only it knows.`,
      'Restore it from a backup, or use another --data directory.',
    )
  }
}
