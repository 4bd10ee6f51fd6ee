import { describe, expect, test } from 'vitest'
import { KIB, MIB, offset } from '../../base/quantities.ts'
import { baseOffsetOf, lastOffsetOf, maxTimestampOf } from '../../protocol/kafka/record-batch.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import {
  add,
  batchOf,
  countCalls,
  fileOf,
  oneSegment,
  openSim,
  readAll,
  smallSegments,
  syncAll,
  write,
} from './log.fixture.ts'
import { offsetEntries, timeEntries } from './sparse-index.ts'

const content = (sim: SimWorld, path: string): Buffer => {
  const { disk } = sim.world
  const bytes = Buffer.alloc(disk.stat(path)?.sizeBytes ?? 0)
  const file = disk.open(path, 'read')
  file.read(bytes, 0)
  file.close()
  return bytes
}

const logsOf = (sim: SimWorld): number[] =>
  sim.world.disk.list('/data/t-0.x').flatMap(name => (name.endsWith('.log') ? Number(name.slice(0, 20)) : []))

async function opened(settings = oneSegment, sim = simWorld({ seed: 1 })) {
  const { log } = await openSim(sim, { settings })
  return { sim, log }
}

describe('what is gathered', () => {
  test('goes to the file in one write, in order', async () => {
    const { sim, log } = await opened()
    const calls = countCalls(sim, /\.log$/)
    const batches = Array.from({ length: 500 }, (_, i) => batchOf({ count: 1 + (i % 3), bytes: 200 + i }))
    for (const batch of batches) add(log, batch)
    expect(log.end.offset).toBe(0)
    expect(log.nextOffset).toBe(999)
    expect(calls.get('write')).toBeUndefined()
    log.flush()
    expect(calls.get('write')).toBe(1)
    expect(log.end.offset).toBe(999)
    expect(content(sim, fileOf(0)).equals(Buffer.concat(batches))).toBe(true)
    log.flush()
    expect(calls.get('write')).toBe(1)
  })

  test('is a copy: the bytes handed in may change at once', async () => {
    const { sim, log } = await opened()
    const batch = batchOf({ value: 'mine' })
    add(log, batch)
    batch.fill(0)
    log.flush()
    expect(await readAll(sim, log)).toEqual(['0=mine#0'])
  })

  test('goes along with a large batch, which is written where it stands', async () => {
    const { sim, log } = await opened()
    const calls = countCalls(sim, /\.log$/)
    const [small, large, after] = [
      batchOf({ value: 'a' }),
      batchOf({ bytes: 200 * KIB, value: 'b' }),
      batchOf({ value: 'c' }),
    ]
    add(log, small)
    add(log, large)
    expect(calls.get('write')).toBe(1)
    expect(log.end.offset).toBe(2)
    add(log, after)
    log.flush()
    expect(calls.get('write')).toBe(2)
    expect(content(sim, fileOf(0)).equals(Buffer.concat([small, large, after]))).toBe(true)
    expect(await readAll(sim, log)).toEqual(['0=a#0', '1=b#0', '2=c#0'])
  })
})

describe('a segment is rolled', () => {
  test('by size: none grows beyond segment.bytes', async () => {
    const { sim, log } = await opened(smallSegments)
    for (let i = 0; i < 40; i++) write(log, batchOf({ bytes: 400 }))
    const bases = logsOf(sim)
    expect(bases.length).toBe(log.segmentCount)
    expect(bases.length).toBeGreaterThan(4)
    for (const base of bases) {
      const size = content(sim, fileOf(base)).length
      expect(size).toBeLessThanOrEqual(smallSegments.segmentBytes)
      expect(base === bases.at(-1) || size > smallSegments.segmentBytes - 450).toBe(true)
      expect(baseOffsetOf(content(sim, fileOf(base)), 0)).toBe(base)
    }
  })

  test('by age of its first batch, when the next one comes', async () => {
    const sim = simWorld({ seed: 1 })
    const { log } = await opened({ ...oneSegment, segmentMs: 1000 }, sim)
    write(log, batchOf())
    await sim.clock.runFor(900)
    write(log, batchOf())
    await sim.clock.runFor(100)
    write(log, batchOf())
    expect(logsOf(sim)).toEqual([0])
    await sim.clock.runFor(1)
    write(log, batchOf())
    expect(logsOf(sim)).toEqual([0, 3])
  })

  test('by age, also after a restart: its index says when it began', async () => {
    const sim = simWorld({ seed: 1 })
    const settings = { ...oneSegment, segmentMs: 100_000 }
    const { log } = await opened(settings, sim)
    write(log, batchOf({ timestamp: sim.clock.nowMs() }))
    const checkpoint = await syncAll(sim, log)
    await sim.clock.runFor(60_000)
    sim.kill()
    const { log: again } = await openSim(sim, { settings, checkpoint, clean: true })
    write(again, batchOf({ timestamp: sim.clock.nowMs() }))
    await sim.clock.runFor(50_000)
    write(again, batchOf({ timestamp: sim.clock.nowMs() }))
    expect(logsOf(sim)).toEqual([0, 2])
  })

  test.each([
    ['offsets', 8],
    ['times', 12],
  ])('when its index of %s is full', async (_, bytes) => {
    const entries = 5
    const { sim, log } = await opened({ ...oneSegment, segmentIndexBytes: entries * bytes })
    for (let i = 0; i < 100; i++) write(log, batchOf({ bytes: 400, timestamp: 1000 + i * 10 }))
    await sim.clock.finish(log.sync())
    const bases = logsOf(sim)
    expect(bases.length).toBeGreaterThan(5)
    for (const base of bases) {
      const kind = bytes === 8 ? 'index' : 'timeindex'
      // A sealed segment's time index gets one more: how new the segment is.
      expect(content(sim, fileOf(base, kind)).length).toBeLessThanOrEqual((entries + 1) * bytes)
    }
  })

  test('before an offset would not fit into 31 bits above its base', async () => {
    const { log } = await opened()
    write(log, batchOf())
    expect(log.mustRoll(100, 0x7fff_ffff)).toBe(false)
    expect(log.mustRoll(100, 0x7fff_ffff + 1)).toBe(true)
  })

  test('but never while it is empty', async () => {
    const { log } = await opened({ ...smallSegments, segmentBytes: 10 })
    expect(log.mustRoll(100 * MIB, 0xffff_ffff)).toBe(false)
  })
})

test('each index entry names the last offset of the batch it points to; times rise and name who reached them first', async () => {
  const { sim, log } = await opened()
  const timestamps = Array.from({ length: 60 }, (_, i) => 1000 + ((i * 37) % 60) * 10)
  for (const timestamp of timestamps) write(log, batchOf({ count: 2, bytes: 250, timestamp }))
  await syncAll(sim, log)
  const bytes = content(sim, fileOf(0))
  const index = content(sim, fileOf(0, 'index'))
  expect(index.length / 8).toBeGreaterThan(20)
  let before = 0
  for (let at = 0; at < index.length; at += 8) {
    const position = offsetEntries.value(index, at)
    expect(lastOffsetOf(bytes, position)).toBe(offsetEntries.key(index, at))
    expect(position - before).toBeGreaterThan(oneSegment.indexIntervalBytes)
    before = position
  }
  const times = content(sim, fileOf(0, 'timeindex'))
  for (let at = 0; at < times.length; at += 12) {
    const [ms, last] = [timeEntries.key(times, at), timeEntries.value(times, at)]
    const first = timestamps.findIndex(timestamp => timestamp + 1 >= ms)
    expect(last).toBe(first * 2 + 1)
  }
  expect(await sim.clock.finish(log.lookUps.maxTimestamp())).toEqual({
    ms: Math.max(...timestamps) + 1,
    offset: offset(first60(timestamps)),
  })
  expect(maxTimestampOf(bytes, 0)).toBe(1001)
})

const first60 = (timestamps: readonly number[]): number => timestamps.indexOf(Math.max(...timestamps)) * 2 + 1
