import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPartitions } from '../../../../protocol/kafka/apis/create-partitions.ts'
import { deleteRecords } from '../../../../protocol/kafka/apis/delete-records.ts'
import { describeGroups } from '../../../../protocol/kafka/apis/describe-groups.ts'
import { findCoordinator } from '../../../../protocol/kafka/apis/find-coordinator.ts'
import { heartbeat } from '../../../../protocol/kafka/apis/heartbeat.ts'
import { incrementalAlterConfigs } from '../../../../protocol/kafka/apis/incremental-alter-configs.ts'
import { joinGroup } from '../../../../protocol/kafka/apis/join-group.ts'
import { leaveGroup } from '../../../../protocol/kafka/apis/leave-group.ts'
import { metadata } from '../../../../protocol/kafka/apis/metadata.ts'
import { offsetCommit } from '../../../../protocol/kafka/apis/offset-commit.ts'
import { offsetFetch } from '../../../../protocol/kafka/apis/offset-fetch.ts'
import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import { syncGroup } from '../../../../protocol/kafka/apis/sync-group.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import { batchOf, firstOf, makeTopic, produceBody, TestBroker } from '../broker.fixture.ts'
import type { TestClient } from '../client.fixture.ts'

const settings = { 'offsets.topic.num.partitions': '4', 'group.initial.rebalance.delay.ms': '100' }
const noId = 'AAAAAAAAAAAAAAAAAAAAAA'
let broker: TestBroker
beforeAll(async () => {
  broker = await TestBroker.start(settings)
  const client = await broker.client()
  await makeTopic(client, 'orders', 3)
  await client.ask(findCoordinator, 4, { coordinatorKeys: ['g'] })
})
afterAll(() => broker.stop())

type Join = RequestOf<typeof joinGroup>
const joins = (groupId: string, wanted: Partial<Join> = {}) => ({
  groupId,
  sessionTimeoutMs: 6_000,
  rebalanceTimeoutMs: 10_000,
  memberId: '',
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.from(groupId) }],
  ...wanted,
})
const ask = (client: TestClient, groupId: string, wanted?: Partial<Join>) =>
  client.ask(joinGroup, 9, joins(groupId, wanted))
/** Joins as new clients do: the id first. */
async function join(client: TestClient, groupId: string) {
  const { memberId } = await ask(client, groupId)
  return ask(client, groupId, { memberId })
}

test('two clients share work, a third makes them share anew, and what one commits the others see', async () => {
  const [a, b, c] = [await broker.client(), await broker.client(), await broker.client()]
  const joined = await Promise.all([join(a, 'work'), join(b, 'work')])
  const leader = joined.find(({ memberId, leader }) => memberId === leader)
  expect(leader?.members.map(({ metadata }) => metadata.toString())).toEqual(['work', 'work'])
  const range = { protocolType: 'consumer', protocolName: 'range' }
  const shares = leader?.members.map(({ memberId }) => ({
    memberId,
    assignment: Buffer.from(`for ${memberId}`),
  }))
  const share = (client: TestClient, { memberId, generationId, leader }: (typeof joined)[0]) =>
    client.ask(syncGroup, 5, {
      groupId: 'work',
      generationId,
      memberId,
      ...range,
      assignments: memberId === leader ? (shares ?? []) : [],
    })
  const synced = await Promise.all([share(a, joined[0]), share(b, joined[1])])
  expect(synced.map(({ assignment }) => assignment.toString())).toEqual(
    joined.map(({ memberId }) => `for ${memberId}`),
  )

  const [{ memberId, generationId }] = joined
  const committed = { partitionIndex: 2, committedOffset: 17, committedMetadata: 'here' }
  const commit = await a.ask(offsetCommit, 9, {
    groupId: 'work',
    generationIdOrMemberEpoch: generationId,
    memberId,
    topics: [{ name: 'orders', partitions: [committed] }],
  })
  expect(commit.topics[0]?.partitions).toEqual([{ partitionIndex: 2, errorCode: 0 }])
  const fetched = await c.ask(offsetFetch, 9, { groups: [{ groupId: 'work', topics: null }] })
  expect(fetched.groups[0]?.topics[0]).toMatchObject({
    name: 'orders',
    partitions: [{ partitionIndex: 2, committedOffset: 17, metadata: 'here' }],
  })

  const third = join(c, 'work')
  let heard = 0
  while (heard === 0)
    heard = (await a.ask(heartbeat, 4, { groupId: 'work', generationId, memberId })).errorCode
  expect(heard).toBe(27)
  const again = await Promise.all([
    ask(a, 'work', { memberId }),
    ask(b, 'work', { memberId: joined[1].memberId }),
  ])
  expect([...again, await third].map(({ generationId }) => generationId)).toEqual([2, 2, 2])
  const members = [...again, await third].map(({ memberId }) => ({ memberId }))
  const left = await a.ask(leaveGroup, 5, { groupId: 'work', members })
  expect(left.members.map(({ errorCode }) => errorCode)).toEqual([0, 0, 0])
  const described = await a.ask(describeGroups, 5, { groups: ['work'], includeAuthorizedOperations: false })
  expect(described.groups[0]).toMatchObject({ groupState: 'Empty', members: [] })
})

test('what a member says of itself outlives the request it came with', async () => {
  const client = await broker.client()
  const { memberId, generationId } = await join(client, 'kept')
  await client.ask(syncGroup, 3, {
    groupId: 'kept',
    generationId,
    memberId,
    assignments: [{ memberId, assignment: Buffer.from('the share') }],
  })
  // Whatever comes next is read into the same memory.
  for (let n = 0; n < 50; n++)
    await client.ask(metadata, 12, { topics: [{ topicId: noId, name: 'x'.repeat(200) }] })
  const { groups } = await client.ask(describeGroups, 5, {
    groups: ['kept'],
    includeAuthorizedOperations: false,
  })
  expect(groups[0]?.members).toMatchObject([
    {
      memberMetadata: Buffer.from('kept'),
      memberAssignment: Buffer.from('the share'),
      clientHost: '/127.0.0.1',
    },
  ])
})

test('clients write nothing to the topic of groups, delete nothing from it, and do not grow it', async () => {
  const client = await broker.client()
  const topic = '__consumer_offsets'
  const produced = await client.ask(produce, 9, produceBody(topic, batchOf('x')))
  expect(firstOf(produced)).toMatchObject({ errorCode: 17 })
  const partitions = [{ partitionIndex: 0, offset: -1 }]
  const deleted = await client.ask(deleteRecords, 2, {
    topics: [{ name: topic, partitions }],
    timeoutMs: 1_000,
  })
  expect(deleted.topics[0]?.partitions).toMatchObject([{ errorCode: 17 }])
  const grown = await client.ask(createPartitions, 3, {
    topics: [{ name: topic, count: 9, assignments: null }],
    timeoutMs: 1_000,
    validateOnly: false,
  })
  expect(grown.results).toMatchObject([{ errorCode: 37 }])
  const told = await client.ask(metadata, 12, { topics: [{ topicId: noId, name: topic }] })
  expect(told.topics).toMatchObject([{ errorCode: 0, isInternal: true }])
})

test.each([true, false])('the topic of groups stays compacted (validateOnly %s)', async validateOnly => {
  const client = await broker.client()
  const configs = [{ name: 'cleanup.policy', configOperation: 0, value: 'delete' }]
  const altered = await client.ask(incrementalAlterConfigs, 1, {
    resources: [{ resourceType: 2, resourceName: '__consumer_offsets', configs }],
    validateOnly,
  })
  expect(altered.responses).toMatchObject([
    { errorCode: 40, errorMessage: expect.stringContaining('stays compact') },
  ])
})

test('a topic of that name that a client asks for is made as groups need it', async () => {
  const other = await TestBroker.start(settings)
  try {
    const client = await other.client()
    const topics = [{ topicId: noId, name: '__consumer_offsets' }]
    const told = await client.ask(metadata, 12, { topics, allowAutoTopicCreation: true })
    expect(told.topics[0]).toMatchObject({ errorCode: 0, isInternal: true })
    expect(told.topics[0]?.partitions).toHaveLength(4)
  } finally {
    await other.stop()
  }
})

test('a broker that stops tells those who wait, at once', async () => {
  const other = await TestBroker.start({ ...settings, 'group.initial.rebalance.delay.ms': '60000' })
  const client = await other.client()
  await client.ask(findCoordinator, 4, { coordinatorKeys: ['g'] })
  const { memberId } = await ask(client, 'g')
  const waiting = ask(client, 'g', { memberId })
  const other2 = await other.client()
  let members = 0
  while (members === 0) {
    const { groups } = await other2.ask(describeGroups, 5, {
      groups: ['g'],
      includeAuthorizedOperations: false,
    })
    members = groups[0]?.members.length ?? 0
  }
  const stopped = other.shut()
  expect(await waiting).toMatchObject({ errorCode: 15 })
  await stopped
  await other.stop()
})

test('what is asked of groups many times is told once: a small request has no huge answer', async () => {
  const client = await broker.client()
  const committedMetadata = 'm'.repeat(4_000)
  const partitions = [0, 1].map(partitionIndex => ({ partitionIndex, committedOffset: 5, committedMetadata }))
  await client.ask(offsetCommit, 7, {
    groupId: 'often',
    memberId: '',
    topics: [{ name: 'orders', partitions }],
  })
  const partitionIndexes = Array.from({ length: 50_000 }, (_, n) => n % 2)
  const topics = [
    { name: 'orders', partitionIndexes },
    { name: 'orders', partitionIndexes },
  ]
  const told = { name: 'orders', partitions: [{ partitionIndex: 0 }, { partitionIndex: 1 }] }
  expect((await client.ask(offsetFetch, 7, { groupId: 'often', topics })).topics).toMatchObject([told])
  const many = Array.from({ length: 10_000 }, () => ({ groupId: 'often', topics }))
  const few = [...many.slice(0, 2), { groupId: 'other', topics: null }]
  expect((await client.ask(offsetFetch, 9, { groups: few })).groups).toMatchObject([
    { groupId: 'often', topics: [told] },
    { groupId: 'other', topics: [] },
  ])
  const all = many.map(({ groupId }) => ({ groupId, topics: null }))
  const fetched = await client.ask(offsetFetch, 9, { groups: all })
  expect(fetched.groups).toMatchObject([{ groupId: 'often', topics: [told] }])
  const groups = many.map(({ groupId }) => groupId)
  const described = await client.ask(describeGroups, 5, { groups, includeAuthorizedOperations: false })
  expect(described.groups).toMatchObject([{ groupId: 'often' }])
})
