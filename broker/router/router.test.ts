import { describe, expect, test } from 'vitest'
import { Refusal } from '../../base/refusals.ts'
import { append, makeTopic, startSimBroker, tabletOf } from '../../test/sim/broker.ts'
import { simWorld } from '../../test/sim/world.ts'
import { batchOf } from '../log/log.fixture.ts'

async function started(settings: Record<string, string> = {}, sim = simWorld({ seed: 15 })) {
  const broker = await sim.clock.finish(startSimBroker(sim, settings))
  return { sim, broker, router: broker.router }
}

const code = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    if (error instanceof Refusal) return error.code
    throw error
  }
  return 'none'
}

describe('who asks for a tablet', () => {
  test('gets the one that is led here', async () => {
    const { sim, broker, router } = await started()
    await sim.clock.finish(makeTopic(broker, 't', {}, 2))
    expect(router.leading('t', 1)).toBe(tabletOf(broker, 't', 1))
    expect(router.find('t', 1)).toBe(tabletOf(broker, 't', 1))
  })

  test('or the reason why not', async () => {
    const { sim, broker, router } = await started()
    await sim.clock.finish(makeTopic(broker, 't', {}, 2))
    expect(code(() => router.leading('u', 0))).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    for (const partition of [2, -1])
      expect(code(() => router.leading('t', partition))).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    expect(() => router.leading('t', 2)).toThrow('partitions 0 to 1, not 2')
    sim.disk.failNext('sync', 'EIO', /\.log$/)
    await sim.clock.finish(append(router.leading('t', 0), batchOf(), -1))
    expect(code(() => router.leading('t', 0))).toBe('KAFKA_STORAGE_ERROR')
    expect(() => router.leading('t', 0)).toThrow(/t-0 is offline: the disk failed to sync/)
    expect(code(() => router.leading('t', 1))).toBe('none')
  })

  test('is told to wait while it is recovered', async () => {
    const { sim, broker } = await started()
    await sim.clock.finish(makeTopic(broker, 't'))
    sim.kill()
    let early: string | undefined
    const beforeStart = ({
      router,
    }: {
      router: { leading(topic: string, partition: number): unknown }
    }): void => void (early = code(() => router.leading('t', 0)))
    const { router } = await sim.clock.finish(startSimBroker(sim, {}, { beforeStart }))
    expect(early).toBe('KAFKA_STORAGE_ERROR')
    expect(router.leading('t', 0).role).toBe('leader')
  })
})

describe('a topic that is asked for', () => {
  test('and is missing is made with the defaults, once, however many ask', async () => {
    const { sim, router } = await started({ 'num.partitions': '3' })
    const all = await sim.clock.finish(Promise.all(Array.from({ length: 20 }, () => router.ensureTopic('t'))))
    expect(new Set(all.map(({ id }) => id)).size).toBe(1)
    expect(all[0]?.tablets).toHaveLength(3)
    for (const partition of [0, 1, 2]) expect(router.leading('t', partition).role).toBe('leader')
    expect([...router.topics().keys()]).toEqual(['t'])
  })

  test('while somebody makes it is that one', async () => {
    const { sim, broker, router } = await started()
    const made = makeTopic(broker, 't', {}, 5)
    const ensured = router.ensureTopic('t')
    expect((await sim.clock.finish(ensured)).id).toBe((await sim.clock.finish(made)).id)
    expect((await sim.clock.finish(ensured)).tablets).toHaveLength(5)
  })

  test('serves when it is answered, also when it was only just made by another', async () => {
    const { sim, router } = await started()
    const topics = await sim.clock.finish(
      Promise.all(['a', 'b', 'a', 'c'].map(name => router.ensureTopic(name))),
    )
    for (const { name } of topics) expect(router.leading(name, 0).role).toBe('leader')
  })

  test('is not made when the broker is told so, or when its name or the disk does not allow it', async () => {
    const { sim, router } = await started({ 'auto.create.topics.enable': 'false' })
    await expect(router.ensureTopic('t')).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    const { sim: other, router: open } = await started({}, simWorld({ seed: 16 }))
    await expect(other.clock.finish(open.ensureTopic('no good name'))).rejects.toMatchObject({
      code: 'INVALID_TOPIC_EXCEPTION',
    })
    other.disk.failNext('write', 'ENOSPC', /control/)
    await expect(other.clock.finish(open.ensureTopic('t'))).rejects.toMatchObject({
      code: 'KAFKA_STORAGE_ERROR',
    })
    expect((await other.clock.finish(open.ensureTopic('t'))).name).toBe('t')
    expect(sim.world.disk.list('/data/tablets')).toEqual([])
  })
})

test('settings change while running, and each topic has the nearest value', async () => {
  const { sim, broker, router } = await started({ 'log.retention.ms': '1000', 'num.partitions': '2' })
  const { id } = await sim.clock.finish(makeTopic(broker, 't', { 'retention.ms': '5' }))
  const other = await sim.clock.finish(makeTopic(broker, 'u'))
  const of = (topic: string): number | undefined => {
    const known = router.topics().get(topic)
    return known && router.topicSettings(known).retentionMs
  }
  expect([of('t'), of('u'), router.settings.numPartitions]).toEqual([5, 1000, 2])
  await sim.clock.finish(router.alterBrokerSettings({ set: { 'log.retention.ms': '2000' }, unset: [] }))
  expect([of('t'), of('u')]).toEqual([5, 2000])
  await sim.clock.finish(router.alterTopicSettings(id, { set: {}, unset: ['retention.ms'] }))
  expect([of('t'), tabletOf(broker, 't').settings.retentionMs]).toEqual([2000, 2000])
  const described = router.describeTopicSettings(other).find(({ name }) => name === 'retention.ms')
  expect(described).toMatchObject({ value: '2000', source: 'dynamic-default-broker' })
})

test('producer ids differ within a run and over all runs, however they end', async () => {
  const sim = simWorld({ seed: 17 })
  const given: number[] = []
  for (let run = 0; run < 12; run++) {
    const { broker, router } = await started({}, sim)
    for (let i = 0; i < 50; i++) given.push(router.newProducerId())
    if (run % 3 === 0) sim.kill()
    if (run % 3 === 1) sim.crash('lose')
    if (run % 3 === 2) {
      await sim.clock.finish(broker.stop())
      sim.kill()
    }
  }
  expect(new Set(given).size).toBe(600)
})

test('the log directory tells what each tablet holds and what is free', async () => {
  const { sim, broker, router } = await started()
  sim.disk.capacityBytes = 1_000_000
  await sim.clock.finish(makeTopic(broker, 't', {}, 2))
  const batch = batchOf({ bytes: 500 })
  await sim.clock.finish(append(tabletOf(broker, 't', 1), batch, -1))
  const { path, tablets, freeBytes, totalBytes } = router.logDirectory()
  expect([path, tablets.map(({ partition, sizeBytes }) => [partition, sizeBytes])]).toEqual([
    '/data',
    [
      [0, 0],
      [1, batch.length],
    ],
  ])
  expect(freeBytes).toBeLessThan(totalBytes)
  expect([router.ready, router.notReadyReason]).toEqual([true, undefined])
  router.end()
  expect(router.notReadyReason).toBe('the broker is stopping')
})
