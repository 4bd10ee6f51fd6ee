import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { explainFailures, startBroker, type Broker } from './broker.ts'
import { dumpSegments, expectSoundIndexes, filesOfPartition } from './dump-segments.ts'
import { java } from './java.ts'
import { consume, produce, type Message } from './kcat.ts'
import { needs, needsOwnBroker } from './tools.ts'
import { createTopic, kafkajsClient } from './topics.ts'

needs('kcat', 'java', 'mvn')
needsOwnBroker()

const settings = {
  'log.cleaner.backoff.ms': '200',
  'log.flush.offset.checkpoint.interval.ms': '200',
  'log.segment.delete.delay.ms': '500',
  'num.partitions': '1',
}
const compact = {
  'cleanup.policy': 'compact',
  'segment.bytes': '100000',
  'min.cleanable.dirty.ratio': '0.01',
}
let data = ''
let broker: Broker
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'stele-wire-compaction-'))
  broker = await startBroker({ data, settings })
})
explainFailures(() => broker.log())
afterEach(async () => {
  await broker.stop()
  await rm(data, { recursive: true, force: true })
})

const keys = 400
/** Keys that come once, in a round of all codecs. */
const rareKeys = 120
const allCodecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const newestValues = new Map<string, string | undefined>()

/** Updates of a few keys, and of some that come once, from plain and idempotent producers; every tenth is a tombstone. */
async function update(topic: string, round: number, codecs = allCodecs): Promise<void> {
  for (const codec of codecs) {
    for (const idempotent of [false, true]) {
      const lines = Array.from({ length: 6000 }, (_, i) => {
        const rare = i % 500 === 0 ? `rare-${round}-${codec}-${idempotent}-${i}` : undefined
        const key = rare ?? `key-${(i * 7919 + round * 31) % keys}`
        const value = i % 10 === 9 ? '' : `${codec}-${idempotent}-${round}-${i}`
        newestValues.set(key, value === '' ? undefined : value)
        return `${key}:${value}`
      })
      const args = [
        '-K:',
        '-Z',
        '-z',
        codec,
        '-X',
        `enable.idempotence=${idempotent}`,
        '-X',
        'batch.size=8000',
      ]
      await produce(broker.kafka, topic, args, lines.join('\n'))
    }
  }
}

/** Below this offset everything was compacted. */
async function cleanedOf(topic: string): Promise<number> {
  const [file = ''] = await filesOfPartition(data, topic)
  const state = await readFile(join(dirname(file), 'compaction.json'), 'utf8').catch(() => '{"cleaned":0}')
  return (JSON.parse(state) as { cleaned: number }).cleaned
}

/** Waits until everything but the active segment was compacted. */
async function compacted(topic: string): Promise<void> {
  while (true) {
    const logs = (await filesOfPartition(data, topic)).filter(file => file.endsWith('.log'))
    if (logs.length > 1 && (await cleanedOf(topic)) === Number(basename(logs.at(-1) ?? '', '.log'))) return
  }
}

function expectNewest(messages: readonly Message[]): void {
  const seen = new Map(
    messages.map(({ key, value }) => [String(key), value === null ? undefined : String(value)]),
  )
  expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(newestValues))
  const offsets = messages.map(({ offset }) => offset)
  expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b))
}

test('a compacted topic as Kafka’s tools and clients see it', async () => {
  newestValues.clear()
  const topic = await createTopic(broker.kafka, 'compacted', 1, compact)
  await update(topic, 1)
  await compacted(topic)
  const messages = await consume(broker.kafka, topic)
  expectNewest(messages)
  const cleaned = await cleanedOf(topic)
  expect(cleaned).toBeGreaterThan(40_000)
  expect(messages.filter(({ offset }) => offset < cleaned).length).toBeLessThanOrEqual(keys + rareKeys)
  expect(await viaJava(broker.kafka, topic)).toEqual(messages.map(({ offset }) => offset))

  await broker.kill('SIGKILL')
  const { kafka } = broker
  broker = await startBroker({ data, settings, kafka })
  expect(await consume(broker.kafka, topic)).toEqual(messages)
  await update(topic, 2)
  await compacted(topic)
  const again = await consume(broker.kafka, topic)
  expectNewest(again)

  await broker.stop()
  const files = await filesOfPartition(data, topic)
  const dump = await dumpSegments(files)
  expect(dump.complaints).toEqual([])
  expect(dump.holes).toBeGreaterThan(10)
  expect(dump.horizons).toBeGreaterThan(0)
  expect(dump.offsets).toEqual(again.map(({ offset }) => offset))
  expect(dump.values).toEqual(again.map(({ value }) => (value === null ? undefined : String(value))))
  // Of each idempotent producer something is left that says where its sequence numbers ended.
  expect(dump.producers.size).toBe(11)
  await expectSoundIndexes(files)
})

test('a compacted topic as kafkajs sees it, which knows two codecs', async () => {
  newestValues.clear()
  const topic = await createTopic(broker.kafka, 'compacted', 1, compact)
  await update(topic, 1, ['none', 'gzip'])
  await compacted(topic)
  const messages = await consume(broker.kafka, topic)
  expectNewest(messages)
  expect(await viaKafkajs(topic)).toEqual(messages.map(({ offset }) => offset))
})

test('records without a key are refused, and only they', async () => {
  const topic = await createTopic(broker.kafka, 'keyed', 1, { 'cleanup.policy': 'compact,delete' })
  await produce(broker.kafka, topic, ['-K:'], 'key:value')
  await expect(produce(broker.kafka, topic, [], 'value')).rejects.toThrow(/failed to validate record/)
  const client = kafkajsClient(broker.kafka).producer()
  await client.connect()
  const send = client.send({ topic, messages: [{ value: 'value', key: null }] })
  await expect(send).rejects.toMatchObject({ type: 'INVALID_RECORD' })
  await client.disconnect()
  expect((await consume(broker.kafka, topic)).map(({ key }) => String(key))).toEqual(['key'])
})

/** The offsets that kafkajs's consumer is given, from the start to the end. */
async function viaKafkajs(topic: string): Promise<number[]> {
  const client = kafkajsClient(broker.kafka)
  const admin = client.admin()
  await admin.connect()
  const [end] = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const consumer = client.consumer({ groupId: topic, maxWaitTimeInMs: 50 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const offsets: number[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  await consumer.run({
    eachMessage: ({ message }) => {
      offsets.push(Number(message.offset))
      if (Number(message.offset) === Number(end?.high) - 1) resolve()
      return Promise.resolve()
    },
  })
  await promise
  await consumer.disconnect()
  return offsets
}

/** The same for Java's. */
async function viaJava(kafka: string, topic: string): Promise<number[]> {
  const { stdout } = await java('org.apache.kafka.tools.consumer.ConsoleConsumer', [
    '--bootstrap-server',
    kafka,
    '--topic',
    topic,
    '--partition',
    '0',
    '--offset',
    'earliest',
    '--timeout-ms',
    '5000',
    '--formatter-property',
    'print.offset=true',
    '--formatter-property',
    'print.value=false',
  ])
  return [...stdout.toString().matchAll(/^Offset:(\d+)/gm)].map(match => Number(match[1]))
}
