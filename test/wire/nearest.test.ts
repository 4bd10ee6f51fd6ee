/** Consumers that say in which rack they are read from the broker there, also when that is killed; and clients are told of the brokers that are there. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explainFailures, isOurs } from './broker.ts'
import { launchTool } from './java.ts'
import { consume, follow, messagesSoFar, produce } from './kcat.ts'
import { succeed } from './processes.ts'
import { startThreeBrokers, type ThreeBrokers } from './three-brokers.ts'
import { needs } from './tools.ts'
import { until } from './until.ts'

const topic = 'near'

describe.skipIf(!isOurs)('three brokers in three racks', () => {
  needs('kcat', 'java', 'mvn')
  let directory = ''
  let three: ThreeBrokers | undefined
  const cluster = (): ThreeBrokers => {
    if (three === undefined) throw new Error('the brokers are not started yet')
    return three
  }
  explainFailures(() => three?.log() ?? 'the brokers did not start')

  const client = (): Kafka =>
    new Kafka({ clientId: 'near', brokers: cluster().kafka.split(','), logLevel: logLevel.NOTHING })

  async function inSync(): Promise<boolean> {
    const admin = client().admin()
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    await admin.disconnect()
    return topics[0]?.partitions.every(({ isr, leader }) => isr.length === 3 && leader === 0) === true
  }

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stele-wire-near-'))
    three = await startThreeBrokers(join(directory, 'data'), '--set=broker.rack=zone-{id}')
    const admin = client().admin()
    await admin.connect()
    await admin.createTopics({
      topics: [{ topic, replicaAssignment: [{ partition: 0, replicas: [0, 1, 2] }] }],
    })
    await admin.disconnect()
    await until(() => inSync().catch(() => false))
    await write(0, 1_000)
  })
  afterAll(async () => {
    await three?.running.kill('SIGINT')
    await rm(directory, { recursive: true, force: true })
  })

  const numbers = (from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, i) => String(from + i))
  const write = (from: number, to: number) =>
    produce(cluster().kafka, topic, ['-Xacks=all'], numbers(from, to).join('\n'))

  /** Bytes that broker `id` has given to consumers while it followed. */
  async function served(id: number): Promise<number> {
    const text = await (await fetch(`${cluster().http[id]}/metrics`)).text()
    return Number(/^stele_kafka_follower_bytes_out_total (\d+)$/m.exec(text)?.[1])
  }

  /** What each broker has served as a follower while `act` went on. */
  async function servedBy(act: () => Promise<unknown>): Promise<number[]> {
    const before = await Promise.all([0, 1, 2].map(served))
    await act()
    const after = await Promise.all([0, 1, 2].map(served))
    return after.map((bytes, id) => bytes - (before[id] ?? 0))
  }

  const whole = numbers(0, 1_000)
  const bytesMin = whole.join('').length

  test('librdkafka', async () => {
    let values: (string | undefined)[] = []
    const bytes = await servedBy(async () => {
      const all = ['-o', 'beginning', '-e', '-X', 'client.rack=zone-1']
      values = (await consume(cluster().kafka, topic, all)).map(({ value }) => value?.toString())
    })
    expect(values).toEqual(whole)
    expect(bytes).toEqual([0, expect.any(Number), 0])
    expect(bytes[1]).toBeGreaterThan(bytesMin)
  })

  test('Java’s console consumer', async () => {
    let printed = ''
    const bytes = await servedBy(async () => {
      const place = ['--bootstrap-server', cluster().kafka, '--topic', topic, '--partition', '0']
      const consumer = await launchTool('org.apache.kafka.tools.consumer.ConsoleConsumer', [
        ...place,
        '--offset',
        'earliest',
        '--max-messages',
        '1000',
        '--command-property',
        'client.rack=zone-2',
      ])
      printed = (await consumer.ended).stdout.toString()
    })
    expect(printed.trimEnd().split('\n')).toEqual(whole)
    expect(bytes).toEqual([0, 0, expect.any(Number)])
    expect(bytes[2]).toBeGreaterThan(bytesMin)
  })

  test('kafkajs', async () => {
    const values: (string | undefined)[] = []
    const bytes = await servedBy(async () => {
      const consumer = client().consumer({ groupId: 'near', rackId: 'zone-1' })
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      const read = async ({ message }: { message: { value: Buffer | null } }) =>
        void values.push(message.value?.toString())
      await consumer.run({ eachMessage: read })
      await until(() => values.length >= whole.length)
      await consumer.disconnect()
    })
    expect(values).toEqual(whole)
    expect(bytes).toEqual([0, expect.any(Number), 0])
    expect(bytes[1]).toBeGreaterThan(bytesMin)
  })

  async function idsTold(): Promise<number[]> {
    const [first = ''] = cluster().kafka.split(',')
    const { stdout } = await succeed('kcat', ['-b', first, '-L', '-J', '-t', topic])
    const { brokers } = JSON.parse(stdout.toString()) as { brokers: { id: number }[] }
    return brokers.map(({ id }) => id).toSorted((a, b) => a - b)
  }

  test('a reader whose broker is killed goes on elsewhere; clients are told that it is gone, and that it is back', async () => {
    const reader = follow(cluster().kafka, topic, ['-o', 'beginning', '-E', '-X', 'client.rack=zone-2'])
    await reader.printed(() => messagesSoFar(reader).length >= 1_000)
    const before = await served(2)
    expect(before).toBeGreaterThan(0)
    expect(await idsTold()).toEqual([0, 1, 2])
    process.kill(cluster().pidOf(2), 'SIGKILL')
    await until(async () => (await idsTold()).length === 2)
    expect(await idsTold()).toEqual([0, 1])
    await write(1_000, 1_100)
    await reader.printed(() => messagesSoFar(reader).length >= 1_100)
    await until(async () => (await idsTold()).length === 3)
    await until(() => inSync().catch(() => false))
    await write(1_100, 1_200)
    await reader.printed(() => messagesSoFar(reader).length >= 1_200)
    await reader.kill('SIGTERM')
    expect(messagesSoFar(reader).map(({ value }) => value?.toString())).toEqual(numbers(0, 1_200))
  })

  test('who is paused is not among the brokers until it goes on', async () => {
    process.kill(cluster().pidOf(1), 'SIGSTOP')
    try {
      await until(async () => (await idsTold()).length === 2)
      expect(await idsTold()).toEqual([0, 2])
    } finally {
      process.kill(cluster().pidOf(1), 'SIGCONT')
    }
    await until(async () => (await idsTold()).length === 3)
  })
})
