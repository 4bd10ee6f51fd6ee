import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { assert, InvariantViolation } from '../../../base/assert.ts'
import { KIB, MIB } from '../../../base/quantities.ts'
import type { Clock } from '../../../base/world.ts'
import { apiVersions } from '../../../protocol/kafka/apis/api-versions.ts'
import { produce } from '../../../protocol/kafka/apis/produce.ts'
import { RequestHeader } from '../../../protocol/kafka/frame.ts'
import { Reader } from '../../../protocol/kafka/reader.ts'
import { realWorld } from '../../world/world.ts'
import type { Answer, Arrival } from './answer.ts'
import { Connection, type Surroundings } from './connection.ts'
import { FairTurn } from './fair-turn.ts'
import { FrameMemory } from './frame-memory.ts'
import { Counters } from './metrics.ts'
import { Outgoing } from './outgoing.ts'

/**
 * A door that answers each request with its correlation id and `answerBytes` zeros, when `release` says so or at once. Keys
 * are those of Produce, which may be under way together, and of ApiVersions, which is taken alone.
 */
class TestDoor {
  readonly clock: Clock
  readonly memory: FrameMemory
  readonly reasons: string[] = []
  readonly taken: number[] = []
  readonly dropped: number[] = []
  readonly connections: Connection[] = []
  readonly counters = new Counters()
  readonly waiting = new Map<number, () => void>()
  atOnce = true
  breakInvariant = false
  answerBytes = 0
  nowMs = 0
  port = 0
  closedCount = 0
  onClosed = (): void => {}
  readonly #server: Server

  constructor(options: { budgetBytes?: number; asTargets?: boolean } = {}) {
    this.clock = { ...realWorld().clock, monotonicMs: () => this.nowMs }
    this.memory = new FrameMemory(() => options.budgetBytes ?? 8 * MIB)
    const around: Surroundings = {
      clock: this.clock,
      serve: arrival => this.#serve(arrival),
      memory: this.memory,
      turn: new FairTurn(this.clock),
      readBuffer: Buffer.alloc(64 * KIB),
      outgoing: new Outgoing(this.counters),
      header: new RequestHeader(),
      reader: new Reader(),
      counters: this.counters,
      frameBytesMax: () => 4 * MIB,
      idleMsMax: () => 600_000,
      wanted: () => ({ requestMemory: this.memory.waiting > 0, answerMemory: false }),
      report: (_connection, reason) => this.reasons.push(reason),
      closed: () => {
        this.closedCount += 1
        this.onClosed()
      },
    }
    this.#server = createServer({ pauseOnConnect: true, noDelay: true }, socket => {
      this.connections.push(new Connection(socket, around, options.asTargets))
    })
  }

  async open(): Promise<this> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    this.port = (this.#server.address() as AddressInfo).port
    return this
  }

  close(): void {
    this.#server.close()
    for (const connection of this.connections) connection.close()
  }

  #serve({ connection, header }: Arrival): Answer {
    const { correlationId } = header
    const bytes = this.answerBytes
    assert(!this.breakInvariant, 'this test breaks no promise')
    this.taken.push(correlationId)
    const answer = {
      ready: this.atOnce,
      pipelined: header.apiKey === produce.key,
      write: ({ writer }: Outgoing) => {
        writer.int32(4 + bytes)
        writer.int32(correlationId)
        writer.bytes(Buffer.alloc(bytes))
      },
      drop: () => void this.dropped.push(correlationId),
    }
    this.waiting.set(correlationId, () => {
      answer.ready = true
      connection.answered()
    })
    return answer
  }
}

function request(apiKey: number, correlationId: number, bodyBytes = 0): Buffer {
  const frame = Buffer.alloc(4 + 10 + bodyBytes)
  frame.writeInt32BE(10 + bodyBytes, 0)
  frame.writeInt16BE(apiKey, 4)
  frame.writeInt16BE(apiKey === produce.key ? 3 : 0, 6)
  frame.writeInt32BE(correlationId, 8)
  frame.writeInt16BE(-1, 12)
  return frame
}
const pipelined = (correlationId: number, bodyBytes = 0): Buffer =>
  request(produce.key, correlationId, bodyBytes)
const alone = (correlationId: number): Buffer => request(apiVersions.key, correlationId)

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise(resolve => setImmediate(resolve))
}

const opened: TestDoor[] = []
const clients: Socket[] = []
async function open(options?: { budgetBytes?: number; asTargets?: boolean }): Promise<TestDoor> {
  const door = await new TestDoor(options).open()
  opened.push(door)
  return door
}
async function client(door: TestDoor): Promise<{ socket: Socket; ids: number[]; chunks: () => number }> {
  const socket = connect(door.port, '127.0.0.1')
  clients.push(socket)
  const ids: number[] = []
  let pending = Buffer.alloc(0)
  let chunks = 0
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    chunks += 1
    pending = Buffer.concat([pending, chunk])
    while (pending.length >= 8 && pending.length >= 4 + pending.readInt32BE(0)) {
      ids.push(pending.readInt32BE(4))
      pending = pending.subarray(4 + pending.readInt32BE(0))
    }
  })
  await new Promise<void>(resolve => socket.once('connect', resolve))
  return { socket, ids, chunks: () => chunks }
}

afterEach(() => {
  for (const socket of clients.splice(0)) socket.destroy()
  for (const door of opened.splice(0)) door.close()
})

test.each([true, false])(
  'answers many requests of one read in order and in one write (targets: %s)',
  async asTargets => {
    const door = await open({ asTargets })
    const { socket, ids, chunks } = await client(door)
    socket.write(Buffer.concat(Array.from({ length: 200 }, (_, id) => pipelined(id, 50))))
    await until(() => ids.length === 200)
    expect(ids).toEqual(Array.from({ length: 200 }, (_, id) => id))
    expect(chunks()).toBe(1)
  },
)

test.each([true, false])('takes frames of every size, cut anywhere (targets: %s)', async asTargets => {
  const door = await open({ asTargets })
  const { socket, ids } = await client(door)
  socket.setNoDelay(true)
  const bytes = Buffer.concat([0, 5, 70_000, 1, 2 * MIB, 300_000, 0].map((size, id) => pipelined(id, size)))
  for (const [from, to] of [
    [0, 3],
    [3, 20],
    [20, 21],
    [21, 90_000],
    [90_000, MIB],
    [MIB, bytes.length],
  ] as const) {
    await new Promise<void>(resolve => socket.write(bytes.subarray(from, to), () => resolve()))
    await until(() => door.counters.bytesIn >= to)
  }
  await until(() => ids.length === 7)
  expect(ids).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(door.memory.usedBytes).toBe(0)
})

test('pipelined requests start together and are answered in order', async () => {
  const door = await open()
  door.atOnce = false
  const { socket, ids } = await client(door)
  socket.write(Buffer.concat([pipelined(1), pipelined(2), pipelined(3)]))
  await until(() => door.taken.length === 3)
  door.waiting.get(3)?.()
  door.waiting.get(2)?.()
  door.waiting.get(1)?.()
  await until(() => ids.length === 3)
  expect(ids).toEqual([1, 2, 3])
})

test('any other request is taken alone: later ones wait for its answer', async () => {
  const door = await open()
  door.atOnce = false
  const { socket, ids } = await client(door)
  socket.write(Buffer.concat([pipelined(1), alone(2), alone(3), pipelined(4)]))
  await until(() => door.taken.length === 2)
  door.waiting.get(1)?.()
  await until(() => ids.length === 1)
  expect(door.taken).toEqual([1, 2])
  door.waiting.get(2)?.()
  await until(() => door.taken.length === 3)
  expect(door.taken).toEqual([1, 2, 3])
  door.waiting.get(3)?.()
  await until(() => door.taken.length === 4)
  door.waiting.get(4)?.()
  await until(() => ids.length === 4)
  expect(ids).toEqual([1, 2, 3, 4])
})

test('no more than 1,000 requests of a connection are unanswered', async () => {
  const door = await open()
  door.atOnce = false
  const { socket, ids } = await client(door)
  socket.write(Buffer.concat(Array.from({ length: 1_500 }, (_, id) => pipelined(id))))
  await until(() => door.taken.length === 1_000 && door.memory.usedBytes > 0)
  for (let id = 0; id < 1_000; id++) door.waiting.get(id)?.()
  await until(() => door.taken.length === 1_500)
  for (let id = 1_000; id < 1_500; id++) door.waiting.get(id)?.()
  await until(() => ids.length === 1_500)
  expect(ids).toEqual(Array.from({ length: 1_500 }, (_, id) => id))
})

test('a client that does not read is handled no further, and goes on when it reads', async () => {
  const door = await open()
  door.answerBytes = 300_000
  const { socket, ids } = await client(door)
  socket.pause()
  for (let id = 0; id < 200; id++) socket.write(alone(id))
  await until(() => door.memory.usedBytes > 0)
  const takenBefore = door.taken.length
  expect(takenBefore).toBeLessThan(200)
  socket.resume()
  await until(() => ids.length === 200)
  expect(ids).toEqual(Array.from({ length: 200 }, (_, id) => id))
})

test('a client that does not read for 30 seconds is closed', async () => {
  const door = await open()
  door.answerBytes = 2 * MIB
  const { socket } = await client(door)
  socket.pause()
  for (let id = 0; id < 20; id++) socket.write(alone(id))
  await until(() => door.memory.usedBytes > 0)
  let seconds = 0
  await until(() => {
    seconds += 1
    door.connections[0]?.sweep(seconds * 1_000)
    return door.reasons.length > 0
  })
  expect(seconds).toBeGreaterThanOrEqual(31)
  expect(door.reasons).toEqual(['reads none of its answers for 30 s'])
  await until(() => door.closedCount === 1)
  expect(door.memory.usedBytes).toBe(0)
})

test('half a request and then nothing for 30 seconds closes the connection; an idle one stays for its own time', async () => {
  const door = await open()
  const half = await client(door)
  const idle = await client(door)
  half.socket.write(pipelined(1, 100).subarray(0, 50))
  await until(() => door.memory.usedBytes > 0 && door.connections.length === 2)
  for (const connection of door.connections) connection.sweep(1)
  for (const connection of door.connections) connection.sweep(31_000)
  expect(door.reasons).toEqual(['half a request, then nothing for 30 s'])
  await until(() => door.closedCount === 1)
  for (const connection of door.connections) connection.sweep(600_002)
  await until(() => door.closedCount === 2)
  expect(door.reasons).toHaveLength(1)
  idle.socket.destroy()
})

test('while others wait for memory, a crawling request is closed and the others get on', async () => {
  const door = await open({ budgetBytes: MIB })
  const crawling = await client(door)
  const other = await client(door)
  crawling.socket.write(pipelined(1, 900_000).subarray(0, 200_000))
  await until(() => door.counters.bytesIn === 200_000)
  other.socket.write(pipelined(2, 900_000))
  await until(() => door.memory.waiting === 1)
  door.connections[0]?.sweep(0)
  const before = door.counters.bytesIn
  crawling.socket.write('x')
  await until(() => door.counters.bytesIn === before + 1)
  door.connections[0]?.sweep(31_000)
  expect(door.reasons).toEqual(['a request that comes too slowly while others wait for memory'])
  await until(() => other.ids.length === 1)
  expect(other.ids).toEqual([2])
})

test('a client that goes away is noticed while its request waits, and the answer is dropped', async () => {
  const door = await open()
  door.atOnce = false
  const { socket } = await client(door)
  socket.write(alone(1))
  await until(() => door.taken.length === 1)
  socket.destroy()
  await until(() => door.closedCount === 1)
  expect(door.dropped).toEqual([1])
})

test('finish answers what is under way, takes nothing new, and closes', async () => {
  const door = await open()
  door.atOnce = false
  const { socket, ids } = await client(door)
  socket.write(Buffer.concat([pipelined(1), pipelined(2)]))
  await until(() => door.taken.length === 2)
  door.connections[0]?.finish()
  socket.write(pipelined(3))
  await until(() => door.counters.bytesIn >= 42)
  door.waiting.get(2)?.()
  door.waiting.get(1)?.()
  await until(() => door.closedCount === 1)
  expect(ids).toEqual([1, 2])
  expect(door.taken).toEqual([1, 2])
})

test('a frame that is no request closes its connection and is counted', async () => {
  const door = await open()
  const { socket } = await client(door)
  const frame = Buffer.alloc(4 + 10)
  frame.writeInt32BE(10)
  frame.writeInt16BE(99, 12)
  socket.write(frame)
  await until(() => door.closedCount === 1)
  expect(door.counters.malformed).toBe(1)
  expect(door.reasons[0]).toMatch(/^Produce: a length of 99/)
})

test('a broken invariant of ours is not taken for a client’s fault', async () => {
  const door = await open()
  await client(door)
  await until(() => door.connections.length === 1)
  door.breakInvariant = true
  const frame = alone(1)
  expect(() => door.connections[0]?.frame(frame, 4, frame.length)).toThrow(InvariantViolation)
  expect(door.reasons).toEqual([])
})
