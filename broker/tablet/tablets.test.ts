import { describe, expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { append, makeTopic, startSimBroker, tabletOf, type SimBroker } from '../../test/sim/broker.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import { batchOf } from '../log/log.fixture.ts'

async function started(sim = simWorld({ seed: 14 }), settings: Record<string, string> = {}) {
  const broker = await sim.clock.finish(startSimBroker(sim, settings))
  return { sim, broker }
}

const send = (sim: SimWorld, broker: SimBroker, topic: string, partition = 0) =>
  sim.clock.finish(append(tabletOf(broker, topic, partition), batchOf({ timestamp: sim.clock.nowMs() }), -1))

async function remove(sim: SimWorld, broker: SimBroker, topic: string): Promise<void> {
  const id = broker.router.topics().get(topic)?.id ?? ''
  await sim.clock.finish(broker.router.deleteTopic(topic, id))
}

const directories = (sim: SimWorld): string[] => sim.world.disk.list('/data/tablets')

describe('a topic', () => {
  test('that was made serves at once, with a directory for each tablet, also after a restart', async () => {
    const { sim, broker } = await started()
    const { id } = await sim.clock.finish(makeTopic(broker, 'orders', {}, 5))
    expect(directories(sim)).toEqual([0, 1, 2, 3, 4].map(n => `orders-${n}.${id}`))
    for (let n = 0; n < 5; n++) expect(await send(sim, broker, 'orders', n)).toEqual({ baseOffset: 0 })
    sim.crash('lose')
    const { broker: again } = await started(sim)
    for (let n = 0; n < 5; n++) {
      expect(tabletOf(again, 'orders', n)).toMatchObject({
        role: 'leader',
        epoch: 1,
        highWatermark: 1,
        leader: 0,
      })
    }
  })

  test('grows while it is used', async () => {
    const { sim, broker } = await started()
    const { id } = await sim.clock.finish(makeTopic(broker, 't'))
    await send(sim, broker, 't')
    await sim.clock.finish(broker.router.addTablets(id, 3))
    expect(await send(sim, broker, 't', 2)).toEqual({ baseOffset: 0 })
    expect(await send(sim, broker, 't', 0)).toEqual({ baseOffset: 1 })
    expect(tabletOf(broker, 't', 2).epoch).toBe(0)
  })

  test('that is deleted refuses at once, and its directory goes after file.delete.delay.ms', async () => {
    const { sim, broker } = await started()
    await sim.clock.finish(makeTopic(broker, 't', { 'file.delete.delay.ms': '5000' }))
    await send(sim, broker, 't')
    const tablet = tabletOf(broker, 't')
    // The deletion takes two syncs; in the middle of the second one begins that of the append.
    sim.disk.syncMs = { min: 1, max: 1 }
    const id = broker.router.topics().get('t')?.id ?? ''
    const deleting = broker.router.deleteTopic('t', id)
    await sim.clock.runFor(1.5)
    const waiting = append(tablet, batchOf(), -1)
    await sim.clock.finish(deleting)
    expect(broker.tablets.find('t', 0)).toBeUndefined()
    expect(await sim.clock.finish(waiting)).toMatchObject({ refusal: { code: 'UNKNOWN_TOPIC_OR_PARTITION' } })
    expect(() => tablet.read(offset(0), 100, true)).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_TOPIC_OR_PARTITION' }),
    )
    expect(broker.segmentCache.size).toBe(0)
    expect(broker.tailMemory.bytesHeld).toBe(0)
    await sim.clock.finish(broker.tablets.settled())
    expect(directories(sim)).toEqual([`${tablet.identity.name}.deleted`])
    await sim.clock.runFor(6000)
    expect(directories(sim)).toEqual([])
  })

  test('whose deletion was cut off goes at the next start', async () => {
    const { sim, broker } = await started()
    await sim.clock.finish(makeTopic(broker, 't'))
    await send(sim, broker, 't')
    await remove(sim, broker, 't')
    await sim.clock.finish(broker.tablets.settled())
    sim.crash('lose')
    await started(sim)
    await sim.clock.runFor(1000)
    expect(directories(sim)).toEqual([])
  })

  test('that is deleted and made again, over and over, is a new one each time', async () => {
    const { sim, broker } = await started()
    for (let round = 0; round < 8; round++) {
      await sim.clock.finish(makeTopic(broker, 't', {}, 2))
      expect(await send(sim, broker, 't', round % 2)).toEqual({ baseOffset: 0 })
      if (round < 7) await remove(sim, broker, 't')
    }
    // The same without waiting for anything.
    const all: Promise<unknown>[] = []
    for (let round = 0; round < 8; round++) {
      const id = broker.router.topics().get('t')?.id ?? ''
      all.push(broker.router.deleteTopic('t', id).catch(() => undefined))
      all.push(makeTopic(broker, 't', {}, 2).catch(() => undefined))
      await sim.clock.runFor(sim.random.between(0, 3))
    }
    await sim.clock.finish(Promise.all(all))
    await sim.clock.finish(broker.tablets.settled())
    const topic = broker.router.topics().get('t')
    expect(topic).toBeDefined()
    for (const n of [0, 1])
      expect(tabletOf(broker, 't', n)).toMatchObject({ topicId: topic?.id, role: 'leader' })
    expect(await send(sim, broker, 't')).toEqual({ baseOffset: 0 })
    await sim.clock.runFor(120_000)
    expect(directories(sim)).toEqual([0, 1].map(n => `t-${n}.${topic?.id}`))
  })

  test('with new settings has them at once, in its tablets and their logs', async () => {
    const { sim, broker } = await started(undefined, { 'log.segment.bytes': '100000' })
    const { id } = await sim.clock.finish(makeTopic(broker, 't'))
    for (let i = 0; i < 3; i++) await send(sim, broker, 't')
    expect(tabletOf(broker, 't').segmentCount).toBe(1)
    await sim.clock.finish(
      broker.router.alterTopicSettings(id, { set: { 'segment.bytes': '150' }, unset: [] }),
    )
    for (let i = 0; i < 3; i++) await send(sim, broker, 't')
    expect(tabletOf(broker, 't').segmentCount).toBe(4)
    await sim.clock.finish(broker.router.alterTopicSettings(id, { set: {}, unset: ['segment.bytes'] }))
    await send(sim, broker, 't')
    expect(tabletOf(broker, 't').segmentCount).toBe(4)
    const change = { set: { 'log.segment.bytes': '150', 'message.max.bytes': '50' }, unset: [] }
    await sim.clock.finish(broker.router.alterBrokerSettings(change))
    expect(await send(sim, broker, 't')).toMatchObject({ refusal: { code: 'MESSAGE_TOO_LARGE' } })
    expect(broker.router.settings).toBeDefined()
  })
})

/** Starts again, and does `act` at every moment of the recovery. */
async function atEveryMoment(
  act: (sim: SimWorld, broker: SimBroker) => void,
  check: (sim: SimWorld, broker: SimBroker) => Promise<void>,
) {
  for (let at = 0; at < 40; at++) {
    const { sim, broker } = await started(simWorld({ seed: 14 }))
    await sim.clock.finish(makeTopic(broker, 't', {}, 2))
    for (let i = 0; i < 4; i++) await send(sim, broker, 't', i % 2)
    sim.kill()
    const starting: { broker?: SimBroker } = {}
    const start = startSimBroker(
      sim,
      {},
      { beforeStart: early => void (starting.broker = early as SimBroker) },
    )
    await sim.clock.runUntil(() => starting.broker !== undefined)
    await sim.clock.runFor(at * 0.25)
    if (starting.broker !== undefined) act(sim, starting.broker)
    const again = await sim.clock.finish(start)
    await sim.clock.runFor(50)
    await sim.clock.finish(again.tablets.settled())
    await check(sim, again)
  }
}
const topicId = (broker: SimBroker): string => broker.store.topics().get('t')?.id ?? ''

describe('changes while the broker starts', () => {
  test('a topic that is deleted is gone', async () => {
    await atEveryMoment(
      (_, broker) => void broker.router.deleteTopic('t', topicId(broker)),
      async (_, broker) => {
        expect(broker.tablets.find('t', 0)).toBeUndefined()
        expect([...broker.tablets.all()]).toEqual([])
      },
    )
  })

  test('a topic that is deleted and made again serves', async () => {
    await atEveryMoment(
      (_, broker) => {
        void broker.router.deleteTopic('t', topicId(broker))
        void broker.router.createTopics([{ name: 't', settings: {}, tablets: 1, replication: 1 }])
      },
      async (sim, broker) => {
        expect([...broker.tablets.all()].map(({ role, topicId }) => [role, topicId])).toEqual([
          ['leader', topicId(broker)],
        ])
        expect(await send(sim, broker, 't')).toEqual({ baseOffset: 0 })
      },
    )
  })

  test('a topic that is made, one that grows and one whose settings change serve as they should', async () => {
    await atEveryMoment(
      (_, broker) => {
        void broker.router.createTopics([{ name: 'u', settings: {}, tablets: 1, replication: 1 }])
        void broker.router.addTablets(topicId(broker), 4)
        void broker.router.alterTopicSettings(topicId(broker), {
          set: { 'max.message.bytes': '77' },
          unset: [],
        })
      },
      async (sim, broker) => {
        expect([...broker.tablets.all()].map(({ role }) => role)).toEqual(
          Array.from({ length: 5 }, () => 'leader'),
        )
        expect(await send(sim, broker, 'u')).toEqual({ baseOffset: 0 })
        for (let n = 0; n < 4; n++) {
          expect(tabletOf(broker, 't', n).settings.maxMessageBytes).toBe(77)
          expect(tabletOf(broker, 't', n).logEnd).toBe(n < 2 ? 2 : 0)
        }
      },
    )
  })
})

describe('directories that no topic has', () => {
  test('are set aside, not adopted and not deleted, as often as it takes', async () => {
    const { sim, broker } = await started()
    await sim.clock.finish(makeTopic(broker, 't'))
    const mine = directories(sim)
    await sim.clock.finish(broker.stop())
    sim.kill()
    for (let round = 0; round < 3; round++) {
      sim.world.disk.makeDirectory('/data/tablets/stranger-0.abc')
      sim.world.disk.open('/data/tablets/stranger-0.abc/precious', 'create').close()
      const { broker: again } = await started(sim)
      expect(again.lines.map(({ msg }) => msg)).toContainEqual(expect.stringContaining('no topic has'))
      sim.kill()
    }
    const aside = ['stranger-0.abc.stray', 'stranger-0.abc.stray.2', 'stranger-0.abc.stray.3']
    expect(directories(sim)).toEqual([...aside, ...mine])
    for (const name of aside) expect(sim.world.disk.list(`/data/tablets/${name}`)).toEqual(['precious'])
  })

  test('say how much they hold and how to remove them, and are counted until they are gone', async () => {
    const { sim, broker } = await started()
    const { id } = await sim.clock.finish(makeTopic(broker, 't'))
    await sim.clock.finish(broker.stop())
    sim.kill()
    // Tablet 7 was moved here and away again, and this broker has seen neither.
    for (const name of ['stranger-0.abc', `t-7.${id}`]) {
      sim.world.disk.makeDirectory(`/data/tablets/${name}`)
      const file = sim.world.disk.open(`/data/tablets/${name}/00000000000000000000.log`, 'create')
      file.write([Buffer.from('12345')], 0)
      file.close()
    }
    const { broker: again } = await started(sim)
    const path = '/data/tablets/stranger-0.abc.stray'
    expect(again.lines).toContainEqual(
      expect.objectContaining({
        bytes: 5,
        command: `rm -r '${path}'`,
        msg: expect.stringContaining('no topic has'),
      }),
    )
    expect(again.lines).toContainEqual(
      expect.objectContaining({ bytes: 5, msg: expect.stringContaining('other brokers have now') }),
    )
    expect(again.tablets.strayBytes).toBe(10)
    sim.kill()
    const { broker: third } = await started(sim)
    expect(third.lines).toContainEqual(expect.objectContaining({ directories: 2, bytes: 10 }))
    await sim.clock.finish(sim.world.disk.remove(path))
    expect(third.tablets.strayBytes).toBe(5)
  })

  test('that are known to have had data, but are gone, are offline and say so', async () => {
    const { sim, broker } = await started()
    await sim.clock.finish(makeTopic(broker, 't', {}, 2))
    for (const n of [0, 1]) await send(sim, broker, 't', n)
    const [gone = ''] = directories(sim)
    await sim.clock.finish(broker.stop())
    await sim.clock.finish(sim.world.disk.remove(`/data/tablets/${gone}`))
    sim.kill()
    for (let round = 0; round < 2; round++) {
      const { broker: again } = await started(sim)
      expect(tabletOf(again, 't', 0)).toMatchObject({
        role: 'offline',
        offlineReason: expect.stringMatching(/the directory of the tablet is missing/),
      })
      expect(tabletOf(again, 't', 1)).toMatchObject({ role: 'leader', highWatermark: 1 })
      expect(await send(sim, again, 't', 0)).toMatchObject({ refusal: { code: 'KAFKA_STORAGE_ERROR' } })
      expect(again.lines).toContainEqual(expect.objectContaining({ msg: 'tablet is offline', partition: 0 }))
      expect(await sim.clock.finish(again.stop())).toBe(false)
      sim.kill()
    }
  })
})

test('an old copy of control.json is noticed: a log with later epochs is not led', async () => {
  const { sim, broker } = await started()
  await sim.clock.finish(makeTopic(broker, 't'))
  const old = Buffer.alloc(sim.world.disk.stat('/data/control.json')?.sizeBytes ?? 0)
  sim.world.disk.open('/data/control.json', 'read').read(old, 0)
  for (let run = 0; run < 3; run++) {
    sim.kill()
    const { broker: again } = await started(sim)
    await send(sim, again, 't')
  }
  sim.kill()
  const file = sim.world.disk.open('/data/control.json', 'write')
  file.truncate(0)
  file.write([old], 0)
  const { broker: again } = await started(sim)
  expect(tabletOf(again, 't')).toMatchObject({
    role: 'offline',
    offlineReason: expect.stringMatching(/old copy of control\.json/),
  })
})

test('recovery tells how far it is', async () => {
  const { sim, broker } = await started()
  await sim.clock.finish(makeTopic(broker, 't', {}, 8))
  for (let n = 0; n < 8; n++) for (let i = 0; i < 3; i++) await send(sim, broker, 't', n)
  sim.kill()
  const seen: string[] = []
  let early: Pick<SimBroker, 'router' | 'tablets'> | undefined
  const start = startSimBroker(sim, {}, { beforeStart: broker => void (early = broker) })
  await sim.clock.runUntil(() => {
    const reason = early?.router.notReadyReason
    if (reason !== undefined && reason !== seen.at(-1)) seen.push(reason)
    return early?.router.ready === true
  })
  await sim.clock.finish(start)
  expect(seen[0]).toMatch(/^recovering: 0 of 8 tablets/)
  expect(seen.length).toBeGreaterThan(4)
  const { bytes, bytesDone, tabletsDone } = early?.tablets.progress ?? {
    bytes: 0,
    bytesDone: 1,
    tabletsDone: 0,
  }
  expect([bytesDone, tabletsDone]).toEqual([bytes, 8])
})

describe('maintenance', () => {
  const every = { retentionCheckMs: 10_000, checkpointMs: 60_000, producerIdExpirationMs: 3_600_000 }

  test('checkpoints and applies retention by itself, until the broker stops', async () => {
    const { sim, broker } = await started()
    await sim.clock.finish(makeTopic(broker, 't', { 'retention.ms': '5000' }))
    broker.tablets.maintain(() => every)
    await sim.clock.finish(append(tabletOf(broker, 't'), batchOf({ timestamp: sim.clock.nowMs() }), -1))
    await sim.clock.runFor(9000)
    expect(tabletOf(broker, 't').logStart).toBe(0)
    await sim.clock.runFor(2000)
    expect(tabletOf(broker, 't').logStart).toBe(1)
    await sim.clock.finish(
      append(tabletOf(broker, 't'), batchOf({ timestamp: sim.clock.nowMs() + 60_000 }), -1),
    )
    expect(tabletOf(broker, 't').keeping?.isCheckpointed).toBe(false)
    await sim.clock.runFor(60_000)
    expect(tabletOf(broker, 't').keeping?.isCheckpointed).toBe(true)
    await sim.clock.finish(broker.stop())
    await sim.clock.runFor(200_000)
    await expect(sim.clock.runUntil(() => false)).rejects.toThrow('nothing is left to happen')
  })

  test('that fails for one tablet is tried again, and does not touch the others', async () => {
    const { sim, broker } = await started()
    await sim.clock.finish(makeTopic(broker, 't', {}, 3))
    broker.tablets.maintain(() => every)
    for (const n of [0, 1, 2]) await send(sim, broker, 't', n)
    sim.disk.failNext('write', 'ENOSPC', /t-1.*snapshot/)
    await sim.clock.runFor(61_000)
    expect([0, 1, 2].map(n => tabletOf(broker, 't', n).keeping?.isCheckpointed)).toEqual([true, false, true])
    expect(broker.lines).toContainEqual(
      expect.objectContaining({ msg: expect.stringMatching(/maintenance failed/), partition: 1 }),
    )
    await sim.clock.runFor(61_000)
    expect(tabletOf(broker, 't', 1).keeping?.isCheckpointed).toBe(true)
  })
})

test('sealed segments of a topic that leaves syncs to the operating system do not stay open', async () => {
  const { sim, broker } = await started()
  await sim.clock.finish(makeTopic(broker, 't', { 'stele.flush': 'os', 'segment.bytes': '150' }))
  let open = 0
  for (let i = 0; i < 200; i++) {
    await send(sim, broker, 't')
    await sim.clock.runFor(20)
    open = Math.max(open, broker.segmentCache.size)
  }
  expect(tabletOf(broker, 't').segmentCount).toBe(200)
  expect(open).toBe(2)
})

test('what stays of a stopped broker is nothing: no tablet, no open segment, no memory, and it tells why it refuses', async () => {
  const { sim, broker } = await started()
  await sim.clock.finish(makeTopic(broker, 't'))
  await send(sim, broker, 't')
  const tablet = tabletOf(broker, 't')
  expect(await sim.clock.finish(broker.stop())).toBe(true)
  expect([broker.segmentCache.size, broker.tailMemory.bytesHeld]).toEqual([0, 0])
  expect(await sim.clock.finish(append(tablet, batchOf(), 1))).toMatchObject({
    refusal: { code: 'BROKER_STOPPING' },
  })
  expect(() => tablet.read(offset(0), 100, true)).toThrow(
    expect.objectContaining({ code: 'BROKER_STOPPING' }),
  )
})
