import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { Counters } from './metrics.ts'
import { Outgoing } from './outgoing.ts'

const servers: Server[] = []
const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

/** Both ends of a connection; the reader is paused. */
async function pair(): Promise<{ writer: Socket; reader: Socket }> {
  const server = createServer()
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<Socket>(resolve => server.once('connection', resolve))
  const reader = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const writer = await accepted
  reader.pause()
  sockets.push(reader, writer)
  return { writer, reader }
}

async function readAll(reader: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let got = 0
  reader.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    got += chunk.length
  })
  reader.resume()
  await until(() => got >= bytes)
  return Buffer.concat(chunks)
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setImmediate(resolve))
}

const nobody = (): void => undefined

test('a small answer is with the system at once, and its memory is used again', async () => {
  const { writer, reader } = await pair()
  const outgoing = new Outgoing(new Counters())
  const chunk = outgoing.writer.buffer
  for (let n = 0; n < 1_000; n++) {
    outgoing.writer.bytes(Buffer.alloc(1_000, n))
    expect(outgoing.send(writer, nobody)).toBe('all')
    if (n % 20 === 0) await readSome(reader)
  }
  expect(outgoing.writer.buffer).toBe(chunk)
})

async function readSome(reader: Socket): Promise<void> {
  while (reader.read() === null) await new Promise(resolve => setImmediate(resolve))
}

test('what one client has not taken is not overwritten by answers for another', async () => {
  const [slow, quick] = [await pair(), await pair()]
  const outgoing = new Outgoing(new Counters())
  const expected: Buffer[] = []
  let sent = 'all'
  for (let n = 0; sent === 'all'; n++) {
    const answer = Buffer.alloc(9_000, n)
    expected.push(answer)
    outgoing.writer.bytes(answer)
    sent = outgoing.send(slow.writer, nobody)
  }
  for (let n = 0; n < 100; n++) {
    outgoing.writer.bytes(Buffer.alloc(9_000, 0xee))
    expect(outgoing.send(quick.writer, nobody)).toBe('all')
    if (n % 5 === 0) await readSome(quick.reader)
  }
  const all = Buffer.concat(expected)
  expect((await readAll(slow.reader, all.length)).equals(all)).toBe(true)
})

test('pieces go between what is written, uncopied, and are released when they have left', async () => {
  const { writer, reader } = await pair()
  const outgoing = new Outgoing(new Counters())
  const released: string[] = []
  let done = false
  const piece = Buffer.alloc(32_000_000, 7)
  outgoing.writer.int32(1)
  outgoing.piece(piece)
  outgoing.whenSent(() => released.push('first'))
  outgoing.writer.int32(2)
  expect(outgoing.send(writer, () => (done = true))).toBe('rest follows')
  expect(released).toEqual([])
  const all = await readAll(reader, 32_000_008)
  expect(all.readInt32BE(0)).toBe(1)
  expect(all.subarray(4, -4).equals(piece)).toBe(true)
  expect(all.readInt32BE(32_000_004)).toBe(2)
  await until(() => done)
  expect(released).toEqual(['first'])
})

test('pieces for a client that is gone are released all the same', async () => {
  const { writer, reader } = await pair()
  const outgoing = new Outgoing(new Counters())
  const released: string[] = []
  outgoing.piece(Buffer.alloc(32_000_000))
  outgoing.whenSent(() => released.push('late'))
  expect(outgoing.send(writer, nobody)).toBe('rest follows')
  writer.on('error', nobody)
  reader.destroy()
  await until(() => released.length > 0)
  outgoing.piece(Buffer.alloc(10))
  outgoing.whenSent(() => released.push('never written'))
  outgoing.send(writer, nobody)
  expect(released).toEqual(['late', 'never written'])
})
