import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HttpBroker, received } from './broker.fixture.ts'
import { isLoopbackOnly, refusalOfPage } from './web-pages.ts'

const door = { loopbackOnly: true, names: ['Stele.test', ''] }

describe('a page', () => {
  test.each([
    ['http://localhost:8080', 'localhost:8080'],
    ['https://stele.test', 'stele.test:443'],
    ['http://[::1]:8080', '[::1]:8080'],
    [undefined, 'localhost:8080'],
  ])('of %s may write to %s', (origin, host) => {
    const headers = { host, ...(origin !== undefined && { origin }) }
    expect(refusalOfPage({ method: 'POST', headers }, door)).toBeUndefined()
  })

  test.each(['http://evil.test', 'http://localhost:3000', 'https://localhost.evil.test:8080', 'null', ''])(
    'of %j may only read',
    origin => {
      const headers = { host: 'localhost:8080', origin }
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
        expect(refusalOfPage({ method, headers }, door)?.code).toBe('POLICY_VIOLATION')
      for (const method of ['GET', 'HEAD']) expect(refusalOfPage({ method, headers }, door)).toBeUndefined()
    },
  )
})

describe('a door that only this machine reaches', () => {
  test.each([
    'localhost',
    'LOCALHOST:1',
    'a.localhost:1',
    '127.0.0.1:1',
    '[::1]:1',
    '10.1.2.3',
    'stele.test.:1',
    '',
  ])('may be called %j', host =>
    expect(refusalOfPage({ method: 'GET', headers: { host } }, door)).toBeUndefined(),
  )

  test.each([
    'evil.test',
    'evil.test:8080',
    'localhost.evil.test',
    'xlocalhost',
    '127.0.0.1.evil.test',
    'a b',
  ])('is not called %j', host => {
    const request = { method: 'GET', headers: { host } }
    expect(refusalOfPage(request, door)?.message).toContain('it can be reached from its own machine alone')
    expect(refusalOfPage(request, { ...door, loopbackOnly: false })).toBeUndefined()
  })

  test('is known by its addresses', () => {
    expect(isLoopbackOnly(['127.0.0.1', '::1'])).toBe(true)
    for (const other of ['0.0.0.0', '::', '192.168.1.7'])
      expect(isLoopbackOnly(['127.0.0.1', other])).toBe(false)
  })
})

describe('over HTTP', () => {
  let broker: HttpBroker
  beforeAll(async () => {
    broker = await HttpBroker.start({ 'advertised.listeners': 'HTTP://Stele.test:80' })
  })
  afterAll(() => broker.stop())

  async function raw(method: string, ...headers: string[]): Promise<string> {
    const socket = await broker.connect()
    socket.write(
      `${method} /append?topic=t HTTP/1.1\r\n${headers.join('\r\n')}\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx`,
    )
    return received(socket)
  }

  test('nothing is written for a page of another site', async () => {
    const refused = await raw('POST', 'Host: localhost:8080', 'Origin: http://evil.test')
    expect(refused).toMatch(/^HTTP\/1.1 403 [\s\S]*A page of \\"http:\/\/evil\.test\\" may not send POST/)
    expect(await raw('POST', 'Host: evil.test')).toMatch(/^HTTP\/1.1 403 [\s\S]*POLICY_VIOLATION/)
    expect(await raw('GET', 'Host: evil.test')).toMatch(/^HTTP\/1.1 403 /)
    expect((await broker.ask('/v1/topics')).json['topics']).toEqual([])
    expect(await raw('POST', 'Host: stele.test')).toMatch(/^HTTP\/1.1 200 /)
    expect(await raw('POST', 'Host: localhost:1', 'Origin: http://localhost:1')).toMatch(/^HTTP\/1.1 200 /)
  })
})
