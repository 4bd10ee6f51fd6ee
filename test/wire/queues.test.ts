/** Queues over HTTP beside Kafka's own tools and clients. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { explainFailures, isOurs, startBroker, type Broker } from './broker.ts'
import { java } from './java.ts'
import { produce } from './kcat.ts'
import { succeed } from './processes.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic } from './topics.ts'

needs('kcat', 'java', 'mvn')

let broker: Broker | undefined
let data = ''
const running = (): Broker => {
  if (broker === undefined) throw new Error('the broker is not started yet')
  return broker
}
beforeAll(async () => {
  if (!isOurs) return
  data = await mkdtemp(join(tmpdir(), 'stele-wire-queues-'))
  broker = await startBroker({ data })
})
afterAll(async () => {
  await broker?.stop()
  await rm(data, { recursive: true, force: true })
})
explainFailures(() => broker?.log() ?? 'the broker did not start')

type Received = {
  readonly partition: number
  readonly offset: number
  readonly value: string
  readonly deliveries: number
  readonly receipt: string
}
type Answer = {
  readonly records?: readonly Received[]
  readonly results?: readonly { readonly error?: { readonly code: string } }[]
  readonly error?: { readonly code: string }
}

async function ask(path: string, body: object): Promise<{ answer: Answer; location: string }> {
  const response = await fetch(running().http + path, { method: 'POST', body: JSON.stringify(body) })
  const answer = (await response.json()) as Answer
  return { answer, location: response.headers.get('location') ?? '' }
}

async function newConsumer(group: string, wish: object): Promise<string> {
  const { answer, location } = await ask(`/v1/groups/${group}/consumers`, wish)
  if (location === '') throw new Error(JSON.stringify(answer))
  return location
}

async function receive(at: string, wish: object = { wait_ms: 20_000 }): Promise<readonly Received[]> {
  const { answer } = await ask(`${at}/receive`, wish)
  if (answer.records === undefined) throw new Error(JSON.stringify(answer))
  return answer.records
}

/** The codes of those that were refused. */
async function acknowledge(at: string, got: readonly Received[]): Promise<string[]> {
  const { answer } = await ask(`${at}/acknowledge`, { receipts: got.map(({ receipt }) => receipt) })
  if (answer.results === undefined) throw new Error(JSON.stringify(answer))
  return answer.results.flatMap(({ error }) => (error === undefined ? [] : [error.code]))
}

/** What `kafka-consumer-groups --describe` prints of a group, in cells. */
async function describeGroup(group: string, ...more: string[]): Promise<string[][]> {
  const { stdout } = await java('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', [
    '--bootstrap-server',
    running().kafka,
    '--describe',
    '--group',
    group,
    ...more,
  ])
  const rows = stdout
    .toString()
    .split('\n')
    .map(line => line.trim().split(/\s+/))
  return rows.filter(([first]) => first === group)
}

const numbers = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, n) => `${from + n}`)
const sorted = (values: readonly string[]): string[] => values.toSorted((a, b) => Number(a) - Number(b))

test('consumers over HTTP share the work, crash, and hand over to a Kafka client', async context => {
  if (!isOurs) context.skip('Kafka has no queues over HTTP')
  const topic = await createTopic(running().kafka, 'queues', 2)
  const group = freshTopic('queue')
  await produce(running().kafka, topic, ['-p', '0'], numbers(0, 30).join('\n'))
  await produce(running().kafka, topic, ['-p', '1'], numbers(30, 30).join('\n'))
  const done = new Set<string>()
  const finish = async (at: string, got: readonly Received[]): Promise<void> => {
    expect(await acknowledge(at, got)).toEqual([])
    for (const { value } of got) done.add(value)
  }

  // Three consumers for two partitions: everybody gets something, nobody what another has.
  const wish = { topics: [topic], visibility_timeout_ms: 60_000 }
  const [one, two] = [await newConsumer(group, wish), await newConsumer(group, wish)]
  const silent = await newConsumer(group, { ...wish, visibility_timeout_ms: 2_000 })
  const first = await receive(one, { wait_ms: 20_000, max_records: 15 })
  const second = await receive(two, { wait_ms: 20_000, max_records: 15 })
  const lost = await receive(silent, { wait_ms: 20_000, max_records: 10 })
  expect([first.length, second.length, lost.length]).toEqual([15, 15, 10])
  const held = [...first, ...second, ...lost].map(({ value }) => value)
  expect(new Set(held).size).toBe(40)
  await finish(one, first)
  await finish(two, second)

  // The silent one's records come again, to who waits for them.
  const again: Received[] = []
  while (again.length < lost.length) {
    const got = await receive(two)
    again.push(...got.filter(({ deliveries }) => deliveries === 2))
    await finish(two, got)
  }
  expect(sorted(again.map(({ value }) => value))).toEqual(sorted(lost.map(({ value }) => value)))
  expect(new Set(await acknowledge(silent, lost))).toEqual(new Set(['INVALID_RECORD_STATE']))
  while (done.size < 60) await finish(one, await receive(one))

  // Kafka's tool shows the same offsets, and the member.
  const offsets = await describeGroup(group)
  expect(new Set(offsets.map(row => row.slice(1, 6).join(' ')))).toEqual(
    new Set([`${topic} 0 30 30 0`, `${topic} 1 30 30 0`]),
  )
  expect((await describeGroup(group, '--members')).map(row => row.join(' '))).toEqual([
    expect.stringMatching(/stele-http-0-\S+ (?:stele-http-0 )?\/broker-0 (?:stele-http-0 )?stele-http 2$/),
  ])

  // The broker is killed while records are out: what was acknowledged stays so, the rest comes again.
  await produce(running().kafka, topic, ['-p', '0'], numbers(60, 20).join('\n'))
  const out: Received[] = []
  while (out.length < 20) out.push(...(await receive(one)))
  await finish(one, out.slice(0, 5))
  const { kafka, http } = running()
  await running().kill('SIGKILL')
  broker = await startBroker({ data, kafka, http: http.slice('http://'.length) })
  // The consumer goes on as what it was.
  const next = one
  const after: Received[] = []
  while (after.length < 15) after.push(...(await receive(next)))
  expect(after.map(({ value }) => value)).toEqual(numbers(65, 15))
  await finish(next, after.slice(0, 5))
  await finish(next, after.slice(7, 9))

  // A Kafka client takes the group over where acknowledgements ended: behind the hole, what was acknowledged comes again.
  await fetch(running().http + next, { method: 'DELETE' })
  expect(new Set((await describeGroup(group)).map(row => `${row[2]}: ${row[3]}`))).toEqual(
    new Set(['0: 40', '1: 30']),
  )
  const read = await succeed('kcat', ['-G', group, '-q', '-e', '-b', running().kafka, topic])
  expect(read.stdout.toString().trim().split('\n')).toEqual(numbers(70, 10))
})
