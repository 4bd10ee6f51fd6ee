/** Kafka Streams as it is published: its word count, stopped and killed in the middle. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import kafkajs from 'kafkajs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { useBroker } from './broker.ts'
import { chance } from './content.ts'
import { launchJava } from './java.ts'
import { consume, produce } from './kcat.ts'
import type { Running } from './processes.ts'
import { needs } from './tools.ts'
import { kafkajsClient } from './topics.ts'
import { until } from './until.ts'

needs('kcat', 'java', 'mvn')
const application = 'words'
// The demo's names for its topics, and Streams' for the store in it.
const [input, output, store] = [
  'streams-plaintext-input',
  'streams-wordcount-output',
  'KSTREAM-AGGREGATE-STATE-STORE-0000000003',
]
const changelog = `${application}-${store}-changelog`
const repartition = `${application}-${store}-repartition`

let directory = ''
let program: Running | undefined
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stele-streams-'))
})
afterEach(() => program?.kill('SIGKILL'))
afterAll(() => rm(directory, { recursive: true, force: true }))

/** Starts the word count with its state in the directory `state`. */
async function start(kafka: string, state: string): Promise<Running> {
  const properties = join(directory, `${state}.properties`)
  const all = {
    'bootstrap.servers': kafka,
    'application.id': application,
    'state.dir': join(directory, state),
    'commit.interval.ms': '200',
    'repartition.purge.interval.ms': '300',
    // It does not say good-bye to its group: who comes next waits until it is given up.
    'session.timeout.ms': '6000',
    'heartbeat.interval.ms': '500',
    'metadata.max.age.ms': '1000',
  }
  await writeFile(
    properties,
    Object.entries(all)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  program = await launchJava(
    ['kafka-streams-examples'],
    'org.apache.kafka.streams.examples.wordcount.WordCountDemo',
    [properties],
  )
  return program
}

const vocabulary = 'stone ledger offset segment epoch river quarry chisel basalt granite archive slate'.split(
  ' ',
)

/** Lines of ten words. */
function lines(count: number, seed: number): string[] {
  const next = chance(seed)
  const word = () => vocabulary[Math.floor(next() * vocabulary.length)]
  return Array.from({ length: count }, () => Array.from({ length: 10 }, word).join(' '))
}

type Counts = ReadonlyMap<string, number>

function countsOf(all: readonly string[]): Counts {
  const counts = new Map<string, number>()
  for (const word of all.join(' ').split(' ')) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

/** What the word count said last of each word. */
async function counted(kafka: string): Promise<Counts> {
  const messages = await consume(kafka, output)
  return new Map(messages.map(({ key, value }) => [String(key), Number(value?.readBigInt64BE())]))
}

const reaches = (counts: Counts, wanted: Counts): boolean =>
  [...wanted].every(([word, count]) => (counts.get(word) ?? 0) >= count)

async function makeTopics(kafka: string): Promise<void> {
  const admin = kafkajsClient(kafka).admin()
  await admin.connect()
  const topics = [input, output].map(topic => ({ topic, numPartitions: 2, replicationFactor: 1 }))
  await admin.createTopics({ waitForLeaders: true, topics })
  await admin.disconnect()
}

/** The settings of an internal topic, and whether records were deleted from each of its partitions that had some. */
async function internal(kafka: string, topic: string) {
  const admin = kafkajsClient(kafka).admin()
  await admin.connect()
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [
      {
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name: topic,
        configNames: ['cleanup.policy', 'retention.ms'],
      },
    ],
  })
  const offsets = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const settings = (resources[0]?.configEntries ?? []).map(entry => [entry.configName, entry.configValue])
  const emptied = offsets.filter(({ high }) => Number(high) > 0).every(({ low }) => Number(low) > 0)
  return { settings: Object.fromEntries(settings) as Record<string, string>, emptied }
}

describe('stopped in the clean way', () => {
  const broker = useBroker({ settings: { 'group.initial.rebalance.delay.ms': '0' } })
  beforeEach(() => makeTopics(broker().kafka))

  test('every word is counted exactly, and the internal topics are as Streams wants them', async () => {
    const { kafka } = broker()
    const [before, after] = [lines(500, 1), lines(500, 2)]
    const stop = async (): Promise<void> => {
      const { stderr } = (await program?.kill('SIGTERM')) ?? {}
      expect(stderr).toContain('State transition from PENDING_SHUTDOWN to NOT_RUNNING')
    }
    await produce(kafka, input, ['-p', '-1'], before.join('\n'))
    await start(kafka, 'kept')
    await until(async () => reaches(await counted(kafka), countsOf(before)))
    await until(async () => (await internal(kafka, repartition)).emptied)
    expect((await internal(kafka, repartition)).settings).toMatchObject({
      'cleanup.policy': 'delete',
      'retention.ms': '-1',
    })
    expect((await internal(kafka, changelog)).settings['cleanup.policy']).toBe('compact')
    await stop()
    await produce(kafka, input, ['-p', '-1'], after.join('\n'))
    await start(kafka, 'kept')
    const all = countsOf([...before, ...after])
    await until(async () => reaches(await counted(kafka), all))
    await stop()
    expect(Object.fromEntries(await counted(kafka))).toEqual(Object.fromEntries(all))
  })
})

describe('killed', () => {
  const broker = useBroker({ settings: { 'group.initial.rebalance.delay.ms': '0' } })
  beforeEach(() => makeTopics(broker().kafka))

  test('no word is missed, with the state restored from the changelog', async () => {
    const { kafka } = broker()
    const chunks = Array.from({ length: 12 }, (_, seed) => lines(200, seed))
    const send = (chunk: readonly string[]) => produce(kafka, input, ['-p', '-1'], chunk.join('\n'))
    await start(kafka, 'lost')
    for (const chunk of chunks.slice(0, 4)) await send(chunk)
    await until(async () => reaches(await counted(kafka), countsOf(chunks[0] ?? [])))
    for (const chunk of chunks.slice(4, 8)) await send(chunk)
    await program?.kill('SIGKILL')
    const resumed = await start(kafka, 'fresh')
    for (const chunk of chunks.slice(8)) await send(chunk)
    const all = countsOf(chunks.flat())
    await until(async () => reaches(await counted(kafka), all))
    await resumed.kill('SIGTERM')
    const counts = await counted(kafka)
    expect([...counts.keys()].sort()).toEqual([...all.keys()].sort())
    expect(reaches(counts, all)).toBe(true)
    const restored = [
      ...resumed.stderr().matchAll(/Finished restoring changelog \S+ .*total number of (\d+) records/g),
    ]
    expect(Math.max(...restored.map(match => Number(match[1])))).toBeGreaterThan(0)
  })
})
