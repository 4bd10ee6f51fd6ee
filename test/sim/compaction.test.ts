/** Compaction on the simulated world: nothing newest is lost and nothing deleted comes back, wherever and however it is cut off. */
import { LocalCleaner, type Cleaner } from '../../broker/log/compaction/cleaner.ts'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readFile } from '../../base/files.ts'
import { offset } from '../../base/quantities.ts'
import { buildBatch } from '../../protocol/kafka/records.ts'
import { append, startSimBroker } from './broker.ts'
import { CompactedTopic, deleteRetentionMs, newest, viewOf } from './compacted.ts'
import type { CrashKind } from './disk.ts'

async function started(...args: ConstructorParameters<typeof CompactedTopic>): Promise<CompactedTopic> {
  const topic = new CompactedTopic(...args)
  await topic.start()
  return topic
}

async function sendMany(topic: CompactedTopic, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await topic.send()
}

/** Below this offset everything was compacted. */
function cleanedOf(topic: CompactedTopic): number {
  const content = readFile(topic.sim.world.disk, `${topic.directory}/compaction.json`)
  return content === undefined ? 0 : (JSON.parse(content.toString()) as { cleaned: number }).cleaned
}

async function expectCompacted(topic: CompactedTopic): Promise<void> {
  const cleaned = cleanedOf(topic)
  const known = newest(new Map([...topic.written].filter(([at]) => at < cleaned)))
  const seen = await topic.check()
  for (const [at, { key }] of seen) if (at < cleaned) expect(at).toBe(known.get(key))
  expect(topic.leftovers()).toEqual([])
}

describe('a compacted topic', { timeout: 60_000 }, () => {
  test('keeps the newest record of every key', async () => {
    const topic = await started(1, 5)
    await sendMany(topic, 100)
    const { sizeBytes, segmentCount, logStart } = topic.tablet
    await topic.compact()
    expect(cleanedOf(topic)).toBeGreaterThan(topic.acknowledged * 0.9)
    await expectCompacted(topic)
    expect(topic.tablet.sizeBytes).toBeLessThan(sizeBytes / 3)
    expect(topic.tablet.segmentCount).toBeLessThan(segmentCount / 3)
    expect(topic.tablet.logStart).toBe(logStart)
    expect(topic.tablet.keeping?.compaction?.dirtyRatio).toBe(0)
  })

  test('is read from every offset as from its start', async () => {
    const topic = await started(2, 4)
    await sendMany(topic, 60)
    await topic.compact()
    await sendMany(topic, 5)
    const all = [...(await topic.check())]
    for (let from = 0; from < topic.acknowledged; from++) {
      const seen = await topic.sim.clock.finish(topic.readFrom(from))
      expect([...seen]).toEqual(all.filter(([at]) => at >= from))
    }
  })

  test('finds records by their time', async () => {
    const topic = await started(3, 4)
    for (let i = 0; i < 60; i++) {
      await topic.send()
      await topic.sim.clock.runFor(topic.sim.random.below(300))
    }
    await topic.compact()
    const seen = await topic.check()
    const times = [...topic.written.values()].map(({ timestamp }) => timestamp)
    for (const time of new Set([0, ...times, Math.max(...times) + 1])) {
      const found = await topic.sim.clock.finish(topic.tablet.offsetForTimestamp(time))
      expect(found?.offset).toBe([...seen].find(([, { timestamp }]) => timestamp >= time)?.[0])
    }
    const last = await topic.sim.clock.finish(topic.tablet.maxTimestamp())
    expect(last?.timestampMs).toBe(Math.max(...times))
    expect(topic.tablet.endOfEpoch(topic.tablet.epoch).endOffset).toBe(topic.acknowledged)
  })

  test('lets tombstones go when they have had their time, and what they deleted does not come back', async () => {
    const topic = await started(4, 6)
    await sendMany(topic, 80)
    await topic.compact()
    const waiting = [...(await topic.check())].filter(([, { value }]) => value === null).length
    expect(waiting).toBeGreaterThan(0)
    await topic.sim.clock.runFor(deleteRetentionMs - 5000)
    await topic.compact()
    const still = [...(await topic.check())].filter(([, { value }]) => value === null).length
    expect(still).toBe(waiting)
    await topic.sim.clock.runFor(6000)
    await topic.compact()
    const cleaned = cleanedOf(topic)
    const left = [...(await topic.check())].filter(([at, { value }]) => value === null && at < cleaned)
    expect(left).toEqual([])
    expect(topic.tablet.keeping?.compaction?.counters.tombstonesRemoved).toBeGreaterThan(0)
    await expectCompacted(topic)
  })

  test('with more keys than fit into the map is compacted in several passes', async () => {
    const topic = new CompactedTopic(5, 60)
    topic.limits = { mapBytesMax: 36 * 24, bytesPerSecond: Infinity, timeShare: 1 }
    await topic.start()
    await sendMany(topic, 80)
    await topic.compact()
    expect(topic.tablet.keeping?.compaction?.counters.passes).toBeGreaterThan(3)
    await expectCompacted(topic)
  })

  test('takes more of the time when more is written than it compacts', async () => {
    const topic = await started(12, 6)
    const shares: number[] = []
    const cleaner = new LocalCleaner(topic.sim.world)
    const seen: Cleaner = {
      begin: pass => {
        shares.push(pass.timeShare)
        return cleaner.begin(pass)
      },
      clean: spans => cleaner.clean(spans),
      end: () => cleaner.end(),
    }
    for (const batches of [40, 100, 250, 60]) {
      await sendMany(topic, batches)
      await topic.sim.clock.finish(topic.tablet.checkpoint())
      await topic.sim.clock.finish(
        topic.tablet.keeping?.compact(seen, topic.limits) ?? Promise.resolve(false),
      )
    }
    expect(shares).toEqual([0.25, 0.5, 1, 0.5])
    await topic.check()
  })

  test('is not compacted again after a restart', async () => {
    const topic = await started(6, 5)
    await sendMany(topic, 80)
    await topic.compact()
    const cleaned = cleanedOf(topic)
    expect(await topic.sim.clock.finish(topic.broker.stop())).toBe(true)
    topic.sim.kill()
    await topic.start()
    await topic.sim.clock.finish(topic.compactions.round())
    expect(topic.tablet.keeping?.compaction?.counters).toMatchObject({ passes: 0, bytesRead: 0 })
    expect(cleanedOf(topic)).toBe(cleaned)
    await sendMany(topic, 20)
    await topic.compact()
    await expectCompacted(topic)
  })

  test('goes by age too, when its policy is both', async () => {
    const topic = await started(7, 5, { 'cleanup.policy': 'compact,delete', 'retention.ms': '100000' })
    await sendMany(topic, 60)
    await topic.compact()
    await topic.sim.clock.runFor(90_000)
    await sendMany(topic, 20)
    await topic.sim.clock.runFor(20_000)
    await topic.sim.clock.finish(topic.tablet.checkpoint())
    const round = topic.compactions.round()
    await topic.sim.clock.finish(topic.tablet.applyRetention(1e9))
    await topic.sim.clock.finish(round)
    const { logStart } = topic.tablet
    expect(logStart).toBeGreaterThan(0)
    await topic.sim.clock.finish(topic.tablet.applyRetention(1e9))
    expect(topic.tablet.logStart).toBe(logStart)
    const seen = await topic.sim.clock.finish(topic.readFrom(logStart))
    for (const [at, record] of seen) expect(record).toEqual(topic.written.get(at))
    const behind = new Map([...topic.written].filter(([at]) => at >= logStart))
    expect(viewOf(seen)).toEqual(viewOf(behind))
  })

  test('waits for records to be old enough, and not longer than they may wait', async () => {
    const lags = {
      'min.compaction.lag.ms': '20000',
      'max.compaction.lag.ms': '50000',
      'min.cleanable.dirty.ratio': '1',
    }
    const topic = await started(8, 5, lags)
    await sendMany(topic, 60)
    await topic.sim.clock.runFor(19_000)
    await topic.compact()
    await topic.sim.clock.runFor(30_000)
    await topic.compact()
    expect(topic.tablet.keeping?.compaction?.counters.passes).toBe(0)
    await topic.sim.clock.runFor(2000)
    // The active segment ends first, and has to reach the disk.
    await topic.compact()
    await topic.compact()
    expect(cleanedOf(topic)).toBe(topic.acknowledged)
    await expectCompacted(topic)
  })

  test('with a damaged segment is left alone, and says so', async () => {
    const topic = await started(9, 5)
    await sendMany(topic, 80)
    await topic.sim.clock.finish(topic.tablet.checkpoint())
    const [, second] = topic.sim.world.disk.list(topic.directory).filter(name => name.endsWith('.log'))
    const path = `${topic.directory}/${second}`
    const before = readFile(topic.sim.world.disk, path)
    topic.sim.disk.flipBits(path, 100, 20)
    const damaged = readFile(topic.sim.world.disk, path)
    expect(damaged).not.toEqual(before)
    await topic.compact()
    await topic.compact()
    expect(topic.tablet.keeping?.compaction?.isStuck).toBe(true)
    expect(topic.tablet.keeping?.compaction?.counters.passes).toBe(0)
    expect(readFile(topic.sim.world.disk, path)).toEqual(damaged)
    expect(topic.leftovers()).toEqual([])
    const start = Number(second?.slice(0, 20))
    await topic.sim.clock.finish(topic.tablet.deleteRecordsBefore(topic.tablet.highWatermark))
    expect(start).toBeLessThan(topic.tablet.logStart)
    await sendMany(topic, 20)
    await topic.compact()
    expect(topic.tablet.keeping?.compaction?.isStuck).toBe(false)
  })

  /** Five keys that nobody has seen before, the first one a tombstone: their times are written longer once it has a delete horizon. */
  const growing = (topic: CompactedTopic, n: number): Promise<unknown> => {
    const { clock } = topic.sim
    const records = Array.from({ length: 5 }, (_, i) => ({
      key: Buffer.from(`k${n}-${i}`),
      value: i === 0 ? null : Buffer.from('v'),
      headers: [],
      timestamp: clock.nowMs() + i,
    }))
    return clock.finish(append(topic.tablet, buildBatch(records), -1))
  }

  test('that grows is recovered from where its recovery point was, when its segment was sealed by age', async () => {
    const topic = await started(1, 5, { 'segment.bytes': '100000', 'max.compaction.lag.ms': '50000' })
    const { clock } = topic.sim
    for (let n = 0; n < 20; n++) await growing(topic, n)
    await clock.finish(topic.tablet.checkpoint())
    const { highWatermark: end, sizeBytes } = topic.tablet
    await clock.runFor(51_000)
    await clock.finish(topic.compactions.round())
    await clock.finish(topic.compactions.round())
    expect(topic.tablet.keeping?.compaction?.counters.passes).toBeGreaterThan(0)
    expect(topic.tablet.sizeBytes).toBeGreaterThan(sizeBytes)
    topic.sim.kill()
    await topic.start(false)
    expect(topic.tablet.highWatermark).toBe(end)
    expect((await clock.finish(topic.readFrom(0))).size).toBe(end)
  })

  test('that grows is not touched where the recovery point stands', async () => {
    const topic = await started(1, 5, { 'segment.bytes': '100000', 'segment.ms': '20000' })
    const { clock } = topic.sim
    for (let n = 0; n < 20; n++) await growing(topic, n)
    await clock.finish(topic.tablet.checkpoint())
    await clock.runFor(51_000)
    for (let n = 20; n < 30; n++) await growing(topic, n)
    await clock.finish(topic.compactions.round())
    const end = topic.tablet.highWatermark
    topic.sim.kill()
    await topic.start(false)
    expect(topic.tablet.highWatermark).toBe(end)
    expect((await clock.finish(topic.readFrom(0))).size).toBe(end)
    await clock.finish(topic.tablet.checkpoint())
    await clock.finish(topic.compactions.round())
    expect(topic.tablet.keeping?.compaction?.counters.passes).toBeGreaterThan(0)
  })

  test('keeps times as they are when tombstones stay for ever', async () => {
    const topic = await started(1, 5, {
      'delete.retention.ms': '9223372036854775807',
      'segment.bytes': '1000',
    })
    const { clock } = topic.sim
    for (let n = 0; n < 30; n++) {
      await growing(topic, n)
      await clock.runFor(7)
    }
    const before = await clock.finish(topic.readFrom(0))
    await topic.compact()
    expect(topic.tablet.keeping?.compaction?.counters.passes).toBeGreaterThan(0)
    expect(await clock.finish(topic.readFrom(0))).toEqual(before)
    expect(cleanedOf(topic)).toBeGreaterThan(0)
  })

  test('goes on telling of offsets that the disk has lost', async () => {
    const topic = await started(13, 5)
    await sendMany(topic, 40)
    await topic.sim.clock.finish(topic.tablet.checkpoint())
    const end = topic.tablet.highWatermark
    topic.sim.kill()
    const { disk } = topic.sim.world
    const last = disk.list(topic.directory).findLast(name => name.endsWith('.log'))
    const file = disk.open(`${topic.directory}/${last}`, 'write')
    file.truncate(file.sizeBytes() - 10)
    file.close()
    await topic.start()
    await sendMany(topic, 30)
    const read = (at: number): Promise<unknown> =>
      topic.sim.clock.finish(Promise.resolve(topic.tablet.read(offset(at), 1000, true)))
    const expectTold = async (): Promise<void> => {
      await expect(read(end - 1)).rejects.toMatchObject({ code: 'CORRUPT_MESSAGE' })
      await read(end)
    }
    await expectTold()
    await topic.compact()
    // Behind what is lost may be records that others were taken away for: nothing is compacted.
    expect(topic.tablet.keeping?.compaction?.isStuck).toBe(true)
    await expectTold()
  })

  test('survives the loss of the recovery point, of snapshots and of indexes', async () => {
    for (const lost of [
      /recovery-point/,
      /\.snapshot$/,
      /\.(time)?index$/,
      /compaction\.json$/,
      /leader-epochs/,
    ]) {
      const topic = await started(10, 5)
      await sendMany(topic, 60)
      await topic.compact()
      await sendMany(topic, 10)
      topic.sim.kill()
      const { disk } = topic.sim.world
      for (const path of ['/data', topic.directory]) {
        for (const name of disk.list(path))
          if (lost.test(name)) await topic.sim.clock.finish(disk.remove(`${path}/${name}`))
      }
      await topic.start()
      await topic.check()
      // The producer goes on where it was: its last sequence number is still known.
      await sendMany(topic, 10)
      await topic.compact()
      await expectCompacted(topic)
    }
  })
})

describe('a disk that fails under compaction', { timeout: 60_000 }, () => {
  const failures = [
    ['write', 'ENOSPC', /\.cleaned$/],
    ['sync', 'EIO', /\.cleaned$/],
    ['read', 'EIO', /\.log$/],
    ['rename', 'EIO', /\.cleaned$/],
    ['rename', 'EIO', /\.log$/],
    ['rename', 'EIO', /\.swap$/],
    ['syncDirectory', 'EIO', /tablets/],
  ] as const
  test('what retention takes away is gone though a swap went wrong, and its files are after the next start', async () => {
    const topic = await started(11, 5, { 'cleanup.policy': 'compact,delete' })
    const { clock } = topic.sim
    await sendMany(topic, 60)
    await clock.finish(topic.tablet.checkpoint())
    topic.sim.disk.failNext('syncDirectory', 'EIO', /tablets/)
    await clock.finish(topic.compactions.round())
    topic.sim.disk.heal()
    expect(topic.tablet.keeping?.compaction?.isStuck).toBe(true)
    const { highWatermark } = topic.tablet
    await clock.finish(topic.tablet.deleteRecordsBefore(highWatermark))
    expect(topic.tablet.segmentCount).toBe(1)
    await sendMany(topic, 3)
    await clock.runFor(5000)
    topic.sim.kill()
    await topic.start()
    expect(topic.tablet.logStart).toBe(highWatermark)
    expect(topic.tablet.segmentCount).toBeLessThan(3)
    const logs = topic.sim.world.disk.list(topic.directory).filter(name => name.endsWith('.log'))
    expect(logs).toHaveLength(topic.tablet.segmentCount)
  })

  test.each(failures)('%s %s %s', async (call, code, path) => {
    const topic = await started(11, 5)
    await sendMany(topic, 60)
    await topic.sim.clock.finish(topic.tablet.checkpoint())
    topic.sim.disk.failNext(call, code, path)
    await topic.sim.clock.finish(topic.compactions.round())
    topic.sim.disk.heal()
    await topic.check()
    await sendMany(topic, 10)
    await topic.check()
    topic.sim.crash('tear')
    await topic.start()
    await topic.check()
    await topic.compact()
    await expectCompacted(topic)
  })
})

const changing = /^(write|truncate|sync|rename|remove|syncDirectory|open|fsync) /
/** Those that change names of a tablet's files. */
const naming = /^(rename|remove|syncDirectory) .*tablets\/./
const kinds: readonly (CrashKind | 'kill')[] = ['kill', 'lose', 'keep', 'tear']

/** Ends the process at the `n`th of these calls, counted from 0; answers how many there were, or undefined when it came to that. */
async function crashAt(
  topic: CompactedTopic,
  calls: RegExp,
  n: number,
  how: CrashKind | 'kill',
  work: () => Promise<unknown>,
): Promise<number | undefined> {
  let made = 0
  let crashed = false
  topic.sim.disk.onCall = (call, path) => {
    if (!calls.test(`${call} ${path}`) || crashed) return
    if (made++ < n) return
    crashed = true
    if (how === 'kill') topic.sim.kill()
    else topic.sim.crash(how)
  }
  let ended = false
  void work()
    .finally(() => (ended = true))
    .catch(() => undefined)
  await topic.sim.clock.runUntil(() => ended || crashed)
  topic.sim.disk.onCall = undefined
  return crashed ? undefined : made
}

/** A topic of a few segments that have to be compacted, with tombstones that will have had their time. */
async function due(seed: number): Promise<CompactedTopic> {
  const topic = await started(seed, 4, { 'segment.bytes': '1000' })
  await sendMany(topic, 24)
  await topic.sim.clock.finish(topic.tablet.checkpoint())
  await topic.sim.clock.runFor(deleteRetentionMs - 10)
  return topic
}

async function expectWhole(topic: CompactedTopic): Promise<void> {
  await topic.start()
  await topic.check()
  expect(topic.leftovers()).toEqual([])
  await topic.compact()
  await expectCompacted(topic)
}

describe('a crash', { timeout: 300_000 }, () => {
  test.each(kinds)('at any call of a compaction loses nothing: %s', async how => {
    for (let n = 0; ; n++) {
      const topic = await due(12)
      const calls = await crashAt(topic, changing, n, how, () => topic.compactions.round())
      if (calls === undefined) await expectWhole(topic)
      else return expect(n).toBeGreaterThan(30)
    }
  })

  test(
    'among the changes of names leaves the old segments or the new one',
    { timeout: 300_000 },
    async () => {
      for (let seed = 0; seed < 12; seed++) {
        for (let n = 0; ; n++) {
          const topic = await due(seed)
          const calls = await crashAt(topic, naming, n, 'tear', () => topic.compactions.round())
          if (calls !== undefined) break
          await expectWhole(topic)
        }
      }
    },
  )

  test('may be followed by another while the start puts things right', async () => {
    for (let seed = 0; seed < 120; seed++) {
      const topic = await due(seed)
      const { random } = topic.sim
      const kind = () => random.pick<CrashKind | 'kill'>(['kill', 'tear'])
      // Behind the rename that decides, which is the call after those for leftovers; half of them before it is durable.
      const first = random.pick([4, 4 + random.below(10)])
      await crashAt(topic, naming, first, kind(), () => topic.compactions.round())
      topic.sim.kill()
      await crashAt(topic, naming, random.below(16), kind(), () => startSimBroker(topic.sim))
      topic.sim.kill()
      await expectWhole(topic)
    }
  })
})

const count = fc.integer({ min: 1, max: 15 })
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant('send' as const), count }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('compact' as const) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('all at once' as const), count }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('wait' as const), ms: fc.nat(1.5 * deleteRetentionMs) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('restart' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant('crash' as const),
      how: fc.constantFrom(...kinds),
      call: fc.nat(150),
      count,
    }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

async function play(topic: CompactedTopic, step: Step): Promise<void> {
  const { clock } = topic.sim
  switch (step.what) {
    case 'send':
      return sendMany(topic, step.count)
    case 'compact':
      await topic.compact()
      await expectCompacted(topic)
      return
    case 'wait':
      return clock.runFor(step.ms)
    case 'restart':
      expect(await clock.finish(topic.broker.stop())).toBe(true)
      topic.sim.kill()
      return topic.start()
    case 'all at once':
      await clock.finish(topic.tablet.checkpoint())
      await clock.finish(atOnce(topic, step.count))
      return
    case 'crash': {
      const calls = await crashAt(topic, changing, step.call, step.how, async () => {
        await topic.tablet.checkpoint()
        await Promise.all([topic.compactions.round(), sendOneByOne(topic, step.count)])
      })
      if (calls !== undefined) topic.sim.kill()
      return topic.start()
    }
  }
}

/** Compaction, appends and a reader from the start, side by side. */
async function atOnce(topic: CompactedTopic, count: number): Promise<void> {
  const [, , seen] = await Promise.all([
    topic.compactions.round(),
    sendOneByOne(topic, count),
    topic.readFrom(0),
  ])
  const end = Math.max(-1, ...seen.keys())
  expect(viewOf(seen)).toEqual(viewOf(new Map([...topic.written].filter(([at]) => at <= end))))
}

async function sendOneByOne(topic: CompactedTopic, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await topic.beginToSend()
}

const histories = Number(process.env['STELE_HISTORIES'] ?? 60)

test(`${histories} histories of a compacted topic lose nothing newest`, { timeout: 300_000 }, async () => {
  const history = fc.record({
    seed: fc.nat(),
    keys: fc.integer({ min: 1, max: 12 }),
    slots: fc.constantFrom(4, 20, 10_000),
    segmentBytes: fc.integer({ min: 700, max: 3000 }),
    /** Whether segments are sealed by age too. */
    aged: fc.boolean(),
    steps: fc.array(step, { minLength: 3, maxLength: 14 }),
  })
  await fc.assert(
    fc.asyncProperty(history, async ({ seed, keys, slots, segmentBytes, aged, steps }) => {
      const topic = new CompactedTopic(seed, keys, {
        'segment.bytes': String(segmentBytes),
        ...(aged && { 'segment.ms': '15000', 'max.compaction.lag.ms': '30000' }),
      })
      topic.limits = { mapBytesMax: slots * 36, bytesPerSecond: 200_000, timeShare: 0.25 }
      await topic.start()
      for (const step of steps) {
        await play(topic, step)
        await topic.check()
      }
      await topic.compact()
      await expectCompacted(topic)
    }),
    { numRuns: histories },
  )
})
