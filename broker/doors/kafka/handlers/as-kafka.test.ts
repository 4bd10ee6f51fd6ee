/** Refusals that Kafka was seen to give in just this way. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { alterConfigs } from '../../../../protocol/kafka/apis/alter-configs.ts'
import { createPartitions } from '../../../../protocol/kafka/apis/create-partitions.ts'
import { createTopics } from '../../../../protocol/kafka/apis/create-topics.ts'
import { deleteRecords } from '../../../../protocol/kafka/apis/delete-records.ts'
import { deleteTopics } from '../../../../protocol/kafka/apis/delete-topics.ts'
import { describeTopicPartitions } from '../../../../protocol/kafka/apis/describe-topic-partitions.ts'
import { incrementalAlterConfigs } from '../../../../protocol/kafka/apis/incremental-alter-configs.ts'
import { metadata } from '../../../../protocol/kafka/apis/metadata.ts'
import { makeTopic, TestBroker } from '../broker.fixture.ts'
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
