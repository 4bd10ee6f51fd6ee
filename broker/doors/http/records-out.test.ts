import { zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MIB } from '../../../base/quantities.ts'
import { codecs, type CodecName } from '../../../protocol/kafka/record-batch.ts'
import { buildBatch, type NewRecord } from '../../../protocol/kafka/records.ts'
import { HttpBroker, until } from './broker.fixture.ts'
import { produceBatch, withRecords } from './kafka.fixture.ts'

let broker: HttpBroker

beforeAll(async () => {
  broker = await HttpBroker.start()
  await broker.write(
    'ten',
    ...Array.from({ length: 10 }, (_, i) => ({ value: `v${i}`, timestamp: 1000 + i * 10 })),
  )
})

afterAll(() => broker.stop())

const ten = '/v1/topics/ten/partitions/0/records'
const valuesAt = async (query: string): Promise<(string | null)[]> =>
  (await broker.read('ten', 0, query)).map(record => record.value)

const record = (value: string | Buffer): NewRecord => ({
  key: null,
  value: Buffer.from(value),
  headers: [],
  timestamp: 5,
})

test('from the beginning, with where to read on', async () => {
  const { json } = await broker.ask(ten)
  expect(json.records).toHaveLength(10)
  expect(json).toMatchObject({ next_offset: 10, high_watermark: 10, log_start_offset: 0 })
  expect(json.records?.[3]).toEqual({
    partition: 0,
    offset: 3,
    timestamp: 1030,
    key: null,
    value: 'v3',
    headers: [],
    encoding: 'text',
  })
})

test.each([
  ['offset=7', ['v7', 'v8', 'v9']],
  ['offset=10', []],
  ['offset=latest', []],
  ['offset=earliest&max_bytes=1', ['v0']],
  ['offset=4&max_bytes=220', ['v4', 'v5']],
  ['timestamp=1075', ['v8', 'v9']],
  ['timestamp=1970-01-01T00:00:01.090Z', ['v9']],
  ['timestamp=99999999', []],
  ['timestamp=0&max_bytes=1', ['v0']],
])('%s', async (query, values) => {
  expect(await valuesAt(query)).toEqual(values)
})

test('reading on from next_offset meets every record once', async () => {
  const values: (string | null)[] = []
  for (let offset = 0; offset < 10;) {
    const { json } = await broker.ask(`${ten}?offset=${offset}&max_bytes=250`)
    values.push(...(json.records ?? []).map(each => each.value))
    offset = json.next_offset ?? 10
  }
  expect(values).toEqual(Array.from({ length: 10 }, (_, i) => `v${i}`))
})

test('as lines, with the offsets in headers', async () => {
  const { text, headers } = await broker.ask(`${ten}?offset=8`, {
    headers: { accept: 'application/x-ndjson' },
  })
  expect(headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8')
  expect(
    text.split('\n').map(line => (line === '' ? '' : (JSON.parse(line) as { value: string }).value)),
  ).toEqual(['v8', 'v9', ''])
  expect(
    ['stele-next-offset', 'stele-high-watermark', 'stele-log-start-offset'].map(name => headers.get(name)),
  ).toEqual(['10', '10', '0'])
  const none = await broker.ask(`${ten}?offset=10`, { headers: { accept: 'application/x-ndjson' } })
  expect(none.text).toBe('')
})

test('base64 on request', async () => {
  const { json } = await broker.ask(`${ten}?offset=9&encoding=base64`)
  expect(json.records?.[0]).toMatchObject({ value: 'djk=', encoding: 'base64' })
})

test.each([
  ['offset=11', 416, 'OFFSET_OUT_OF_RANGE'],
  ['offset=-1', 400, 'INVALID_REQUEST'],
  ['offset=newest', 400, 'INVALID_REQUEST'],
  ['offset=1e3', 400, 'INVALID_REQUEST'],
  ['offset=99999999999999999999', 400, 'INVALID_REQUEST'],
  ['offset=1&timestamp=5', 400, 'INVALID_REQUEST'],
  ['timestamp=yesterday', 400, 'INVALID_REQUEST'],
  ['max_bytes=0', 400, 'INVALID_REQUEST'],
  ['max_bytes=x', 400, 'INVALID_REQUEST'],
  ['wait_ms=60001', 400, 'INVALID_REQUEST'],
  ['wait_ms=-1', 400, 'INVALID_REQUEST'],
  ['encoding=hex', 400, 'INVALID_REQUEST'],
  ['limit=5', 400, 'INVALID_REQUEST'],
])('%s is refused', async (query, status, code) => {
  const got = await broker.ask(`${ten}?${query}`)
  expect(got.status).toBe(status)
  expect(got.json.error).toMatchObject({
    code,
    message: expect.stringMatching(/./),
    todo: expect.stringMatching(/\.$/),
  })
})

test.each([
  ['/v1/topics/nowhere/partitions/0/records', 404, 'UNKNOWN_TOPIC_OR_PARTITION'],
  ['/v1/topics/ten/partitions/7/records', 404, 'UNKNOWN_TOPIC_OR_PARTITION'],
  ['/v1/topics/ten/partitions/-1/records', 400, 'INVALID_REQUEST'],
  ['/v1/topics/ten/partitions/x/records', 400, 'INVALID_REQUEST'],
])('%s is refused', async (path, status, code) => {
  const got = await broker.ask(path)
  expect([got.status, got.json.error?.code]).toEqual([status, code])
})

test('a reader at the end waits until there is something', async () => {
  await broker.makeTopic('waited-for')
  const waiting = broker.read('waited-for', 0, 'wait_ms=60000')
  let answered = false
  void waiting.then(() => (answered = true))
  // The wait has begun when other requests are answered and this one is not.
  await broker.ask('/healthz')
  expect(answered).toBe(false)
  await broker.write('waited-for', { value: 'here' })
  expect((await waiting).map(each => each.value)).toEqual(['here'])
})

test('a reader that waited in vain gets nothing, and where to read on', async () => {
  const { json } = await broker.ask(`${ten}?offset=latest&wait_ms=20`)
  expect(json).toMatchObject({ records: [], next_offset: 10 })
})

test('a reader whose topic is deleted meanwhile is told', async () => {
  await broker.makeTopic('going')
  const waiting = broker.ask('/v1/topics/going/partitions/0/records?wait_ms=60000')
  await broker.ask('/healthz')
  await broker.ask('/v1/topics/going', { method: 'DELETE' })
  expect((await waiting).json.error?.code).toBe('UNKNOWN_TOPIC_OR_PARTITION')
})

test.each(codecs)('batches that a Kafka client packed with %s', async codec => {
  const topic = `packed-${codec}`
  await broker.makeTopic(topic)
  const records = Array.from({ length: 50 }, (_, i) => record(`${i} ${'abc'.repeat(i)}`))
  expect(await produceBatch(broker.kafka, topic, buildBatch(records, { codec }))).toBe(0)
  expect(await produceBatch(broker.kafka, topic, buildBatch([record('last')], { codec }))).toBe(0)
  const values = records.map(each => each.value?.toString())
  expect((await broker.read(topic, 0)).map(each => each.value)).toEqual([...values, 'last'])
  expect((await broker.read(topic, 0, 'offset=49')).map(each => each.value)).toEqual([values[49], 'last'])
})

describe('records that nobody can read', () => {
  const readable = buildBatch([record('fine')])
  const two = (codec: CodecName): Buffer => buildBatch([record('x'), record('y')], { codec })
  const garbage = Buffer.from('garbage')
  const poisons: [string, Buffer, string][] = [
    ['garbage for gzip', withRecords(two('gzip'), garbage), ''],
    ['garbage for zstd', withRecords(two('zstd'), garbage), ''],
    ['garbage for lz4', withRecords(two('lz4'), garbage), ''],
    ['garbage for snappy', withRecords(two('snappy'), garbage), ''],
    ['records that are none', withRecords(two('none'), Buffer.alloc(20, 0xff)), ''],
    ['fewer records than said', withRecords(two('none'), readable.subarray(61)), ''],
    [
      'more than may be unpacked',
      withRecords(two('zstd'), zstdCompressSync(Buffer.alloc(65 * MIB))),
      'more than 67108864 bytes unpacked',
    ],
  ]

  test.each(poisons)('%s', async (name, poison, reason) => {
    const topic = name.replaceAll(' ', '-')
    await broker.makeTopic(topic)
    for (const batch of [readable, poison, readable]) {
      expect(await produceBatch(broker.kafka, topic, Buffer.from(batch))).toBe(0)
    }
    const path = `/v1/topics/${topic}/partitions/0/records`
    const before = await broker.ask(path)
    expect(before.json.records?.[0]).toMatchObject({ offset: 0, value: 'fine' })
    const next = before.json.next_offset ?? -1
    expect([1, 2]).toContain(next)
    const at = await broker.ask(`${path}?offset=${next}`)
    expect(at.status).toBe(422)
    const what = `Offsets ${next} to 2 of partition 0 of ${topic} hold records that cannot be read: ${reason}`
    expect(at.json.error).toMatchObject({
      code: 'CORRUPT_MESSAGE',
      message: expect.stringContaining(what),
      todo: 'Their producer has written them so. Read on behind them with offset=3.',
      retriable: false,
    })
    expect((await broker.read(topic, 0, 'offset=3')).map(each => each.value)).toEqual(['fine'])
  })
})

test('one record larger than the answer may be is answered', async () => {
  await broker.write('big', { value: 'x'.repeat(500_000) }, { value: 'y' })
  expect((await broker.read('big', 0, 'max_bytes=100')).map(each => each.value?.length)).toEqual([500_000])
})

test('the oldest records are deleted on request', async () => {
  await broker.write('forgotten', ...Array.from({ length: 5 }, (_, i) => ({ value: i })))
  const path = '/v1/topics/forgotten/partitions/0/records'
  const remove = (query: string) => broker.ask(path + query, { method: 'DELETE' })
  expect((await remove('?before=2')).json).toEqual({ log_start_offset: 2 })
  expect((await broker.read('forgotten', 0)).map(each => each.offset)).toEqual([2, 3, 4])
  expect((await broker.ask(`${path}?offset=1`)).json.error?.code).toBe('OFFSET_OUT_OF_RANGE')
  expect((await remove('?before=latest')).json).toEqual({ log_start_offset: 5 })
  expect((await remove('?before=9')).json.error?.code).toBe('OFFSET_OUT_OF_RANGE')
  expect((await remove('')).json.error?.message).toBe('The query parameter before is missing')
  expect((await remove('?before=earliest')).json.error?.code).toBe('INVALID_REQUEST')
  const { json } = await broker.ask(path)
  expect(json).toEqual({ records: [], next_offset: 5, high_watermark: 5, log_start_offset: 5 })
})

test('a reader that goes away while it waits is forgotten', async () => {
  await broker.makeTopic('left')
  const leave = new AbortController()
  const waiting = fetch(`${broker.url}/v1/topics/left/partitions/0/records?wait_ms=60000`, {
    signal: leave.signal,
  })
  await broker.ask('/healthz')
  leave.abort()
  await expect(waiting).rejects.toThrow('aborted')
  // It would keep the broker from stopping at once otherwise; what it waited for must not hurt either.
  await broker.write('left', { value: 1 })
  await until(async () => (await broker.read('left', 0)).length === 1)
})

test('records of a compacted topic stay: they are somebody’s state', async () => {
  await broker.makeTopic('state', 1, { 'cleanup.policy': 'compact' })
  await broker.write('state', { key: 'k', value: 'v' })
  const path = '/v1/topics/state/partitions/0/records?before=latest'
  const { status, json } = await broker.ask(path, { method: 'DELETE' })
  expect([status, json.error?.code]).toEqual([403, 'POLICY_VIOLATION'])
  expect(await broker.read('state', 0)).toHaveLength(1)
})
