import { afterAll, beforeAll, expect, test } from 'vitest'
import { MIB } from '../../../base/quantities.ts'
import { HttpBroker, receivedUntil, until, type ErrorJson, type RecordJson } from './broker.fixture.ts'
import { buildBatch } from '../../../protocol/kafka/records.ts'
import { produceBatch, withRecords } from './kafka.fixture.ts'

let broker: HttpBroker

beforeAll(async () => {
  broker = await HttpBroker.start()
})

afterAll(() => broker.stop())

type Event = { readonly id?: string; readonly event?: string; readonly data: unknown }

/** Server-sent events as a browser would read them. */
class Events {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #leave: AbortController
  #text = ''

  private constructor(reader: ReadableStreamDefaultReader<Uint8Array>, leave: AbortController) {
    this.#reader = reader
    this.#leave = leave
  }

  static async open(path: string, headers: Record<string, string> = {}): Promise<Events> {
    const leave = new AbortController()
    const response = await fetch(broker.url + path, { headers, signal: leave.signal })
    const type = response.headers.get('content-type')
    if (response.body === null || type !== 'text/event-stream; charset=utf-8') throw new Error(`${type}`)
    return new Events(response.body.getReader(), leave)
  }

  /** The next event, or undefined when the stream has ended. */
  async next(): Promise<Event | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n\n')
      if (end >= 0) {
        const lines = this.#text.slice(0, end).split('\n')
        this.#text = this.#text.slice(end + 2)
        const fields = Object.fromEntries(lines.map(line => line.split(/: (.*)/s))) as Record<string, string>
        const { id, event, data } = fields
        return {
          ...(id === undefined ? {} : { id }),
          ...(event === undefined ? {} : { event }),
          data: JSON.parse(data ?? ''),
        }
      }
      const { value, done } = await this.#reader.read()
      if (done) return undefined
      this.#text += Buffer.from(value).toString()
    }
  }

  async take(count: number): Promise<(string | null)[]> {
    const values: (string | null)[] = []
    while (values.length < count) {
      const event = await this.next()
      const record = event?.data as RecordJson
      if (event?.id !== String(record.offset)) throw new Error(JSON.stringify(event))
      values.push(record.value)
    }
    return values
  }

  leave(): void {
    this.#leave.abort()
  }
}

const errorIn = (event: Event | undefined): ErrorJson | undefined =>
  (event?.data as { error?: ErrorJson } | undefined)?.error

test('what is there, and what comes', async () => {
  await broker.write('followed', { value: 'a' }, { value: 'b\nc' })
  const events = await Events.open('/v1/topics/followed/partitions/0/stream')
  expect(await events.take(2)).toEqual(['a', 'b\nc'])
  await broker.write('followed', { value: 'd' })
  await broker.write('followed', { value: 'e' })
  expect(await events.take(2)).toEqual(['d', 'e'])
  events.leave()
})

test('from an offset, the end, or behind the last event that was seen', async () => {
  await broker.write('resumed', ...[0, 1, 2, 3, 4].map(value => ({ value })))
  const path = '/v1/topics/resumed/partitions/0/stream'
  const first = async (query: string, headers = {}): Promise<unknown> => {
    const events = await Events.open(path + query, headers)
    const event = await events.next()
    events.leave()
    return event?.id
  }
  expect(await first('?offset=3')).toBe('3')
  expect(await first('?offset=0', { 'last-event-id': '1' })).toBe('2')
  expect(await first('', { 'last-event-id': '' })).toBe('0')
  const end = await Events.open(`${path}?offset=latest`)
  await broker.write('resumed', { value: 5 })
  expect((await end.next())?.id).toBe('5')
  end.leave()
})

test('base64 on request', async () => {
  await broker.write('encoded', { value: 'v9' })
  const events = await Events.open('/v1/topics/encoded/partitions/0/stream?encoding=base64')
  expect((await events.next())?.data).toMatchObject({ value: 'djk=', encoding: 'base64' })
  events.leave()
})

test.each([
  ['/v1/topics/nowhere/partitions/0/stream', {}, 404, 'UNKNOWN_TOPIC_OR_PARTITION'],
  ['/v1/topics/followed/partitions/0/stream?offset=99', {}, 416, 'OFFSET_OUT_OF_RANGE'],
  ['/v1/topics/followed/partitions/0/stream?offset=x', {}, 400, 'INVALID_REQUEST'],
  ['/v1/topics/followed/partitions/0/stream?wait_ms=5', {}, 400, 'INVALID_REQUEST'],
  ['/v1/topics/followed/partitions/0/stream', { 'last-event-id': 'x' }, 400, 'INVALID_REQUEST'],
  ['/v1/topics/followed/partitions/0/stream', { 'last-event-id': '998' }, 416, 'OFFSET_OUT_OF_RANGE'],
])('%s is refused before the stream begins', async (path, headers, status, code) => {
  const got = await broker.ask(path, { headers })
  expect([got.status, got.json.error?.code]).toEqual([status, code])
})

test('a topic that is deleted ends the stream with an error', async () => {
  await broker.write('short-lived', { value: 1 })
  const events = await Events.open('/v1/topics/short-lived/partitions/0/stream')
  await events.take(1)
  await broker.ask('/v1/topics/short-lived', { method: 'DELETE' })
  const event = await events.next()
  expect(event?.event).toBe('error')
  expect(errorIn(event)?.code).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  expect(await events.next()).toBeUndefined()
})

test('records that nobody can read end the stream behind those that can', async () => {
  await broker.makeTopic('poisoned')
  const sound = buildBatch([{ key: null, value: Buffer.from('fine'), headers: [], timestamp: 5 }])
  await produceBatch(broker.kafka, 'poisoned', Buffer.from(sound))
  await produceBatch(broker.kafka, 'poisoned', withRecords(sound, Buffer.alloc(9, 0xff)))
  const events = await Events.open('/v1/topics/poisoned/partitions/0/stream')
  expect(await events.take(1)).toEqual(['fine'])
  const event = await events.next()
  expect(event?.event).toBe('error')
  expect(errorIn(event)?.todo).toContain('offset=2')
  expect(await events.next()).toBeUndefined()
})

test('a reader that does not read is given no more than it takes, and everything in the end', async () => {
  const value = 'x'.repeat(100_000)
  for (let i = 0; i < 200; i++) await broker.write('slow', { value }, { value })
  const socket = await broker.connect()
  socket.write('GET /v1/topics/slow/partitions/0/stream HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await receivedUntil(socket, 'id: 0\n')
  socket.pause()
  // The broker answers others meanwhile, so it has had every chance to run ahead.
  for (let i = 0; i < 200; i++) await broker.ask('/healthz')
  const { text: metrics } = await broker.ask('/metrics')
  const bytesOut = /bytesout_total\{topic="slow"\} (\d+)/.exec(metrics)?.[1]
  // The buffers of two sockets hold some; the topic has 40 MB.
  expect(Number(bytesOut)).toBeLessThan(20 * MIB)
  let text = ''
  socket.on('data', chunk => {
    text = (text + String(chunk)).slice(-250_000)
  })
  socket.resume()
  await until(() => text.includes('id: 399\n'))
  socket.destroy()
})
