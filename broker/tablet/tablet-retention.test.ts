import { describe, expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { baseOffsetOf, batchBytesOf } from '../../protocol/kafka/record-batch.ts'
import { append, makeTopic, startSimBroker, tabletOf } from '../../test/sim/broker.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import { batchOf, bytesOf } from '../log/log.fixture.ts'
import type { Tablet } from './tablet.ts'

const dayMs = 86_400_000
const perSegment = 4

/** Four batches of one record to a segment. */
async function served(settings: Record<string, string> = {}, sim = simWorld({ seed: 13 })) {
  const broker = await sim.clock.finish(startSimBroker(sim))
  await sim.clock.finish(
    makeTopic(broker, 't', { 'segment.bytes': String(perSegment * 250 + 50), ...settings }),
  )
  return { sim, broker, tablet: tabletOf(broker, 't') }
}

const restarted = async (sim: SimWorld): Promise<Tablet> =>
  tabletOf(await sim.clock.finish(startSimBroker(sim)), 't')

async function write(sim: SimWorld, tablet: Tablet, count: number, first?: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const producer = first === undefined ? {} : { producer: { id: 4, epoch: 0, baseSequence: first + i } }
    const batch = batchOf({ bytes: 250, timestamp: sim.clock.nowMs(), ...producer })
    expect(await sim.clock.finish(append(tablet, batch, -1))).toHaveProperty('baseOffset')
  }
}

const filesOf = (sim: SimWorld, { identity }: Tablet, end: RegExp): string[] =>
  sim.world.disk.list(identity.directory).filter(name => end.test(name))
const retain = (sim: SimWorld, tablet: Tablet) => sim.clock.finish(tablet.applyRetention(dayMs))

async function offsetsOf(sim: SimWorld, tablet: Tablet): Promise<number[]> {
  const found: number[] = []
  let next: number = tablet.logStart
  while (next < tablet.highWatermark) {
    const bytes = bytesOf(await sim.clock.finish(Promise.resolve(tablet.read(offset(next), 100_000, true))))
    for (let at = 0; at < bytes.length; at += batchBytesOf(bytes, at)) {
      next = baseOffsetOf(bytes, at) + 1
      found.push(next - 1)
    }
  }
  return found
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

describe('retention', () => {
  test('by time drops whole segments of old records, the active one too, and goes on behind them', async () => {
    const { sim, tablet } = await served({ 'retention.ms': String(2 * dayMs) })
    await write(sim, tablet, 6)
    await sim.clock.runFor(dayMs)
    await write(sim, tablet, 4)
    await sim.clock.runFor(1.5 * dayMs)
    await retain(sim, tablet)
    // The second segment has newer records too.
    expect(tablet.logStart).toBe(4)
    expect(await offsetsOf(sim, tablet)).toEqual(range(4, 10))
    await sim.clock.runFor(dayMs)
    await retain(sim, tablet)
    expect([tablet.logStart, tablet.logEnd, tablet.segmentCount, tablet.sizeBytes]).toEqual([10, 10, 1, 0])
    await write(sim, tablet, 3)
    expect(await offsetsOf(sim, tablet)).toEqual(range(10, 13))
    sim.crash('lose')
    const again = await restarted(sim)
    expect([again.logStart, await offsetsOf(sim, again)]).toEqual([10, range(10, 13)])
  })

  test('by size keeps at least that many bytes', async () => {
    const { sim, tablet } = await served({ 'retention.bytes': '2500', 'retention.ms': '-1' })
    await write(sim, tablet, 40)
    const before = tablet.sizeBytes
    await retain(sim, tablet)
    expect(tablet.sizeBytes).toBeGreaterThanOrEqual(2500)
    expect(tablet.sizeBytes).toBeLessThan(2500 + (perSegment + 1) * 250)
    expect(before).toBeGreaterThan(9000)
    expect(await offsetsOf(sim, tablet)).toEqual(range(tablet.logStart, 40))
    const { logStart } = tablet
    await retain(sim, tablet)
    expect(tablet.logStart).toBe(logStart)
  })

  test('by time holds after a restart: the ages are in the indexes', async () => {
    const { sim, tablet } = await served({ 'retention.ms': String(dayMs) })
    await write(sim, tablet, 8)
    await sim.clock.runFor(0.9 * dayMs)
    await write(sim, tablet, 4)
    await sim.clock.finish(tablet.checkpoint())
    sim.crash('lose')
    const again = await restarted(sim)
    await sim.clock.runFor(0.2 * dayMs)
    await retain(sim, again)
    expect(again.logStart).toBe(8)
  })

  test('in the middle of appends loses nothing that is not old', async () => {
    const { sim, tablet } = await served({ 'retention.ms': '1000' })
    const done: number[] = []
    for (let i = 0; i < 60; i++) {
      void append(tablet, batchOf({ bytes: 250, timestamp: sim.clock.nowMs() }), -1).then(
        answer => 'baseOffset' in answer && done.push(answer.baseOffset),
      )
      if (i % 3 === 0) void tablet.applyRetention(dayMs)
      await sim.clock.runFor(200)
    }
    expect(done).toEqual(range(0, 60))
    expect(await offsetsOf(sim, tablet)).toEqual(range(tablet.logStart, 60))
    // Those of the last second, and what shares their segment.
    expect(tablet.logStart).toBeLessThanOrEqual(55)
    expect(tablet.logStart).toBeGreaterThan(40)
  })

  test('forgets producers that were silent for so long', async () => {
    const { sim, tablet } = await served({ 'retention.ms': '-1' })
    await write(sim, tablet, 3, 0)
    await sim.clock.runFor(2 * dayMs)
    await retain(sim, tablet)
    const late = batchOf({ producer: { id: 4, epoch: 0, baseSequence: 77 } })
    expect(await sim.clock.finish(append(tablet, late, -1))).toEqual({ baseOffset: 3 })
  })
})

describe('DeleteRecords', () => {
  test('moves the log start to any offset, durably, and never back', async () => {
    for (const kind of ['lose', 'keep', 'tear'] as const) {
      const { sim, tablet } = await served()
      await write(sim, tablet, 20)
      expect(await sim.clock.finish(tablet.deleteRecordsBefore(offset(9)))).toBe(9)
      sim.crash(kind)
      const again = await restarted(sim)
      expect([again.logStart, await offsetsOf(sim, again)]).toEqual([9, range(9, 20)])
      expect(() => again.read(offset(8), 100, true)).toThrow(
        expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE' }),
      )
      expect(await sim.clock.finish(again.deleteRecordsBefore(offset(3)))).toBe(9)
      expect(await sim.clock.finish(again.deleteRecordsBefore(again.highWatermark))).toBe(20)
      sim.crash(kind)
      const last = await restarted(sim)
      expect([last.logStart, last.logEnd]).toEqual([20, 20])
      await write(sim, last, 1)
      expect(await offsetsOf(sim, last)).toEqual([20])
    }
  })

  test('outside of what is there is refused', async () => {
    const { sim, tablet } = await served()
    await write(sim, tablet, 5)
    for (const before of [-1, 6]) {
      const deleting = tablet.deleteRecordsBefore(offset(before))
      await expect(sim.clock.finish(deleting)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    }
    expect(tablet.logStart).toBe(0)
  })

  test('that cannot be made durable is refused, and moves nothing', async () => {
    const { sim, tablet } = await served()
    await write(sim, tablet, 10)
    await sim.clock.finish(tablet.checkpoint())
    sim.disk.failNext('write', 'ENOSPC', /recovery-point/)
    const deleting = tablet.deleteRecordsBefore(offset(8))
    await expect(sim.clock.finish(deleting)).rejects.toMatchObject({ code: 'KAFKA_STORAGE_ERROR' })
    expect([tablet.logStart, await offsetsOf(sim, tablet)]).toEqual([0, range(0, 10)])
    expect(filesOf(sim, tablet, /deleted$/)).toEqual([])
  })

  test('many at once end at the highest', async () => {
    const { sim, tablet } = await served()
    await write(sim, tablet, 20)
    const starts = [7, 12, 3, 19, 19, 0].map(before => tablet.deleteRecordsBefore(offset(before)))
    const answers = await sim.clock.finish(Promise.all(starts))
    for (const [i, before] of [7, 12, 3, 19, 19, 0].entries())
      expect(answers[i]).toBeGreaterThanOrEqual(before)
    expect(tablet.logStart).toBe(19)
  })

  test('keeps what is known of producers whose records are all gone', async () => {
    const { sim, tablet } = await served()
    await write(sim, tablet, 10, 0)
    await sim.clock.finish(tablet.deleteRecordsBefore(offset(10)))
    sim.crash('lose')
    const again = await restarted(sim)
    const repeated = batchOf({
      bytes: 250,
      timestamp: sim.clock.nowMs(),
      producer: { id: 4, epoch: 0, baseSequence: 9 },
    })
    expect(await sim.clock.finish(append(again, repeated, -1))).toEqual({ baseOffset: 9 })
    await write(sim, again, 1, 10)
    expect(await offsetsOf(sim, again)).toEqual([10])
  })
})

describe('dropped segments', () => {
  test('are renamed at once and removed after file.delete.delay.ms', async () => {
    const { sim, tablet } = await served({ 'file.delete.delay.ms': '5000' })
    await write(sim, tablet, 20)
    await sim.clock.finish(tablet.deleteRecordsBefore(offset(13)))
    expect(filesOf(sim, tablet, /\.log$/)[0]).toBe('00000000000000000012.log')
    expect(filesOf(sim, tablet, /\.log\.deleted$/)).toHaveLength(3)
    expect(filesOf(sim, tablet, /\.(?:time)?index\.deleted$/)).toHaveLength(6)
    await sim.clock.runFor(4000)
    expect(filesOf(sim, tablet, /deleted$/)).toHaveLength(9)
    await sim.clock.runFor(1100)
    expect(filesOf(sim, tablet, /deleted$/)).toEqual([])
    expect(await offsetsOf(sim, tablet)).toEqual(range(13, 20))
  })

  test('whose names come back after a power cut go at the next start', async () => {
    const { sim, tablet } = await served()
    await write(sim, tablet, 20)
    await sim.clock.finish(tablet.deleteRecordsBefore(offset(13)))
    sim.crash('lose')
    const again = await restarted(sim)
    expect(filesOf(sim, again, /\.log$|deleted$/)[0]).toBe('00000000000000000012.log')
    expect(await offsetsOf(sim, again)).toEqual(range(13, 20))
  })

  test('are read to the end by those who are just there', async () => {
    const { sim, tablet } = await served()
    await write(sim, tablet, 20)
    const reads = [0, 5, 9].map(from => Promise.resolve(tablet.read(offset(from), 100_000, true)))
    const deleting = tablet.deleteRecordsBefore(offset(20))
    const found = await sim.clock.finish(Promise.all(reads))
    expect(found.map(batches => baseOffsetOf(bytesOf(batches), 0))).toEqual([0, 5, 9])
    await sim.clock.finish(deleting)
  })
})

test('a producer is forgotten when it was silent for long, also over restarts, and not because a clock jumped', async () => {
  const { sim, tablet } = await served({ 'retention.ms': '-1' })
  const send = (to: Tablet, baseSequence: number) =>
    sim.clock.finish(append(to, batchOf({ producer: { id: 4, epoch: 0, baseSequence } }), -1))
  expect(await send(tablet, 0)).toEqual({ baseOffset: 0 })
  sim.clock.jump(40 * dayMs)
  await retain(sim, tablet)
  expect(await send(tablet, 0)).toEqual({ baseOffset: 0 })
  await sim.clock.runFor(dayMs / 2)
  await sim.clock.finish(tablet.checkpoint())
  sim.kill()
  const again = await restarted(sim)
  await retain(sim, again)
  expect(await send(again, 0)).toEqual({ baseOffset: 0 })
  await sim.clock.runFor(dayMs * 0.6)
  await retain(sim, again)
  expect(await send(again, 0)).toEqual({ baseOffset: 1 })
})
