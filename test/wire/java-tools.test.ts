/** What Kafka's administration tools can do besides the first steps: their filters, their ways to name things, the broker's own settings. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useBroker } from './broker.ts'
import { java } from './java.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'

needs('java', 'mvn')
const broker = useBroker()

const tool = async (mainClass: string, ...args: string[]): Promise<string> => {
  const { stdout } = await java(mainClass, ['--bootstrap-server', broker().kafka, ...args])
  return stdout.toString()
}
const topics = (...args: string[]): Promise<string> => tool('org.apache.kafka.tools.TopicCommand', ...args)
const configs = (...args: string[]): Promise<string> => tool('kafka.admin.ConfigCommand', ...args)
const offsets = (...args: string[]): Promise<string> => tool('org.apache.kafka.tools.GetOffsetShell', ...args)

const base = 1_700_000_000_000
let topic = ''
beforeAll(async () => {
  topic = await createTopic(broker().kafka, 'java-tools', 2, { 'retention.ms': '-1' })
  const producer = kafkajsClient(broker().kafka).producer()
  await producer.connect()
  // The newest timestamp is not at the end.
  const messages = [0, 1, 4, 2, 3].map(n => ({ value: `${n}`, partition: 0, timestamp: String(base + n) }))
  for (const message of messages) await producer.send({ topic, messages: [message] })
  await producer.disconnect()
})

describe('kafka-topics', () => {
  test('filters what it lists and describes', async () => {
    expect((await topics('--list', '--topic', `${topic.slice(0, -1)}.`)).trim()).toBe(topic)
    expect((await topics('--list', '--exclude-internal')).split('\n')).toContain(topic)
    expect(await topics('--describe', '--topics-with-overrides')).toContain(topic)
    for (const broken of [
      '--under-replicated-partitions',
      '--unavailable-partitions',
      '--under-min-isr-partitions',
    ])
      expect(await topics('--describe', broken)).not.toContain(topic)
    const id = /TopicId: (\S+)/.exec(await topics('--describe', '--topic', topic))?.[1] ?? ''
    expect(await topics('--describe', '--topic-id', id)).toContain(`Topic: ${topic}`)
  })

  test('creates and deletes only when there is need', async () => {
    await topics('--create', '--if-not-exists', '--topic', topic)
    await topics('--delete', '--if-exists', '--topic', freshTopic('never-made'))
    await expect(topics('--delete', '--topic', freshTopic('never-made'))).rejects.toThrow(/does not exist/)
    await expect(topics('--alter', '--topic', topic, '--partitions', '1')).rejects.toThrow(
      /InvalidPartitionsException/,
    )
    const assigned = freshTopic('assigned')
    const id = /Leader: (\d+)/.exec(await topics('--describe', '--topic', topic))?.[1] ?? ''
    await topics('--create', '--topic', assigned, '--replica-assignment', `${id},${id},${id}`)
    expect(await topics('--describe', '--topic', assigned)).toContain('PartitionCount: 3')
  })
})

describe('kafka-configs', () => {
  let directory = ''
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stele-java-tools-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  test('takes settings from a file', async () => {
    const file = join(directory, 'topic.properties')
    await writeFile(file, 'segment.bytes=2097152\nmax.message.bytes=3000000\n')
    const of = ['--entity-type', 'topics', '--entity-name', topic]
    await configs('--alter', ...of, '--add-config-file', file)
    const shown = await configs('--describe', ...of)
    for (const setting of ['segment.bytes=2097152', 'max.message.bytes=3000000', 'retention.ms=-1'])
      expect(shown).toContain(setting)
    await configs('--alter', ...of, '--delete-config', 'segment.bytes,max.message.bytes')
    expect(await configs('--describe', ...of)).not.toContain('segment.bytes=2097152')
  })

  test("shows and changes the broker's settings for all topics", async () => {
    const of = ['--entity-type', 'brokers', '--entity-default']
    await configs('--alter', ...of, '--add-config', 'log.retention.ms=7200000')
    expect(await configs('--describe', ...of)).toContain('log.retention.ms=7200000')
    const other = await createTopic(broker().kafka, 'java-tools-default', 1)
    const ofTopic = ['--entity-type', 'topics', '--entity-name', other]
    expect(await configs('--describe', '--all', ...ofTopic)).toContain('retention.ms=7200000')
    await configs('--alter', ...of, '--delete-config', 'log.retention.ms')
    expect(await configs('--describe', '--all', ...ofTopic)).toContain('retention.ms=604800000')
    const id = /Leader: (\d+)/.exec(await topics('--describe', '--topic', topic))?.[1] ?? ''
    const all = await configs('--describe', '--all', '--entity-type', 'brokers', '--entity-name', id)
    expect(all).toContain('log.segment.bytes=1073741824')
  })
})

describe('kafka-get-offsets', () => {
  test.for([
    ['earliest', '0'],
    ['latest', '5'],
    ['-2', '0'],
    [String(base + 2), '2'],
    ['max-timestamp', '2'],
  ] as const)('--time %s', async ([time, offset]) => {
    const asked = ['--topic-partitions', `${topic}:0`, '--time', time]
    expect(await offsets(...asked)).toBe(`${topic}:0:${offset}\n`)
  })

  test('names topics and partitions in several ways', async () => {
    const none = `${topic}:1:0\n`
    expect(await offsets('--topic', topic, '--partitions', '1')).toBe(none)
    expect(await offsets('--topic', `${topic.slice(0, -1)}.`, '--partitions', '1')).toBe(none)
    expect(await offsets('--exclude-internal-topics')).toContain(none)
  })
})

test('kafka-log-dirs describes all topics of all brokers', async () => {
  const described = await tool('org.apache.kafka.tools.LogDirsCommand', '--describe')
  const line = described.split('\n').find(text => text.startsWith('{')) ?? ''
  const { brokers } = JSON.parse(line) as {
    brokers: { logDirs: { partitions: { partition: string }[] }[] }[]
  }
  const names = brokers.flatMap(({ logDirs }) =>
    logDirs.flatMap(dir => dir.partitions.map(one => one.partition)),
  )
  expect(names).toEqual(expect.arrayContaining([`${topic}-0`, `${topic}-1`]))
})

describe('kafka-delete-records', () => {
  test('deletes all with -1, and refuses what is beyond the end', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'stele-java-tools-'))
    const filled = await createTopic(broker().kafka, 'java-delete', 1)
    const producer = kafkajsClient(broker().kafka).producer()
    await producer.connect()
    await producer.send({ topic: filled, messages: [{ value: 'a' }, { value: 'b' }] })
    await producer.disconnect()
    const request = async (offset: number): Promise<string> => {
      const file = join(directory, 'delete.json')
      await writeFile(
        file,
        JSON.stringify({ version: 1, partitions: [{ topic: filled, partition: 0, offset }] }),
      )
      return tool('org.apache.kafka.tools.DeleteRecordsCommand', '--offset-json-file', file)
    }
    expect(await request(3).catch(String)).toMatch(/OffsetOutOfRangeException/)
    expect(await request(-1)).toContain(`partition: ${filled}-0\tlow_watermark: 2`)
    expect(await offsets('--topic', filled, '--time', 'earliest')).toBe(`${filled}:0:2\n`)
    await rm(directory, { recursive: true, force: true })
  })
})

test('kafka-cluster and kafka-groups tell the cluster and its groups', async () => {
  const asked = ['cluster-id', '--bootstrap-server', broker().kafka]
  const cluster = await java('org.apache.kafka.tools.ClusterTool', asked)
  expect(cluster.stdout.toString()).toMatch(/Cluster ID: \S{22}/)
  expect(await tool('org.apache.kafka.tools.GroupsCommand', '--list')).toMatch(/GROUP|^$/)
})
