import { expect, test } from 'vitest'
import { assignedTopics, assignmentOf } from '../../protocol/kafka/consumer-protocol.ts'
import { brokerId, epoch, incarnation } from '../../base/quantities.ts'
import { offsetsTopic } from '../../control/model.ts'
import { startOf } from '../../test/contract/control-store.opened.ts'
import { tabletOf } from '../../test/sim/broker.ts'
import { bounds, silenceMsMax } from './consumer.ts'
import { SimQueues, values, type Got } from './queues.fixture.ts'
import { windowRecordsMax } from './window.ts'

const letters = (from: string, count: number): string[] =>
  Array.from({ length: count }, (_, n) => String.fromCharCode(from.charCodeAt(0) + n))

test('consumers compete for records; what is acknowledged is committed, also behind a hole once that is filled', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, letters('a', 5))
  const [one, two] = [await all.consumer(), await all.consumer()]
  const first = await all.receive(one, 2)
  const second = await all.receive(two)
  expect([values(first), values(second)]).toEqual([
    ['a', 'b'],
    ['c', 'd', 'e'],
  ])
  expect(first[0]).toMatchObject({ topic: 't', partition: 0, offset: 0, deliveries: 1 })
  expect(await all.acknowledge(two, second)).toEqual(['', '', ''])
  expect(all.committed()).toEqual({ 0: 0 })
  expect(await all.acknowledge(one, first)).toEqual(['', ''])
  expect(all.committed()).toEqual({ 0: 5 })
  expect(await all.receive(one)).toEqual([])
})

test('the very first consumer of a broker waits until groups can be coordinated, and so does one after a start', async () => {
  const all = await SimQueues.start({ fresh: true })
  expect((await all.consumer()).consumer.topics).toEqual(['t'])
  all.sim.kill()
  await all.boot()
  expect(() => all.broker.router.groups.of('g')).toThrow('still being read')
  expect((await all.consumer()).consumer.topics).toEqual(['t'])
})

test('who waits gets what comes, at once', async () => {
  const all = await SimQueues.start()
  const one = await all.consumer()
  await all.receive(one, 1, 1_000)
  const before = all.sim.clock.monotonicMs()
  const receiving = all.receiving(one, 10, 60_000)
  await all.sim.clock.runFor(5_000)
  await all.write(1, ['late'])
  expect(values(await all.done(receiving))).toEqual(['late'])
  expect(all.sim.clock.monotonicMs() - before).toBeLessThan(5_100)
})

test('what is not acknowledged in time goes to who waits, with its count; the late one is told', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, ['a', 'b'])
  const one = await all.consumer('g', { visibilityTimeoutMs: 5_000 })
  const two = await all.consumer()
  const first = await all.receive(one)
  const again = await all.receive(two, 100, 20_000)
  expect(again.map(({ value, deliveries }) => [value, deliveries])).toEqual([
    ['a', 2],
    ['b', 2],
  ])
  expect(await all.acknowledge(one, first)).toEqual(['INVALID_RECORD_STATE', 'INVALID_RECORD_STATE'])
  expect(all.committed()).toEqual({ 0: 0 })
  expect(await all.acknowledge(two, again)).toEqual(['', ''])
  expect(all.committed()).toEqual({ 0: 2 })
  expect([one.queue.redeliveries, one.queue.unacknowledged]).toEqual([2, 0])
})

test('released ones come at once, extended ones later', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, ['a', 'b'])
  const one = await all.consumer('g', { visibilityTimeoutMs: 5_000 })
  const [a, b] = await all.receive(one)
  if (a === undefined || b === undefined) throw new Error('there are two')
  expect(one.queue.extend(one.consumer, [b.receipt, 'nonsense'], 60_000).map(answer => answer?.code)).toEqual(
    [undefined, 'INVALID_RECORD_STATE'],
  )
  expect(one.queue.release(one.consumer, [a.receipt])).toEqual([undefined])
  expect(values(await all.receive(one, 100, 0))).toEqual(['a'])
  expect([...one.queue.heldBy(one.consumer)].map(({ offset, deliveries }) => [offset, deliveries])).toEqual([
    [0, 2],
    [1, 1],
  ])
  await all.sim.clock.runFor(30_000)
  expect(values(await all.receive(one, 100, 0))).toEqual(['a'])
  await all.sim.clock.runFor(40_000)
  expect(values(await all.receive(one, 100, 0))).toEqual(['a', 'b'])
})

test('a consumer holds no more than it may, and gets more when it has acknowledged', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, letters('a', 9))
  const one = await all.consumer('g', { maxUnacknowledged: 3 })
  const first = await all.receive(one)
  expect(values(first)).toEqual(['a', 'b', 'c'])
  const waiting = all.receiving(one, 100, 20_000)
  expect(await all.acknowledge(one, first.slice(1))).toEqual(['', ''])
  expect(values(await all.done(waiting))).toEqual(['d', 'e'])
})

test('a consumer that is removed, or silent for too long, leaves what it had to the others', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, ['a', 'b'])
  const [one, two, three] = [await all.consumer(), await all.consumer(), await all.consumer()]
  expect(values(await all.receive(one, 1))).toEqual(['a'])
  expect(values(await all.receive(two, 1))).toEqual(['b'])
  one.queue.remove(one.consumer)
  expect(values(await all.receive(three, 1))).toEqual(['a'])
  expect(() => all.queues.find('g', one.consumer.id)).toThrow('There is no consumer')
  const waiting = all.receiving(two, 1, 60_000)
  two.queue.remove(two.consumer)
  expect(await all.refused(waiting)).toBe('UNKNOWN_CONSUMER')
  await all.sim.clock.runFor(30_000 + silenceMsMax + 2_000)
  expect(() => all.queues.find('g', three.consumer.id)).toThrow('There is no consumer')
  expect(all.queues.of('g')).toBeUndefined()
  expect(all.broker.router.groups.of('g').find('g')?.group.state).toBe('Empty')
  expect(values(await all.receive(await all.consumer()))).toEqual(['a', 'b'])
})

test('a consumer goes on under the next coordinator, with nothing of what it held', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, letters('a', 4))
  const wish = { visibilityTimeoutMs: 40_000, maxUnacknowledged: 3 }
  const [one, two, gone] = [
    await all.consumer('g', wish),
    await all.consumer('g', wish),
    await all.consumer(),
  ]
  gone.queue.remove(gone.consumer)
  expect(await all.refused(all.queues.resume('g', gone.consumer.id))).toBe('UNKNOWN_CONSUMER')
  const got = await all.receive(one, 3)
  expect(await all.acknowledge(one, got.slice(0, 1))).toEqual([''])
  await all.restart('kill')
  // Of those that ask at once one is made.
  const asking = [1, 2].map(() => all.queues.resume('g', one.consumer.id))
  const [again, same] = await all.done(Promise.all(asking))
  if (again === undefined) throw new Error('there is none')
  expect(same?.consumer).toBe(again.consumer)
  expect(again.consumer).toMatchObject({ ...wish, id: one.consumer.id, topics: ['t'], unacknowledged: 0 })
  expect(await all.acknowledge(again, got.slice(1))).toEqual(got.slice(1).map(() => 'INVALID_RECORD_STATE'))
  expect(values(await all.receive(again))).toEqual(['b', 'c', 'd'])
  again.queue.remove(again.consumer)
  expect(await all.refused(all.queues.resume('g', one.consumer.id))).toBe('UNKNOWN_CONSUMER')
  expect((await all.done(all.queues.resume('g', two.consumer.id))).consumer.id).toBe(two.consumer.id)
})

test('what the HTTP consumers of the coordinator before were given is taken over at once', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, ['a'])
  const one = await all.consumer()
  expect(values(await all.receive(one))).toEqual(['a'])
  await all.restart('kill')
  const startedMs = all.sim.clock.monotonicMs()
  // The other broker's: the member of the first is still in the group, and its session lasts for 10 s.
  const { id } = one.consumer
  expect(values(await all.receive(await all.done(all.others.resume('g', id))))).toEqual(['a'])
  expect(all.sim.clock.monotonicMs() - startedMs).toBeLessThan(3_000)
})

/** The control store says that another broker coordinates the group, or this one again. */
async function coordinate(all: SimQueues, by: 0 | 1): Promise<void> {
  const { broker } = all
  const topic = broker.store.topics().get(offsetsTopic)
  const partition = broker.router.groups.partitionOf('g') ?? -1
  const now = topic?.tablets[partition]
  if (topic === undefined || now === undefined) throw new Error('there are no groups')
  const members = [0, 1].map(id => ({ broker: brokerId(id), incarnation: incarnation(1) }))
  const leads = { epoch: epoch(now.epoch + 1), version: now.version + 1, leader: brokerId(by) }
  const to = { ...now, ...leads, replicas: [0, 1].map(brokerId), isr: members }
  await all.done(broker.store.changeTablets(topic.id, [{ tablet: partition, test: now, to }]))
  await all.done(broker.tablets.settled())
}

test('who waits at a coordinator that is none any more is told so, and goes on when it is one again', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.done(all.broker.store.registerBroker(startOf(1)))
  const [one, two] = [await all.consumer(), await all.consumer()]
  expect(await all.receive(one)).toEqual([])
  const startedMs = all.sim.clock.monotonicMs()
  const waiting = [one, two].map(asked => all.refused(all.receiving(asked, 1, 60_000)))
  await coordinate(all, 1)
  expect(await all.done(Promise.all(waiting))).toEqual(waiting.map(() => 'COORDINATOR_NOT_AVAILABLE'))
  expect(all.sim.clock.monotonicMs() - startedMs).toBeLessThan(1_000)
  expect(await all.refused(all.receiving(one, 1, 0))).toBe('COORDINATOR_NOT_AVAILABLE')
  await coordinate(all, 0)
  await all.loaded()
  await all.write(0, ['a'])
  const again = await all.done(all.queues.resume('g', one.consumer.id))
  const got = all.receiving(again)
  expect(values(await all.done(got))).toEqual(['a'])
})

test('a group that has never committed begins where it is told, and that is committed before anything is handed out', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, ['old'])
  const one = await all.consumer('new', { offsetReset: 'latest' })
  expect(await all.receive(one, 100, 2_000)).toEqual([])
  expect(all.committed('new')).toEqual({ 0: 1 })
  await all.write(0, ['a'])
  expect(values(await all.receive(one))).toEqual(['a'])
  await all.restart('kill')
  expect(values(await all.receive(await all.consumer('new', { offsetReset: 'latest' })))).toEqual(['a'])
})

test.each(['kill', 'crash', 'stop'] as const)(
  'after a %s of the broker everything that was not acknowledged comes again, and nothing else',
  async how => {
    const all = await SimQueues.start({ partitions: 1 })
    await all.write(0, letters('a', 6))
    const one = await all.consumer()
    const got = await all.receive(one)
    expect(await all.acknowledge(one, got.slice(0, 2))).toEqual(['', ''])
    expect(await all.acknowledge(one, got.slice(3, 4))).toEqual([''])
    await all.restart(how)
    expect(() => all.queues.find('g', one.consumer.id)).toThrow('There is no consumer')
    const again = await all.receive(await all.consumer())
    expect([values(again), again.every(({ deliveries }) => deliveries === 1)]).toEqual([
      ['c', 'd', 'e', 'f'],
      true,
    ])
    expect(await all.acknowledge(await all.consumer(), got)).toEqual(got.map(() => 'INVALID_RECORD_STATE'))
  },
)

test('a broker that stops answers those who wait, and has left the group', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  const one = await all.consumer()
  await all.receive(one, 1, 1_000)
  const waiting = all.receiving(one, 1, 60_000)
  const before = all.sim.clock.monotonicMs()
  await all.done(all.queues.end())
  expect(await all.done(waiting)).toEqual([])
  expect(all.sim.clock.monotonicMs() - before).toBeLessThan(100)
  expect(all.broker.router.groups.of('g').find('g')?.group.members.size).toBe(0)
  expect(await all.refused(all.queues.add('g', one.consumer))).toBe('BROKER_STOPPING')
})

test('a Kafka client shares the partitions; what it takes over goes on behind the acknowledged', async () => {
  const all = await SimQueues.start({ partitions: 2 })
  for (const partition of [0, 1]) await all.write(partition, letters('a', 4))
  const one = await all.consumer()
  const got = await all.receive(one)
  expect(got).toHaveLength(8)
  expect(
    await all.acknowledge(
      one,
      got.filter(({ offset }) => offset < 2),
    ),
  ).toEqual(['', '', '', ''])
  const joined = await all.done(all.join('g', {}))
  if (joined.refused !== undefined) throw new Error(joined.refused)
  const { memberId, generation } = joined
  const groups = all.broker.router.groups.of('g')
  const speaker = { memberId, generation, instanceId: null }
  const share = await all.done(
    groups.sync('g', { ...speaker, protocolType: null, protocol: null, assignments: new Map() }),
  )
  if (share.refused !== undefined) throw new Error(share.refused)
  const [theirs] = assignedTopics(share.assignment)?.[0]?.partitions ?? []
  expect(assignedTopics(share.assignment)).toEqual([{ topic: 't', partitions: [theirs] }])
  await all.sim.clock.runFor(100)
  expect(one.queue.share).toEqual([{ topic: 't', partitions: [1 - (theirs ?? 0)] }])
  // What was kept goes on as if nothing had been; what was lost is refused.
  const rest = got.filter(({ offset }) => offset >= 2)
  expect(await all.acknowledge(one, rest)).toEqual(
    rest.map(({ partition }) => (partition === theirs ? 'INVALID_RECORD_STATE' : '')),
  )
  expect(all.committed()).toEqual({ [theirs ?? 0]: 2, [1 - (theirs ?? 0)]: 4 })
  // It commits, and goes: the partition comes back from there.
  const commitTimestamp = all.sim.clock.nowMs()
  const value = { offset: 3, leaderEpoch: -1, metadata: '', commitTimestamp, expireTimestamp: -1 }
  expect(
    await all.done(groups.commit('g', speaker, [{ topic: 't', partition: theirs ?? 0, value }])),
  ).toBeUndefined()
  groups.leave('g', [{ memberId, instanceId: null }])
  const back = await all.receive(one)
  expect(back.map(({ partition, offset }) => [partition, offset])).toEqual([[theirs, 3]])
})

test.each([
  ['is kept', 0],
  ['goes to somebody else', 1],
])(
  'between two generations nothing is handed out, and acknowledgements wait to know whose the partition is: it %s',
  async (_what, theirs) => {
    const all = await SimQueues.start({ partitions: 1 })
    await all.write(0, ['a', 'b', 'c'])
    const groups = all.broker.router.groups.of('g')
    const join = async (memberId: string) => {
      const joined = await all.done(all.join('g', { memberId }))
      if (joined.refused !== undefined) throw new Error(joined.refused)
      return joined
    }
    /** The Kafka client leads, and gives the partition to itself or not. */
    const shareOut = async (
      { memberId, generation, members }: Awaited<ReturnType<typeof join>>,
      own: number,
    ) => {
      const assignments = new Map(
        members.map(one => [
          one.memberId,
          assignmentOf((one.memberId === memberId) === (own === 1) ? [{ topic: 't', partitions: [0] }] : []),
        ]),
      )
      const asked = {
        memberId,
        generation,
        instanceId: null,
        protocolType: null,
        protocol: null,
        assignments,
      }
      expect((await all.done(groups.sync('g', asked))).refused).toBeUndefined()
    }
    const first = await join('')
    await shareOut(first, 1)
    const one = await all.consumer()
    await all.sim.clock.runFor(50)
    await shareOut(await join(first.memberId), 0)
    const got = await all.receive(one, 2)
    expect(values(got)).toEqual(['a', 'b'])
    const next = await join(first.memberId)
    const acknowledging = one.queue.acknowledge(
      one.consumer,
      got.map(({ receipt }) => receipt),
    )
    let answered = false
    void acknowledging.then(() => (answered = true))
    expect(await all.receive(one, 100, 3_000)).toEqual([])
    expect([answered, all.committed()]).toEqual([false, { 0: 0 }])
    await shareOut(next, theirs)
    const answers = (await all.done(acknowledging)).map(answer => answer?.code)
    if (theirs === 0) {
      expect([answers, all.committed()]).toEqual([[undefined, undefined], { 0: 2 }])
      expect((await all.receive(one)).map(({ value, deliveries }) => [value, deliveries])).toEqual([['c', 1]])
    } else {
      expect([answers, all.committed()]).toEqual([['INVALID_RECORD_STATE', 'INVALID_RECORD_STATE'], { 0: 0 }])
      expect(await all.receive(one, 100, 2_000)).toEqual([])
    }
  },
)

test('who was put out of the group begins anew at the committed offset', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, ['a', 'b'])
  const one = await all.consumer()
  const got = await all.receive(one)
  await all.acknowledge(one, got.slice(0, 1))
  const groups = all.broker.router.groups.of('g')
  groups.leave('g', [{ memberId: '', instanceId: 'stele-http-0' }])
  expect(await all.acknowledge(one, got.slice(1))).toEqual(['INVALID_RECORD_STATE'])
  const again = await all.receive(one)
  expect(again.map(({ value, deliveries }) => [value, deliveries])).toEqual([['b', 1]])
})

test('who has missed a generation does not take up what it had before: somebody else has had it', async () => {
  const all = await SimQueues.start({ partitions: 2 })
  await all.write(1, ['a', 'b', 'c', 'd'])
  await all.done(all.broker.router.createTopics([{ name: 'u', settings: {}, tablets: 1, replication: 1 }]))
  const one = await all.consumer()
  expect(values(await all.receive(one, 1))).toEqual(['a'])
  const groups = all.broker.router.groups.of('g')
  const [ours] = groups.find('g')?.group.members ?? []
  if (ours === undefined) throw new Error('it is a member')
  // A generation passes in which a Kafka client has everything; the broker's member has slept through it.
  const joining = all.join('g', {})
  const asUs = all.join('g', { memberId: ours.id, instanceId: ours.instanceId, protocols: ours.protocols })
  const [theirs, led] = [await joining, await asUs]
  if (theirs.refused !== undefined || led.refused !== undefined) throw new Error('both are in')
  const { generation } = theirs
  const everything = assignmentOf([{ topic: 't', partitions: [0, 1] }])
  const sync = (memberId: string, instanceId: string | null) =>
    groups.sync('g', {
      memberId,
      instanceId,
      generation,
      protocolType: null,
      protocol: null,
      assignments: new Map([[theirs.memberId, everything]]),
    })
  const speaker = { memberId: theirs.memberId, instanceId: null, generation }
  await Promise.all([sync(ours.id, ours.instanceId), sync(theirs.memberId, null), all.sim.clock.runFor(50)])
  const commitTimestamp = all.sim.clock.nowMs()
  const value = { offset: 3, leaderEpoch: -1, metadata: '', commitTimestamp, expireTimestamp: -1 }
  const committing = groups.commit('g', speaker, [{ topic: 't', partition: 1, value }])
  await all.sim.clock.runFor(50)
  expect(await committing).toBeUndefined()
  // It wakes up because it wants to read more, and joins the next one.
  void all.consumer('g', { topics: ['u'] })
  await all.sim.clock.runFor(50)
  const rejoined = await all.done(all.join('g', { memberId: theirs.memberId }))
  expect(rejoined).toMatchObject({ generation: generation + 1 })
  const got = await all.receive(one)
  expect(one.queue.share).toContainEqual({ topic: 't', partitions: [1] })
  expect(values(got)).toEqual(['d'])
})

test('many acknowledgements at once are few commits', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, letters('a', 26))
  const one = await all.consumer()
  const got = await all.receive(one)
  const { counters } = tabletOf(all.broker, '__consumer_offsets', all.broker.router.groups.partitionOf('g'))
  const before = counters.messagesIn
  const answers = got.map(({ receipt }) => one.queue.acknowledge(one.consumer, [receipt]))
  expect((await all.done(Promise.all(answers))).flat()).toEqual(got.map(() => undefined))
  expect(counters.messagesIn - before).toBeLessThanOrEqual(2)
  expect(all.committed()).toEqual({ 0: 26 })
})

test('deleted records are passed over, and a topic that is made anew begins anew', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, letters('a', 4))
  const one = await all.consumer()
  const got = await all.receive(one, 3)
  await all.done(all.broker.router.leading('t', 0).deleteRecordsBefore(got[2]?.offset as never))
  one.queue.release(
    one.consumer,
    got.map(({ receipt }) => receipt),
  )
  expect(values(await all.receive(one))).toEqual(['c', 'd'])
  await all.sim.clock.runUntil(() => all.committed()[0] === 2)
  const { id = '' } = all.broker.router.topics().get('t') ?? {}
  await all.done(all.broker.router.deleteTopic('t', id))
  expect(await all.refused(all.receiving(one, 1, 2_000))).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  const [made] = await all.done(
    all.broker.router.createTopics([{ name: 't', settings: {}, tablets: 1, replication: 1 }]),
  )
  expect(made).toMatchObject({ name: 't' })
  await all.write(0, ['new'])
  expect(values(await all.receive(one))).toEqual(['new'])
})

test('new partitions, and topics of new consumers, are read too', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  const one = await all.consumer()
  const { id = '' } = all.broker.router.topics().get('t') ?? {}
  await all.done(all.broker.router.addTablets(id, 2))
  await all.write(1, ['there'])
  expect(values(await all.receive(one))).toEqual(['there'])
  await all.done(all.broker.router.createTopics([{ name: 'u', settings: {}, tablets: 1, replication: 1 }]))
  await all.write(0, ['other'], 'u')
  const two = await all.consumer('g', { topics: ['u'] })
  expect(values(await all.receive(two))).toEqual(['other'])
  expect(await all.receive(one, 100, 1_000)).toEqual([])
})

test('who cannot be let in is told why', async () => {
  const all = await SimQueues.start()
  expect(await all.refused(all.consumer('g', { topics: ['none'] }))).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  expect(await all.refused(all.consumer('g', { topics: ['__consumer_offsets'] }))).toBe(
    'INVALID_TOPIC_EXCEPTION',
  )
  await all.done(all.join('connect', { protocolType: 'connect' }))
  expect(await all.refused(all.consumer('connect'))).toBe('INCONSISTENT_GROUP_PROTOCOL')
  await all.done(
    all.join('sticky', { protocols: [{ name: 'cooperative-sticky', metadata: Buffer.alloc(0) }] }),
  )
  const one = await all.consumer('sticky')
  expect(await all.refused(all.receiving(one, 1, 5_000))).toBe('INCONSISTENT_GROUP_PROTOCOL')
})

test('a group has a bounded number of consumers, and one that goes makes room', async () => {
  const all = await SimQueues.start()
  const one = await all.consumer()
  const { topics, visibilityTimeoutMs, maxUnacknowledged, offsetReset } = one.consumer
  const wish = { topics, visibilityTimeoutMs, maxUnacknowledged, offsetReset }
  const more = Array.from({ length: bounds.consumersOfGroup - 1 }, () => all.queues.add('g', wish))
  await all.done(Promise.all(more))
  expect(one.queue.size).toBe(bounds.consumersOfGroup)
  expect(await all.refused(all.queues.add('g', wish))).toBe('GROUP_MAX_SIZE_REACHED')
  expect((await all.consumer('other')).consumer.topics).toEqual(['t'])
  one.queue.remove(one.consumer)
  expect(await all.refused(all.queues.add('g', wish))).toBeUndefined()
})

test('a partition whose oldest record is never acknowledged stops at the bound, and goes on when it is', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  for (let n = 0; n < 12; n++)
    await all.write(
      0,
      Array.from({ length: 1_000 }, (_, i) => `${n * 1_000 + i}`),
    )
  const one = await all.consumer('g', { maxUnacknowledged: 10_000, visibilityTimeoutMs: 3_600_000 })
  const got: Got[] = []
  for (let more = await all.receive(one, 10_000); more.length > 0; more = await all.receive(one, 10_000, 0)) {
    got.push(...more)
    await all.acknowledge(
      one,
      more.filter(({ offset }) => offset > 0),
    )
  }
  expect([got.length, all.committed()]).toEqual([windowRecordsMax, { 0: 0 }])
  expect(await all.acknowledge(one, got.slice(0, 1))).toEqual([''])
  expect(all.committed()).toEqual({ 0: windowRecordsMax })
  expect((await all.receive(one, 10_000, 0))[0]).toMatchObject({ offset: windowRecordsMax })
})
