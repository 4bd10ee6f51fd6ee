/** Refusals that Kafka was seen to give in just this way. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { alterConfigs } from '../../../../protocol/kafka/apis/alter-configs.ts'
import { createPartitions } from '../../../../protocol/kafka/apis/create-partitions.ts'
import { createTopics } from '../../../../protocol/kafka/apis/create-topics.ts'
import { deleteRecords } from '../../../../protocol/kafka/apis/delete-records.ts'
import { deleteTopics } from '../../../../protocol/kafka/apis/delete-topics.ts'
import { describeTopicPartitions } from '../../../../protocol/kafka/apis/describe-topic-partitions.ts'
import { incrementalAlterConfigs } from '../../../../protocol/kafka/apis/incremental-alter-configs.ts'
import { initProducerId } from '../../../../protocol/kafka/apis/init-producer-id.ts'
import { listOffsets } from '../../../../protocol/kafka/apis/list-offsets.ts'
import { metadata } from '../../../../protocol/kafka/apis/metadata.ts'
import { offsetForLeaderEpoch } from '../../../../protocol/kafka/apis/offset-for-leader-epoch.ts'
import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import { batchOf, makeTopic, produceBody, TestBroker } from '../broker.fixture.ts'
import type { TestClient } from '../client.fixture.ts'

let broker: TestBroker
let client: TestClient
let topicId: string
beforeAll(async () => {
  broker = await TestBroker.start()
  client = await broker.client()
  topicId = await makeTopic(client, 'known', 3)
})
afterAll(() => broker.stop())

const noId = 'AAAAAAAAAAAAAAAAAAAAAA'
const timeoutMs = 5_000
const codes = (answers: readonly { readonly errorCode: number }[]): number[] =>
  answers.map(({ errorCode }) => errorCode)

test('Metadata tells a topic once, however often it is asked for', async () => {
  const twice = [
    { name: 'known', topicId: noId },
    { name: 'known', topicId: noId },
  ]
  expect((await client.ask(metadata, 12, { topics: twice })).topics).toHaveLength(1)
})

test('Metadata of versions 10 and 11 refuses all when a topic is asked for by its id', async () => {
  const topics = [
    { name: 'known', topicId: noId },
    { name: null, topicId },
  ]
  const answer = await client.ask(metadata, 11, { topics })
  expect(codes(answer.topics)).toEqual([42, 42])
  expect(codes((await client.ask(metadata, 12, { topics: topics.slice(1) })).topics)).toEqual([0])
})

test('DescribeTopicPartitions takes only a cursor that stands in its topics', async () => {
  const at = async (topicName: string, partitionIndex: number) => {
    const topics = [{ name: 'known' }]
    return codes(
      (await client.ask(describeTopicPartitions, 0, { topics, cursor: { topicName, partitionIndex } }))
        .topics,
    )
  }
  expect(await at('known', 1)).toEqual([0])
  expect(await at('known', -1)).toEqual([42])
  expect(await at('a', 0)).toEqual([42])
})

test('CreateTopics looks at the name first, and at the replicas before the partitions', async () => {
  const nothing = { numPartitions: 0, replicationFactor: 0, assignments: [], configs: [] }
  const configs = [{ name: 'no.such', value: '1' }]
  const topics = [
    { ...nothing, name: 'a b', configs },
    { ...nothing, name: 'empty' },
  ]
  expect(codes((await client.ask(createTopics, 5, { topics })).topics)).toEqual([17, 38])
})

test('what is to be grown or deleted twice is refused once', async () => {
  const growth = [4, 5].map(count => ({ name: 'known', count, assignments: null }))
  const grown = await client.ask(createPartitions, 3, { topics: growth, timeoutMs, validateOnly: false })
  expect(codes(grown.results)).toEqual([42])
  const byName = await client.ask(deleteTopics, 5, { topicNames: ['known', 'known'], timeoutMs })
  expect(codes(byName.responses)).toEqual([42])
  const topics = [
    { name: 'known', topicId: noId },
    { name: null, topicId },
  ]
  expect(codes((await client.ask(deleteTopics, 6, { topics, timeoutMs })).responses)).toEqual([42])
  const nameless = [{ name: null, topicId: noId }]
  expect(codes((await client.ask(deleteTopics, 6, { topics: nameless, timeoutMs })).responses)).toEqual([42])
})

test('DeleteRecords leaves topics alone that are only compacted', async () => {
  await makeTopic(client, 'compacted', 1, [{ name: 'cleanup.policy', value: 'compact' }])
  await makeTopic(client, 'both', 1, [{ name: 'cleanup.policy', value: 'compact,delete' }])
  const partitions = [{ partitionIndex: 0, offset: -1 }]
  const topics = ['compacted', 'both'].map(name => ({ name, partitions }))
  const answer = await client.ask(deleteRecords, 2, { topics, timeoutMs })
  expect(answer.topics.map(topic => codes(topic.partitions))).toEqual([[44], [0]])
})

test('settings are refused by what is wrong with the request, the name or the value', async () => {
  const cases: [type: number, name: string, setting: string, value: string | null, code: number][] = [
    [2, 'known', 'retention.ms', 'x', 40],
    [2, 'known', 'retention.ms', null, 42],
    [2, 'a b', 'retention.ms', '1', 17],
    [2, '', 'retention.ms', '1', 42],
    [4, '', 'log.retention.ms', 'x', 42],
    [4, '', 'broker.id', '3', 42],
  ]
  for (const [resourceType, resourceName, name, value, code] of cases) {
    const resource = { resourceType, resourceName }
    const steps = { ...resource, configs: [{ name, configOperation: 0, value }] }
    const stepwise = await client.ask(incrementalAlterConfigs, 1, { resources: [steps], validateOnly: true })
    expect(codes(stepwise.responses), `${name} of ${resourceName}`).toEqual([code])
    const all = { ...resource, configs: [{ name, value }] }
    const whole = await client.ask(alterConfigs, 2, { resources: [all], validateOnly: true })
    expect(codes(whole.responses), `${name} of ${resourceName}`).toEqual([code])
  }
  const configs = ['1', '2'].map(value => ({ name: 'retention.ms', value }))
  const twice = { resourceType: 2, resourceName: 'known', configs }
  expect(
    codes((await client.ask(alterConfigs, 2, { resources: [twice], validateOnly: true })).responses),
  ).toEqual([42])
})

test('ListOffsets tells a partition once, and the epoch of a record to come', async () => {
  await makeTopic(client, 'empty')
  const asked = async (...timestamps: number[]) => {
    const partitions = timestamps.map(timestamp => ({ partitionIndex: 0, timestamp }))
    const answer = await client.ask(listOffsets, 7, {
      replicaId: -1,
      topics: [{ name: 'empty', partitions }],
    })
    return answer.topics[0]?.partitions
  }
  expect(await asked(-2)).toMatchObject([{ errorCode: 0, offset: 0, leaderEpoch: 0 }])
  expect(await asked(-1, -2)).toMatchObject([{ errorCode: 42 }])
})

test('there is no end of an epoch below 0', async () => {
  await makeTopic(client, 'epochs')
  await client.ask(produce, 9, produceBody('epochs', batchOf('a')))
  const partitions = [{ partition: 0, leaderEpoch: -1 }]
  const { topics } = await client.ask(offsetForLeaderEpoch, 4, { topics: [{ topic: 'epochs', partitions }] })
  expect(topics[0]?.partitions).toMatchObject([{ errorCode: 0, leaderEpoch: -1, endOffset: -1 }])
})

test('a producer asks for a number with both an id and an epoch, or neither', async () => {
  const ask = async (more: object) =>
    (await client.ask(initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 1_000, ...more }))
      .errorCode
  expect(await ask({})).toBe(0)
  expect(await ask({ producerId: 5, producerEpoch: 1 })).toBe(0)
  expect(await ask({ producerId: 5 })).toBe(42)
  expect(await ask({ producerEpoch: 1 })).toBe(42)
  expect(await ask({ transactionalId: '' })).toBe(42)
})

test('a torn batch is no batch', async () => {
  await makeTopic(client, 'torn')
  const answer = await client.ask(produce, 9, produceBody('torn', batchOf('a', 'b').subarray(0, -3)))
  expect(codes(answer.responses[0]?.partitionResponses ?? [])).toEqual([87])
})
