import { Partitioners } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HttpBroker, received } from './broker.fixture.ts'

let broker: HttpBroker

beforeAll(async () => {
  broker = await HttpBroker.start({ 'stele.http.body.max.bytes': '4000000' })
})

afterAll(() => broker.stop())

const post = (path: string, body: string | Buffer | object, headers: Record<string, string> = {}) =>
  broker.ask(path, { method: 'POST', body, headers })

test('one record and many are written, in order, with the time they were given', async () => {
  const one = await post('/v1/topics/in-order/records', {
    key: 'k',
    value: 'first',
    timestamp: 1735689600000,
  })
  expect(one.status).toBe(200)
  expect(one.json.results).toEqual([{ partition: 0, offset: 0, timestamp: 1735689600000 }])
  const before = Date.now()
  const many = await post('/v1/topics/in-order/records', {
    records: [
      { value: { b: [1, 'x'], a: null } },
      { value: null, key: 'k' },
      { value: true, headers: { h: 'é' } },
    ],
  })
  expect(many.json.results?.map(result => result.offset)).toEqual([1, 2, 3])
  const records = await broker.read('in-order', 0)
  expect(records.map(record => record.value)).toEqual(['first', '{"b":[1,"x"],"a":null}', null, 'true'])
  expect(records[3]?.headers).toEqual([['h', 'é']])
  expect(records[0]?.timestamp).toBe(1735689600000)
  expect(records[1]?.timestamp).toBeGreaterThanOrEqual(before)
  expect(records[1]?.timestamp).toBe(many.json.results?.[0]?.timestamp)
})

test('what was read can be written again, byte for byte', async () => {
  await broker.write('copied-from', {
    key: '/wA=',
    value: 'gA==',
    headers: [
      ['h', 'AA=='],
      ['h', null],
    ],
    encoding: 'base64',
  })
  const [read] = await broker.read('copied-from', 0)
  expect(read).toMatchObject({
    key: '/wA=',
    value: 'gA==',
    headers: [
      ['h', 'AA=='],
      ['h', null],
    ],
    encoding: 'base64',
  })
  await broker.write('copied-to', read ?? {})
  const [again] = await broker.read('copied-to', 0)
  expect(again).toEqual(read)
})

test('numbers keep their digits', async () => {
  const json = '{"id":12345678901234567890,"small":0.1234567890123456789,"big":1e400}'
  await post('/v1/topics/digits/records', `{"value":${json}}`)
  await post('/v1/topics/digits/records', `{"records":[{"value":"12345678901234567890"},{"value":${json}}]}`)
  await post('/v1/topics/digits/records', `{"value":12345678901234567890}\n`, {
    'content-type': 'application/x-ndjson',
  })
  const values = (await broker.read('digits', 0)).map(record => record.value)
  expect(values).toEqual([json, '12345678901234567890', json, '12345678901234567890'])
})

test('a key goes to the partition that Kafka clients choose', async () => {
  await broker.makeTopic('keyed', 7)
  const keys = [
    '',
    'a',
    'é',
    'user-17',
    'abcd',
    'abcdefg',
    '日本語',
    ...Array.from({ length: 200 }, (_, i) => `key-${i}`),
  ]
  const results = await broker.write('keyed', ...keys.map(key => ({ key, value: 1 })))
  const choose = Partitioners.DefaultPartitioner()
  const partitionMetadata = Array.from({ length: 7 }, (_, partitionId) => ({
    partitionId,
    leader: 0,
    partitionErrorCode: 0,
    replicas: [0],
    isr: [0],
  }))
  const expected = keys.map(key =>
    choose({ topic: 'keyed', partitionMetadata, message: { key: Buffer.from(key), value: '' } }),
  )
  expect(results.map(result => result.partition)).toEqual(expected)
  expect(new Set(expected).size).toBe(7)
})

test('records without a key stay together in a request and go round between requests', async () => {
  await broker.makeTopic('round', 3)
  const partitions: (number | undefined)[] = []
  for (let i = 0; i < 6; i++) {
    const results = await broker.write('round', { value: 1 }, { value: 2 })
    expect(results[0]?.partition).toBe(results[1]?.partition)
    partitions.push(results[0]?.partition)
  }
  expect(new Set(partitions.slice(0, 3)).size).toBe(3)
  expect(partitions.slice(0, 3)).toEqual(partitions.slice(3))
})

test('a partition that is named is taken', async () => {
  await broker.makeTopic('named', 3)
  const results = await broker.write(
    'named',
    { value: 1, partition: 2, key: 'k' },
    { value: 1, partition: 0 },
  )
  expect(results.map(result => result.partition)).toEqual([2, 0])
})

test('a request larger than a batch may be is written as several', async () => {
  await broker.makeTopic('split', 1, { 'max.message.bytes': '5000' })
  const records = Array.from({ length: 500 }, (_, i) => ({ value: `${i}-${'x'.repeat(i % 300)}` }))
  const results = await broker.write('split', ...records)
  expect(results.map(result => result.offset)).toEqual(records.map((_, i) => i))
  expect((await broker.read('split', 0)).map(record => ({ value: record.value }))).toEqual(records)
})

test('a record that is too large is refused, the others are written', async () => {
  await broker.makeTopic('large', 1, { 'max.message.bytes': '5000' })
  const { status, json } = await post('/v1/topics/large/records', {
    records: [{ value: 'a' }, { value: 'x'.repeat(5000) }, { value: 'b' }],
  })
  expect(status).toBe(413)
  expect(json.error?.code).toBe('MESSAGE_TOO_LARGE')
  expect(json.results?.map(result => result.error?.code ?? result.offset)).toEqual([
    0,
    'MESSAGE_TOO_LARGE',
    1,
  ])
})

test('a time that the topic does not allow is refused, the others are written', async () => {
  const { status, json } = await post('/v1/topics/times/records', {
    records: [{ value: 'a' }, { value: 'b', timestamp: Date.now() + 86_400_000 }, { value: 'c' }],
  })
  expect(status).toBe(400)
  expect(json.results?.map(result => result.error?.code ?? result.offset)).toEqual([
    0,
    'INVALID_TIMESTAMP',
    1,
  ])
})

test('a topic may stamp its records itself', async () => {
  await broker.makeTopic('stamped', 1, { 'message.timestamp.type': 'LogAppendTime' })
  const before = Date.now()
  const [result] = await broker.write('stamped', { value: 1, timestamp: 5 })
  expect(result?.timestamp).toBeGreaterThanOrEqual(before)
  expect((await broker.read('stamped', 0))[0]?.timestamp).toBe(result?.timestamp)
})

test.each([
  ['all', 200, ['partition', 'offset', 'timestamp']],
  ['-1', 200, ['partition', 'offset', 'timestamp']],
  ['1', 200, ['partition', 'offset', 'timestamp']],
  ['0', 202, ['partition']],
])('acks=%s answers %i', async (acks, status, fields) => {
  const got = await post(`/v1/topics/acks/records?acks=${acks}`, { value: acks })
  expect(got.status).toBe(status)
  expect(Object.keys(got.json.results?.[0] ?? {})).toEqual(fields)
})

test('many records take several turns of the loop and one request', async () => {
  const records = Array.from({ length: 20_000 }, (_, i) => ({ value: i }))
  const results = await broker.write('turns', ...records)
  expect(results.map(result => result.offset)).toEqual(records.map(({ value }) => value))
})

test('no records are no error', async () => {
  expect((await post('/v1/topics/none/records', { records: [] })).json).toEqual({ results: [] })
})

test('a body whose length is not told is taken', async () => {
  const socket = await broker.connect()
  const json = JSON.stringify({ value: 'chunked' })
  socket.write(
    'POST /v1/topics/chunked/records HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n',
  )
  for (const char of json) socket.write(`1\r\n${char}\r\n`)
  socket.write('0\r\n\r\n')
  expect(await received(socket)).toContain('"offset":0')
})

describe('what is refused before anything is written', () => {
  const path = '/v1/topics/refusing/records'
  test.each([
    ['{"value":1', 400, 'INVALID_JSON', 'it ends where something else is expected, at column 11'],
    ['{"value":1}}', 400, 'INVALID_JSON', '"}" stands where something else is expected, at column 12'],
    ['{\n"value":x}', 400, 'INVALID_JSON', 'line 2, column 9'],
    ['', 400, 'INVALID_JSON', 'column 1'],
    [Buffer.from([0x22, 0xff, 0x22]), 400, 'INVALID_JSON', 'not UTF-8'],
    ['[{"value":1}]', 400, 'INVALID_REQUEST', 'The body must be an object, not an array'],
    ['5', 400, 'INVALID_REQUEST', 'The body must be an object, not a number'],
    ['{"records":{}}', 400, 'INVALID_REQUEST', 'records must be an array, not an object'],
    ['{"records":[],"topic":"x"}', 400, 'INVALID_REQUEST', '"topic" stands beside records'],
    ['{"records":[{"value":1},7]}', 400, 'INVALID_REQUEST', 'records[1]: a record must be an object'],
    [
      '{"records":[{"value":1},{"value":1,"key":[]}]}',
      400,
      'INVALID_REQUEST',
      'records[1]: key must be a string',
    ],
    ['{"key":"k"}', 400, 'INVALID_REQUEST', 'value is missing'],
    ['{"value":"-","encoding":"base64"}', 400, 'INVALID_REQUEST', 'value is not base64'],
  ])('%j', async (body, status, code, message) => {
    const got = await post(path, body)
    expect(got.status).toBe(status)
    expect(got.json.error).toMatchObject({ code, message: expect.stringContaining(message) })
    expect(got.json.results).toBeUndefined()
  })

  test.each([
    ['acks=2', 'INVALID_REQUIRED_ACKS'],
    ['acks=', 'INVALID_REQUIRED_ACKS'],
    ['ack=1', 'INVALID_REQUEST'],
    ['encoding=hex', 'INVALID_REQUEST'],
    ['acks=1&acks=1', 'INVALID_REQUEST'],
    ['encoding=%E9', 'INVALID_REQUEST'],
  ])('?%s', async (query, code) => {
    const got = await post(`${path}?${query}`, { value: 1 })
    expect(got.status).toBe(400)
    expect(got.json.error?.code).toBe(code)
  })

  test('a compressed body', async () => {
    const got = await post(path, { value: 1 }, { 'content-encoding': 'gzip' })
    expect(got.json.error?.message).toBe('The body has the Content-Encoding gzip, which is not taken')
  })

  test('a content type that is none', async () => {
    const got = await post(path, { value: 1 }, { 'content-type': 'nonsense' })
    expect(got.status).toBe(400)
    expect(got.json.error?.message).toContain('Content-Type is "nonsense"')
  })

  test('an impossible name of a topic', async () => {
    const got = await post('/v1/topics/a%20b/records', { value: 1 })
    expect(got.status).toBe(400)
    expect(got.json.error?.code).toBe('INVALID_TOPIC_EXCEPTION')
  })

  test('nothing of it was written', async () => {
    expect((await broker.ask('/v1/topics/refusing/partitions/0/records')).json.records).toEqual([])
  })
})

test('a partition that is not there refuses its records only', async () => {
  const { status, json } = await post('/v1/topics/some/records', {
    records: [{ value: 1, partition: 9 }, { value: 2 }],
  })
  expect(status).toBe(404)
  expect(json.results?.map(result => result.error?.code ?? result.offset)).toEqual([
    'UNKNOWN_TOPIC_OR_PARTITION',
    0,
  ])
})

describe('a body over the limit', () => {
  test('that says its length is refused at once', async () => {
    const got = await post('/v1/topics/over/records', JSON.stringify({ value: 'x'.repeat(4_000_000) }))
    expect(got.status).toBe(413)
    expect(got.json.error).toMatchObject({
      code: 'BODY_TOO_LARGE',
      message: 'The body is larger than 4000000 bytes (stele.http.body.max.bytes)',
      retriable: false,
    })
  })

  test('that does not is refused when it is too much', async () => {
    const socket = await broker.connect()
    const answer = received(socket)
    socket.write(
      'POST /append HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n',
    )
    const chunk = `f4240\r\n${'x'.repeat(1_000_000)}\r\n`
    for (let i = 0; i < 5; i++) socket.write(chunk)
    expect(await answer).toMatch(/^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/)
  })
})
