/** The load generator of the benchmarks, as it speaks with a broker. */
import { beforeAll, describe, expect, test } from 'vitest'
import { generate, generatorPath } from '../../bench/generator/generator.ts'
import { useBroker } from './broker.ts'
import { run } from './processes.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'

needs('cc')
const broker = useBroker()

beforeAll(() => generatorPath())

/** Until so much was answered, however long that takes here. */
const brief = { seconds: 60, 'warm-up': 0, bytes: 500_000 }

/** How many records each partition has. */
async function recordCounts(topic: string): Promise<number[]> {
  const admin = kafkajsClient(broker().kafka).admin()
  await admin.connect()
  try {
    const offsets = await admin.fetchTopicOffsets(topic)
    return offsets.toSorted((a, b) => a.partition - b.partition).map(({ high }) => Number(high))
  } finally {
    await admin.disconnect()
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0)

describe('the load generator', () => {
  test('single records, pipelined: counts what is in the log', async () => {
    const topic = await createTopic(broker().kafka, 'generator-records', 1)
    const { pid } = broker()
    const options = { topic, 'in-flight': 64, acks: 'all', pid, ...brief } as const
    const measured = await generate('produce', broker().kafka, options)
    const written = sum(await recordCounts(topic))
    expect(measured.requests).toBeGreaterThan(0)
    // What was under way at the end is heard, but not counted.
    expect(written - measured.requests).toBeGreaterThanOrEqual(0)
    expect(written - measured.requests).toBeLessThanOrEqual(64)
    expect(measured.bytes / measured.requests).toBeGreaterThan(161)
    expect(measured.bytes / measured.requests).toBeLessThan(200)
    expect(measured.serverCpuSeconds).toBeGreaterThan(0)
    const { p50, p99, p999, max } = measured.latencyMs
    expect([p50, p99, p999, max]).toEqual([p50, p99, p999, max].toSorted((a, b) => a - b))
    expect(p50).toBeGreaterThan(0)
    expect(measured.errors).toEqual({})
  })

  test('batches over several partitions are read again, by itself and by another client', async () => {
    const topic = await createTopic(broker().kafka, 'generator-batches', 3)
    const shared = { topic, partitions: 3, connections: 3, ...brief }
    const load = { batch: 16_384, value: 1000, acks: 'all' } as const
    const produced = await generate('produce', broker().kafka, { ...shared, ...load })
    const batchBytes = produced.bytes / produced.requests
    expect(batchBytes).toBeLessThanOrEqual(16_384)
    expect(batchBytes).toBeGreaterThan(15_300)
    const counts = await recordCounts(topic)
    expect(Math.min(...counts)).toBeGreaterThan(0)
    const fetched = await generate('fetch', broker().kafka, { ...shared, 'max-bytes': 100_000 })
    expect(fetched.requests).toBeGreaterThan(0)
    expect(fetched.bytes % batchBytes).toBe(0)
    expect(await valueBytesOf(topic, 16)).toEqual(Array(16).fill(1000))
  })

  test('an error of the broker ends it with a sentence', async () => {
    const topic = freshTopic('generator-missing')
    const outcome = await run(await generatorPath(), ['produce', broker().kafka, `--topic=${topic}`])
    expect(outcome.code).toBe(1)
    expect(outcome.stderr).toContain(`${topic}-0 was answered with error 3 (UNKNOWN_TOPIC_OR_PARTITION)`)
    expect(JSON.parse(outcome.stdout.toString())).toMatchObject({ errors: { 3: 1 } })
  })

  test.for([
    [[], 'say produce or fetch first'],
    [['produce'], 'say HOST:PORT behind produce'],
    [['produce', '127.0.0.1:9092'], '--topic is missing'],
    [['fetch', '127.0.0.1:9092', '--topic=a', '--acks=1'], '--acks is for produce only'],
    [['produce', '127.0.0.1:9092', '--topic=a', '--in-flight=none'], '--in-flight must be a number from 1'],
    [['produce', '127.0.0.1:9092', '--colour=red'], '--colour=red is no option'],
    [['produce', '127.0.0.1:1', '--topic=a'], 'cannot connect to 127.0.0.1:1: Connection refused'],
  ] as const)('%j is refused: %s', async ([words, sentence]) => {
    const outcome = await run(await generatorPath(), words)
    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining(sentence) as unknown })
  })
})

/** How long the values of the first records of partition 0 are. */
async function valueBytesOf(topic: string, count: number): Promise<number[]> {
  const consumer = kafkajsClient(broker().kafka).consumer({ groupId: freshTopic('generator') })
  await consumer.connect()
  try {
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    return await new Promise<number[]>((resolve, reject) => {
      const lengths: number[] = []
      consumer
        .run({
          eachMessage: async ({ message }) => {
            lengths.push(message.value?.length ?? -1)
            if (lengths.length === count) resolve(lengths)
          },
        })
        .catch(reject)
    })
  } finally {
    await consumer.disconnect()
  }
}
