// Does compaction disturb appends, and what is left? Writes updates of a few keys to a real disk, compacts them while a paced producer goes on with
// acks=all, and prints what the producer felt, how long it took, and the memory. What else the machine has to do changes by the second: so compaction
// rests in every other quarter of a second, and appends of both kinds are compared; --whole lets it work all the time. Every round is a new topic.
// node bench/compaction.ts [--rounds=3] [--records=1000000] [--keys=10000] [--codec=none] [--segment-bytes=16777216] [--bytes-per-second=…] [--time-share=0.25] [--whole] [--inline]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { KIB, MIB, brokerId, offset } from '../base/quantities.ts'
import { cleanerOnThread } from '../broker/compaction-thread.ts'
import { Checkpoints } from '../broker/log/checkpoint.ts'
import {
  LocalCleaner,
  type Begun,
  type Cleaned,
  type Cleaner,
  type Damage,
} from '../broker/log/compaction/cleaner.ts'
import { ReadBuffers } from '../broker/log/read-buffers.ts'
import { SegmentCache } from '../broker/log/segment-cache.ts'
import { TailMemory } from '../broker/log/tail-memory.ts'
import { resolveTopic } from '../broker/settings/resolve.ts'
import { Compactions } from '../broker/tablet/compactions.ts'
import { GroupCommit } from '../broker/tablet/group-commit.ts'
import type { Tablet } from '../broker/tablet/tablet.ts'
import { Tablets } from '../broker/tablet/tablets.ts'
import { WorkerThread } from '../broker/world/worker.ts'
import { realWorld } from '../broker/world/world.ts'
import { openEmbeddedStore } from '../control/embedded/store.ts'
import { batchBytesOf, countOf, lastOffsetOf, type CodecName } from '../protocol/kafka/record-batch.ts'
import { buildBatch } from '../protocol/kafka/records.ts'
import { works as worksAt } from './windows.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    records: { type: 'string', default: '1000000' },
    keys: { type: 'string', default: '10000' },
    codec: { type: 'string', default: 'none' },
    'segment-bytes': { type: 'string', default: String(16 * MIB) },
    'bytes-per-second': { type: 'string', default: 'Infinity' },
    'time-share': { type: 'string', default: '0.25' },
    whole: { type: 'boolean', default: false },
    inline: { type: 'boolean', default: false },
  },
})
const records = Number(options.records)
const alternates = !options.whole && !options.inline
const keys = Number(options.keys)
const codec = options.codec as CodecName

const perBatch = 100
/** The paced producer: so often a batch of so many records. */
const pacedEveryMs = 5
const pacedRecords = 10
const calmMs = 3000

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
  'file.delete.delay.ms': '1000',
}

async function newTablet(name: string): Promise<Tablet> {
  await store.createTopics([{ name, settings, tablets: 1, replication: 1 }])
  await tablets.settled()
  const tablet = tablets.find(name, 0)
  if (tablet === undefined) throw new Error('the tablet is missing')
  return tablet
}

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

function append(to: Tablet, batch: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const appending = {
      appended: () => resolve(),
      refused: (_slot: number, refusal: Error) => reject(refusal),
    }
    to.append(batch, 0, batch.length, -1, Infinity, appending, 0)
  })
}

/** Every key once, so that what is left is known, then updates of any. */
async function load(tablet: Tablet): Promise<void> {
  const first = Array.from({ length: keys }, (_, n) => n)
  for (let at = 0; at < keys; at += perBatch) {
    const timestamp = Date.now()
    const updates = first
      .slice(at, at + perBatch)
      .map(n => ({ key: keyOf(n), value, headers: [], timestamp }))
    await append(tablet, buildBatch(updates, { codec }))
  }
  const inFlight = 50
  for (let written = keys; written < records;) {
    const appends: Promise<void>[] = []
    for (let i = 0; i < inFlight && written < records; i++, written += perBatch)
      appends.push(append(tablet, batchOf(perBatch)))
    await Promise.all(appends)
  }
}

/** What the paced producer feels until `over`: how long an acks=all append takes, and how late the event loop is. */
async function feel(tablet: Tablet, over: Promise<unknown>) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const tookMs = { resting: [] as number[], working: [] as number[], all: [] as number[] }
  const { promise: stopped, resolve } = Promise.withResolvers<void>()
  const waiting = new Set<Promise<void>>()
  const timer = setInterval(() => {
    const batch = batchOf(pacedRecords)
    const begunMs = performance.now()
    const works = worksAt(Date.now())
    const timed = async (): Promise<void> => {
      await append(tablet, batch)
      const ms = performance.now() - begunMs
      tookMs.all.push(ms)
      if (works !== undefined) tookMs[works ? 'working' : 'resting'].push(ms)
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
  return {
    ...tookMs,
    loopP99: delay.percentile(99) / 1e6 - 1,
    loopMax: delay.max / 1e6 - 1,
    peakMiB: Math.round(peak / MIB),
  }
}
type Felt = Awaited<ReturnType<typeof feel>>

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
const ms = (n: number): string => n.toFixed(1)
const at = (share: number, tookMs: readonly number[]): number =>
  tookMs.toSorted((a, b) => a - b)[Math.min(tookMs.length - 1, Math.floor(share * tookMs.length))] ?? 0
const shares = { p50: 0.5, p99: 0.99, max: 1 } as const
const figures = (tookMs: readonly number[]): string =>
  `${String(tookMs.length).padStart(5)} appends: p50 ${ms(at(0.5, tookMs))} p99 ${ms(at(0.99, tookMs))} max ${ms(at(1, tookMs))} ms`
const say = (what: string, { loopP99, loopMax, peakMiB, ...tookMs }: Felt): void =>
  console.log(
    `${what.padEnd(22)} ${figures(tookMs.all)}; loop delay p99 ${ms(loopP99)} max ${ms(loopMax)} ms; peak ${peakMiB} MiB`,
  )
const spread = (figures: readonly number[]): string => {
  const sorted = figures.toSorted((a, b) => a - b)
  return [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)]
    .map(figure => (figure ?? 0).toFixed(2))
    .join(' / ')
}

/** One topic: what its producer feels without compaction and with it. */
async function round(
  name: string,
): Promise<{ readonly without: readonly number[]; readonly with: readonly number[] }> {
  const tablet = await newTablet(name)
  let begun = performance.now()
  await load(tablet)
  await tablet.checkpoint()
  const before = await countRecords(tablet)
  console.log(
    `${before} records of ${keys} keys, ${Math.round(tablet.sizeBytes / MIB)} MiB in ${tablet.segmentCount} segments, written in ${seconds(begun)} s; codec ${codec}`,
  )
  const calm = await feel(tablet, new Promise(resolve => setTimeout(resolve, calmMs)))
  say('without compaction', calm)
  begun = performance.now()
  const busy = await feel(tablet, compactions.round())
  const took = seconds(begun)
  say(options.inline ? 'compacting inline' : 'compacting on a thread', busy)
  if (alternates) {
    console.log(`  while it rests       ${figures(busy.resting)}`)
    console.log(`  while it works       ${figures(busy.working)}`)
  }
  // What the paced producer wrote meanwhile, and the segment that was active.
  const { topicId } = tablet
  await store.alterTopicSettings(topicId, { set: { 'max.compaction.lag.ms': '1' }, unset: [] })
  await tablets.settled()
  await compactions.round()
  await tablet.checkpoint()
  await compactions.round()
  const after = await countRecords(tablet)
  console.log(
    `${after} records are left, ${Math.round(tablet.sizeBytes / MIB)} MiB in ${tablet.segmentCount} segments; the first passes took ${took} s; read ${Math.round((tablet.keeping?.compaction?.counters.bytesRead ?? 0) / MIB)} MiB, wrote ${Math.round((tablet.keeping?.compaction?.counters.bytesWritten ?? 0) / MIB)} MiB`,
  )
  await store.deleteTopic(name, topicId)
  await tablets.settled()
  return alternates ? { without: busy.resting, with: busy.working } : { without: calm.all, with: busy.all }
}

function cleanerInWindows(): Cleaner {
  const thread = new WorkerThread(new URL('./compaction-worker.ts', import.meta.url))
  return {
    begin: pass => thread.call('begin', pass) as Promise<Begun | Damage>,
    clean: spans => thread.call('clean', spans) as Promise<Cleaned | Damage>,
    end: () => thread.end(),
  }
}

const compactions = new Compactions({
  world,
  log,
  cleaner: options.inline ? new LocalCleaner(world) : options.whole ? cleanerOnThread() : cleanerInWindows(),
  tablets,
  limits: {
    mapBytesMax: 128 * MIB,
    bytesPerSecond: Number(options['bytes-per-second']),
    timeShare: Number(options['time-share']),
  },
  backoffMs: 15_000,
})
try {
  const rounds: Awaited<ReturnType<typeof round>>[] = []
  for (let i = 0; i < Number(options.rounds); i++) rounds.push(await round(`updates-${i}`))
  for (const [name, share] of Object.entries(shares)) {
    const pairs = rounds.map(felt => ({ without: at(share, felt.without), with: at(share, felt.with) }))
    const [without, busy] = [spread(pairs.map(pair => pair.without)), spread(pairs.map(pair => pair.with))]
    const ratio = spread(pairs.map(pair => pair.with / pair.without))
    console.log(
      `${name} in ms, min / median / max of ${rounds.length}: without ${without}; with ${busy}; with : without ${ratio}`,
    )
  }
} finally {
  rmSync(data, { recursive: true })
}
