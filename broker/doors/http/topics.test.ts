import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { HttpBroker, until } from './broker.fixture.ts'

let broker: HttpBroker

beforeAll(async () => {
  broker = await HttpBroker.start({
    'num.partitions': '2',
    'log.retention.ms': '5000',
    'log.flush.offset.checkpoint.interval.ms': '20',
  })
})

afterAll(() => broker.stop())

type Described = {
  name: string
  topic_id: string
  partitions: Record<string, unknown>[]
  config: Record<string, { value: string; source: string }>
}

const create = (body: unknown) => broker.ask('/v1/topics', { method: 'POST', body: body as object })
const patch = (topic: string, body: unknown) =>
  broker.ask(`/v1/topics/${topic}`, { method: 'PATCH', body: body as object })

test('a topic is made, listed, described, and used', async () => {
  const made = await create({
    name: 'orders',
    partitions: 3,
    replication_factor: 1,
    config: { 'segment.bytes': 1_000_000 },
  })
  expect(made.status).toBe(201)
  const topic = made.json as unknown as Described
  expect(topic).toMatchObject({ name: 'orders', topic_id: expect.stringMatching(/^[\w-]{22}$/) })
  expect(topic.partitions).toHaveLength(3)
  expect(topic.partitions[2]).toEqual({
    partition: 2,
    leader: 0,
    leader_epoch: 0,
    replicas: [0],
    isr: [0],
    log_start_offset: 0,
    high_watermark: 0,
    size_bytes: 0,
    copying: [],
  })
  expect(topic.config['segment.bytes']).toEqual({ value: '1000000', source: 'topic' })
  expect(topic.config['retention.ms']).toEqual({ value: '5000', source: 'broker' })
  expect(topic.config['index.interval.bytes']).toEqual({ value: '4096', source: 'default' })
  await broker.write('orders', { value: 1, partition: 1 })
  const { json } = await broker.ask('/v1/topics/orders')
  expect((json as unknown as Described).partitions[1]).toMatchObject({
    high_watermark: 1,
    size_bytes: expect.any(Number),
    copying: [],
  })
  expect((await broker.ask('/v1/topics')).json['topics']).toContainEqual({
    name: 'orders',
    topic_id: topic.topic_id,
    partitions: 3,
    replication_factor: 1,
    internal: false,
  })
})

test('what is not said comes from the broker', async () => {
  const { json } = await create({ name: 'plain' })
  expect((json as unknown as Described).partitions).toHaveLength(2)
})

test('validate_only makes nothing', async () => {
  const { status, json } = await create({ name: 'only-asked', validate_only: true })
  expect(status).toBe(200)
  expect(json['name']).toBe('only-asked')
  expect((await broker.ask('/v1/topics/only-asked')).status).toBe(404)
})

test('settings change and go back, partitions grow', async () => {
  await create({ name: 'altered', partitions: 1, config: { 'retention.ms': '7000' } })
  const one = (
    await patch('altered', { partitions: 4, config: { 'retention.ms': null, 'max.message.bytes': 2000 } })
  ).json as unknown as Described
  expect(one.partitions).toHaveLength(4)
  expect(one.config['retention.ms']).toEqual({ value: '5000', source: 'broker' })
  expect(one.config['max.message.bytes']).toEqual({ value: '2000', source: 'topic' })
  await broker.write('altered', { value: 1, partition: 3 })
  expect((await patch('altered', {})).status).toBe(200)
})

test('a topic is deleted', async () => {
  await create({ name: 'deleted' })
  const gone = await broker.ask('/v1/topics/deleted', { method: 'DELETE' })
  expect([gone.status, gone.text]).toEqual([204, ''])
  const again = await broker.ask('/v1/topics/deleted', { method: 'DELETE' })
  expect([again.status, again.json.error?.code]).toEqual([404, 'UNKNOWN_TOPIC_OR_PARTITION'])
})

describe('what is refused', () => {
  test.each([
    [{ name: 'orders' }, 409, 'TOPIC_ALREADY_EXISTS'],
    [{ name: 'a b' }, 400, 'INVALID_TOPIC_EXCEPTION'],
    [{ name: '' }, 400, 'INVALID_TOPIC_EXCEPTION'],
    [{}, 400, 'INVALID_REQUEST'],
    [{ name: 5 }, 400, 'INVALID_REQUEST'],
    [{ name: 'x', partitions: 0 }, 400, 'INVALID_REQUEST'],
    [{ name: 'x', partitions: '3' }, 400, 'INVALID_REQUEST'],
    [{ name: 'x', partitions: 1.5 }, 400, 'INVALID_REQUEST'],
    [{ name: 'x', replication_factor: 2 }, 400, 'INVALID_REPLICATION_FACTOR'],
    [{ name: 'x', config: { 'retention.msx': 1 } }, 400, 'INVALID_CONFIG'],
    [{ name: 'x', config: { 'retention.ms': 'soon' } }, 400, 'INVALID_CONFIG'],
    [{ name: 'x', config: { 'retention.ms': null } }, 400, 'INVALID_REQUEST'],
    [{ name: 'x', config: { 'retention.ms': [1] } }, 400, 'INVALID_REQUEST'],
    [{ name: 'x', config: [] }, 400, 'INVALID_REQUEST'],
    [{ name: 'x', validate_only: 'yes' }, 400, 'INVALID_REQUEST'],
    [{ name: 'x', partition: 3 }, 400, 'INVALID_REQUEST'],
    ['[]', 400, 'INVALID_REQUEST'],
    ['{', 400, 'INVALID_JSON'],
  ])('POST %j', async (body, status, code) => {
    const got = await create(body)
    expect([got.status, got.json.error?.code]).toEqual([status, code])
  })

  test.each([
    [{ partitions: 1 }, 400, 'INVALID_PARTITIONS'],
    [{ config: { nonsense: '1' } }, 400, 'INVALID_CONFIG'],
    [{ config: { 'retention.ms': -5 } }, 400, 'INVALID_CONFIG'],
    [{ name: 'x' }, 400, 'INVALID_REQUEST'],
  ])('PATCH %j', async (body, status, code) => {
    const got = await patch('orders', body)
    expect([got.status, got.json.error?.code]).toEqual([status, code])
  })

  test('a field that is misspelt, with what was probably meant', async () => {
    expect((await create({ name: 'x', partition: 3 })).json.error?.todo).toContain('Did you mean partitions?')
  })

  test('a topic that is not there, with what was probably meant', async () => {
    const { status, json } = await broker.ask('/v1/topics/oders')
    expect(status).toBe(404)
    expect(json.error?.message).toBe('There is no topic oders; did you mean orders?')
  })

  test('settings that are wrong change nothing, not even partitions', async () => {
    await patch('orders', { partitions: 9, config: { 'retention.ms': 'soon' } })
    expect(((await broker.ask('/v1/topics/orders')).json as unknown as Described).partitions).toHaveLength(3)
  })
})

test('where deleting is off, topics stay, and where making them is off, none appears', async () => {
  const strict = await HttpBroker.start({
    'delete.topic.enable': 'false',
    'auto.create.topics.enable': 'false',
  })
  try {
    await strict.makeTopic('kept')
    const got = await strict.ask('/v1/topics/kept', { method: 'DELETE' })
    expect([got.status, got.json.error?.code]).toEqual([403, 'POLICY_VIOLATION'])
    const written = await strict.ask('/v1/topics/absent/records', { body: { value: 1 } })
    expect([written.status, written.json.error?.code]).toEqual([404, 'UNKNOWN_TOPIC_OR_PARTITION'])
    expect((await strict.ask('/append', { body: 'x' })).status).toBe(404)
  } finally {
    await strict.stop()
  }
})

test('a partition whose directory is gone is said by /readyz, which stays 200, and what to do by the topic', async () => {
  await broker.makeTopic('taken')
  await broker.write('taken', { value: 1 })
  const tablets = join(broker.directory, 'tablets')
  const name = (await readdir(tablets)).find(one => one.startsWith('taken-0.')) ?? 'none'
  expect((await broker.ask('/readyz')).json).toEqual({ status: 'ready' })
  // At once: the broker writes to it.
  await rename(join(tablets, name), join(broker.directory, 'elsewhere'))
  await until(async () => (await broker.ask('/readyz')).json['offline'] === 1)
  const ready = await broker.ask('/readyz')
  expect(ready.status).toBe(200)
  expect(ready.json['partitions']).toEqual([
    { topic: 'taken', partition: 0, reason: expect.stringMatching(/taken away.*or delete the topic/) },
  ])
  const [described] = (await broker.ask('/v1/topics/taken')).json['partitions'] as { offline: string }[]
  expect(described?.offline).toMatch(/taken away/)
  await broker.ask('/v1/topics/taken', { method: 'DELETE' })
  expect((await broker.ask('/readyz')).json).toEqual({ status: 'ready' })
})
