import { afterAll, beforeAll, expect, test } from 'vitest'
import { Kafka, logLevel, type Consumer } from 'kafkajs'
import { HttpBroker, until } from './broker.fixture.ts'
import { groupFamilies } from './group-metrics.ts'

let broker: HttpBroker
let consumer: Consumer

/** Ten records in each of two partitions, and a group that has read them. */
beforeAll(async () => {
  broker = await HttpBroker.start({
    'offsets.topic.num.partitions': '4',
    'group.initial.rebalance.delay.ms': '0',
  })
  await broker.makeTopic('orders', 2)
  for (const partition of [0, 1]) {
    const records = Array.from({ length: 10 }, (_, n) => ({
      value: `v${n}`,
      partition,
      timestamp: 1_000_000 + n,
    }))
    await broker.write('orders', ...records)
  }
  const kafka = new Kafka({ clientId: 'test', brokers: [broker.kafka], logLevel: logLevel.NOTHING })
  consumer = kafka.consumer({ groupId: 'billing' })
  await consumer.connect()
  await consumer.subscribe({ topic: 'orders', fromBeginning: true })
  await consumer.run({ eachMessage: async () => undefined })
  await until(async () => (await committed('billing')).every(offset => offset === 10))
})

afterAll(async () => {
  await consumer.disconnect()
  await broker.stop()
})

type Described = {
  readonly state: string
  readonly members: readonly object[]
  readonly offsets?: readonly { readonly partition: number; readonly committed_offset: number }[]
}

const describe = async (group: string): Promise<Described> =>
  (await broker.ask(`/v1/groups/${encodeURIComponent(group)}`)).json as unknown as Described

const committed = async (group: string): Promise<(number | null)[]> => {
  const { offsets = [] } = await describe(group)
  const all = offsets.toSorted((a, b) => a.partition - b.partition).map(offset => offset.committed_offset)
  return all.length === 2 ? all : [null]
}

const reset = (group: string, body: object) => broker.ask(`/v1/groups/${group}/offsets`, { body })

test('a group at work is listed and described, with its lag', async () => {
  await broker.write('orders', { value: 'late', partition: 1 })
  await until(async () => (await committed('billing')).join() === '10,11')
  expect((await broker.ask('/v1/groups')).json).toEqual({
    groups: [{ group: 'billing', state: 'Stable', protocol_type: 'consumer', members: 1, lag: 0 }],
  })
  const { members, ...described } = await describe('billing')
  expect(described).toMatchObject({
    state: 'Stable',
    protocol: 'RoundRobinAssigner',
    generation: 1,
    offsets: [
      { topic: 'orders', partition: 0, committed_offset: 10, high_watermark: 10, lag: 0 },
      { topic: 'orders', partition: 1, committed_offset: 11, high_watermark: 11, lag: 0 },
    ],
  })
  expect(members).toEqual([
    {
      member_id: expect.stringMatching(/^test-/),
      instance_id: null,
      client_id: 'test',
      host: '127.0.0.1',
      assigned: [{ topic: 'orders', partitions: [0, 1] }],
    },
  ])
})

test('a group with members is neither reset nor deleted', async () => {
  expect((await reset('billing', { offset: 'earliest' })).json.error).toMatchObject({
    code: 'NON_EMPTY_GROUP',
  })
  const { status, json } = await broker.ask('/v1/groups/billing', { method: 'DELETE' })
  expect(status).toBe(409)
  expect(json.error).toMatchObject({ code: 'NON_EMPTY_GROUP', message: 'Group billing has 1 member' })
})

test('a group is moved by offset, by time and by so many records, within the ends of the partition', async () => {
  const moved = async (body: object) => {
    const { json, text } = await reset('jobs', { topic: 'orders', partitions: [0], ...body })
    const offsets = json['offsets'] as { from: number | null; to: number }[] | undefined
    if (offsets?.[0] === undefined) throw new Error(text)
    return [offsets[0].from, offsets[0].to]
  }
  expect(await moved({ offset: 4 })).toEqual([null, 4])
  expect(await moved({ offset: 'latest', dry_run: true })).toEqual([4, 10])
  expect(await moved({ shift: 3 })).toEqual([4, 7])
  expect(await moved({ shift: -100 })).toEqual([7, 0])
  expect(await moved({ offset: 9_999 })).toEqual([0, 10])
  const outside = await reset('jobs', { topic: 'orders', partitions: [0], offset: 9_999 })
  expect(outside.json['offsets']).toEqual([{ topic: 'orders', partition: 0, from: 10, to: 10, asked: 9_999 }])
  expect(await moved({ timestamp: 1_000_004 })).toEqual([10, 4])
  expect(await moved({ timestamp: '2099-01-01T00:00:00Z' })).toEqual([4, 10])
  expect(await moved({ offset: 'earliest' })).toEqual([10, 0])
  expect(await committed('jobs')).toEqual([null])
  expect((await reset('jobs', { topic: 'orders', offset: 'latest' })).json['offsets']).toHaveLength(2)
  expect(await committed('jobs')).toEqual([10, 11])
  const twice = await reset('jobs', { topic: 'orders', partitions: [0, 0], offset: 'latest' })
  expect(twice.json['offsets']).toEqual([{ topic: 'orders', partition: 0, from: 10, to: 10 }])
  expect((await reset('jobs', { shift: -1 })).json['offsets']).toEqual([
    { topic: 'orders', partition: 0, from: 10, to: 9 },
    { topic: 'orders', partition: 1, from: 11, to: 10 },
  ])
})

test.each([
  [{}, 'INVALID_REQUEST'],
  [{ topic: 'orders' }, 'INVALID_REQUEST'],
  [{ topic: 'orders', offset: 1, shift: 1 }, 'INVALID_REQUEST'],
  [{ topic: 'orders', offset: 'first' }, 'INVALID_REQUEST'],
  [{ topic: 'orders', offset: -1 }, 'INVALID_REQUEST'],
  [{ topic: 'orders', offset: {} }, 'INVALID_REQUEST'],
  [{ topic: 'orders', timestamp: null }, 'INVALID_REQUEST'],
  [{ topic: 'orders', shift: 1.5 }, 'INVALID_REQUEST'],
  [{ topic: 'orders', timestamp: 'yesterday' }, 'INVALID_REQUEST'],
  [{ topic: 'orders', offset: 1, dry_run: 'no' }, 'INVALID_REQUEST'],
  [{ topic: 7, offset: 1 }, 'INVALID_REQUEST'],
  [{ partitions: [0], offset: 1 }, 'INVALID_REQUEST'],
  [{ topic: 'orders', partitions: 0, offset: 1 }, 'INVALID_REQUEST'],
  [{ topic: 'orders', partitions: [2], offset: 1 }, 'UNKNOWN_TOPIC_OR_PARTITION'],
  [{ topic: 'nowhere', offset: 1 }, 'UNKNOWN_TOPIC_OR_PARTITION'],
  [{ topic: 'orders', ofset: 1 }, 'INVALID_REQUEST'],
])('a reset to %j is refused', async (body, code) => {
  await reset('careful', { topic: 'orders', offset: 3 })
  expect((await reset('careful', body)).json.error?.code).toBe(code)
  expect(await committed('careful')).toEqual([3, 3])
})

test('a group that is not there is told so, with the one that may have been meant', async () => {
  const { status, json } = await broker.ask('/v1/groups/biling')
  expect(status).toBe(404)
  expect(json.error?.message).toContain('did you mean billing?')
  expect((await reset('nobody', { offset: 'latest' })).json.error).toMatchObject({
    code: 'GROUP_ID_NOT_FOUND',
  })
})

test('a reset says that it makes a group', async () => {
  const body = { topic: 'orders', offset: 'latest' }
  expect((await reset('newcomer', { ...body, dry_run: true })).json['new_group']).toBe(true)
  expect((await reset('newcomer', body)).json['new_group']).toBe(true)
  expect((await reset('newcomer', body)).json['new_group']).toBe(false)
  expect((await reset('', body)).json.error?.code).toBe('INVALID_GROUP_ID')
})

test('an offset that no number of JSON holds is shown exactly', async () => {
  const kafka = new Kafka({ clientId: 'test', brokers: [broker.kafka], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const partitions = [{ partition: 0, offset: '9223372036854775807' }]
  await admin.setOffsets({ groupId: 'far', topic: 'orders', partitions })
  await admin.disconnect()
  const committed = { partition: 0, committed_offset: '9223372036854775807', lag: 0 }
  expect((await describe('far')).offsets).toMatchObject([committed])
  const { json } = await reset('far', { shift: 0 })
  expect(json['offsets']).toMatchObject([{ from: '9223372036854775807' }])
})

test('a group is deleted, whatever its name', async () => {
  const name = 'späte "Züge"/1'
  await reset(encodeURIComponent(name), { topic: 'orders', offset: 5 })
  expect(await committed(name)).toEqual([5, 5])
  expect((await broker.ask(`/v1/groups/${encodeURIComponent(name)}`, { method: 'DELETE' })).status).toBe(204)
  expect((await broker.ask(`/v1/groups/${encodeURIComponent(name)}`)).status).toBe(404)
})

test('lag is measured under the names of Kafka’s exporters', async () => {
  await reset(encodeURIComponent('a"b\\c'), { topic: 'orders', offset: 4 })
  const { text } = await broker.ask('/metrics')
  const group = 'consumergroup="a\\"b\\\\c",topic="orders"'
  expect(text).toContain(`kafka_consumergroup_current_offset{${group},partition="0"} 4\n`)
  expect(text).toContain(`kafka_consumergroup_lag{${group},partition="0"} 6\n`)
  expect(text).toContain(`kafka_consumergroup_lag{${group},partition="1"} 7\n`)
  expect(text).toContain(`kafka_consumergroup_lag_sum{${group}} 13\n`)
  expect(text).toContain(`kafka_consumergroup_current_offset_sum{${group}} 8\n`)
  expect(text).toContain(`kafka_consumergroup_members{consumergroup="billing"} 1\n`)
  for (const { name } of groupFamilies) expect(text).toContain(`# TYPE ${name} gauge\n`)
})

test('only the broker writes to the topic of groups', async () => {
  const { json } = await broker.ask('/v1/topics/__consumer_offsets/records', {
    body: { records: [{ value: 'x' }] },
  })
  expect(json.error?.code).toBe('INVALID_TOPIC_EXCEPTION')
  expect(json.error?.todo).toContain("the broker's own topics are for it alone")
  const grow = await broker.ask('/v1/topics/__consumer_offsets', {
    method: 'PATCH',
    body: { partitions: 99 },
  })
  expect(grow.json.error?.code).toBe('INVALID_PARTITIONS')
})

test('what groups have committed is neither deleted nor left to retention', async () => {
  const topic = '/v1/topics/__consumer_offsets'
  const gone = await broker.ask(`${topic}/partitions/0/records?before=latest`, { method: 'DELETE' })
  expect(gone.json.error?.code).toBe('INVALID_TOPIC_EXCEPTION')
  for (const policy of ['delete', 'compact,delete', null]) {
    const { json } = await broker.ask(topic, {
      method: 'PATCH',
      body: { config: { 'cleanup.policy': policy } },
    })
    expect(json.error).toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringContaining('stays compact'),
    })
  }
  const config = { 'cleanup.policy': 'compact', 'segment.ms': 60_000 }
  expect((await broker.ask(topic, { method: 'PATCH', body: { config } })).status).toBe(200)
})

test('what a group is called may be long: metrics and the list are sent in pieces', async () => {
  const long = (n: number): string => `${n}`.padEnd(900, 'g')
  for (let n = 0; n < 100; n++) await reset(long(n), { topic: 'orders', offset: n % 10 })
  const listed = await broker.ask('/v1/groups')
  expect(listed.headers.get('content-length')).toBeNull()
  const { groups } = listed.json as unknown as { groups: { group: string; lag: number }[] }
  const metrics = await broker.ask('/metrics')
  expect(metrics.headers.get('content-length')).toBeNull()
  for (let n = 0; n < 100; n++) {
    const lag = 10 - (n % 10)
    expect(groups).toContainEqual(expect.objectContaining({ group: long(n), lag: 2 * lag + 1 }))
    expect(metrics.text).toContain(`{consumergroup="${long(n)}",topic="orders",partition="0"} ${lag}\n`)
  }
  const head = await broker.ask('/metrics', { method: 'HEAD' })
  expect([head.status, head.text]).toEqual([200, ''])
})

test('what all groups have committed is not deleted', async () => {
  const refused = await broker.ask('/v1/topics/__consumer_offsets', { method: 'DELETE' })
  expect(refused.status).toBe(403)
  expect(refused.json.error).toMatchObject({ code: 'POLICY_VIOLATION' })
  expect(refused.json.error?.message).toContain('delete groups instead')
})
