import { murmur2 } from '@platformatic/kafka'
import { CompressionTypes, ConfigResourceTypes, Partitioners, type Admin } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isOurs, useBroker } from './broker.ts'
import { samples } from './content.ts'
import { consume, ofPartition } from './kcat.ts'
import { codecsStored } from './raw.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'

needs('kcat')
const broker = useBroker()

describe('kafkajs as a producer', () => {
  test.for([
    ['none', CompressionTypes.None],
    ['gzip', CompressionTypes.GZIP],
  ] as const)('keys, values, headers and timestamps come back in order, codec %s', async ([codec, type]) => {
    const topic = await createTopic(broker().kafka, `kafkajs-${codec}`, 3)
    const sent = samples(2000, 7)
    const producer = kafkajsClient(broker().kafka).producer({
      createPartitioner: Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    for (let from = 0; from < sent.length; from += 500) {
      const messages = sent.slice(from, from + 500).map((sample, i) => ({
        ...sample,
        headers: { source: 'test', place: Buffer.from('石') },
        timestamp: String(1_700_000_000_000 + from + i),
      }))
      await producer.send({ topic, messages, acks: -1, compression: type })
    }
    await producer.disconnect()

    const received = await consume(broker().kafka, topic)
    expect(received).toHaveLength(sent.length)
    for (const partition of [0, 1, 2]) {
      const expected = sent.filter(({ key }) => (murmur2(key) & 0x7fffffff) % 3 === partition)
      const inPartition = ofPartition(received, partition)
      expect(inPartition.map(({ key, value }) => `${key?.toString()}:${value?.toString()}`)).toEqual(
        expected.map(({ key, value }) => `${key}:${value}`),
      )
      expect(inPartition.map(({ timestampMs }) => timestampMs)).toEqual(
        expected.map(sample => 1_700_000_000_000 + sent.indexOf(sample)),
      )
      expect(await codecsStored(broker().kafka, topic, partition)).toEqual(new Set([codec]))
    }
    expect(new Set(received.map(message => message.headers))).toEqual(new Set(['source=test,place=石']))
  })

  test.for([
    { acks: 0, answered: false },
    { acks: 1, answered: true },
    { acks: -1, answered: true },
  ])('acks=$acks', async ({ acks, answered }) => {
    const topic = await createTopic(broker().kafka, 'kafkajs-acks', 1)
    const producer = kafkajsClient(broker().kafka).producer()
    await producer.connect()
    const answers = []
    for (let i = 0; i < 20; i++) {
      answers.push(...(await producer.send({ topic, acks, messages: [{ value: `value ${i}` }] })))
    }
    const received = await consume(broker().kafka, topic, ['-o', 'beginning', '-c', '20'])
    await producer.disconnect()
    expect(received.map(({ value }) => value?.toString())).toEqual(
      Array.from({ length: 20 }, (_, i) => `value ${i}`),
    )
    const offsets = answers.map(({ baseOffset }) => baseOffset)
    expect(offsets).toEqual(answered ? Array.from({ length: 20 }, (_, i) => String(i)) : [])
  })

  test('an idempotent producer writes each record once', async () => {
    const topic = await createTopic(broker().kafka, 'kafkajs-idempotent', 1)
    const producer = kafkajsClient(broker().kafka).producer({ idempotent: true })
    await producer.connect()
    const values = Array.from({ length: 300 }, (_, i) => `value ${i}`)
    await Promise.all(values.map(value => producer.send({ topic, messages: [{ value }] })))
    await producer.disconnect()
    const received = (await consume(broker().kafka, topic)).map(({ value }) => value?.toString())
    expect(received).toHaveLength(values.length)
    expect(new Set(received)).toEqual(new Set(values))
  })
})

test.skipIf(!isOurs)('kafkajs is told no at once when it asks for a transaction', async () => {
  const producer = kafkajsClient(broker().kafka).producer({
    transactionalId: 'payments',
    maxInFlightRequests: 1,
  })
  await producer.connect()
  const error = await producer.transaction().then(
    () => undefined,
    (error: unknown) => error,
  )
  await producer.disconnect()
  expect(error).toMatchObject({ name: 'KafkaJSGroupCoordinatorNotFound' })
})

describe('kafkajs as an administrator', () => {
  let admin: Admin
  beforeAll(async () => {
    admin = kafkajsClient(broker().kafka).admin()
    await admin.connect()
  })
  afterAll(() => admin.disconnect())

  test('a topic is created, listed, grown and deleted', async () => {
    const topic = freshTopic('kafkajs-topic')
    const definition = { topic, numPartitions: 2, replicationFactor: 1 }
    expect(await admin.createTopics({ topics: [definition], waitForLeaders: true })).toBe(true)
    expect(await admin.createTopics({ topics: [definition] })).toBe(false)
    expect(await admin.listTopics()).toContain(topic)
    await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
    const metadata = await admin.fetchTopicMetadata({ topics: [topic] })
    expect(metadata.topics[0]?.partitions.map(({ partitionId }) => partitionId).sort()).toEqual([0, 1, 2, 3])
    await admin.deleteTopics({ topics: [topic] })
    expect(await admin.listTopics()).not.toContain(topic)
  })

  test('offsets are answered by end, start and time, and records are deleted', async () => {
    const topic = await createTopic(broker().kafka, 'kafkajs-offsets', 1)
    const producer = kafkajsClient(broker().kafka).producer()
    await producer.connect()
    const messages = Array.from({ length: 50 }, (_, i) => ({ value: `${i}`, timestamp: String(1000 + i) }))
    await producer.send({ topic, messages })
    await producer.disconnect()
    expect(await admin.fetchTopicOffsets(topic)).toEqual([
      { partition: 0, offset: '50', high: '50', low: '0' },
    ])
    expect(await admin.fetchTopicOffsetsByTimestamp(topic, 1020)).toEqual([{ partition: 0, offset: '20' }])
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '30' }] })
    expect(await admin.fetchTopicOffsets(topic)).toEqual([
      { partition: 0, offset: '50', high: '50', low: '30' },
    ])
  })

  test('settings are described and altered', async () => {
    const topic = await createTopic(broker().kafka, 'kafkajs-config', 1, { 'retention.ms': '3600000' })
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
    const valueOf = async (name: string): Promise<string | undefined> => {
      const described = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] })
      return described.resources[0]?.configEntries.find(({ configName }) => configName === name)?.configValue
    }
    expect(await valueOf('retention.ms')).toBe('3600000')
    expect(await valueOf('cleanup.policy')).toBe('delete')
    const configEntries = [{ name: 'segment.bytes', value: '2097152' }]
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
    expect(await valueOf('segment.bytes')).toBe('2097152')
    // AlterConfigs sets the whole: what it does not name goes back to its default.
    expect(await valueOf('retention.ms')).toBe('604800000')
  })

  test('the cluster names its brokers and a controller among them', async () => {
    const cluster = await admin.describeCluster()
    const addresses = cluster.brokers.map(({ host, port }) => `${host}:${port}`)
    expect(addresses).toContain(broker().kafka)
    expect(cluster.brokers.map(({ nodeId }) => nodeId)).toContain(cluster.controller)
    expect(cluster.clusterId).not.toBe('')
  })
})
