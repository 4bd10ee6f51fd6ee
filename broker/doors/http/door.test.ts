import { once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import { received, receivedUntil, until } from './broker.fixture.ts'
import { openHttpDoor } from './door.ts'
import { Peers } from './peers.ts'
import { TimedDoor } from './timed.fixture.ts'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { realWorld } from '../../world/world.ts'

let open: TimedDoor | undefined
const opened = async (...options: Parameters<typeof TimedDoor.open>): Promise<TimedDoor> => {
  open = await TimedDoor.open(...options)
  return open
}

afterEach(() => open?.close())

const post = (head: string): string =>
  `POST /v1/topics/t/records HTTP/1.1\r\nHost: localhost\r\n${head}\r\n\r\n`
const lines = post('Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked')
const follow = 'GET /v1/topics/t/partitions/0/stream HTTP/1.1\r\nHost: localhost\r\n\r\n'
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`

describe('while the broker recovers', () => {
  test('probes and metrics are answered, nothing else', async () => {
    const { url, router } = await opened({ ready: false })
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    const ready = await fetch(`${url}/readyz`)
    expect(ready.status).toBe(503)
    expect(await ready.json()).toMatchObject({
      error: {
        code: 'LEADER_NOT_AVAILABLE',
        message: expect.stringContaining('recovering'),
        retriable: true,
      },
    })
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('\nstele_broker_ready 0\n')
    expect((await fetch(`${url}/openapi.json`)).status).toBe(200)
    for (const path of ['/v1/topics', '/read', '/v1/cluster'])
      expect((await fetch(url + path)).status).toBe(503)
    router.begin()
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ready' })
    expect((await fetch(`${url}/v1/topics`)).status).toBe(200)
  })

  test('a probe may use HEAD', async () => {
    const { url } = await opened()
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      expect((await fetch(url + path, { method: 'HEAD' })).status).toBe(200)
    }
  })
})

describe('time', () => {
  test('a body that does not come whole is given up', async () => {
    const door = await opened()
    const socket = await door.connect()
    socket.write(post('Content-Length: 100\r\nConnection: close'))
    socket.write('{"value":')
    await until(() => door.timers > 0)
    door.elapse(60_000)
    expect(await receivedUntil(socket, '}}')).toMatch(/^HTTP\/1.1 408 [\s\S]*REQUEST_TOO_SLOW/)
    await until(() => door.timers > 0)
    door.elapse(5000)
    await received(socket)
  })

  test('a stream that stalls in the middle of a line is ended, between lines it may rest', async () => {
    const door = await opened()
    const socket = await door.connect()
    socket.write(lines + chunk('{"value":1}\n'))
    await receivedUntil(socket, '"offset":0')
    door.elapse(3_600_000)
    socket.write(chunk('{"value":2}\n{"value"'))
    await receivedUntil(socket, '"offset":1')
    door.elapse(60_000)
    door.elapse(60_000)
    expect(await receivedUntil(socket, '0\r\n\r\n')).toMatch(/REQUEST_TOO_SLOW[\s\S]*"line":3/)
    door.elapse(5000)
    await once(socket, 'close')
  })

  test('a comment now and then keeps an event stream alive', async () => {
    const door = await opened()
    await door.router.ensureTopic('t')
    const socket = await door.connect()
    socket.write(follow)
    await until(() => door.timers > 0)
    door.elapse(15_000)
    expect(await receivedUntil(socket, ': still here\n\n')).toContain('200 OK')
    door.elapse(15_000)
    expect(await receivedUntil(socket, ': still here\n\n')).not.toContain('200 OK')
    socket.destroy()
    await until(() => door.timers === 0)
  })

  test('a reader waits as long as it said', async () => {
    const door = await opened()
    await door.router.ensureTopic('t')
    const waiting = fetch(`${door.url}/v1/topics/t/partitions/0/records?wait_ms=30000`)
    await until(() => door.timers > 0)
    door.elapse(30_000)
    expect(await (await waiting).json()).toMatchObject({ records: [] })
    expect(door.timers).toBe(0)
  })

  test('what is still sent behind an early answer is thrown away for a while', async () => {
    const door = await opened()
    const socket = await door.connect()
    socket.write(post('Content-Length: 1000000000'))
    expect(await receivedUntil(socket, '}}')).toMatch(/^HTTP\/1.1 413 /)
    await until(() => door.timers > 0)
    socket.write('x'.repeat(100_000))
    door.elapse(5000)
    await received(socket).catch(() => '')
    expect(socket.closed || socket.readableEnded).toBe(true)
  })
})

describe('stopping', () => {
  test('streams end, waiting readers are answered, idle connections close', async () => {
    const door = await opened()
    await door.router.ensureTopic('t')
    const [idle, events, writing] = [await door.connect(), await door.connect(), await door.connect()]
    idle.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await receivedUntil(idle, 'ok')
    writing.write(lines + chunk('{"value":1}\n'))
    await receivedUntil(writing, '"offset":0')
    events.write(follow)
    await receivedUntil(events, 'id: 0')
    const waiting = fetch(`${door.url}/v1/topics/t/partitions/0/records?offset=1&wait_ms=60000`)
    await until(() => door.timers >= 3)
    const rest = [received(idle), received(events), receivedUntil(writing, '0\r\n\r\n')]
    const stopped = door.door.stop()
    expect(await (await waiting).json()).toMatchObject({ records: [], next_offset: 1 })
    const [, eventsEnd, writingEnd] = await Promise.all(rest)
    expect(eventsEnd).toContain('0\r\n\r\n')
    expect(eventsEnd).not.toContain('error')
    expect(writingEnd).toMatch(/BROKER_STOPPING[\s\S]*"line":2/)
    writing.end('0\r\n\r\n')
    await stopped
    await expect(fetch(`${door.url}/healthz`)).rejects.toThrow('fetch failed')
  })

  test('who takes longer than five seconds is cut off', async () => {
    const door = await opened()
    const slow = await door.connect()
    slow.write(post('Content-Length: 100'))
    await until(() => door.timers > 0)
    const stopped = door.door.stop()
    const ended = received(slow)
    door.elapse(5000)
    await stopped
    expect(await ended.catch(() => 'reset')).not.toContain('HTTP/1.1 200')
  })

  test('a request that comes meanwhile is told', async () => {
    const door = await opened()
    const slow = await door.connect()
    slow.write(post('Content-Length: 11'))
    await until(() => door.timers > 0)
    const stopped = door.door.stop()
    slow.write('{"value":1}GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect(await received(slow)).toMatch(
      /^HTTP\/1.1 200 [\s\S]*"offset":0[\s\S]*HTTP\/1.1 503 [\s\S]*BROKER_STOPPING/,
    )
    await stopped
  })
})

test('a port in use is one sentence for the user', async () => {
  const door = await opened()
  const again = openHttpDoor({
    world: realWorld(),
    router: door.router,
    queues: door.queues,
    peers: new Peers({ router: door.router, clock: realWorld().clock }),
    log: pino({ level: 'silent' }),
    metrics: new Registry(),
    address: door.url.slice('http://'.length),
    version: '0',
  })
  await expect(again).rejects.toThrow(/^The HTTP address 127.0.0.1:\d+ is in use: stop the process/)
})
