import { afterAll, beforeAll, expect, test } from 'vitest'
import { HttpBroker } from './broker.fixture.ts'

let broker: HttpBroker

beforeAll(async () => {
  broker = await HttpBroker.start()
})

afterAll(() => broker.stop())

test('a line in, a line out', async () => {
  const one = await broker.ask('/append', { body: 'hello', headers: { 'content-type': 'text/plain' } })
  expect([one.status, one.json]).toEqual([200, { topic: 'default', partition: 0, offset: 0 }])
  await broker.ask('/append', {
    body: 'wörld',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  const { text, headers } = await broker.ask('/read')
  expect(text).toBe('hello\nwörld\n')
  expect(headers.get('content-type')).toBe('text/plain; charset=utf-8')
  expect(headers.get('stele-next-offset')).toBe('2')
  expect((await broker.ask('/read?offset=1')).text).toBe('wörld\n')
  expect((await broker.ask('/read?offset=latest')).text).toBe('')
})

test('key, partition, acks and topic', async () => {
  await broker.makeTopic('parted', 3)
  expect((await broker.ask('/append?topic=parted&partition=2&key=a%20b', { body: 'x' })).json).toEqual({
    topic: 'parted',
    partition: 2,
    offset: 0,
  })
  const [record] = await broker.read('parted', 2)
  expect(record).toMatchObject({ key: 'a b', value: 'x' })
  const none = await broker.ask('/append?topic=parted&acks=0&partition=1', { body: 'y' })
  expect([none.status, none.json]).toEqual([202, { topic: 'parted', partition: 1 }])
  expect((await broker.ask('/read?topic=parted&partition=1&wait_ms=5000')).text).toBe('y\n')
})

test('bytes stay bytes', async () => {
  const bytes = Buffer.from([0, 255, 10, 200])
  await broker.ask('/append?topic=bytes', {
    body: bytes,
    headers: { 'content-type': 'application/octet-stream' },
  })
  await broker.write('bytes', { value: null })
  const response = await fetch(`${broker.url}/read?topic=bytes`)
  expect(response.headers.get('content-type')).toBe('application/octet-stream')
  expect(Buffer.from(await response.arrayBuffer())).toEqual(Buffer.from([...bytes, 10, 10]))
})

test('no body is an empty value', async () => {
  const { json } = await broker.ask('/append?topic=empty', { method: 'POST' })
  expect(json).toMatchObject({ offset: 0 })
  expect((await broker.read('empty', 0))[0]?.value).toBe('')
})

test.each([
  ['POST', '/append?partition=9&topic=parted', 404, 'UNKNOWN_TOPIC_OR_PARTITION'],
  ['POST', '/append?partition=-1', 400, 'INVALID_REQUEST'],
  ['POST', '/append?acks=7', 400, 'INVALID_REQUIRED_ACKS'],
  ['POST', '/append?topic=..', 400, 'INVALID_TOPIC_EXCEPTION'],
  ['POST', '/append?tpic=x', 400, 'INVALID_REQUEST'],
  ['GET', '/read?topic=nowhere', 404, 'UNKNOWN_TOPIC_OR_PARTITION'],
  ['GET', '/read?offset=77', 416, 'OFFSET_OUT_OF_RANGE'],
  ['GET', '/read?partition=a', 400, 'INVALID_REQUEST'],
])('%s %s is refused', async (method, path, status, code) => {
  const got = await broker.ask(path, { method })
  expect([got.status, got.json.error?.code]).toEqual([status, code])
})

test('a value over max.message.bytes is refused', async () => {
  const got = await broker.ask('/append', { body: 'x'.repeat(1_100_000) })
  expect([got.status, got.json.error?.code]).toEqual([413, 'MESSAGE_TOO_LARGE'])
})

test('answers end with a newline, for those who ask in a shell', async () => {
  const body = { value: 'x' }
  for (const [path, status] of [
    ['/append?topic=lines', 200],
    ['/append?topic=lines&acks=0', 202],
    ['/v1/topics/lines/records', 200],
    ['/append?topic=', 400],
    ['/nothing', 404],
  ] as const) {
    const answer = await broker.ask(path, { body })
    expect([path, answer.status, answer.text]).toEqual([path, status, expect.stringMatching(/\}\n$/)])
  }
})
