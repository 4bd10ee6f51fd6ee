import { expect, test } from 'vitest'
import { ownRecords } from './window.ts'
import { SimQueues, values } from './queues.fixture.ts'

const records = Array.from({ length: 300 }, (_, n) => `${n}`)

test('a group that holds all there is room for leaves others their share, and the rest when it lets go', async () => {
  const all = await SimQueues.start({ partitions: 1, recordsMax: 250 })
  await all.write(0, records)
  const greedy = await all.consumer('greedy')
  const held = await all.receive(greedy, 1_000)
  expect(values(held)).toEqual(records.slice(0, 250))
  expect(all.lines.filter(({ msg }) => msg.startsWith('queues remember as many records'))).toHaveLength(1)
  const other = await all.consumer('other')
  expect(await all.receive(other, 1_000)).toHaveLength(ownRecords)
  const waiting = all.receiving(other, 1_000, 60_000)
  await all.sim.clock.runFor(15_000)
  const beforeMs = all.sim.clock.monotonicMs()
  expect(await all.acknowledge(greedy, held)).toEqual(held.map(() => ''))
  expect(values(await all.done(waiting))).toEqual(records.slice(ownRecords, 250))
  expect(all.sim.clock.monotonicMs() - beforeMs).toBeLessThan(400)
  expect(all.lines.filter(({ msg }) => msg.startsWith('queues remember as many records'))).toHaveLength(2)
})

test('who cannot be given anything because the group’s beginning cannot be committed is told why', async () => {
  const all = await SimQueues.start({ partitions: 1, settings: { 'stele.group.memory.bytes': '1048576' } })
  const one = await all.consumer()
  expect(await all.receive(one, 1, 1_000)).toEqual([])
  // Another group takes all the memory but for a few hundred bytes.
  const groups = all.broker.router.groups.of('filler')
  const fill = async (metadata: string): Promise<void> => {
    for (let partition = 0, refused: unknown; refused === undefined; partition++) {
      const value = { offset: 1, leaderEpoch: -1, metadata, commitTimestamp: 0, expireTimestamp: -1 }
      const nobody = { memberId: '', instanceId: null, generation: -1 }
      refused = await all.done(
        groups.commit('filler', nobody, [{ topic: `t${metadata.length}`, partition, value }]),
      )
    }
  }
  for (const length of [4_000, 400, 0]) await fill('m'.repeat(length))
  const { id = '' } = all.broker.router.topics().get('t') ?? {}
  await all.done(all.broker.router.addTablets(id, 2))
  await all.write(1, ['a'])
  expect(await all.refused(all.receiving(one, 1, 5_000))).toBe('INVALID_COMMIT_OFFSET_SIZE')
  expect(all.lines.filter(({ msg }) => msg === 'offsets of a queue cannot be committed')).toHaveLength(1)
  await all.write(0, ['b'])
  const got = await all.receive(one, 1, 1_000)
  expect(values(got)).toEqual(['b'])
  // There is room again, and the next commit is an acknowledgement's.
  await all.done(groups.delete('filler'))
  expect(await all.acknowledge(one, got)).toEqual([''])
  expect(values(await all.receive(one))).toEqual(['a'])
})

test('a group has a name', async () => {
  const all = await SimQueues.start()
  expect(await all.refused(all.consumer(''))).toBe('INVALID_GROUP_ID')
})
