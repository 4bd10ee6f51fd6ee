/** What people look at groups with: Kafka's own tools, and what they find in the files. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isKafka, useBroker } from './broker.ts'
import { startMember, type Member } from './group-members.ts'
import { java } from './java.ts'
import { produce } from './kcat.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'
import { until } from './until.ts'

needs('kcat', 'java', 'mvn')
const broker = useBroker()

const groups = async (...args: string[]): Promise<string> => {
  const where = ['--bootstrap-server', broker().kafka]
  const { stdout } = await java('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', [
    ...where,
    ...args,
  ])
  return stdout.toString()
}
/** The cells of the rows that begin with `name`. */
const rows = (table: string, name: string): string[][] =>
  table
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(([first]) => first === name)

describe("Kafka's kafka-consumer-groups", () => {
  const group = freshTopic('group')
  let topic = ''
  let member: Member | undefined
  beforeAll(async () => {
    topic = await createTopic(broker().kafka, 'group-tools', 2)
    for (const partition of [0, 1]) {
      const lines = Array.from({ length: 10 }, (_, n) => `line ${n}`).join('\n')
      await produce(broker().kafka, topic, ['-p', String(partition)], lines)
    }
    const started = await startMember('kafkajs', broker().kafka, group, topic)
    member = started
    await until(() => started.consumed().length === 20)
  })
  afterAll(() => member?.kill())

  test('shows a group at work: its state, its members, its offsets and how far it is behind', async () => {
    expect((await groups('--list')).split('\n')).toContain(group)
    expect(rows(await groups('--list', '--state'), group)).toEqual([[group, 'Stable']])
    await until(async () =>
      rows(await groups('--describe', '--group', group), group).every(row => row[4] === '10'),
    )
    const offsets = rows(await groups('--describe', '--group', group), group)
    expect(
      offsets.map(([, name, partition, committed, end, lag]) => [name, partition, committed, end, lag]),
    ).toEqual([
      [topic, '0', '10', '10', '0'],
      [topic, '1', '10', '10', '0'],
    ])
    const members = await groups('--describe', '--group', group, '--members', '--verbose')
    expect(members).toMatch(/kafkajs-member-\S+\s+\/127\.0\.0\.1\s+kafkajs-member\s+2/)
    const state = await groups('--describe', '--group', group, '--state')
    expect(state).toMatch(/RoundRobinAssigner\s+Stable\s+1/)
  })

  test('changes nothing while there are members', async () => {
    expect(await groups('--delete', '--group', group)).toMatch(/GroupNotEmptyException/)
    const reset = await groups(
      '--reset-offsets',
      '--group',
      group,
      '--topic',
      topic,
      '--to-earliest',
      '--execute',
    )
    expect(reset).toMatch(/inactive, but the current state is Stable/)
  })

  test('resets offsets, deletes them, and deletes the group', async () => {
    await member?.leave()
    await until(async () => /Empty/.test(await groups('--describe', '--group', group, '--state')))
    await groups(
      '--reset-offsets',
      '--group',
      group,
      '--topic',
      `${topic}:1`,
      '--to-offset',
      '4',
      '--execute',
    )
    const behind = rows(await groups('--describe', '--group', group), group)
    expect(
      new Set(behind.map(([, , partition, committed, , lag]) => `${partition}: ${committed}, ${lag} behind`)),
    ).toEqual(new Set(['0: 10, 0 behind', '1: 4, 6 behind']))
    await groups('--delete-offsets', '--group', group, '--topic', `${topic}:0`)
    expect(rows(await groups('--describe', '--group', group), group).map(row => row[2])).toEqual(['1'])
    expect(await groups('--delete', '--group', group)).toContain('successful')
    expect((await groups('--list')).split('\n')).not.toContain(group)
  })
})

test("Kafka's tool for log files reads the offsets and the groups", async context => {
  if (isKafka) context.skip('Kafka reads its own files')
  const topic = await createTopic(broker().kafka, 'group-files', 1)
  const group = freshTopic('group')
  await produce(broker().kafka, topic, ['-p', '0'], 'a\nb\nc')
  const member = await startMember('kafkajs', broker().kafka, group, topic)
  await until(() => member.consumed().length === 3)
  await member.leave()
  const admin = kafkajsClient(broker().kafka).admin()
  await admin.connect()
  await admin.setOffsets({
    groupId: group,
    topic,
    partitions: [{ partition: 0, offset: '2' }],
  })
  await admin.deleteGroups([group])
  await admin.disconnect()

  const tablets = join(broker().data, 'tablets')
  const names = (await readdir(tablets)).filter(name => name.startsWith('__consumer_offsets-'))
  const files = names.map(name => join(tablets, name, '00000000000000000000.log'))
  const tool = await java('org.apache.kafka.tools.DumpLogSegments', [
    '--offsets-decoder',
    '--files',
    files.join(','),
  ])
  const lines = tool.stdout
    .toString()
    .split('\n')
    .filter(line => line.includes(`"group":"${group}"`))
  const payloads = lines.map(line => /payload: (.*)$/.exec(line)?.[1] ?? '')
  const keys = new Set(lines.map(line => /key: (\{.*?\}\}?) payload/.exec(line)?.[1]))
  expect(keys).toEqual(
    new Set([
      `{"type":"1","data":{"group":"${group}","topic":"${topic}","partition":0}}`,
      `{"type":"2","data":{"group":"${group}"}}`,
    ]),
  )
  expect(payloads.join('\n')).toContain(
    '"protocolType":"consumer","generation":1,"protocol":"RoundRobinAssigner"',
  )
  expect(payloads.join('\n')).toMatch(/"version":"3","data":\{"offset":3,/)
  expect(payloads.join('\n')).toMatch(/"version":"3","data":\{"offset":2,/)
  expect(payloads.slice(-2)).toEqual(['<DELETE>', '<DELETE>'])
})
