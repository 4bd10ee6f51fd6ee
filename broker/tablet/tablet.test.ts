import { describe, expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { append, makeTopic, startSimBroker, tabletOf, type Appended } from '../../test/sim/broker.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import { batchOf, bytesOf, countCalls } from '../log/log.fixture.ts'
import { readRecords } from '../../protocol/kafka/records.ts'
import { baseOffsetOf, batchBytesOf, leaderEpochOf } from '../../protocol/kafka/record-batch.ts'
import type { Tablet } from './tablet.ts'

async function served(topicSettings: Record<string, string> = {}, sim = simWorld({ seed: 11 })) {
  const broker = await sim.clock.finish(startSimBroker(sim))
  await sim.clock.finish(makeTopic(broker, 't', topicSettings))
  return { sim, broker, tablet: tabletOf(broker, 't') }
}

async function restarted(sim: SimWorld) {
  const broker = await sim.clock.finish(startSimBroker(sim))
  return { broker, tablet: tabletOf(broker, 't') }
}

/** An append whose answer can be looked at while time stands still. */
function watched(tablet: Tablet, acks: 0 | 1 | -1, batch = batchOf(), deadlineMs = Infinity) {
  const watch: { answer: Appended | undefined } = { answer: undefined }
  void append(tablet, batch, acks, deadlineMs).then(answer => (watch.answer = answer))
  return watch
}

const valuesOf = (bytes: Buffer): string[] => {
  const values: string[] = []
  for (let at = 0; at < bytes.length; at += batchBytesOf(bytes, at))
    for (const record of readRecords(bytes, at, 10_000)) values.push(String(record.value))
  return values
}

/** Everything below the high watermark; a read ends with its segment. */
async function readNow(sim: SimWorld, tablet: Tablet, from: number): Promise<string[]> {
  const values: string[] = []
  while (from + values.length < tablet.highWatermark) {
    const reading = Promise.resolve(tablet.read(offset(from + values.length), 100_000, true))
    values.push(...valuesOf(bytesOf(await sim.clock.finish(reading))))
  }
  return values
}

describe('acks=all is answered', () => {
  test('only when a sync has covered it, and then it survives every power cut', async () => {
    const { sim, tablet } = await served()
    const syncs = countCalls(sim, /\.log$/)
    const watch = watched(tablet, -1, batchOf({ value: 'kept' }))
    await sim.clock.settle()
    expect([watch.answer, tablet.logEnd, tablet.highWatermark]).toEqual([undefined, 1, 0])
    expect(syncs.get('sync')).toBe(1)
    await sim.clock.runUntil(() => watch.answer !== undefined)
    expect(watch.answer).toEqual({ baseOffset: 0 })
    expect(syncs.get('sync')).toBe(1)
    sim.disk.onCall = undefined
    sim.crash('lose')
    const again = await restarted(sim)
    expect(await readNow(sim, again.tablet, 0)).toEqual(['kept#0'])
  })

  test('together: a thousand that come during a sync share the next one', async () => {
    const { sim, tablet } = await served()
    const syncs = countCalls(sim, /\.log$/)
    const first = watched(tablet, -1)
    await sim.clock.settle()
    const rest = Array.from({ length: 1000 }, () => watched(tablet, -1))
    await sim.clock.settle()
    expect(rest.every(({ answer }) => answer === undefined)).toBe(true)
    await sim.clock.runUntil(() => first.answer !== undefined)
    expect(rest.some(({ answer }) => answer !== undefined)).toBe(false)
    await sim.clock.runUntil(() => rest.every(({ answer }) => answer !== undefined))
    expect(rest.map(({ answer }) => answer)).toEqual(rest.map((_, i) => ({ baseOffset: i + 1 })))
    expect([syncs.get('sync'), syncs.get('write')]).toEqual([2, 2])
  })

  test('without any sync when the topic leaves it to the operating system, and outlives a killed process', async () => {
    const { sim, tablet } = await served({ 'stele.flush': 'os' })
    const syncs = countCalls(sim, /\.log$/)
    const watch = watched(tablet, -1, batchOf({ value: 'kept' }))
    await sim.clock.settle()
    expect(watch.answer).toEqual({ baseOffset: 0 })
    await sim.clock.runFor(10_000)
    expect(syncs.get('sync')).toBeUndefined()
    sim.disk.onCall = undefined
    sim.kill()
    const again = await restarted(sim)
    expect(await readNow(sim, again.tablet, 0)).toEqual(['kept#0'])
  })

  test('too late: it is refused at its deadline, and the write may still be there', async () => {
    const { sim, tablet } = await served()
    sim.disk.syncMs = { min: 5000, max: 5000 }
    const watch = watched(tablet, -1, batchOf({ value: 'late' }), sim.clock.monotonicMs() + 1000)
    await sim.clock.runFor(1300)
    expect(watch.answer).toMatchObject({ refusal: { code: 'REQUEST_TIMED_OUT' } })
    await sim.clock.runFor(5000)
    expect(await readNow(sim, tablet, 0)).toEqual(['late#0'])
  })
})

test.each([0, 1] as const)('acks=%d is answered at the end of the turn, before any sync', async acks => {
  const { sim, tablet } = await served()
  sim.disk.syncMs = { min: 1000, max: 1000 }
  const watch = watched(tablet, acks)
  expect(watch.answer).toBeUndefined()
  await sim.clock.settle()
  expect(watch.answer).toEqual({ baseOffset: 0 })
  expect(tablet.highWatermark).toBe(0)
})

test('appends of one turn, from all sides, go to the file in one write and are answered in order', async () => {
  const { sim, tablet } = await served()
  const calls = countCalls(sim, /\.log$/)
  const watches = Array.from({ length: 50 }, (_, i) =>
    watched(tablet, i % 2 === 0 ? 1 : -1, batchOf({ count: 2 })),
  )
  expect(calls.get('write')).toBeUndefined()
  await sim.clock.runFor(100)
  expect(calls.get('write')).toBe(1)
  expect(watches.map(({ answer }) => answer)).toEqual(watches.map((_, i) => ({ baseOffset: 2 * i })))
  expect(tablet.counters).toMatchObject({ messagesIn: 100, failedAppends: 0 })
})

test('a batch gets its offset and the epoch of the leader; a new run leads in a new epoch', async () => {
  const { sim, tablet } = await served()
  const epochs: number[] = []
  let now = tablet
  for (let run = 0; run < 4; run++) {
    await sim.clock.finish(append(now, batchOf(), -1))
    epochs.push(now.epoch)
    if (run % 2 === 0) sim.crash('lose')
    else sim.kill()
    now = (await restarted(sim)).tablet
  }
  expect(epochs).toEqual([0, 1, 2, 3])
  const bytes = bytesOf(await sim.clock.finish(Promise.resolve(now.read(offset(0), 100_000, true))))
  const seen: [number, number][] = []
  for (let at = 0; at < bytes.length; at += batchBytesOf(bytes, at))
    seen.push([baseOffsetOf(bytes, at), leaderEpochOf(bytes, at)])
  expect(seen).toEqual([0, 1, 2, 3].map(i => [i, i]))
  expect([0, 1, 2, 3].map(at => now.epochOf(offset(at)))).toEqual([0, 1, 2, 3])
  expect(now.endOfEpoch(1)).toEqual({ epoch: 1, endOffset: 2 })
  expect(now.endOfEpoch(99)).toEqual({ epoch: -1, endOffset: -1 })
})

describe('readers', () => {
  test('see nothing above the high watermark, and are told when it moves', async () => {
    const { sim, tablet } = await served()
    const seen: number[] = []
    const stop = tablet.onReadable(({ highWatermark }) => void seen.push(highWatermark))
    const bytesBefore = tablet.readableBytes
    const batch = batchOf({ count: 3 })
    const watch = watched(tablet, -1, batch)
    await sim.clock.settle()
    expect(seen).toEqual([])
    expect(tablet.read(offset(0), 1000, true)).toMatchObject({ bytes: 0 })
    await sim.clock.runUntil(() => watch.answer !== undefined)
    expect(seen).toEqual([3])
    expect(tablet.readableBytes - bytesBefore).toBe(batch.length)
    expect(await readNow(sim, tablet, 0)).toHaveLength(3)
    stop()
    await sim.clock.finish(append(tablet, batchOf(), -1))
    expect(seen).toEqual([3])
  })

  test('outside of the log are told where it begins and ends', async () => {
    const { sim, tablet } = await served()
    await sim.clock.finish(append(tablet, batchOf({ count: 5 }), -1))
    await sim.clock.finish(tablet.deleteRecordsBefore(offset(2)))
    for (const from of [-1, 1, 6]) {
      expect(() => tablet.read(offset(from), 1000, true)).toThrow(
        expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE' }),
      )
      expect(() => tablet.read(offset(from), 1000, true)).toThrow(/it holds 2 to 5/)
    }
    expect(tablet.read(offset(5), 1000, true)).toMatchObject({ bytes: 0 })
  })
})

const code = async (settings: Record<string, string>, batch: Buffer): Promise<string> => {
  const { sim, tablet } = await served(settings)
  const answer = await sim.clock.finish(append(tablet, batch, 1))
  expect(tablet.logEnd).toBe(0)
  expect(tablet.counters.failedAppends).toBe(1)
  return 'refusal' in answer ? answer.refusal.code : 'taken'
}
const changed = (at: number, value: number): Buffer => {
  const batch = batchOf()
  batch[at] = value
  return batch
}

describe('a batch is refused', () => {
  const nowMs = Date.UTC(2026, 0, 1)

  test.each<[string, Record<string, string>, () => Buffer, string]>([
    [
      'too large for the topic',
      { 'max.message.bytes': '99' },
      () => batchOf({ bytes: 200 }),
      'MESSAGE_TOO_LARGE',
    ],
    [
      'too large for a segment',
      { 'segment.bytes': '99' },
      () => batchOf({ bytes: 200 }),
      'RECORD_LIST_TOO_LARGE',
    ],
    ['with a wrong CRC', {}, () => changed(70, 1), 'CORRUPT_MESSAGE'],
    ['of an older format', {}, () => changed(16, 1), 'UNSUPPORTED_FOR_MESSAGE_FORMAT'],
    ['torn', {}, () => batchOf().subarray(0, 80), 'INVALID_RECORD'],
    ['with something behind it', {}, () => Buffer.concat([batchOf(), batchOf()]), 'INVALID_RECORD'],
    [
      'from too far ahead',
      { 'message.timestamp.after.max.ms': '1000' },
      () => batchOf({ timestamp: nowMs + 5000 }),
      'INVALID_TIMESTAMP',
    ],
    [
      'from too long ago',
      { 'message.timestamp.before.max.ms': '1000' },
      () => batchOf({ timestamp: nowMs - 5000 }),
      'INVALID_TIMESTAMP',
    ],
  ])('%s', async (_, settings, batch, due) => expect(await code(settings, batch())).toBe(due))

  test('by acks=all while too few replicas are in sync; one copy is enough for a topic of one copy', async () => {
    const { sim, tablet } = await served({ 'min.insync.replicas': '2' })
    expect(await sim.clock.finish(append(tablet, batchOf(), -1))).toEqual({ baseOffset: 0 })
  })
})

test('the time of an append replaces that of its records when the topic says so', async () => {
  const { sim, tablet } = await served({ 'message.timestamp.type': 'LogAppendTime' })
  const nowMs = sim.clock.nowMs()
  await sim.clock.finish(append(tablet, batchOf({ timestamp: 5 }), -1))
  const bytes = bytesOf(await sim.clock.finish(Promise.resolve(tablet.read(offset(0), 1000, true))))
  expect([...readRecords(bytes, 0, 1000)].map(({ timestamp }) => timestamp)).toEqual([nowMs])
})

const sent = (first: number, count = 1): Buffer =>
  batchOf({ count, value: `n${first}`, producer: { id: 5, epoch: 0, baseSequence: first } })

describe('an idempotent producer', () => {
  test('gets the first answer again, durable as asked, and its records once', async () => {
    const { sim, tablet } = await served()
    const [first, again] = [watched(tablet, -1, sent(0, 2)), watched(tablet, -1, sent(0, 2))]
    await sim.clock.settle()
    expect([first.answer, again.answer]).toEqual([undefined, undefined])
    await sim.clock.runFor(10)
    expect([first.answer, again.answer]).toEqual([{ baseOffset: 0 }, { baseOffset: 0 }])
    expect(await sim.clock.finish(append(tablet, sent(2), -1))).toEqual({ baseOffset: 2 })
    expect(await sim.clock.finish(append(tablet, sent(0, 2), 1))).toEqual({ baseOffset: 0 })
    expect(await sim.clock.finish(append(tablet, sent(9), 1))).toMatchObject({
      refusal: { code: 'OUT_OF_ORDER_SEQUENCE_NUMBER' },
    })
    expect(await readNow(sim, tablet, 0)).toEqual(['n0#0', 'n0#1', 'n2#0'])
  })

  test.each(['kill', 'crash', 'stop', 'a lost snapshot', 'damaged epochs'])(
    'is known after %s',
    async how => {
      const { sim, broker, tablet } = await served()
      for (let i = 0; i < 4; i++) {
        await sim.clock.finish(append(tablet, sent(i), -1))
        if (i === 2) await sim.clock.finish(tablet.checkpoint())
      }
      if (how === 'stop') await sim.clock.finish(broker.stop())
      const { directory } = tablet.identity
      if (how === 'a lost snapshot')
        await sim.clock.finish(sim.world.disk.remove(`${directory}/00000000000000000003.snapshot`))
      if (how === 'damaged epochs')
        sim.world.disk.open(`${directory}/leader-epochs.json`, 'write').truncate(3)
      if (how === 'crash') sim.crash('lose')
      else sim.kill()
      const again = (await restarted(sim)).tablet
      expect(await sim.clock.finish(append(again, sent(3), -1))).toEqual({ baseOffset: 3 })
      expect(await sim.clock.finish(append(again, sent(0), -1))).toEqual({ baseOffset: 0 })
      expect(await sim.clock.finish(append(again, sent(4), -1))).toEqual({ baseOffset: 4 })
      expect([again.epochOf(offset(0)), again.epochOf(offset(4))]).toEqual([0, 1])
      expect(await readNow(sim, again, 0)).toEqual([0, 1, 2, 3, 4].map(i => `n${i}#0`))
    },
  )
})

describe('a lookup by time', () => {
  test('finds the first record that is as new, over segments, restarts and what was deleted', async () => {
    const settings = { 'segment.bytes': '1500', 'index.interval.bytes': '200' }
    const { sim, tablet } = await served(settings)
    const times: number[] = []
    for (let i = 0; i < 60; i++) {
      const timestamp = 10_000 + ((i * 7) % 25) * 10 + i * 20
      times.push(timestamp, timestamp + 1)
      await sim.clock.finish(append(tablet, batchOf({ count: 2, timestamp }), -1))
    }
    const expectAll = async (now: Tablet): Promise<void> => {
      for (const asked of [
        0,
        10_000,
        10_333,
        10_500,
        11_001,
        11_200,
        Math.max(...times),
        Math.max(...times) + 1,
      ]) {
        const at = times.findIndex((time, i) => time >= asked && i >= now.logStart)
        const due = at < 0 ? undefined : { offset: at, timestampMs: times[at] }
        expect(await sim.clock.finish(now.offsetForTimestamp(asked))).toEqual(due)
      }
      const newest = Math.max(...times)
      expect(await sim.clock.finish(now.maxTimestamp())).toEqual({
        offset: times.indexOf(newest),
        timestampMs: newest,
      })
    }
    expect(tablet.segmentCount).toBeGreaterThan(3)
    await expectAll(tablet)
    sim.crash('lose')
    const again = (await restarted(sim)).tablet
    await expectAll(again)
    await sim.clock.finish(again.deleteRecordsBefore(offset(33)))
    await expectAll(again)
  })

  test('in an empty tablet finds nothing', async () => {
    const { sim, tablet } = await served()
    expect(await sim.clock.finish(tablet.offsetForTimestamp(0))).toBeUndefined()
    expect(await sim.clock.finish(tablet.maxTimestamp())).toBeUndefined()
  })

  test('that meets a failing disk is refused, and so is a damaged batch', async () => {
    const { sim, tablet } = await served({ 'segment.bytes': '300' })
    for (let i = 0; i < 9; i++) await sim.clock.finish(append(tablet, batchOf({ timestamp: 1000 + i }), -1))
    sim.disk.failNext('read', 'EIO', /\.log$/)
    const asked = tablet.offsetForTimestamp(1000)
    await expect(sim.clock.finish(asked)).rejects.toMatchObject({ code: 'KAFKA_STORAGE_ERROR' })
    sim.disk.flipBits(`${tablet.identity.directory}/00000000000000000000.log`, 62, 20)
    await expect(sim.clock.finish(tablet.offsetForTimestamp(1000))).rejects.toMatchObject({
      code: 'CORRUPT_MESSAGE',
    })
    expect(tablet.counters.damagedReads).toBe(1)
  })
})
