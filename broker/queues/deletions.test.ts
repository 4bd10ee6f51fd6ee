import { expect, test } from 'vitest'
import { SimQueues, values } from './queues.fixture.ts'

const numbered = (count: number) => Array.from({ length: count }, (_, n) => `new${n}`)

test('what is acknowledged after its topic was deleted is refused, and the next topic of the name is read from its beginning', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, ['a', 'b', 'c'])
  const one = await all.consumer()
  const got = await all.receive(one)
  await all.deleteTopic()
  await all.sim.clock.runFor(100)
  expect(await all.acknowledge(one, got)).toEqual(got.map(() => 'INVALID_RECORD_STATE'))
  expect(all.committed()).toEqual({})
  await all.makeTopic()
  await all.write(0, numbered(5))
  expect(values(await all.receive(one))).toEqual(numbered(5))
})

test('a topic that is made anew at once is read from its beginning', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, ['a', 'b', 'c'])
  const one = await all.consumer()
  const got = await all.receive(one)
  const waiting = all.receiving(one, 100, 20_000)
  await all.deleteTopic()
  await all.makeTopic()
  await all.write(0, numbered(5))
  expect(await all.acknowledge(one, got)).toEqual(got.map(() => 'INVALID_RECORD_STATE'))
  const again = await all.done(waiting)
  expect(again.map(({ value, deliveries }) => [value, deliveries])).toEqual(
    numbered(5).map(value => [value, 1]),
  )
  expect(await all.acknowledge(one, again)).toEqual(again.map(() => ''))
  expect(all.committed()).toEqual({ 0: 5 })
})

test('acknowledgements that wait for the next generation do not outlive the topic', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, ['a', 'b', 'c'])
  const one = await all.consumer()
  const got = await all.receive(one)
  const joining = all.join('g', {})
  // The Kafka client is in the next generation, and does not fetch its share.
  const joined = await all.done(joining)
  const acknowledging = all.acknowledge(one, got)
  await all.deleteTopic()
  await all.makeTopic()
  all.broker.router.groups.of('g').leave('g', [{ memberId: joined.memberId, instanceId: null }])
  expect(await acknowledging).toEqual(got.map(() => 'INVALID_RECORD_STATE'))
  await all.write(0, numbered(5))
  expect(values(await all.receive(one))).toEqual(numbered(5))
})
