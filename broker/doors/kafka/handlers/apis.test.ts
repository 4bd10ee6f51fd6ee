import { afterAll, beforeAll, expect, test } from 'vitest'
import { alterConfigs } from '../../../../protocol/kafka/apis/alter-configs.ts'
import { apiVersions } from '../../../../protocol/kafka/apis/api-versions.ts'
import { createPartitions } from '../../../../protocol/kafka/apis/create-partitions.ts'
import { createTopics } from '../../../../protocol/kafka/apis/create-topics.ts'
import { deleteRecords } from '../../../../protocol/kafka/apis/delete-records.ts'
import { deleteTopics } from '../../../../protocol/kafka/apis/delete-topics.ts'
import { describeCluster } from '../../../../protocol/kafka/apis/describe-cluster.ts'
import { describeConfigs } from '../../../../protocol/kafka/apis/describe-configs.ts'
import { describeTopicPartitions } from '../../../../protocol/kafka/apis/describe-topic-partitions.ts'
import { findCoordinator } from '../../../../protocol/kafka/apis/find-coordinator.ts'
import { incrementalAlterConfigs } from '../../../../protocol/kafka/apis/incremental-alter-configs.ts'
import { initProducerId } from '../../../../protocol/kafka/apis/init-producer-id.ts'
import { listOffsets } from '../../../../protocol/kafka/apis/list-offsets.ts'
import { metadata } from '../../../../protocol/kafka/apis/metadata.ts'
import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import type { Read } from '../../../../protocol/kafka/schema.ts'
import { batchOf, makeTopic, produceBody, TestBroker } from '../broker.fixture.ts'
import type { TestClient } from '../client.fixture.ts'

let broker: TestBroker
let client: TestClient
let topicId: string
beforeAll(async () => {
  broker = await TestBroker.start({ 'auto.create.topics.enable': 'true' })
  client = await broker.client()
  topicId = await makeTopic(client, 'known', 3)
  await client.ask(produce, 9, produceBody('known', batchOf('a', 'b')))
})
afterAll(() => broker.stop())

const noId = 'AAAAAAAAAAAAAAAAAAAAAA'
const brokerResource = { resourceType: 4, resourceName: '0' }

const hex = (spaced: string): Buffer => Buffer.from(spaced.replaceAll(' ', ''), 'hex')

test('ApiVersions of a version to come is answered in version 0, with the range', async () => {
  client.socket.write(hex('0000000f 0012 00ff 00000063 0000 00 02 61 02 61'))
  expect(await client.frame()).toEqual(hex('00000063 0023 00000001 0012 0000 0004'))
})

test('a client that does not say what it is gets INVALID_REQUEST', async () => {
  expect(
    await client.ask(apiVersions, 3, { clientSoftwareName: 'bad name', clientSoftwareVersion: '' }),
  ).toMatchObject({ errorCode: 42 })
})

const describe = async (name: string, allowAutoTopicCreation: boolean) =>
  (await client.ask(metadata, 12, { topics: [{ topicId: noId, name }], allowAutoTopicCreation })).topics[0]

test('Metadata makes a topic when both sides want it, and says why not', async () => {
  expect(await describe('auto', false)).toMatchObject({ errorCode: 3, partitions: [] })
  expect(await describe('auto', true)).toMatchObject({
    errorCode: 0,
    partitions: [{ leaderId: 0, errorCode: 0 }],
  })
  expect(await describe('not a name', true)).toMatchObject({ errorCode: 17 })
  expect(await describe('not a name', false)).toMatchObject({ errorCode: 17 })
})

test('Metadata finds topics by id, and tells all when none is named', async () => {
  const one = await client.ask(metadata, 12, { topics: [{ topicId, name: null }] })
  expect(one.topics).toMatchObject([{ errorCode: 0, name: 'known', topicId }])
  const other = await client.ask(metadata, 12, { topics: [{ topicId: 'B'.repeat(21) + 'A', name: null }] })
  expect(other.topics).toMatchObject([{ errorCode: 100, name: null }])
  const all = await client.ask(metadata, 12, { topics: null })
  expect(all.topics.map(({ name }) => name)).toContain('known')
  expect((await client.ask(metadata, 0, { topics: [] })).topics.length).toBe(all.topics.length)
  expect((await client.ask(metadata, 1, { topics: [] })).topics).toEqual([])
})

test('CreateTopics refuses each topic for its own reason', async () => {
  const plain = { numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
  const { topics } = await client.ask(createTopics, 7, {
    topics: [
      { ...plain, name: 'known' },
      { ...plain, name: 'twice' },
      { ...plain, name: 'twice' },
      { ...plain, name: 'bad/name' },
      { ...plain, name: 'none', numPartitions: 0 },
      { ...plain, name: 'copies', replicationFactor: 9 },
      { ...plain, name: 'setting', configs: [{ name: 'retention.sm', value: '1' }] },
      { ...plain, name: 'null', configs: [{ name: 'retention.ms', value: null }] },
      { ...plain, name: 'both', assignments: [{ partitionIndex: 0, brokerIds: [0] }] },
      {
        ...plain,
        name: 'placed',
        numPartitions: -1,
        replicationFactor: -1,
        assignments: [{ partitionIndex: 0, brokerIds: [0] }],
      },
      {
        ...plain,
        name: 'stranger',
        numPartitions: -1,
        replicationFactor: -1,
        assignments: [{ partitionIndex: 0, brokerIds: [7] }],
      },
    ],
  })
  expect(topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
    ['known', 36],
    ['twice', 42],
    ['bad/name', 17],
    ['none', 37],
    ['copies', 38],
    ['setting', 40],
    ['null', 40],
    ['both', 42],
    ['placed', 0],
    ['stranger', 39],
  ])
  expect(topics.find(({ name }) => name === 'setting')?.errorMessage).toContain('retention.ms')
})

test('CreateTopics only validates when asked to', async () => {
  const topic = { name: 'imagined', numPartitions: 3, replicationFactor: -1, assignments: [], configs: [] }
  const { topics } = await client.ask(createTopics, 7, { topics: [topic], validateOnly: true })
  expect(topics).toMatchObject([{ errorCode: 0, numPartitions: 3 }])
  const told = await client.ask(metadata, 12, {
    topics: [{ topicId: noId, name: 'imagined' }],
    allowAutoTopicCreation: false,
  })
  expect(told.topics).toMatchObject([{ errorCode: 3 }])
})

test('DeleteTopics takes names and ids', async () => {
  const id = await makeTopic(client, 'by-id')
  await makeTopic(client, 'by-name')
  const { responses } = await client.ask(deleteTopics, 6, {
    topics: [
      { name: null, topicId: id },
      { name: 'by-name', topicId: noId },
      { name: 'x', topicId: id },
      { name: null, topicId: noId.replace('A', 'Z') },
    ],
    timeoutMs: 1_000,
  })
  expect(responses.map(({ errorCode }) => errorCode)).toEqual([0, 0, 42, 100])
  expect(responses.slice(0, 2).map(({ name }) => name)).toEqual(['by-id', 'by-name'])
})

test('CreatePartitions only grows, and only once a request', async () => {
  await makeTopic(client, 'grows', 2)
  const grow = async (counts: readonly number[], validateOnly = false) =>
    (
      await client.ask(createPartitions, 3, {
        topics: counts.map(count => ({ name: 'grows', count, assignments: null })),
        timeoutMs: 1_000,
        validateOnly,
      })
    ).results.map(({ errorCode }) => errorCode)
  expect(await grow([1])).toEqual([37])
  expect(await grow([3, 4])).toEqual([42])
  expect(await grow([3], true)).toEqual([0])
  expect(await grow([3])).toEqual([0])
  expect(await grow([3])).toEqual([37])
  const placed = await client.ask(createPartitions, 3, {
    topics: [{ name: 'grows', count: 4, assignments: [{ brokerIds: [0] }] }],
    timeoutMs: 1_000,
    validateOnly: false,
  })
  expect(placed.results).toMatchObject([{ errorCode: 0 }])
})

test('ListOffsets answers the end, the start, timestamps and the largest one', async () => {
  const ask = async (timestamp: number, version = 8) =>
    (
      await client.ask(listOffsets, version, {
        replicaId: -1,
        topics: [{ name: 'known', partitions: [{ partitionIndex: 0, timestamp }] }],
      })
    ).topics[0]?.partitions[0]
  expect(await ask(-1)).toMatchObject({ errorCode: 0, offset: 2, timestamp: -1 })
  expect(await ask(-2)).toMatchObject({ errorCode: 0, offset: 0, timestamp: -1 })
  expect(await ask(-3)).toMatchObject({ errorCode: 0, offset: 0, timestamp: 1_700_000_000_000 })
  expect(await ask(-4)).toMatchObject({ errorCode: 0, offset: 0 })
  expect(await ask(-3, 6)).toMatchObject({ errorCode: 35 })
  expect(await ask(-9)).toMatchObject({ errorCode: 35 })
  expect(await ask(1_600_000_000_000)).toMatchObject({
    errorCode: 0,
    offset: 0,
    timestamp: 1_700_000_000_000,
  })
  expect(await ask(1_800_000_000_000)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 })
  const partitions = [
    { partitionIndex: 0, timestamp: -1 },
    { partitionIndex: 0, timestamp: -2 },
    { partitionIndex: 1, timestamp: -1, currentLeaderEpoch: 99 },
    { partitionIndex: 77, timestamp: -1 },
  ]
  const many = await client.ask(listOffsets, 8, { replicaId: -1, topics: [{ name: 'known', partitions }] })
  expect(many.topics[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([42, 75, 3])
})

test('settings change for a topic, and for all brokers', async () => {
  const alter = async (
    resource: { resourceType: number; resourceName: string },
    ...configs: { name: string; configOperation: number; value: string | null }[]
  ) =>
    (
      await client.ask(incrementalAlterConfigs, 1, {
        resources: [{ ...resource, configs }],
        validateOnly: false,
      })
    ).responses[0]
  const valueOf = async (resource: { resourceType: number; resourceName: string }, name: string) =>
    (await client.ask(describeConfigs, 4, { resources: [{ ...resource, configurationKeys: [name] }] }))
      .results[0]?.configs[0]
  await makeTopic(client, 'settings')
  const topic = { resourceType: 2, resourceName: 'settings' }
  expect(await alter(topic, { name: 'retention.ms', configOperation: 0, value: '777' })).toMatchObject({
    errorCode: 0,
  })
  expect(await valueOf(topic, 'retention.ms')).toMatchObject({ value: '777', configSource: 1 })
  expect(await alter(topic, { name: 'retention.ms', configOperation: 1, value: null })).toMatchObject({
    errorCode: 0,
  })
  expect(await valueOf(topic, 'retention.ms')).toMatchObject({ configSource: 5 })
  expect(await alter(topic, { name: 'retention.ms', configOperation: 2, value: '1' })).toMatchObject({
    errorCode: 40,
  })
  expect(await alter(topic, { name: 'retention.ms', configOperation: 9, value: '1' })).toMatchObject({
    errorCode: 42,
  })
  expect(await alter(topic, { name: 'retention.ms', configOperation: 0, value: 'soon' })).toMatchObject({
    errorCode: 40,
  })
  expect(await alter({ resourceType: 2, resourceName: 'nowhere' })).toMatchObject({ errorCode: 3 })
  const all = { resourceType: 4, resourceName: '' }
  expect(await alter(all, { name: 'log.retention.ms', configOperation: 0, value: '888' })).toMatchObject({
    errorCode: 0,
  })
  expect(await valueOf(topic, 'retention.ms')).toMatchObject({ value: '888', configSource: 3 })
  expect(await valueOf(all, 'log.retention.ms')).toMatchObject({ value: '888', configSource: 3 })
  expect(
    await alter(brokerResource, { name: 'log.retention.ms', configOperation: 0, value: '1' }),
  ).toMatchObject({ errorCode: 42 })
  const replaced = await client.ask(alterConfigs, 2, {
    resources: [{ ...all, configs: [] }],
    validateOnly: false,
  })
  expect(replaced.responses).toMatchObject([{ errorCode: 0 }])
  expect(await valueOf(topic, 'retention.ms')).toMatchObject({ configSource: 5 })
})

test('limits of copies are set and taken away as kafka-reassign-partitions does it', async () => {
  const rates = ['leader.replication.throttled.rate', 'follower.replication.throttled.rate']
  const alter = async (
    resource: { resourceType: number; resourceName: string },
    names: readonly string[],
    value: string | null,
  ) =>
    (
      await client.ask(incrementalAlterConfigs, 1, {
        resources: [
          {
            ...resource,
            configs: names.map(name => ({ name, configOperation: value === null ? 1 : 0, value })),
          },
        ],
        validateOnly: false,
      })
    ).responses[0]
  const told = async (resource: { resourceType: number; resourceName: string }, keys: readonly string[]) =>
    (
      await client.ask(describeConfigs, 4, { resources: [{ ...resource, configurationKeys: keys }] })
    ).results[0]?.configs.map(({ value, configSource }) => [value, configSource])
  expect(await alter(brokerResource, rates, '1000')).toMatchObject({ errorCode: 0 })
  expect(await told(brokerResource, rates)).toEqual([
    ['1000', 3],
    ['1000', 3],
  ])
  expect(await alter({ ...brokerResource, resourceName: '77' }, rates, '1000')).toMatchObject({
    errorCode: 42,
  })
  expect(await alter(brokerResource, ['log.retention.ms', ...rates], '1000')).toMatchObject({ errorCode: 42 })
  const withDirectories = [...rates, 'replica.alter.log.dirs.io.max.bytes.per.second']
  expect(await alter(brokerResource, withDirectories, '1000')).toMatchObject({ errorCode: 42 })
  expect(await alter(brokerResource, withDirectories, null)).toMatchObject({ errorCode: 0 })
  expect((await told(brokerResource, rates))?.map(([, source]) => source)).toEqual([5, 5])
  await makeTopic(client, 'throttled')
  const topic = { resourceType: 2, resourceName: 'throttled' }
  const replicas = ['leader.replication.throttled.replicas', 'follower.replication.throttled.replicas']
  for (const list of ['0:1,1:2', '*', ''])
    expect(await alter(topic, replicas, list)).toMatchObject({ errorCode: 0 })
  for (const list of ['0', '0:1,*', '0:x', ':', '0:1,'])
    expect(await alter(topic, replicas, list)).toMatchObject({ errorCode: 40 })
  expect(await alter(topic, replicas, '0:1')).toMatchObject({ errorCode: 0 })
  expect(await told(topic, replicas)).toEqual([
    ['0:1', 1],
    ['0:1', 1],
  ])
  expect(await alter(topic, replicas, null)).toMatchObject({ errorCode: 0 })
  expect(await told(topic, replicas)).toEqual([
    ['', 5],
    ['', 5],
  ])
})

test('DescribeConfigs refuses what has no settings, and tells the level of the log', async () => {
  const resources = [
    [2, 'nowhere'],
    [2, 'bad/name'],
    [4, '7'],
    [32, 'group'],
    [8, '0'],
  ] as const
  const { results } = await client.ask(describeConfigs, 4, {
    resources: resources.map(([resourceType, resourceName]) => ({
      resourceType,
      resourceName,
      configurationKeys: null,
    })),
  })
  expect(results.map(({ errorCode }) => errorCode)).toEqual([3, 17, 42, 42, 0])
  expect(results[4]?.configs).toMatchObject([{ name: 'root', value: 'INFO' }])
})

test('DescribeTopicPartitions pages through all topics, and through one', async () => {
  const seen: string[] = []
  let cursor: { topicName: string; partitionIndex: number } | null = null
  do {
    const page: Read<typeof describeTopicPartitions.response> = await client.ask(describeTopicPartitions, 0, {
      topics: [],
      responsePartitionLimit: 2,
      cursor,
    })
    seen.push(
      ...page.topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex }) => `${name}-${partitionIndex}`),
      ),
    )
    cursor = page.nextCursor
  } while (cursor !== null)
  const all = await client.ask(metadata, 12, { topics: null })
  const expected = all.topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partitionIndex }) => `${name}-${partitionIndex}`),
  )
  expect(seen.sort()).toEqual(expected.sort())
  const missing = await client.ask(describeTopicPartitions, 0, { topics: [{ name: 'nowhere' }] })
  expect(missing.topics).toMatchObject([{ errorCode: 3, name: 'nowhere' }])
})

test('DeleteRecords takes the high watermark and refuses what lies above it', async () => {
  const partitions = [
    { partitionIndex: 0, offset: 99 },
    { partitionIndex: 0, offset: -7 },
    { partitionIndex: 55, offset: 0 },
    { partitionIndex: 0, offset: -1 },
  ]
  const { topics } = await client.ask(deleteRecords, 2, {
    topics: [{ name: 'known', partitions }],
    timeoutMs: 1_000,
  })
  expect(topics[0]?.partitions.map(({ errorCode, lowWatermark }) => [errorCode, lowWatermark])).toEqual([
    [1, -1],
    [1, -1],
    [3, -1],
    [0, 2],
  ])
})

test('a transactional id is refused for good', async () => {
  const refused = await client.ask(initProducerId, 5, { transactionalId: 'tx', transactionTimeoutMs: 1_000 })
  expect(refused).toMatchObject({ errorCode: 53, producerId: -1 })
  const { coordinators } = await client.ask(findCoordinator, 5, { keyType: 1, coordinatorKeys: ['tx'] })
  expect(coordinators).toMatchObject([{ key: 'tx', errorCode: 53 }])
})

test('DescribeCluster is about brokers', async () => {
  expect(
    await client.ask(describeCluster, 2, { includeClusterAuthorizedOperations: false, endpointType: 2 }),
  ).toMatchObject({ errorCode: 114 })
  expect(
    await client.ask(describeCluster, 2, { includeClusterAuthorizedOperations: false, endpointType: 9 }),
  ).toMatchObject({ errorCode: 115 })
})
