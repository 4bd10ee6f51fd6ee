/** Logs on the simulated disk, and batches to put into them. */
import { epoch, incarnation, MIB, offset, type Offset } from '../../base/quantities.ts'
import { baseOffsetOf, batchBytesOf, lastOffsetOf, placeBatch } from '../../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords, type BatchOptions } from '../../protocol/kafka/records.ts'
import type { Disk, DiskFile, World } from '../../base/world.ts'
import type { SimWorld } from '../../test/sim/world.ts'
import type { TabletCheckpoint } from './checkpoint.ts'
import type { Log, LogPosition, LogSettings, LogShared } from './log.ts'
import { openLog, type Recovered } from './open-log.ts'
import type { Batches } from './read.ts'
import { ReadBuffers } from './read-buffers.ts'
import { SegmentCache } from './segment-cache.ts'
import { TailMemory } from './tail-memory.ts'

export const logDirectory = '/data/t-0.x'
/** Kafka's name of the file whose first offset this is. */
export const fileOf = (base: number, kind: 'log' | 'index' | 'timeindex' = 'log'): string =>
  `${logDirectory}/${String(base).padStart(20, '0')}.${kind}`

export const smallSegments: LogSettings = {
  segmentBytes: 3000,
  segmentMs: Infinity,
  segmentIndexBytes: MIB,
  indexIntervalBytes: 300,
}
export const oneSegment: LogSettings = { ...smallSegments, segmentBytes: 2 ** 30 }

export type BatchParts = {
  readonly count?: number
  readonly bytes?: number
  readonly timestamp?: number
  readonly value?: string
  readonly producer?: NonNullable<BatchOptions['producer']>
}

/** A batch of about `bytes` bytes as a producer sends it; its records' values are `<value>#0`, `<value>#1` and so on. */
export function batchOf({
  count = 1,
  bytes = 100,
  timestamp = 1000,
  value = 'v',
  producer,
}: BatchParts = {}) {
  const padding = Math.max(0, Math.floor((bytes - 61) / count) - value.length - 10)
  const records = Array.from({ length: count }, (_, i) => {
    const text = `${value}#${i}`
    return {
      key: Buffer.alloc(padding, '.'),
      value: Buffer.from(text),
      headers: [],
      timestamp: timestamp + i,
    }
  })
  return buildBatch(records, producer === undefined ? {} : { producer })
}

/** The memory and caches of one run. */
export const sharedOf = (
  { world }: { readonly world: World },
  { tailBytes = MIB, openMax = 4 } = {},
): LogShared => ({
  world,
  tailMemory: new TailMemory(tailBytes),
  segmentCache: new SegmentCache(openMax),
  readBuffers: new ReadBuffers(),
})

export type OpenOptions = {
  readonly shared?: LogShared
  readonly settings?: LogSettings
  readonly checkpoint?: TabletCheckpoint | undefined
  readonly clean?: boolean
  /** The kernel has not gone down since it was written. */
  readonly kept?: boolean
  /** Offsets that recovery showed, in order. */
  readonly visited?: number[]
}

export function openSim(sim: SimWorld, options: OpenOptions = {}): Promise<Recovered> {
  const { shared = sharedOf(sim), settings = smallSegments, checkpoint, clean = false } = options
  const { kept = false, visited } = options
  return sim.clock.finish(
    openLog({
      shared,
      directory: logDirectory,
      settings,
      checkpoint,
      clean,
      kept,
      visit: (bytes, at) => visited?.push(baseOffsetOf(bytes, at)),
      progress: () => undefined,
    }),
  )
}

/** Appends as the tablet does it: rolls where it must, places the batch, gathers it. Nothing is flushed. */
export function add(log: Log, batch: Buffer, leaderEpoch = 0): void {
  const last = log.nextOffset + batch.readInt32BE(23)
  if (log.mustRoll(batch.length, last)) {
    log.flush()
    log.roll()
  }
  placeBatch(batch, 0, log.nextOffset, epoch(leaderEpoch))
  log.append(batch, 0, batch.length)
}

export function write(log: Log, ...batches: Buffer[]): void {
  for (const batch of batches) add(log, batch)
  log.flush()
}

export const checkpointAt = (end: LogPosition, logStart = 0): TabletCheckpoint => ({
  recoveryPoint: end.offset,
  segment: end.segment,
  position: end.position,
  logStart: offset(logStart),
  syncFailed: false,
  highWatermark: offset(logStart),
  bornIn: incarnation(0),
})

/** Syncs everything, as a checkpoint does it. */
export async function syncAll(sim: SimWorld, log: Log, logStart = 0): Promise<TabletCheckpoint> {
  const end = await sim.clock.finish(log.sync())
  await sim.clock.finish(log.syncIndexes())
  return checkpointAt(end, logStart)
}

/** A copy of what was read, released. */
export function bytesOf(batches: Batches): Buffer {
  const bytes = Buffer.concat(batches.pieces)
  batches.release()
  return bytes
}

export async function read(
  sim: SimWorld,
  log: Log,
  from: number,
  { to = log.end, bytesMax = MIB, atLeastOne = true } = {},
): Promise<Buffer> {
  return bytesOf(await sim.clock.finish(Promise.resolve(log.read(offset(from), to, bytesMax, atLeastOne))))
}

/** Every record's value, read batch by batch from the log's first offset on. */
export async function readAll(sim: SimWorld, log: Log, from: Offset = log.firstOffset): Promise<string[]> {
  const values: string[] = []
  let next: number = from
  while (next < log.end.offset) {
    const bytes = await read(sim, log, next)
    for (let at = 0; at < bytes.length; at += batchBytesOf(bytes, at)) {
      for (const record of readRecords(bytes, at, MIB))
        values.push(`${record.offset}=${String(record.value)}`)
      next = lastOffsetOf(bytes, at) + 1
    }
  }
  return values
}

/** How often each call was made, from now on, on paths that match. */
export function countCalls(sim: SimWorld, path = /(?:)/): Map<string, number> {
  const counts = new Map<string, number>()
  sim.disk.onCall = (call, at) => {
    if (path.test(at)) counts.set(call, (counts.get(call) ?? 0) + 1)
  }
  return counts
}

/** The same world, but what is read and how many files are open can be seen. */
export function spied(sim: SimWorld) {
  const { world } = sim
  const reads: { readonly path: string; readonly at: number; readonly bytes: number }[] = []
  const open = new Set<DiskFile>()
  let openMost = 0
  const disk: Disk = {
    ...world.disk,
    open(path, mode) {
      const file = world.disk.open(path, mode)
      const spy: DiskFile = {
        path,
        sizeBytes: () => file.sizeBytes(),
        read(into, at) {
          reads.push({ path, at, bytes: into.length })
          return file.read(into, at)
        },
        readLater(into, at) {
          reads.push({ path, at, bytes: into.length })
          return file.readLater(into, at)
        },
        write: (pieces, at) => file.write(pieces, at),
        truncate: sizeBytes => file.truncate(sizeBytes),
        sync: () => file.sync(),
        syncNow: () => file.syncNow(),
        close() {
          open.delete(spy)
          file.close()
        },
      }
      open.add(spy)
      openMost = Math.max(openMost, open.size)
      return spy
    },
  }
  return {
    world: { ...world, disk },
    reads,
    openNow: () => [...open].map(file => file.path),
    get openMost() {
      return openMost
    },
    forgetMost() {
      openMost = open.size
    },
  }
}
