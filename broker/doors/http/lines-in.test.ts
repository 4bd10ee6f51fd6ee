import { once } from 'node:events'
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MIB } from '../../../base/quantities.ts'
import { HttpBroker, received, receivedUntil, until } from './broker.fixture.ts'

let broker: HttpBroker

beforeAll(async () => {
  broker = await HttpBroker.start()
})

afterAll(() => broker.stop())

/** A request whose lines are written by the test while results come back. */
function stream(topic: string, query = ''): { request: ClientRequest; response: Promise<IncomingMessage> } {
  const sending = request({
    host: broker.host,
    port: broker.port,
    method: 'POST',
    path: `/v1/topics/${topic}/records${query}`,
    headers: { 'content-type': 'application/x-ndjson' },
  })
  const response = once(sending, 'response').then(([message]) => message as IncomingMessage)
  return { request: sending, response }
}

const linesOf = (text: string): object[] =>
  text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as object)

async function textOf(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return text
}

const send = async (topic: string, body: string, query = ''): Promise<object[]> => {
  const { text } = await broker.ask(`/v1/topics/${topic}/records${query}`, {
    body,
    headers: { 'content-type': 'application/x-ndjson; charset=utf-8' },
  })
  return text === '' ? [] : linesOf(text)
}

test('a result a line, in order; a wrong line stops nothing', async () => {
  const body = [
    '{"key":"k","value":"a"}',
    'nonsense',
    '',
    '   ',
    '{"value":"b","partition":3}',
    '{"value":"c"}\r',
    '[1]',
    '{"value":"\u00e9","timestamp":"2025-01-01T00:00:00Z"}',
  ].join('\n')
  const results = await send('mixed', body)
  expect(results).toEqual([
    { partition: 0, offset: 0 },
    { error: expect.objectContaining({ code: 'INVALID_JSON', retriable: false }), line: 2 },
    { error: expect.objectContaining({ code: 'UNKNOWN_TOPIC_OR_PARTITION' }), line: 5 },
    { partition: 0, offset: 1 },
    { error: expect.objectContaining({ code: 'INVALID_REQUEST' }), line: 7 },
    { partition: 0, offset: 2 },
  ])
  expect((await broker.read('mixed', 0)).map(record => record.value)).toEqual(['a', 'c', 'é'])
})

test('an empty stream has no results', async () => {
  expect(await send('empty', '')).toEqual([])
  expect(await send('empty', '\n\n')).toEqual([])
})

test('acks=0 and encoding count for every line', async () => {
  expect(await send('zero', '{"value":"AA=="}\n{"value":"-"}\n', '?acks=0&encoding=base64')).toEqual([
    { partition: 0 },
    { error: expect.objectContaining({ message: 'value is not base64' }), line: 2 },
  ])
})

test('the answer does not depend on where the stream is cut', async () => {
  const body = Buffer.from('{"key":"ключ","value":{"n":1}}\n\r\n{"value":"€"}\r\nx\n{"value":"last"}')
  const whole = await send('cut-whole', body.toString())
  expect(whole).toHaveLength(4)
  for (let cut = 1; cut < body.length; cut++) {
    const { request: sending, response } = stream(`cut-${cut}`)
    sending.setNoDelay(true)
    // Two chunks of the transfer coding are two pieces for the door, wherever the network cuts.
    sending.write(body.subarray(0, cut))
    sending.end(body.subarray(cut))
    expect(linesOf(await textOf(await response))).toEqual(whole)
  }
})

test('results come while the lines still go out', async () => {
  const { request: sending, response } = stream('live')
  sending.write('{"value":1}\n')
  const results = (await response)[Symbol.asyncIterator]()
  expect(String((await results.next()).value)).toBe('{"partition":0,"offset":0}\n')
  sending.write('{"value":2}\n{"value"')
  expect(String((await results.next()).value)).toBe('{"partition":0,"offset":1}\n')
  sending.end(':3}')
  expect(String((await results.next()).value)).toBe('{"partition":0,"offset":2}\n')
  expect((await results.next()).done).toBe(true)
})

test('a line that is too long is passed over', async () => {
  await broker.makeTopic('long', 1, { 'max.message.bytes': '1000' })
  const long = `{"value":"${'x'.repeat(100_000)}"}`
  const results = await send('long', `{"value":1}\n${long}\n{"value":"${'\\u0041'.repeat(900)}"}\n${long}`)
  expect(results).toEqual([
    { partition: 0, offset: 0 },
    {
      error: expect.objectContaining({
        code: 'BODY_TOO_LARGE',
        message: 'The line is longer than 10096 bytes',
      }),
      line: 2,
    },
    { partition: 0, offset: 1 },
    { error: expect.objectContaining({ code: 'BODY_TOO_LARGE' }), line: 4 },
  ])
})

test('a record that is too large for the topic gets its error', async () => {
  await broker.makeTopic('large-lines', 1, { 'max.message.bytes': '1000' })
  const large = `{"value":"${'x'.repeat(1000)}"}`
  expect(await send('large-lines', `{"value":1}\n${large}\n{"value":2}`)).toEqual([
    { partition: 0, offset: 0 },
    { error: expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }), line: 2 },
    { partition: 0, offset: 1 },
  ])
})

test.each([
  ['right', '{"value":1}', 5000],
  ['wrong', 'x', 30_000],
])('many %s lines in one piece, the last without its end, are all answered', async (_name, line, count) => {
  const results = await send('one-piece', Array.from({ length: count }, () => line).join('\n'))
  expect(results).toHaveLength(count)
})

test('200,000 lines take bounded memory', async () => {
  await broker.makeTopic('many', 3)
  const { request: sending, response } = stream('many')
  const results = response.then(async message => {
    let lines = 0
    for await (const chunk of message) lines += (chunk as Buffer).toString('latin1').split('\n').length - 1
    return lines
  })
  let grownBytes = 0
  const startBytes = process.memoryUsage().rss
  for (let i = 0; i < 200; i++) {
    const lines = Array.from(
      { length: 1000 },
      (_, n) => `{"key":"k${n}","value":"line ${i * 1000 + n} of many ${'.'.repeat(60)}"}\n`,
    )
    if (!sending.write(lines.join(''))) await once(sending, 'drain')
    grownBytes = Math.max(grownBytes, process.memoryUsage().rss - startBytes)
  }
  sending.end()
  expect(await results).toBe(200_000)
  const partitions = await Promise.all(
    [0, 1, 2].map(n => broker.ask(`/v1/topics/many/partitions/${n}/records?offset=latest`)),
  )
  expect(partitions.reduce((sum, { json }) => sum + (json.high_watermark ?? 0), 0)).toBe(200_000)
  // Client and broker share this process; the stream itself is 20 MiB.
  expect(grownBytes).toBeLessThan(160 * MIB)
})

test('a client that sends and does not read its results is paused', async () => {
  const socket = await broker.connect()
  socket.pause()
  socket.write(
    'POST /v1/topics/deaf/records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n',
  )
  // Wrong lines: their results are a hundred times larger than they are.
  const lines = 'x\n'.repeat(30_000)
  const chunk = `${lines.length.toString(16)}\r\n${lines}\r\n`
  let written = 0
  let taken = true
  while (taken && written < 200 * MIB) {
    taken = socket.write(chunk)
    written += chunk.length
    // The broker, which does other things meanwhile, has every chance to take it.
    for (let turn = 0; !taken && turn < 100; turn++) {
      await broker.ask('/healthz')
      taken = socket.writableLength === 0
    }
  }
  expect(written).toBeLessThan(50 * MIB)
  socket.destroy()
})

test('a client that breaks off leaves what it wrote', async () => {
  const { request: sending, response } = stream('broken')
  sending.write('{"value":1}\n{"value":2}\n{"val')
  await once(await response, 'data')
  sending.destroy()
  await expect(response.then(textOf)).rejects.toThrow('aborted')
  await until(async () => (await broker.read('broken', 0)).length === 2)
})

test('what is wrong with the request itself is said before the stream begins', async () => {
  const { status, json } = await broker.ask('/v1/topics/a%2Fb/records', {
    body: '{"value":1}\n',
    headers: { 'content-type': 'application/x-ndjson' },
  })
  expect(status).toBe(400)
  expect(json.error?.code).toBe('INVALID_TOPIC_EXCEPTION')
})

test('broken transfer coding in the middle ends the connection', async () => {
  const socket = await broker.connect()
  socket.write(
    'POST /v1/topics/coding/records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n',
  )
  socket.write('c\r\n{"value":1}\n\r\n')
  await receivedUntil(socket, '"offset":0')
  const rest = received(socket)
  socket.write('nonsense\r\n')
  expect(await rest).toBe('')
})

test('a topic that is deleted meanwhile refuses the lines that follow', async () => {
  const { request: sending, response } = stream('deleted-meanwhile')
  sending.write('{"value":1}\n')
  const results = (await response)[Symbol.asyncIterator]()
  await results.next()
  await broker.ask('/v1/topics/deleted-meanwhile', { method: 'DELETE' })
  sending.end('{"value":2}\n')
  expect(JSON.parse(String((await results.next()).value))).toMatchObject({
    error: { code: 'UNKNOWN_TOPIC_OR_PARTITION' },
    line: 2,
  })
})
