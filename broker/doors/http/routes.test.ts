import { afterAll, beforeAll, expect, test } from 'vitest'
import { HttpBroker, received, receivedUntil, until } from './broker.fixture.ts'

let broker: HttpBroker

beforeAll(async () => {
  broker = await HttpBroker.start()
})

afterAll(() => broker.stop())

async function raw(request: string): Promise<{ head: string; error: Record<string, unknown> }> {
  const socket = await broker.connect()
  const answer = received(socket)
  socket.write(request)
  const [head = '', body = ''] = (await answer).split('\r\n\r\n')
  return { head, error: (JSON.parse(body) as { error: Record<string, unknown> }).error }
}

test.each([
  ['/v1/topic', 'Did you mean /v1/topics? /docs shows all routes.'],
  [
    '/v1/topics/orders/partition/0/records',
    'Did you mean /v1/topics/{topic}/partitions/{partition}/records? /docs shows all routes.',
  ],
  [
    '/v1/topics/orders/partitions/0/strem',
    'Did you mean /v1/topics/{topic}/partitions/{partition}/stream? /docs shows all routes.',
  ],
  ['/apend', 'Did you mean /append? /docs shows all routes.'],
  ['/something/entirely/else', 'Look at /docs for the routes there are.'],
])('%s is nowhere', async (path, todo) => {
  const { status, json } = await broker.ask(path)
  expect(status).toBe(404)
  expect(json.error).toEqual({
    code: 'UNKNOWN_ROUTE',
    message: `There is nothing at "${path}"`,
    todo,
    retriable: false,
  })
})

test.each([
  ['PUT', '/v1/topics/orders', 'GET, PATCH, DELETE'],
  ['GET', '/v1/topics/orders/records', 'POST'],
  ['POST', '/read', 'GET'],
  ['DELETE', '/healthz', 'GET, HEAD'],
  ['OPTIONS', '/append', 'POST'],
])('%s is no method of %s', async (method, path, allowed) => {
  const { status, json, headers } = await broker.ask(path, { method })
  expect(status).toBe(405)
  expect(json.error?.code).toBe('METHOD_NOT_ALLOWED')
  expect(headers.get('allow')).toBe(allowed)
})

test('a path that is not percent-encoded', async () => {
  const { status, json } = await broker.ask('/v1/topics/%E0%A4%A/records')
  expect(status).toBe(400)
  expect(json.error?.message).toContain('is not valid percent-encoding')
})

test('a name of a topic that is endless', async () => {
  const { status, json } = await broker.ask(`/v1/topics/${'x'.repeat(2000)}`)
  expect([status, json.error?.code]).toEqual([404, 'UNKNOWN_ROUTE'])
  const long = await broker.ask(`/v1/topics/${'x'.repeat(300)}/records`, { body: { value: 1 } })
  expect([long.status, long.json.error?.code]).toEqual([400, 'INVALID_TOPIC_EXCEPTION'])
})

test('what is no HTTP', async () => {
  const { head, error } = await raw('NONSENSE\r\n\r\n')
  expect(head).toMatch(/^HTTP\/1.1 400 /)
  expect(error).toMatchObject({
    code: 'INVALID_REQUEST',
    message: expect.stringContaining('no HTTP request'),
  })
})

test('a Kafka client at the wrong door', async () => {
  const { error } = await raw('\0\0\0\x1d\0\x12\0\x03\0\0\0\x01')
  expect(error['code']).toBe('INVALID_REQUEST')
})

test('headers without end', async () => {
  const { head, error } = await raw(
    `GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`,
  )
  expect(head).toMatch(/^HTTP\/1.1 431 /)
  expect(error['code']).toBe('REQUEST_HEAD_TOO_LARGE')
})

test('two lengths of one body', async () => {
  const { error } = await raw(
    'POST /append HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  )
  expect(error['code']).toBe('INVALID_REQUEST')
})

test('a slash at the end is no difference', async () => {
  expect((await broker.ask('/v1/topics/')).status).toBe(200)
})

test('more connections than max.connections are told so, those there are work on', async () => {
  const small = await HttpBroker.start({ 'max.connections': '3' })
  const sockets = [await small.connect(), await small.connect(), await small.connect()] as const
  const refused = await received(await small.connect())
  expect(refused).toMatch(/^HTTP\/1.1 503 [\s\S]*TOO_MANY_CONNECTIONS/)
  sockets[0].write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
  expect(await receivedUntil(sockets[0], 'ok')).toContain('200 OK')
  for (const socket of sockets) socket.destroy()
  await until(async () => {
    const socket = await small.connect()
    socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    return (await received(socket)).startsWith('HTTP/1.1 200')
  })
  await small.stop()
})

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

test('requests that come together are answered in order', async () => {
  const socket = await broker.connect()
  socket.write(
    get('/healthz') +
      get('/nowhere') +
      get('/v1/topics') +
      get('/readyz').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'),
  )
  const statuses = (await received(socket)).match(/HTTP\/1.1 \d+/g)
  expect(statuses).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 200', 'HTTP/1.1 200'])
})
