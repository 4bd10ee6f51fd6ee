import { afterAll, beforeAll, expect, test } from 'vitest'
import { Kafka, logLevel } from 'kafkajs'
import { HttpBroker, until, type ErrorJson, type RecordJson } from './broker.fixture.ts'
import { TimedDoor } from './timed.fixture.ts'
import { queueFamilies } from './queue-metrics.ts'

let broker: HttpBroker
beforeAll(async () => {
  broker = await HttpBroker.start({
    'offsets.topic.num.partitions': '4',
    'group.initial.rebalance.delay.ms': '0',
  })
})
afterAll(() => broker.stop())

type Received = RecordJson & {
  readonly topic: string
  readonly deliveries: number
  readonly receipt: string
}
type Result = { readonly receipt: string; readonly error?: ErrorJson }

/** A consumer, as the address of its resource. */
async function consumer(group: string, wish: object): Promise<string> {
  const { status, headers, text } = await broker.ask(`/v1/groups/${group}/consumers`, { body: wish })
  if (status !== 201) throw new Error(text)
  return headers.get('location') ?? ''
}

async function receive(at: string, wish: object = { wait_ms: 10_000 }): Promise<Received[]> {
  const { json, text } = await broker.ask(`${at}/receive`, { body: wish })
  if (json.records === undefined) throw new Error(text)
  return json.records as Received[]
}

const say = (at: string, what: string, records: readonly Received[], more: object = {}) =>
  broker.ask(`${at}/${what}`, { body: { receipts: records.map(({ receipt }) => receipt), ...more } })

const committed = async (group: string): Promise<(number | null)[]> => {
  const { json } = await broker.ask(`/v1/groups/${group}`)
  const offsets = json['offsets'] as { committed_offset: number | null }[]
  return offsets.map(({ committed_offset: offset }) => offset)
}

const metric = async (name: string, group: string): Promise<string | undefined> => {
  const { text } = await broker.ask('/metrics')
  return new RegExp(`^${name}\\{consumergroup="${group}"\\} (\\S+)$`, 'm').exec(text)?.[1]
}

test('records are received, acknowledged and committed', async () => {
  await broker.makeTopic('orders', 2)
  await broker.write('orders', { key: 'k', value: 'a', headers: { h: 'x' }, partition: 1, timestamp: 7 })
  const made = await broker.ask('/v1/groups/a%2Fb/consumers', {
    body: {
      topics: ['orders'],
      visibility_timeout_ms: 5_000,
      max_unacknowledged: 7,
      offset_reset: 'earliest',
    },
  })
  expect(made.status).toBe(201)
  expect(made.json).toEqual({
    consumer: expect.stringMatching(/^[\w-]{16}~\d+~5000~7~earliest~orders$/),
    group: 'a/b',
    topics: ['orders'],
    visibility_timeout_ms: 5_000,
    max_unacknowledged: 7,
    offset_reset: 'earliest',
    idle_timeout_ms: 65_000,
    unacknowledged: 0,
  })
  const at = made.headers.get('location') ?? ''
  expect(at).toBe(`/v1/groups/a%2Fb/consumers/${String(made.json['consumer'])}`)
  const got = await receive(at)
  expect(got).toEqual([
    {
      topic: 'orders',
      partition: 1,
      offset: 0,
      timestamp: 7,
      key: 'k',
      value: 'a',
      headers: [['h', 'x']],
      encoding: 'text',
      deliveries: 1,
      receipt: expect.any(String),
    },
  ])
  const { json: described } = await broker.ask(at)
  expect(described).toMatchObject({
    unacknowledged: 1,
    assigned: [{ topic: 'orders', partitions: [0, 1] }],
    held: [{ topic: 'orders', partition: 1, offset: 0, deliveries: 1, visible_in_ms: expect.any(Number) }],
  })
  const { status, json } = await say(at, 'acknowledge', got)
  expect([status, json]).toEqual([200, { results: [{ receipt: got[0]?.receipt }] }])
  expect(await committed('a%2Fb')).toEqual([0, 1])
  const { json: listed } = await broker.ask('/v1/groups/a%2Fb/consumers')
  expect(listed).toEqual({
    assigned: [{ topic: 'orders', partitions: [0, 1] }],
    consumers: [made.json],
  })
  const { json: group } = await broker.ask('/v1/groups/a%2Fb')
  expect(group).toMatchObject({
    state: 'Stable',
    members: [{ client_id: 'stele-http', instance_id: 'stele-http-0', host: 'broker-0' }],
  })
})

test('batches have their bounds; bytes are base64 when asked for', async () => {
  await broker.makeTopic('bounds')
  await broker.write('bounds', ...Array.from({ length: 10 }, (_, n) => ({ value: `${n}`.repeat(1_000) })))
  const at = await consumer('bounds', { topics: ['bounds'], max_unacknowledged: 6 })
  expect(await receive(at, { wait_ms: 10_000, max_records: 3 })).toHaveLength(3)
  expect(await receive(at, { max_bytes: 2_500 })).toHaveLength(2)
  const { json } = await broker.ask(`${at}/receive?encoding=base64`, { method: 'POST' })
  expect(json.records).toMatchObject([
    { offset: 5, encoding: 'base64', value: expect.stringMatching(/^NTU1/) },
  ])
  expect(await receive(at, { wait_ms: 1 })).toEqual([])
})

test('what is not with the consumer any more is refused by receipt, and the rest is done', async () => {
  await broker.makeTopic('receipts')
  await broker.write('receipts', { value: 'a' }, { value: 'b' }, { value: 'c' })
  const [one, two] = [
    await consumer('receipts', { topics: ['receipts'], visibility_timeout_ms: 60_000 }),
    await consumer('receipts', { topics: ['receipts'] }),
  ]
  const got = await receive(one)
  expect((await say(one, 'release', got.slice(1, 2))).status).toBe(200)
  const again = await receive(two)
  expect(again.map(({ value, deliveries }) => [value, deliveries])).toEqual([['b', 2]])
  const { status, json } = await say(one, 'acknowledge', got)
  expect([status, json.error?.code]).toEqual([409, 'INVALID_RECORD_STATE'])
  const results = json.results as unknown as Result[]
  expect(results.map(({ receipt, error }) => [receipt, error?.code])).toEqual(
    got.map(({ receipt }, n) => [receipt, n === 1 ? 'INVALID_RECORD_STATE' : undefined]),
  )
  expect(results[1]?.error?.message).toBe('record 1 of receipts-0 was handed out again since')
  expect(await committed('receipts')).toEqual([1])
  expect((await say(two, 'extend', again, { visibility_timeout_ms: 120_000 })).status).toBe(200)
  expect((await say(two, 'acknowledge', again)).status).toBe(200)
  expect(await committed('receipts')).toEqual([3])
  expect(await metric('stele_queue_redeliveries_total', 'receipts')).toBe('1')
  expect(await metric('stele_queue_consumers', 'receipts')).toBe('2')
  expect(await metric('stele_queue_unacknowledged_records', 'receipts')).toBe('0')
  for (const { name, type, help } of queueFamilies) {
    expect(name.endsWith('_total')).toBe(type === 'counter')
    expect(help).toMatch(/^[A-Z].*\.$/)
  }
})

test('who has lost the answer to an acknowledgement is answered the same again', async () => {
  await broker.makeTopic('again')
  await broker.write('again', { value: 'a' })
  const at = await consumer('again', { topics: ['again'] })
  const got = await receive(at)
  const first = await say(at, 'acknowledge', got)
  const second = await say(at, 'acknowledge', got)
  expect([first.status, second.status, second.json]).toEqual([200, 200, first.json])
  expect(await committed('again')).toEqual([1])
})

test('a group without a name is refused', async () => {
  await broker.makeTopic('nameless')
  const { status, json } = await broker.ask('/v1/groups//consumers', { body: { topics: ['nameless'] } })
  expect([status, json.error?.code]).toEqual([400, 'INVALID_GROUP_ID'])
})

test('a consumer that is deleted leaves what it held to who waits', async () => {
  await broker.makeTopic('left')
  await broker.write('left', { value: 'a' })
  const [one, two] = [
    await consumer('left', { topics: ['left'] }),
    await consumer('left', { topics: ['left'] }),
  ]
  expect(await receive(one)).toHaveLength(1)
  const waiting = receive(two, { wait_ms: 60_000 })
  expect((await broker.ask(one, { method: 'DELETE' })).status).toBe(204)
  expect((await waiting).map(({ deliveries }) => deliveries)).toEqual([2])
  const gone = await broker.ask(`${one}/receive`, { method: 'POST' })
  expect([gone.status, gone.json.error?.code]).toEqual([404, 'UNKNOWN_CONSUMER'])
  expect((await broker.ask(two, { method: 'DELETE' })).status).toBe(204)
  await until(async () => (await broker.ask('/v1/groups/left')).json['state'] === 'Empty')
})

test('a client that is gone before its answer has nothing', async () => {
  await broker.makeTopic('hung-up')
  const at = await consumer('hung-up', { topics: ['hung-up'] })
  await receive(at, { wait_ms: 500 })
  const leave = new AbortController()
  const asked = fetch(`${broker.url}${at}/receive`, {
    method: 'POST',
    body: '{"wait_ms":60000}',
    signal: leave.signal,
  })
  leave.abort()
  await expect(asked).rejects.toThrow('aborted')
  await broker.write('hung-up', { value: 'a' })
  expect(await receive(at)).toHaveLength(1)
})

test('a Kafka client takes over where acknowledgements ended', async () => {
  await broker.makeTopic('shared')
  await broker.write('shared', ...Array.from({ length: 5 }, (_, n) => ({ value: `v${n}` })))
  const at = await consumer('shared', { topics: ['shared'] })
  const got = await receive(at)
  await say(at, 'acknowledge', [...got.slice(0, 2), ...got.slice(3, 4)])
  await broker.ask(at, { method: 'DELETE' })
  const kafka = new Kafka({ clientId: 'test', brokers: [broker.kafka], logLevel: logLevel.NOTHING })
  const reader = kafka.consumer({ groupId: 'shared' })
  await reader.connect()
  await reader.subscribe({ topic: 'shared', fromBeginning: true })
  const read: string[] = []
  await reader.run({ eachMessage: async ({ message }) => void read.push(String(message.value)) })
  await until(() => read.length === 3)
  await reader.disconnect()
  expect(read).toEqual(['v2', 'v3', 'v4'])
})

test.each([
  ['', {}, 'INVALID_REQUEST', 'topics must be an array of strings, not missing'],
  ['', { topics: [] }, 'INVALID_REQUEST', 'topics must name 1 to 100 topics, not 0'],
  ['', { topics: [7] }, 'INVALID_REQUEST', 'topics[0] must be a string, not a number'],
  ['', { topics: ['none'] }, 'UNKNOWN_TOPIC_OR_PARTITION', 'There is no topic none'],
  ['', { topics: ['orders'], max_unacknowledged: 0 }, 'INVALID_REQUEST', 'from 1 to 10000, not 0'],
  [
    '',
    { topics: ['orders'], visibility_timeout_ms: '1' },
    'INVALID_REQUEST',
    'visibility_timeout_ms must be',
  ],
  [
    '',
    { topics: ['orders'], offset_reset: 'none' },
    'INVALID_REQUEST',
    'offset_reset must be earliest or latest',
  ],
  ['', { topics: ['orders'], ofset_reset: 'latest' }, 'INVALID_REQUEST', 'ofset_reset'],
  ['/none/receive', {}, 'UNKNOWN_CONSUMER', 'There is no consumer none'],
  ['/none/receive', { wait_ms: 60_001 }, 'INVALID_REQUEST', 'wait_ms must be a whole number from 0 to 60000'],
  ['/none/acknowledge', {}, 'INVALID_REQUEST', 'receipts must be an array of strings, not missing'],
  ['/none/release', { receipts: [null] }, 'INVALID_REQUEST', 'receipts[0] must be a string, not null'],
  [
    '/none/acknowledge',
    { receipts: Array.from({ length: 10_001 }, () => '') },
    'INVALID_REQUEST',
    'receipts holds 10001',
  ],
])('POST consumers%s %j is refused', async (path, body, code, message) => {
  const { json } = await broker.ask(`/v1/groups/refused/consumers${path}`, { body })
  expect(json.error?.code).toBe(code)
  expect(json.error?.message).toContain(message)
})

test('an extension says for how long', async () => {
  const at = await consumer('refused', { topics: ['orders'] })
  const { json } = await broker.ask(`${at}/extend`, { body: { receipts: [] } })
  expect(json.error?.message).toBe(
    'visibility_timeout_ms must be a whole number from 100 to 43200000, not missing',
  )
  expect((await broker.ask(`${at}/acknowledge`, { body: { receipts: [] } })).json).toEqual({ results: [] })
  expect((await broker.ask('/v1/groups/nobody/consumers')).json).toEqual({ assigned: [], consumers: [] })
})

test('a broker that stops answers those who wait', async () => {
  const stopping = await HttpBroker.start({ 'offsets.topic.num.partitions': '1' })
  await stopping.makeTopic('t')
  const { headers } = await stopping.ask('/v1/groups/g/consumers', { body: { topics: ['t'] } })
  const waiting = stopping.ask(`${headers.get('location')}/receive`, { body: { wait_ms: 60_000 } })
  await until(async () => (await stopping.ask('/v1/groups/g')).json['state'] === 'Stable')
  const stopped = stopping.stop()
  const { status, json } = await waiting
  expect([[200, 503].includes(status), json.records ?? []]).toEqual([true, []])
  await stopped
})

test('a wait is over when its time is', async () => {
  const door = await TimedDoor.open({ settings: { 'offsets.topic.num.partitions': '1' } })
  await door.router.createTopics([{ name: 't', settings: {}, tablets: 1, replication: 1 }])
  const ask = (path: string, body: object) =>
    fetch(door.url + path, { method: 'POST', body: JSON.stringify(body) })
  const made = await ask('/v1/groups/g/consumers', { topics: ['t'] })
  const timers = door.timers
  const waiting = ask(`${made.headers.get('location')}/receive`, { wait_ms: 40_000 })
  await until(() => door.timers > timers)
  door.elapse(40_000)
  expect(await (await waiting).json()).toEqual({ records: [] })
  await door.queues.end()
  await door.close()
})
