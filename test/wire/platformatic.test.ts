import {
  Admin,
  CompressionAlgorithms,
  ConfigResourceTypes,
  ListOffsetTimestamps,
  Producer,
  compatibilityPartitioner,
  murmur2,
  stringSerializers,
} from '@platformatic/kafka'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isOurs, useBroker } from './broker.ts'
import { samples } from './content.ts'
import { consume, ofPartition, produce } from './kcat.ts'
import { codecsStored } from './raw.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic } from './topics.ts'

needs('kcat')
const broker = useBroker()
const options = (): { clientId: string; bootstrapBrokers: string[] } => ({
  clientId: 'wire-tests',
  bootstrapBrokers: [broker().kafka],
})

describe('@platformatic/kafka as a producer', () => {
  test.for(Object.values(CompressionAlgorithms))(
    'keys, values, headers and timestamps come back in order, codec %s',
    async codec => {
      const topic = await createTopic(broker().kafka, `platformatic-${codec}`, 3)
      const sent = samples(2000, 11)
      const producer = new Producer({
        ...options(),
        serializers: stringSerializers,
        partitioner: compatibilityPartitioner,
      })
      for (let from = 0; from < sent.length; from += 500) {
        const messages = sent.slice(from, from + 500).map((sample, i) => ({
          ...sample,
          topic,
          headers: { source: 'test', place: '石' },
          timestamp: BigInt(1_700_000_000_000 + from + i),
        }))
        await producer.send({ messages, acks: -1, compression: codec })
      }
      await producer.close()

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
    },
  )

  test('an idempotent producer gets rising offsets', async () => {
    const topic = await createTopic(broker().kafka, 'platformatic-idempotent', 1)
    const producer = new Producer({ ...options(), serializers: stringSerializers, idempotent: true })
    const offsets: (bigint | undefined)[] = []
    for (let i = 0; i < 50; i++) {
      const { offsets: answered } = await producer.send({ messages: [{ topic, value: `value ${i}` }] })
      offsets.push(answered?.[0]?.offset)
    }
    await producer.close()
    expect(offsets).toEqual(Array.from({ length: 50 }, (_, i) => BigInt(i)))
    expect((await consume(broker().kafka, topic)).map(({ value }) => value?.toString())).toEqual(
      Array.from({ length: 50 }, (_, i) => `value ${i}`),
    )
  })

  test.for([0, 1, -1])('acks=%s, many sends at once', async acks => {
    const topic = await createTopic(broker().kafka, 'platformatic-acks', 1)
    const producer = new Producer({ ...options(), serializers: stringSerializers })
    const values = Array.from({ length: 200 }, (_, i) => `value ${i}`)
    await Promise.all(values.map(value => producer.send({ acks, messages: [{ topic, value }] })))
    const received = await consume(broker().kafka, topic, ['-o', 'beginning', '-c', '200'])
    await producer.close()
    expect(new Set(received.map(({ value }) => value?.toString()))).toEqual(new Set(values))
  })
})

test.skipIf(!isOurs)('@platformatic/kafka is told no when it asks for a transaction', async () => {
  const producer = new Producer({ ...options(), idempotent: true, transactionalId: 'payments', retries: 1 })
  await expect(producer.beginTransaction()).rejects.toThrow(/FindCoordinator|InitProducerId/)
  await producer.close()
})

describe('@platformatic/kafka as an administrator', () => {
  let admin: Admin
  beforeAll(() => {
    admin = new Admin(options())
  })
  afterAll(() => admin.close())

  test('a topic is created, listed, grown and deleted', async () => {
    const topic = freshTopic('platformatic-topic')
    const [created] = await admin.createTopics({ topics: [topic], partitions: 2, replicas: 1 })
    expect(created).toMatchObject({ name: topic, partitions: 2, replicas: 1 })
    expect(created?.id).toMatch(/^[0-9a-f-]{36}$/)
    expect(await admin.listTopics()).toContain(topic)
    await admin.createPartitions({ topics: [{ name: topic, count: 3, assignments: null }] })
    const metadata = await admin.metadata({ topics: [topic], forceUpdate: true })
    expect(metadata.topics.get(topic)?.partitionsCount).toBe(3)
    expect(metadata.topics.get(topic)?.id).toBe(created?.id)
    await admin.deleteTopics({ topics: [topic] })
    expect(await admin.listTopics()).not.toContain(topic)
  })

  test('offsets are listed and records deleted', async () => {
    const topic = await createTopic(broker().kafka, 'platformatic-offsets', 1)
    await produce(broker().kafka, topic, [], 'line\n'.repeat(50))
    const offsetAt = async (timestamp: bigint): Promise<bigint | undefined> => {
      const [listed] = await admin.listOffsets({
        topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }],
      })
      return listed?.partitions[0]?.offset
    }
    expect(await offsetAt(ListOffsetTimestamps.LATEST)).toBe(50n)
    const deletion = { topics: [{ name: topic, partitions: [{ partition: 0, offset: 20n }] }] }
    expect(await admin.deleteRecords(deletion)).toEqual([
      { name: topic, partitions: [{ partition: 0, lowWatermark: 20n }] },
    ])
    expect(await offsetAt(ListOffsetTimestamps.EARLIEST)).toBe(20n)
  })

  test('settings are described and altered one by one', async () => {
    const topic = await createTopic(broker().kafka, 'platformatic-config', 1, { 'retention.ms': '3600000' })
    const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic }
    const valueOf = async (name: string): Promise<string | null | undefined> => {
      const [described] = await admin.describeConfigs({
        resources: [{ ...resource, configurationKeys: null }],
      })
      return described?.configs.find(config => config.name === name)?.value
    }
    expect(await valueOf('retention.ms')).toBe('3600000')
    await admin.incrementalAlterConfigs({
      resources: [
        { ...resource, configs: [{ name: 'segment.bytes', configOperation: 0, value: '2097152' }] },
      ],
    })
    expect(await valueOf('segment.bytes')).toBe('2097152')
    expect(await valueOf('retention.ms')).toBe('3600000')
  })

  test('log directories tell the size of a topic', async () => {
    const topic = await createTopic(broker().kafka, 'platformatic-dirs', 1)
    await produce(broker().kafka, topic, [], 'line\n'.repeat(50))
    const described = await admin.describeLogDirs({ topics: [{ name: topic, partitions: [0] }] })
    const partitions = described.flatMap(({ results }) =>
      results.flatMap(({ topics }) => topics.flatMap(({ partitions }) => partitions)),
    )
    expect(partitions).toHaveLength(1)
    expect(Number(partitions[0]?.partitionSize)).toBeGreaterThan(50)
  })
})
