import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useBroker } from './broker.ts'
import { java } from './java.ts'
import { consume, produce } from './kcat.ts'
import { succeed } from './processes.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic } from './topics.ts'

needs('kcat', 'java', 'mvn')
const broker = useBroker()

const tool = async (mainClass: string, ...args: string[]): Promise<string> => {
  const { stdout } = await java(mainClass, ['--bootstrap-server', broker().kafka, ...args])
  return stdout.toString()
}
const topics = (...args: string[]): Promise<string> => tool('org.apache.kafka.tools.TopicCommand', ...args)
const configs = (topic: string, ...args: string[]): Promise<string> =>
  tool('kafka.admin.ConfigCommand', '--entity-type', 'topics', '--entity-name', topic, ...args)

describe("Kafka's own administration tools", () => {
  test('a topic is created, listed, described, grown and deleted', async () => {
    const topic = freshTopic('java-topic')
    const made = await topics(
      '--create',
      `--topic=${topic}`,
      '--partitions=2',
      '--replication-factor=1',
      '--config=segment.bytes=1048576',
    )
    expect(made).toContain(`Created topic ${topic}.`)
    expect((await topics('--list')).split('\n')).toContain(topic)

    const described = await topics('--describe', `--topic=${topic}`)
    expect(described).toMatch(/PartitionCount: 2\s+ReplicationFactor: 1\s+Configs: .*segment\.bytes=1048576/)
    expect(described).toMatch(/Partition: 1\s+Leader: (\d+)\s+Replicas: \1\s+Isr: \1/)

    await topics('--alter', `--topic=${topic}`, '--partitions=5')
    expect(await topics('--describe', `--topic=${topic}`)).toContain('PartitionCount: 5')

    await topics('--delete', `--topic=${topic}`)
    expect((await topics('--list')).split('\n')).not.toContain(topic)
  })

  test('a topic that exists is not created again', async () => {
    const topic = await createTopic(broker().kafka, 'java-again', 1)
    await expect(topics('--create', `--topic=${topic}`)).rejects.toThrow(/TopicExistsException/)
  })

  test('replicas are reassigned, and a single broker has nothing to move', async () => {
    const topic = await createTopic(broker().kafka, 'java-move', 1)
    const described = await topics('--describe', `--topic=${topic}`)
    const id = Number(/Replicas: (\d+)/.exec(described)?.[1])
    const plan = (replicas: number) =>
      JSON.stringify({ version: 1, partitions: [{ topic, partition: 0, replicas: [replicas] }] })
    const folder = await mkdtemp(join(tmpdir(), 'stele-moves-'))
    try {
      const file = join(folder, 'plan.json')
      const reassign = (...args: string[]) =>
        tool('org.apache.kafka.tools.reassign.ReassignPartitionsCommand', ...args)
      await writeFile(file, plan(id))
      const executed = await reassign('--execute', `--reassignment-json-file=${file}`, '--throttle=5000000')
      expect(executed).toContain('The inter-broker throttle limit was set to 5000000 B/s')
      expect(executed).toContain(`Successfully started partition reassignment for ${topic}-0`)
      const limits = async (): Promise<string[]> => {
        const ofBroker = ['--entity-type', 'brokers', '--entity-name', String(id), '--describe', '--all']
        const all =
          (await tool('kafka.admin.ConfigCommand', ...ofBroker)) + (await configs(topic, '--describe'))
        const lines = all.match(/^ +[a-z]+\.replication\.throttled\.\w+=\S+/gm) ?? []
        return lines.map(line => line.trim()).toSorted()
      }
      expect(await limits()).toEqual([
        'follower.replication.throttled.rate=5000000',
        'leader.replication.throttled.rate=5000000',
        `leader.replication.throttled.replicas=0:${id}`,
      ])
      const verified = await reassign('--verify', `--reassignment-json-file=${file}`)
      expect(verified).toContain(`Reassignment of partition ${topic}-0 is completed.`)
      expect(await limits()).toEqual([
        'follower.replication.throttled.rate=52428800',
        'leader.replication.throttled.rate=9223372036854775807',
      ])
      expect(await reassign('--list')).toContain('No partition reassignments found.')
      await writeFile(file, plan(id + 7))
      await expect(reassign('--execute', `--reassignment-json-file=${file}`)).rejects.toThrow(
        /Unknown broker/,
      )
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test('settings are added, shown and taken away', async () => {
    const topic = await createTopic(broker().kafka, 'java-config', 1, { 'retention.ms': '7200000' })
    await configs(topic, '--alter', '--add-config', 'retention.ms=3600000,max.message.bytes=2000000')
    const shown = await configs(topic, '--describe')
    expect(shown).toContain('retention.ms=3600000')
    expect(shown).toContain('max.message.bytes=2000000')
    await configs(topic, '--alter', '--delete-config', 'retention.ms')
    expect(await configs(topic, '--describe')).not.toContain('retention.ms=3600000')
    const all = await configs(topic, '--describe', '--all')
    expect(all).toContain('retention.ms=604800000')
    expect(all).toContain('max.message.bytes=2000000')
  })

  test('a setting that does not exist is refused by name', async () => {
    const topic = await createTopic(broker().kafka, 'java-bad-config', 1)
    await expect(configs(topic, '--alter', '--add-config', 'retention.mss=1')).rejects.toThrow(
      /retention\.mss/,
    )
  })

  test('the broker tells which requests it speaks', async () => {
    const versions = await tool('org.apache.kafka.tools.BrokerApiVersionsCommand')
    expect(versions).toMatch(/Produce\(0\): 0 to 1[0-9]/)
    expect(versions).toMatch(/ApiVersions\(18\): 0 to 4/)
  })
})

describe('with records in a topic', () => {
  let directory = ''
  let topic = ''
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stele-wire-admin-'))
    topic = await createTopic(broker().kafka, 'java-records', 2)
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  test('offsets are shown, records deleted, and the log directory described', async () => {
    await produce(broker().kafka, topic, ['-p', '0'], 'a\n'.repeat(100))
    await produce(broker().kafka, topic, ['-p', '1'], 'b\n'.repeat(50))
    const offsets = (...args: string[]): Promise<string> =>
      tool('org.apache.kafka.tools.GetOffsetShell', '--topic', topic, ...args)
    expect(await offsets()).toBe(`${topic}:0:100\n${topic}:1:50\n`)

    const request = join(directory, 'delete.json')
    await writeFile(
      request,
      JSON.stringify({ version: 1, partitions: [{ topic, partition: 0, offset: 40 }] }),
    )
    const deleted = await tool('org.apache.kafka.tools.DeleteRecordsCommand', '--offset-json-file', request)
    expect(deleted).toContain(`partition: ${topic}-0\tlow_watermark: 40`)
    expect(await offsets('--time', 'earliest')).toBe(`${topic}:0:40\n${topic}:1:0\n`)
    const asked = await succeed('kcat', ['-Q', '-b', broker().kafka, '-t', `${topic}:0:-2`])
    expect(asked.stdout.toString()).toContain(`${topic} [0] offset 40`)
    const left = await consume(broker().kafka, topic, ['-p', '0', '-o', 'beginning', '-e'])
    expect(left.map(({ offset }) => offset)).toEqual(Array.from({ length: 60 }, (_, i) => 40 + i))

    const described = await tool('org.apache.kafka.tools.LogDirsCommand', '--describe', '--topic-list', topic)
    const brokers = JSON.parse(described.split('\n').find(line => line.startsWith('{')) ?? '') as {
      brokers: { logDirs: { error: unknown; partitions: { partition: string; size: number }[] }[] }[]
    }
    const partitions = brokers.brokers.flatMap(({ logDirs }) =>
      logDirs.flatMap(({ partitions }) => partitions),
    )
    expect(partitions.map(({ partition }) => partition).sort()).toEqual([`${topic}-0`, `${topic}-1`])
    for (const { size } of partitions) expect(size).toBeGreaterThan(50)
  })

  test('what was read with Java equals what was written with kcat', async () => {
    const words = Array.from({ length: 1000 }, (_, i) => `line ${i}`)
    const read = await createTopic(broker().kafka, 'java-consumer', 1)
    await produce(broker().kafka, read, ['-z', 'zstd'], words.join('\n'))
    const where = ['--topic', read, '--partition', '0', '--offset', 'earliest', '--max-messages', '1000']
    const printed = await tool('org.apache.kafka.tools.consumer.ConsoleConsumer', ...where)
    expect(printed.trimEnd().split('\n')).toEqual(words)
  })
})
