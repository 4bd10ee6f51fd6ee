// Does compaction disturb appends, and what is left? Writes updates of a few keys to a real disk, compacts them while a paced producer goes on with
// acks=all, and prints what the producer felt without and with compaction, how long it took, and the memory.
// node bench/compaction.ts [--records=1000000] [--keys=10000] [--codec=none] [--segment-bytes=16777216] [--bytes-per-second=…] [--inline]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { KIB, MIB, brokerId, offset } from '../base/quantities.ts'
import { cleanerOnThread } from '../broker/compaction-thread.ts'
import { Checkpoints } from '../broker/log/checkpoint.ts'
import { LocalCleaner } from '../broker/log/compaction/cleaner.ts'
import { ReadBuffers } from '../broker/log/read-buffers.ts'
import { SegmentCache } from '../broker/log/segment-cache.ts'
import { TailMemory } from '../broker/log/tail-memory.ts'
import { resolveTopic } from '../broker/settings/resolve.ts'
import { Compactions } from '../broker/tablet/compactions.ts'
import { GroupCommit } from '../broker/tablet/group-commit.ts'
import type { Tablet } from '../broker/tablet/tablet.ts'
import { Tablets } from '../broker/tablet/tablets.ts'
import { realWorld } from '../broker/world/world.ts'
import { openEmbeddedStore } from '../control/embedded/store.ts'
import { batchBytesOf, countOf, lastOffsetOf, type CodecName } from '../protocol/kafka/record-batch.ts'
import { buildBatch } from '../protocol/kafka/records.ts'

const { values: options } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    keys: { type: 'string', default: '10000' },
    codec: { type: 'string', default: 'none' },
    'segment-bytes': { type: 'string', default: String(16 * MIB) },
    'bytes-per-second': { type: 'string', default: 'Infinity' },
    inline: { type: 'boolean', default: false },
  },
})
const records = Number(options.records)
const keys = Number(options.keys)
const codec = options.codec as CodecName

const perBatch = 100
/** The paced producer: so often a batch of so many records. */
const pacedEveryMs = 5
const pacedRecords = 10

const world = realWorld()
const log = pino({ level: 'silent' })
const data = mkdtempSync(`${tmpdir()}/stele-bench-`)
const { checkpoints } = Checkpoints.open(world.disk, data)
const store = openEmbeddedStore({ ...world, path: `${data}/control.json` })
const self = brokerId(0)
const { incarnation } = await store.registerBroker({
  brokerId: self,
  diskId: 'bench',
  cleanStop: true,
  bootId: undefined,
  rack: undefined,
  addresses: {},
})
world.disk.makeDirectory(`${data}/tablets`)
const tablets = new Tablets({
  shared: {
    world,
    log,
    logs: {
      world,
      tailMemory: new TailMemory(32 * MIB),
      segmentCache: new SegmentCache(256),
      readBuffers: new ReadBuffers(),
    },
    groupCommit: new GroupCommit(),
    checkpoints,
  },
  store,
  self,
  incarnation,
  diskSince: incarnation,
  dataDirectory: data,
  settingsOf: topic => resolveTopic({ topic: topic.settings, dynamic: {}, static: {} }),
  clean: true,
})
await tablets.start()
const settings = {
  'cleanup.policy': 'compact',
  'segment.bytes': options['segment-bytes'],
  'max.compaction.lag.ms': '1000',
  'file.delete.delay.ms': '1000',
}
await store.createTopics([{ name: 'updates', settings, tablets: 1, replication: 1 }])
await tablets.settled()
const tablet = tablets.find('updates', 0)
if (tablet === undefined) throw new Error('the tablet is missing')

const value = Buffer.alloc(100, 'v')
const keyOf = (n: number): Buffer => Buffer.from(`user-${String(n).padStart(9, '0')}`)

function batchOf(count: number): Buffer {
  const timestamp = Date.now()
  const updates = Array.from({ length: count }, () => ({
    key: keyOf(Math.floor(Math.random() * keys)),
    value,
    headers: [],
    timestamp,
  }))
  return buildBatch(updates, { codec })
}

function append(batch: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const appending = {
      appended: () => resolve(),
      refused: (_slot: number, refusal: Error) => reject(refusal),
    }
    tablet?.append(batch, 0, batch.length, -1, Infinity, appending, 0)
  })
}

/** Every key once, so that what is left is known, then updates of any. */
async function load(): Promise<void> {
  const first = Array.from({ length: keys }, (_, n) => n)
  for (let at = 0; at < keys; at += perBatch) {
    const timestamp = Date.now()
    const updates = first
      .slice(at, at + perBatch)
      .map(n => ({ key: keyOf(n), value, headers: [], timestamp }))
    await append(buildBatch(updates, { codec }))
  }
  const inFlight = 50
  for (let written = keys; written < records;) {
    const appends: Promise<void>[] = []
    for (let i = 0; i < inFlight && written < records; i++, written += perBatch)
      appends.push(append(batchOf(perBatch)))
    await Promise.all(appends)
  }
}

const paced = Array.from({ length: 50 }, () => batchOf(pacedRecords))

/** What the paced producer feels until `over`: how long an acks=all append takes, and how late the event loop is. */
async function feel(over: Promise<unknown>) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const tookMs: number[] = []
  const { promise: stopped, resolve } = Promise.withResolvers<void>()
  const waiting = new Set<Promise<void>>()
  let n = 0
  const timer = setInterval(() => {
    const batch = Buffer.from(paced[n++ % paced.length] ?? Buffer.alloc(0))
    const begunMs = performance.now()
    const timed = async (): Promise<void> => {
      await append(batch)
      tookMs.push(performance.now() - begunMs)
    }
    const done = timed()
    waiting.add(done)
    void done.finally(() => waiting.delete(done))
  }, pacedEveryMs)
  let peak = 0
  const memory = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20)
  void over.then(() => resolve())
  await stopped
  clearInterval(timer)
  clearInterval(memory)
  await Promise.all(waiting)
  delay.disable()
  tookMs.sort((a, b) => a - b)
  const at = (share: number): string =>
    (tookMs[Math.min(tookMs.length - 1, Math.floor(share * tookMs.length))] ?? 0).toFixed(1)
  return {
    appends: tookMs.length,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
    loopP99: (delay.percentile(99) / 1e6 - 1).toFixed(1),
    loopMax: (delay.max / 1e6 - 1).toFixed(1),
    peakMiB: Math.round(peak / MIB),
  }
}

async function countRecords(of: Tablet): Promise<number> {
  let count = 0
  let next = of.logStart as number
  while (next < of.highWatermark) {
    const batches = await of.read(offset(next), 1024 * KIB, true)
    for (const piece of batches.pieces) {
      for (let at = 0; at < piece.length; at += batchBytesOf(piece, at)) {
        count += countOf(piece, at)
        next = lastOffsetOf(piece, at) + 1
      }
    }
    batches.release()
  }
  return count
}

const seconds = (fromMs: number): string => ((performance.now() - fromMs) / 1000).toFixed(1)
const say = (what: string, felt: Awaited<ReturnType<typeof feel>>): void =>
  console.log(
    `${what.padEnd(22)} ${felt.appends} appends: p50 ${felt.p50} p99 ${felt.p99} max ${felt.max} ms; loop delay p99 ${felt.loopP99} max ${felt.loopMax} ms; peak ${felt.peakMiB} MiB`,
  )

try {
  let begun = performance.now()
  await load()
  await tablet.checkpoint()
  const before = await countRecords(tablet)
  console.log(
    `${before} records of ${keys} keys, ${Math.round(tablet.sizeBytes / MIB)} MiB in ${tablet.segmentCount} segments, written in ${seconds(begun)} s; codec ${codec}`,
  )
  await world.disk.syncDirectory(data)
  say('without compaction', await feel(new Promise(resolve => setTimeout(resolve, 5000))))
  const compactions = new Compactions({
    world,
    log,
    cleaner: options.inline ? new LocalCleaner(world) : cleanerOnThread(),
    tablets,
    limits: { mapBytesMax: 128 * MIB, bytesPerSecond: Number(options['bytes-per-second']) },
    backoffMs: 15_000,
  })
  begun = performance.now()
  const felt = await feel(compactions.round())
  const took = seconds(begun)
  say(options.inline ? 'compacting inline' : 'compacting on a thread', felt)
  // What the paced producer wrote meanwhile, and the segment that was active.
  await new Promise(resolve => setTimeout(resolve, 1100))
  await compactions.round()
  await tablet.checkpoint()
  await compactions.round()
  const after = await countRecords(tablet)
  console.log(
    `${after} records are left, ${Math.round(tablet.sizeBytes / MIB)} MiB in ${tablet.segmentCount} segments; the first passes took ${took} s; read ${Math.round((tablet.compaction?.counters.bytesRead ?? 0) / MIB)} MiB, wrote ${Math.round((tablet.compaction?.counters.bytesWritten ?? 0) / MIB)} MiB`,
  )
} finally {
  rmSync(data, { recursive: true })
}
