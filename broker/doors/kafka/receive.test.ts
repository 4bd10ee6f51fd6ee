import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { receive, type Received, type Receiver } from './receive.ts'

const servers: Server[] = []
const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

async function pair(receiver: Receiver, asTargets: boolean): Promise<{ client: Socket; received: Received }> {
  const server = createServer({ pauseOnConnect: true })
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const received = new Promise<Received>(resolve => {
    server.once('connection', socket => resolve(receive(socket, receiver, asTargets)))
  })
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  sockets.push(client, (await received).socket)
  return { client, received: await received }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setImmediate(resolve))
}

test('this Node reads straight into our buffers', async () => {
  const target = Buffer.alloc(100)
  const arrived: [Buffer, number][] = []
  const receiver = {
    target: () => target,
    arrived: (buffer: Buffer, bytes: number) => void arrived.push([buffer, bytes]),
  }
  const { client, received } = await pair(receiver, true)
  expect(received.intoTargets).toBe(true)
  client.write('into the target')
  await until(() => arrived.length > 0)
  expect(arrived).toEqual([[target, 15]])
  expect(arrived[0]?.[0]).toBe(target)
  expect(target.toString('latin1', 0, 15)).toBe('into the target')
})

test.each([true, false])(
  'bytes come while it is not paused, and its end is told (targets: %s)',
  async asTargets => {
    const target = Buffer.alloc(10)
    let text = ''
    const receiver = {
      target: () => target,
      arrived: (buffer: Buffer, bytes: number) => void (text += buffer.toString('latin1', 0, bytes)),
    }
    const { client, received } = await pair(receiver, asTargets)
    client.write('first')
    await until(() => text === 'first')
    received.socket.pause()
    await new Promise<void>(resolve => client.write(', and more than one target holds', () => resolve()))
    expect(text).toBe('first')
    received.socket.resume()
    await until(() => text === 'first, and more than one target holds')
    const closed = new Promise<void>(resolve => received.socket.once('close', () => resolve()))
    client.end()
    await closed
  },
)

test.each([true, false])(
  'bytes that have left are counted while one long write is under way (targets: %s)',
  async asTargets => {
    const { client, received } = await pair(
      { target: () => Buffer.alloc(10), arrived: () => undefined },
      asTargets,
    )
    client.pause()
    const bytes = 32_000_000
    received.socket.write(Buffer.alloc(bytes))
    expect(received.sentBytes()).toBeLessThan(bytes)
    client.resume()
    await until(() => received.sentBytes() === bytes)
    expect(received.socket.writableLength).toBe(0)
  },
)
