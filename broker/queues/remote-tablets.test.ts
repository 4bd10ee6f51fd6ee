/** Partitions that another broker leads: 0 is led here, 1 by the other one, as far as it is not moved. */
import { expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { tabletOf } from '../../test/sim/broker.ts'
import { SimQueues, values } from './queues.fixture.ts'

test('what another broker leads is handed out, acknowledged and committed as what is led here', async () => {
  const all = await SimQueues.start({ spread: true })
  await all.write(0, ['a'])
  await all.write(1, ['b', 'c'])
  const one = await all.consumer()
  const got = [...(await all.receive(one)), ...(await all.receive(one))]
  expect(values(got).toSorted()).toEqual(['a', 'b', 'c'])
  expect(await all.acknowledge(one, got)).toEqual(['', '', ''])
  expect(all.committed()).toEqual({ 0: 1, 1: 2 })
})

test('a record wakes who waits for it, and who does not wait is told what there is', async () => {
  const all = await SimQueues.start({ spread: true })
  const one = await all.consumer('g', { visibilityTimeoutMs: 600_000 })
  const waiting = all.receiving(one, 1, 60_000)
  await all.sim.clock.runFor(30_000)
  await all.write(1, ['now'])
  const beganMs = all.sim.clock.monotonicMs()
  expect(values(await all.done(waiting))).toEqual(['now'])
  expect(all.sim.clock.monotonicMs() - beganMs).toBeLessThan(1_000)
  await all.sim.clock.runFor(30_000)
  await all.write(1, ['later'])
  expect(values(await all.receive(one, 1, 0))).toEqual(['later'])
})

test('a leader is asked while somebody waits, for all partitions at once, and by nobody else', async () => {
  const all = await SimQueues.start({ spread: true, partitions: 20 })
  const { asked } = all.spread
  const one = await all.consumer()
  await all.receive(one, 1, 1_000)
  await all.sim.clock.runFor(15_000)
  const before = { ...asked }
  await all.sim.clock.runFor(60_000)
  expect(asked).toEqual(before)
  const two = await all.consumer()
  await all.done(Promise.all([all.receiving(one, 1, 60_000), all.receiving(two, 1, 60_000)]))
  expect(asked.batches).toBe(before.batches)
  expect(asked.ends - before.ends).toBeLessThan(8)
})

test('a leader that does not answer holds up nothing else, is asked ever more rarely, and is read when it is back', async () => {
  const all = await SimQueues.start({ spread: true })
  const one = await all.consumer('g', { visibilityTimeoutMs: 600_000 })
  await all.receive(one, 1, 1_000)
  all.spread.cut = true
  await all.write(1, ['there'])
  await all.write(0, ['here'])
  expect(values(await all.receive(one))).toEqual(['here'])
  const before = all.spread.asked.ends
  expect(await all.refused(all.receiving(one, 1, 60_000))).toBe('LEADER_NOT_AVAILABLE')
  expect(all.spread.asked.ends - before).toBeLessThan(25)
  expect(all.lines.filter(({ msg }) => msg.includes('queues cannot read')).length).toBeGreaterThan(0)
  const waiting = all.receiving(one, 1, 60_000)
  all.spread.cut = false
  expect(values(await all.done(waiting))).toEqual(['there'])
})

test('what was handed out stays with its holder when another broker leads the partition', async () => {
  const all = await SimQueues.start({ spread: true, partitions: 1 })
  await all.write(0, ['a', 'b', 'c'])
  const one = await all.consumer('g', { visibilityTimeoutMs: 600_000 })
  const got = await all.receive(one, 2)
  all.spread.move(0, 1, 1_000, [2_000, 0])
  await all.sim.clock.runFor(10_000)
  const again = await all.receive(one)
  expect(values(again)).toEqual(['c'])
  all.spread.move(0, 0, 1_000, [0, 2_000])
  await all.sim.clock.runFor(10_000)
  await all.write(0, ['d'])
  expect(values(await all.receive(one))).toEqual(['d'])
  expect(await all.acknowledge(one, [...got, ...again])).toEqual(['', '', ''])
  expect(all.committed()).toEqual({ 0: 3 })
})

test('what the log of the other broker no longer has is passed over', async () => {
  const all = await SimQueues.start({ spread: true })
  await all.write(1, ['a', 'b'])
  const one = await all.consumer()
  expect(values(await all.receive(one, 1))).toEqual(['a'])
  await all.write(1, ['c'])
  await all.done(tabletOf(all.broker, 't', 1).deleteRecordsBefore(offset(2)))
  expect(values(await all.receive(one))).toEqual(['c'])
})

test('a group goes on where it has committed, however old what is known of the partition', async () => {
  const all = await SimQueues.start({ spread: true, partitions: 2 })
  const other = await all.consumer('other', { offsetReset: 'latest' })
  await all.receive(other, 1, 1_000)
  await all.sim.clock.runFor(60_000)
  await all.write(1, ['a', 'b', 'c'])
  const value = { offset: 2, leaderEpoch: -1, metadata: '', commitTimestamp: 1, expireTimestamp: -1 }
  const speaker = { memberId: '', instanceId: null, generation: -1 }
  const { groups } = all.broker.router
  await all.done(groups.of('g').commit('g', speaker, [{ topic: 't', partition: 1, value }]))
  const one = await all.consumer('g', { offsetReset: 'latest' })
  expect(values(await all.receive(one))).toEqual(['c'])
  expect(all.lines.filter(({ msg }) => msg.includes('not in the log any more'))).toEqual([])
})

test('latest begins where the other broker ends when the group is given the partition', async () => {
  const all = await SimQueues.start({ spread: true })
  await all.write(1, ['before'])
  const one = await all.consumer('g', { offsetReset: 'latest' })
  await all.sim.clock.runFor(5_000)
  await all.write(1, ['behind'])
  expect(values(await all.receive(one))).toEqual(['behind'])
})
