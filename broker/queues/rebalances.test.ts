import { expect, test } from 'vitest'
import { SimQueues } from './queues.fixture.ts'

test('what is kept over a rebalance that begins anew before anybody has a share stays with its holder', async () => {
  const all = await SimQueues.start({ partitions: 6 })
  for (let partition = 0; partition < 6; partition++) await all.write(partition, [`p${partition}`])
  const one = await all.consumer('g', { visibilityTimeoutMs: 3_600_000 })
  const got = await all.receive(one)
  expect(got).toHaveLength(6)
  const before = all.broker.router.groups.of('g').find('g')?.group.generation ?? 0
  // The second one joins in the moment in which the first is told the generation.
  const joining = async () => {
    const { memberId } = await all.join('g', {})
    expect(all.broker.router.groups.of('g').find('g')?.group.state).toBe('CompletingRebalance')
    return Promise.all([all.join('g', {}), all.join('g', { memberId })])
  }
  const [second] = await all.done(joining())
  expect(second).toMatchObject({ generation: before + 2 })
  await all.sim.clock.runUntil(() => one.queue.share[0]?.partitions.length === 2)
  const kept = one.queue.share[0]?.partitions ?? []
  const two = await all.consumer()
  expect(await all.receive(two, 100, 2_000)).toEqual([])
  const held = [...one.queue.heldBy(one.consumer)]
  expect(held.map(({ partition, deliveries }) => [partition, deliveries])).toEqual(kept.map(n => [n, 1]))
  expect(await all.acknowledge(one, got)).toEqual(
    got.map(({ partition }) => (kept.includes(partition) ? '' : 'INVALID_RECORD_STATE')),
  )
})
