/** Groups that rest, administered with Kafka's own tool in all its ways and with the admin clients of JavaScript. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { useBroker } from './broker.ts'
import { java } from './java.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'

needs('java', 'mvn')
const broker = useBroker()

const platformaticAdmin = (): Admin =>
  new Admin({ clientId: 'wire-tests', bootstrapBrokers: [broker().kafka] })

const base = 1_700_000_000_000
let topic = ''
let group = ''
/** Two partitions of ten records, a minute apart; a group that has committed 5 in both. */
beforeAll(async () => {
  topic = await createTopic(broker().kafka, 'group-admin', 2)
  const producer = kafkajsClient(broker().kafka).producer()
  await producer.connect()
  for (const partition of [0, 1]) {
    const messages = Array.from({ length: 10 }, (_, n) => ({
      partition,
      value: `value ${n}`,
      timestamp: String(base + n * 60_000),
    }))
    await producer.send({ topic, messages })
  }
  await producer.disconnect()
})
beforeEach(async () => {
  group = freshTopic('group')
  const admin = platformaticAdmin()
  const partitionOffsets = [0, 1].map(partition => ({ partition, offset: 5n }))
  await admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionOffsets }] })
  await admin.close()
})

const groups = async (...args: string[]): Promise<string> => {
  const tool = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'
  const { stdout } = await java(tool, ['--bootstrap-server', broker().kafka, ...args])
  return stdout.toString()
}
/** `partition:offset` of each row that a reset printed, or a description. */
const offsets = (table: string): string[] =>
  table
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(([, name]) => name === topic)
    .map(([, , partition, offset]) => `${partition}:${offset}`)
    .sort()

const reset = async (...args: string[]): Promise<string[]> =>
  offsets(await groups('--reset-offsets', '--group', group, ...args))
const committed = async (): Promise<string[]> => offsets(await groups('--describe', '--group', group))

describe("Kafka's kafka-consumer-groups", () => {
  let directory = ''
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stele-group-admin-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  test.for([
    [['--to-earliest'], ['0:0', '1:0']],
    [['--to-latest'], ['0:10', '1:10']],
    [['--to-current'], ['0:5', '1:5']],
    [
      ['--to-offset', '7'],
      ['0:7', '1:7'],
    ],
    // Beyond the end is the end.
    [
      ['--to-offset', '99'],
      ['0:10', '1:10'],
    ],
    [
      ['--shift-by', '-2'],
      ['0:3', '1:3'],
    ],
    [
      ['--shift-by', '3'],
      ['0:8', '1:8'],
    ],
    [
      ['--to-datetime', new Date(base + 6 * 60_000 - 1).toISOString().replace('Z', '')],
      ['0:6', '1:6'],
    ],
    // All were written longer ago than this.
    [
      ['--by-duration', 'P1D'],
      ['0:10', '1:10'],
    ],
  ] as const)('resets offsets: %s', async ([how, expected]) => {
    expect(await reset('--topic', topic, ...how, '--execute')).toEqual(expected)
    expect(await committed()).toEqual(expected)
  })

  test('a dry run tells and changes nothing; partitions and all topics can be named', async () => {
    expect(await reset('--all-topics', '--to-earliest', '--dry-run')).toEqual(['0:0', '1:0'])
    expect(await reset('--topic', `${topic}:1`, '--to-offset', '2', '--execute')).toEqual(['1:2'])
    expect(await committed()).toEqual(['0:5', '1:2'])
  })

  test('what was exported is brought back from the file', async () => {
    const which = ['--group', group, '--topic', topic]
    const plan = await groups('--reset-offsets', ...which, '--to-current', '--export', '--dry-run')
    const rows = plan.split('\n').filter(line => line.includes(topic))
    expect(rows.toSorted()).toEqual([`"${topic}",0,5`, `"${topic}",1,5`])
    const file = join(directory, 'plan.csv')
    await writeFile(file, `${rows.join('\n')}\n`)
    await reset('--topic', topic, '--to-earliest', '--execute')
    expect(await reset('--from-file', file, '--execute')).toEqual(['0:5', '1:5'])
    expect(await committed()).toEqual(['0:5', '1:5'])
  })

  test('lists by state and kind, describes all groups, and deletes offsets and groups', async () => {
    expect(await groups('--list', '--state', 'Empty')).toContain(group)
    expect(await groups('--list', '--state', 'Stable')).not.toContain(group)
    expect(await groups('--list', '--type', 'classic')).toContain(group)
    expect(await groups('--describe', '--all-groups')).toContain(group)
    expect(await groups('--describe', '--group', group, '--offsets', '--verbose')).toContain(topic)
    expect(await groups('--describe', '--group', group, '--members')).not.toContain(topic)
    expect(await groups('--describe', '--group', group, '--state')).toMatch(/Empty\s+0/)
    await groups('--delete-offsets', '--group', group, '--topic', `${topic}:0`)
    expect(await committed()).toEqual(['1:5'])
    expect(await groups('--delete', '--group', group)).toContain('successful')
    expect(await groups('--list')).not.toContain(group)
  })

  test('a group that does not exist is named in the refusal', async () => {
    const nobody = freshTopic('nobody')
    const outcome = groups('--delete', '--group', nobody)
    expect(await outcome.catch(String)).toMatch(/GroupIdNotFoundException/)
  })
})

test('kafkajs administers groups', async () => {
  const admin = kafkajsClient(broker().kafka).admin()
  await admin.connect()
  const committed = async (): Promise<string[]> => {
    const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    return found?.partitions.map(({ partition, offset }) => `${partition}:${offset}`).sort() ?? []
  }
  expect(await committed()).toEqual(['0:5', '1:5'])
  expect((await admin.listGroups()).groups.map(({ groupId }) => groupId)).toContain(group)
  const { groups } = await admin.describeGroups([group])
  expect(groups).toMatchObject([{ groupId: group, errorCode: 0, members: [], state: 'Empty' }])
  // It commits its own signs for the beginning and the end, and a broker keeps what it is given.
  await admin.resetOffsets({ groupId: group, topic, earliest: true })
  expect(await committed()).toEqual(['0:-2', '1:-2'])
  await admin.resetOffsets({ groupId: group, topic, earliest: false })
  expect(await committed()).toEqual(['0:-1', '1:-1'])
  await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 1, offset: '3' }] })
  expect(await committed()).toEqual(['0:-1', '1:3'])
  expect(await admin.deleteGroups([group])).toEqual([{ groupId: group, errorCode: 0 }])
  expect((await admin.listGroups()).groups.map(({ groupId }) => groupId)).not.toContain(group)
  await expect(admin.deleteGroups([group])).rejects.toThrow(/delete/i)
  await admin.disconnect()
})

test('@platformatic/kafka administers groups', async () => {
  const admin = platformaticAdmin()
  const committed = async (): Promise<string[]> => {
    const [found] = await admin.listConsumerGroupOffsets({ groups: [group] })
    const partitions = found?.topics.find(({ name }) => name === topic)?.partitions ?? []
    return partitions.map(({ partitionIndex, committedOffset }) => `${partitionIndex}:${committedOffset}`)
  }
  expect((await committed()).toSorted()).toEqual(['0:5', '1:5'])
  expect((await admin.listGroups()).get(group)).toMatchObject({ id: group, state: 'Empty' })
  expect((await admin.listGroups({ states: ['STABLE'] })).has(group)).toBe(false)
  expect((await admin.describeGroups({ groups: [group] })).get(group)).toMatchObject({ state: 'Empty' })
  const partitionOffsets = [{ partition: 1, offset: 3n }]
  await admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionOffsets }] })
  expect((await committed()).toSorted()).toEqual(['0:5', '1:3'])
  const deleted = [{ name: topic, partitionIndexes: [0] }]
  await admin.deleteConsumerGroupOffsets({ groupId: group, topics: deleted })
  expect(await committed()).toEqual(['1:3'])
  await admin.deleteGroups({ groups: [group] })
  expect((await admin.listGroups()).has(group)).toBe(false)
  await admin.close()
})
