import { describe, expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { readRecords } from '../../protocol/kafka/records.ts'
import { append, makeTopic, startSimBroker, tabletOf } from '../../test/sim/broker.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import { batchOf, bytesOf } from '../log/log.fixture.ts'
import type { Tablet } from './tablet.ts'

const small = { 'segment.bytes': '1500', 'index.interval.bytes': '200', 'retention.ms': '-1' }

async function served(settings: Record<string, string> = small) {
  const sim = simWorld({ seed: 12 })
  const broker = await sim.clock.finish(startSimBroker(sim))
  await sim.clock.finish(makeTopic(broker, 't', settings))
  return { sim, broker, tablet: tabletOf(broker, 't') }
}

const send = (sim: SimWorld, tablet: Tablet, value: string, acks: 1 | -1 = -1, first?: number) => {
  const producer = first === undefined ? {} : { producer: { id: 3, epoch: 0, baseSequence: first } }
  const timestamp = sim.clock.nowMs()
  return sim.clock.finish(append(tablet, batchOf({ value, bytes: 250, timestamp, ...producer }), acks))
}

async function values(sim: SimWorld, tablet: Tablet): Promise<string[]> {
  const found: string[] = []
  for (let at: number = tablet.logStart; at < tablet.highWatermark; at++) {
    const batch = bytesOf(await sim.clock.finish(Promise.resolve(tablet.read(offset(at), 1, true))))
    for (const record of readRecords(batch, 0, 10_000)) found.push(String(record.value))
  }
  return found
}

const storageError = { refusal: { code: 'KAFKA_STORAGE_ERROR' } }

describe('a write that fails', () => {
  test.each(['ENOSPC', 'EIO'])(
    'with %s is told to all who shared it, and nothing of it stays',
    async code => {
      const { sim, tablet } = await served()
      await send(sim, tablet, 'a', -1, 0)
      sim.disk.failNext('write', code, /\.log$/)
      const batches = [1, 2, 3].map(first =>
        batchOf({ value: `lost${first}`, producer: { id: 3, epoch: 0, baseSequence: first } }),
      )
      const [known] = [
        batchOf({
          value: 'a',
          bytes: 250,
          timestamp: sim.clock.nowMs(),
          producer: { id: 3, epoch: 0, baseSequence: 0 },
        }),
      ]
      const answers = await sim.clock.finish(
        Promise.all([...batches, known].map(batch => append(tablet, batch, -1))),
      )
      expect(answers).toMatchObject([storageError, storageError, storageError, storageError])
      expect([tablet.role, tablet.logEnd, tablet.counters.failedAppends]).toEqual(['leader', 1, 4])
      expect(await values(sim, tablet)).toEqual(['a#0'])
      // The producer sends the same again.
      expect(await send(sim, tablet, 'b', -1, 1)).toEqual({ baseOffset: 1 })
      expect(await values(sim, tablet)).toEqual(['a#0', 'b#0'])
    },
  )

  test('and cannot be cut back takes the tablet offline; after a restart what was acknowledged is there', async () => {
    const { sim, tablet } = await served()
    await send(sim, tablet, 'a')
    sim.disk.failNext('write', 'EIO', /\.log$/)
    sim.disk.failNext('truncate', 'EIO', /\.log$/)
    expect(await send(sim, tablet, 'lost')).toMatchObject(storageError)
    expect(tablet.role).toBe('offline')
    expect(tablet.offlineReason).toMatch(/could not be cut back/)
    expect(await send(sim, tablet, 'more')).toMatchObject(storageError)
    expect(() => tablet.read(offset(0), 100, true)).toThrow(/offline/)
    await expect(sim.clock.finish(tablet.deleteRecordsBefore(offset(1)))).rejects.toMatchObject({
      code: 'KAFKA_STORAGE_ERROR',
    })
    await sim.clock.finish(tablet.checkpoint())
    sim.crash('keep')
    const again = tabletOf(await sim.clock.finish(startSimBroker(sim)), 't')
    expect(await values(sim, again)).toEqual(['a#0'])
  })

  test('in the middle of a checkpoint ends it too', async () => {
    const { sim, tablet } = await served()
    await send(sim, tablet, 'a')
    sim.disk.failNext('write', 'EIO', /\.log$/)
    sim.disk.failNext('truncate', 'EIO', /\.log$/)
    const lost = append(tablet, batchOf(), -1)
    await sim.clock.finish(tablet.checkpoint())
    expect(await sim.clock.finish(lost)).toMatchObject(storageError)
    expect(tablet.role).toBe('offline')
  })
})

describe('a full disk', () => {
  test('refuses writes, serves reads, and takes writes again when there is room', async () => {
    const { sim, broker, tablet } = await served()
    const acknowledged: string[] = []
    const codes = new Set<string>()
    const write = async (value: string): Promise<boolean> => {
      const answer = await send(sim, tablet, value)
      if ('baseOffset' in answer) acknowledged.push(`${value}#0`)
      else codes.add(answer.refusal.code)
      return 'baseOffset' in answer
    }
    for (let i = 0; i < 10; i++) await write(`v${i}`)
    sim.disk.capacityBytes = 9000
    let refused = 0
    for (let i = 10; i < 60; i++) {
      if (!(await write(`v${i}`))) refused += 1
      if (i % 10 === 0) await sim.clock.finish(tablet.checkpoint().catch(() => undefined))
    }
    expect([refused > 20, ...codes]).toEqual([true, 'KAFKA_STORAGE_ERROR'])
    expect([tablet.role, tablet.offlineReason]).toEqual(['leader', undefined])
    expect(await values(sim, tablet)).toEqual(acknowledged)
    sim.disk.capacityBytes = 2 ** 30
    expect(await write('after')).toBe(true)
    expect(await values(sim, tablet)).toEqual(acknowledged)
    expect(await sim.clock.finish(broker.stop())).toBe(true)
    sim.crash('lose')
    expect(await values(sim, tabletOf(await sim.clock.finish(startSimBroker(sim)), 't'))).toEqual(
      acknowledged,
    )
  })

  test('at a stop: it is no clean one, and the next start recovers everything', async () => {
    const { sim, broker, tablet } = await served()
    for (let i = 0; i < 20; i++) await send(sim, tablet, `v${i}`, 1, i)
    await sim.clock.runFor(100)
    sim.disk.capacityBytes = 0
    expect(await sim.clock.finish(broker.tablets.stop())).toBe(false)
    sim.kill()
    sim.disk.capacityBytes = 2 ** 30
    const again = tabletOf(await sim.clock.finish(startSimBroker(sim)), 't')
    expect(await values(sim, again)).toEqual(Array.from({ length: 20 }, (_, i) => `v${i}#0`))
    expect(await send(sim, again, 'repeated', 1, 19)).toEqual({ baseOffset: 19 })
  })

  test('records can be deleted on it, from the room that is kept for that', async () => {
    const sim = simWorld({ seed: 12 })
    sim.disk.capacityBytes = 16 * 2 ** 20
    const broker = await sim.clock.finish(startSimBroker(sim, {}, { withRoom: true }))
    await sim.clock.finish(makeTopic(broker, 't', { 'segment.bytes': '100000', 'file.delete.delay.ms': '0' }))
    const tablet = tabletOf(broker, 't')
    const write = () => sim.clock.finish(append(tablet, batchOf({ bytes: 50_000 }), -1))
    while ('baseOffset' in (await write()));
    expect(await write()).toMatchObject(storageError)
    expect(await sim.clock.finish(tablet.deleteRecordsBefore(offset(tablet.highWatermark - 20)))).toBe(
      tablet.logStart,
    )
    await sim.clock.runFor(1000)
    expect(await write()).toMatchObject({ baseOffset: expect.any(Number) })
    expect(tablet.role).toBe('leader')
  })
})

describe('a sync that fails', () => {
  test('takes the tablet offline, refuses all who wait, and is never tried again', async () => {
    const { sim, broker, tablet } = await served()
    await send(sim, tablet, 'a')
    sim.disk.failNext('sync', 'EIO', /\.log$/)
    const readable: string[] = []
    tablet.onReadable(({ role }) => void readable.push(role))
    const waiting = Promise.all([1, 2, 3].map(i => append(tablet, batchOf({ value: `w${i}` }), -1)))
    expect(await sim.clock.finish(waiting)).toMatchObject([storageError, storageError, storageError])
    expect([tablet.role, readable]).toEqual(['offline', ['offline']])
    expect(tablet.offlineReason).toMatch(/failed to sync: EIO/)
    expect(() => broker.router.leading('t', 0)).toThrow(
      expect.objectContaining({ code: 'KAFKA_STORAGE_ERROR' }),
    )
    let syncs = 0
    sim.disk.onCall = call => (syncs += call === 'sync' ? 1 : 0)
    expect(await send(sim, tablet, 'b')).toMatchObject(storageError)
    await sim.clock.finish(tablet.checkpoint())
    await sim.clock.finish(tablet.applyRetention(0))
    expect(syncs).toBe(0)
    sim.disk.onCall = undefined
    expect(await sim.clock.finish(broker.stop())).toBe(false)
    sim.crash('tear')
    const again = tabletOf(await sim.clock.finish(startSimBroker(sim)), 't')
    expect((await values(sim, again))[0]).toBe('a#0')
    expect(again.role).toBe('leader')
  })

  test.each(['index', 'timeindex'])('of a .%s does so at a checkpoint', async kind => {
    const { sim, tablet } = await served()
    for (let i = 0; i < 3; i++) await send(sim, tablet, 'a')
    sim.disk.failNext('sync', 'EIO', new RegExp(`\\.${kind}$`))
    await expect(sim.clock.finish(tablet.checkpoint())).rejects.toThrow(/could not be synced/)
    expect(tablet.role).toBe('offline')
  })

  test('of a small file only fails what needed it, which can be tried again', async () => {
    for (const path of [/snapshot\.tmp$/, /leader-epochs\.json\.tmp$/, /recovery-point\.json\.tmp$/]) {
      const { sim, tablet } = await served()
      await send(sim, tablet, 'a')
      sim.disk.failNext('sync', 'EIO', path)
      await expect(sim.clock.finish(tablet.checkpoint())).rejects.toThrow('EIO')
      expect([tablet.role, tablet.keeping?.isCheckpointed]).toEqual(['leader', false])
      await sim.clock.finish(tablet.checkpoint())
      expect(tablet.keeping?.isCheckpointed).toBe(true)
    }
  })

  test('does not touch other tablets', async () => {
    const { sim, broker, tablet } = await served()
    await sim.clock.finish(makeTopic(broker, 'u', {}))
    sim.disk.failNext('sync', 'EIO', /tablets\/t-0/)
    const [mine, other] = await sim.clock.finish(
      Promise.all([append(tablet, batchOf(), -1), append(tabletOf(broker, 'u'), batchOf(), -1)]),
    )
    expect([mine, other]).toMatchObject([storageError, { baseOffset: 0 }])
  })
})

describe('checkpoints', () => {
  test('that come at once do not get into each other’s way', async () => {
    const { sim, tablet } = await served()
    for (let round = 0; round < 5; round++) {
      await send(sim, tablet, 'a')
      const all = [
        tablet.checkpoint(),
        tablet.checkpoint(),
        tablet.deleteRecordsBefore(tablet.highWatermark),
        tablet.checkpoint(),
      ]
      await sim.clock.finish(Promise.all(all))
      expect(tablet.keeping?.isCheckpointed).toBe(true)
    }
  })

  test('cover what sealed segments hold, also when a roll comes in between', async () => {
    for (let afterMs = 0; afterMs < 8; afterMs += 0.2) {
      const { sim, broker, tablet } = await served()
      for (let i = 0; i < 3; i++) await send(sim, tablet, `v${i}`)
      const checkpoint = tablet.checkpoint()
      await sim.clock.runFor(afterMs)
      for (let i = 3; i < 9; i++) void append(tablet, batchOf({ value: `v${i}`, bytes: 250 }), 1)
      await sim.clock.finish(checkpoint)
      expect(broker.checkpoints.of(tablet.identity.name)?.recoveryPoint).toBe(3)
      sim.crash('lose')
      // The index was on the disk before the recovery point said so.
      const { directory } = tablet.identity
      expect(sim.world.disk.stat(`${directory}/00000000000000000000.timeindex`)?.sizeBytes).toBeGreaterThan(0)
      const again = tabletOf(await sim.clock.finish(startSimBroker(sim)), 't')
      expect((await values(sim, again)).slice(0, 3)).toEqual(['v0#0', 'v1#0', 'v2#0'])
    }
  })

  test('of a tablet that is deleted meanwhile leave nothing behind', async () => {
    for (let afterMs = 0; afterMs < 8; afterMs += 0.4) {
      const { sim, broker, tablet } = await served()
      await send(sim, tablet, 'a')
      const checkpoint = tablet.checkpoint().catch(() => undefined)
      await sim.clock.runFor(afterMs)
      const topic = broker.router.topics().get('t')
      await sim.clock.finish(broker.router.deleteTopic('t', topic?.id ?? ''))
      await sim.clock.finish(broker.tablets.settled())
      await sim.clock.finish(checkpoint)
      await sim.clock.runFor(120_000)
      expect(broker.checkpoints.of(tablet.identity.name)).toBeUndefined()
      expect(sim.world.disk.list('/data/tablets')).toEqual([])
    }
  })
})

describe('what a broker reports', () => {
  test('is its bytes, and nothing is amiss while all is well', async () => {
    const { sim, broker, tablet } = await served()
    await send(sim, tablet, 'a')
    expect(broker.tablets.report()).toEqual({ bytes: tablet.sizeBytes, offline: [] })
    expect(tablet.sizeBytes).toBeGreaterThan(0)
  })

  test('is a tablet whose log broke', async () => {
    const { sim, broker, tablet } = await served()
    sim.disk.failNext('sync', 'EIO', /\.log$/)
    await send(sim, tablet, 'a')
    expect(broker.tablets.report().offline).toEqual([
      { topicId: tablet.topicId, tablet: 0, reason: expect.stringContaining('failed to sync') },
    ])
  })

  test('is a tablet that cannot be written, until it is, or nobody has tried for a minute', async () => {
    const { sim, broker, tablet } = await served()
    const offline = () => broker.tablets.report().offline.map(({ reason }) => reason)
    const fail = async () => {
      sim.disk.failNext('write', 'ENOSPC', /\.log$/)
      expect(await send(sim, tablet, 'a')).toMatchObject(storageError)
      expect(offline()).toEqual(['it could not be written: the disk is full'])
    }
    await fail()
    await send(sim, tablet, 'a')
    expect(offline()).toEqual([])
    await fail()
    await sim.clock.runFor(61_000)
    expect(offline()).toEqual([])
  })

  test('is a tablet whose directory was taken away while it ran: nothing is acknowledged any more', async () => {
    const { sim, broker, tablet } = await served()
    await sim.clock.finish(makeTopic(broker, 'other'))
    await send(sim, tablet, 'a')
    broker.tablets.maintain(() => ({
      retentionCheckMs: 1e6,
      checkpointMs: 1_000,
      producerIdExpirationMs: 1e6,
    }))
    await sim.clock.finish(sim.world.disk.remove(tablet.identity.directory))
    await sim.clock.runFor(2_000)
    expect(broker.tablets.report().offline).toEqual([
      { topicId: tablet.topicId, tablet: 0, reason: expect.stringContaining('was taken away') },
    ])
    expect(await send(sim, tablet, 'b')).toMatchObject(storageError)
    await sim.clock.runFor(1_000)
    sim.kill()
    const again = await sim.clock.finish(startSimBroker(sim))
    expect(again.tablets.report().offline.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('the directory of the tablet is missing'),
    ])
    again.tablets.maintain(() => ({
      retentionCheckMs: 1e6,
      checkpointMs: 1_000,
      producerIdExpirationMs: 1e6,
    }))
    await sim.clock.finish(sim.world.disk.remove('/data/tablets'))
    await sim.clock.runFor(2_000)
    expect(again.tablets.report().offline).toHaveLength(2)
  })
})
