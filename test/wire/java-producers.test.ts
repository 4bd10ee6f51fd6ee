import { murmur2 } from '@platformatic/kafka'
import { describe, expect, test } from 'vitest'
import { isOurs, useBroker } from './broker.ts'
import { samples } from './content.ts'
import { java } from './java.ts'
import { consume, ofPartition } from './kcat.ts'
import { codecsStored } from './raw.ts'
import { needs } from './tools.ts'
import { createTopic } from './topics.ts'

needs('kcat', 'java', 'mvn')
const broker = useBroker()
const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

describe("Kafka's console producer", () => {
  test.for(codecs)('keys, values and headers come back in order, codec %s', async codec => {
    const topic = await createTopic(broker().kafka, `console-${codec}`, 3)
    const sent = samples(2000, 5)
    const input = sent.map(({ key, value }) => `source:test,place:石\t${key}\t${value}\n`).join('')
    const reader = ['--reader-property', 'parse.key=true', '--reader-property', 'parse.headers=true']
    const where = ['--bootstrap-server', broker().kafka, '--topic', topic, '--compression-codec', codec]
    await java('org.apache.kafka.tools.ConsoleProducer', [...where, ...reader], { input })

    const received = await consume(broker().kafka, topic)
    expect(received).toHaveLength(sent.length)
    for (const partition of [0, 1, 2]) {
      const expected = sent.filter(({ key }) => (murmur2(key) & 0x7fffffff) % 3 === partition)
      const inPartition = ofPartition(received, partition)
      expect(inPartition.map(({ key, value }) => `${key?.toString()}:${value?.toString()}`)).toEqual(
        expected.map(({ key, value }) => `${key}:${value}`),
      )
      expect(await codecsStored(broker().kafka, topic, partition)).toEqual(new Set([codec]))
    }
    expect(new Set(received.map(message => message.headers))).toEqual(new Set(['source=test,place=石']))
  })
})

describe("Kafka's ProducerPerformance", () => {
  const records = 20_000
  const perform = async (topic: string, ...args: string[]): Promise<string> => {
    const where = ['--bootstrap-server', broker().kafka, '--topic', topic]
    const load = ['--num-records', String(records), '--throughput', '-1']
    const { stdout } = await java('org.apache.kafka.tools.ProducerPerformance', [...where, ...load, ...args])
    return stdout.toString()
  }

  test.for(codecs)('acks=all and idempotent by default, codec %s', async codec => {
    const topic = await createTopic(broker().kafka, `performance-all-${codec}`, 1)
    const properties = ['acks=all', `compression.type=${codec}`]
    const report = await perform(topic, '--payload-monotonic', '--command-property', ...properties)
    expect(report).toContain(`${records} records sent`)
    const values = (await consume(broker().kafka, topic)).map(({ value }) => value?.toString())
    expect(values).toEqual(Array.from({ length: records }, (_, i) => String(i)))
    expect(await codecsStored(broker().kafka, topic, 0)).toEqual(new Set([codec]))
  })

  test.for(codecs)('acks=1, codec %s', async codec => {
    const topic = await createTopic(broker().kafka, `performance-one-${codec}`, 2)
    const properties = ['acks=1', `compression.type=${codec}`]
    const report = await perform(topic, '--record-size', '300', '--command-property', ...properties)
    expect(report).toContain(`${records} records sent`)
    const received = await consume(broker().kafka, topic)
    expect(received).toHaveLength(records)
    expect(new Set(received.map(({ value }) => value?.length))).toEqual(new Set([300]))
    for (const partition of [0, 1]) {
      const offsets = ofPartition(received, partition).map(({ offset }) => offset)
      expect(offsets).toEqual(offsets.map((_, i) => i))
    }
  })

  test.skipIf(!isOurs)('a transaction is refused for good', async () => {
    const topic = await createTopic(broker().kafka, 'performance-transaction', 1)
    const transaction = ['--transactional-id', 'payments', '--transaction-duration-ms', '1000']
    await expect(perform(topic, '--record-size', '10', ...transaction)).rejects.toThrow(
      /TransactionalIdAuthorizationException/,
    )
  })
})
