import { createServer, type Server } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { listenOn } from './listening.ts'

const http = { name: 'HTTP', option: '--http' }
const servers: Server[] = []
const newServer = (): Server => {
  const server = createServer((_request, response) => response.end('here'))
  servers.push(server)
  return server
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map(server => new Promise(closed => server.close(closed))))
})

test('localhost is reached over both families on one port', async () => {
  const places = await listenOn('localhost:0', http, newServer)
  expect(places[0]?.host).toBe('127.0.0.1')
  expect(new Set(places.map(place => place.port)).size).toBe(1)
  for (const { host, port } of places) {
    const answer = await fetch(`http://${host.includes(':') ? `[${host}]` : host}:${port}/`)
    expect(await answer.text()).toBe('here')
  }
})

test('a port in use is named, with what to do', async () => {
  const [place] = await listenOn('127.0.0.1:0', http, newServer)
  const again = listenOn(`127.0.0.1:${place?.port}`, http, newServer)
  await expect(again).rejects.toThrow(
    `The HTTP address 127.0.0.1:${place?.port} is in use: stop the process that has it, or choose another port`,
  )
  await expect(listenOn(`localhost:${place?.port}`, http, newServer)).rejects.toThrow('is in use')
})

test('when only the IPv6 half of localhost is taken, nothing is left listening', async context => {
  const taken = await listenOn('[::1]:0', http, newServer).catch(() => [])
  const port = taken[0]?.port
  context.skip(port === undefined, 'this machine has no ::1')
  await expect(listenOn(`localhost:${port}`, http, newServer)).rejects.toThrow(`[::1]:${port} is in use`)
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow('fetch failed')
})

test.each(['8080', 'localhost', 'localhost:', 'localhost:http', 'a:b:1', 'localhost:65536', '[::1:80', ''])(
  'no address: %j',
  async address => {
    await expect(listenOn(address, http, newServer)).rejects.toThrow(
      `${JSON.stringify(address)} is no address`,
    )
  },
)

test('an address that is not this machine’s', async () => {
  await expect(listenOn('192.0.2.1:0', http, newServer)).rejects.toThrow(
    'This machine has no address 192.0.2.1',
  )
})
