/** The clients of a load (see load.ts), told what to do by its parent and gone when the parent is. */
import { connect, type Socket } from 'node:net'
import { Answers } from './answers.ts'
import {
  batchUpTo,
  fetchFrame,
  fetchPlaces,
  listedOffsetAt,
  listOffsetsFrame,
  produceErrorAt,
  produceFrame,
} from './frames.ts'
import type { FetchSpec, LoadSpec, Measured, ProduceSpec, Told, Window } from './load.ts'

const offsetOutOfRange = 1
/** One for all connections: what was read is passed over at once. */
const readBuffer = Buffer.allocUnsafe(256 * 1024)

const tell = (told: Told): void => void process.send?.(told)

/** What all clients of this process have heard answered. */
const heard = { requests: 0, bytes: 0 }

type Client = { readonly first: Promise<void>; readonly done: Promise<void> }

const specs = JSON.parse(process.env['STELE_BENCH_LOAD'] ?? '[]') as LoadSpec[]
const clients = specs.flatMap(spec =>
  Array.from({ length: spec.connections ?? 1 }, (_, n) => {
    const partition = n % (spec.partitions ?? 1)
    return spec.kind === 'produce' ? producer(spec, partition) : consumer(spec, partition)
  }),
)
process.on('disconnect', () => process.exit(0))
process.on('message', (window: Window) => void measure(window))
await Promise.all(clients.map(({ first }) => first))
tell({ ready: true })
await Promise.all(clients.map(({ done }) => done))
process.exit(0)

async function measure({ seconds, bytesMax = Infinity }: Window): Promise<void> {
  const before = { ...heard }
  const startMs = performance.now()
  const passed = (): Measured => ({
    seconds: (performance.now() - startMs) / 1000,
    requests: heard.requests - before.requests,
    bytes: heard.bytes - before.bytes,
  })
  while (passed().seconds < seconds && passed().bytes < bytesMax) {
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  tell({ measured: passed() })
}

function producer(spec: ProduceSpec & LoadSpec, partition: number): Client {
  const { topic, acks, inFlight = 1, requests = Infinity } = spec
  const { batch } = spec.batchBytes === 'record' ? batchUpTo(0, 100) : batchUpTo(spec.batchBytes, 1000)
  const frame = produceFrame(topic, partition, acks, batch)
  const row = Buffer.concat(Array<Buffer>(inFlight).fill(frame))
  const errorAt = produceErrorAt(topic)
  const first = Promise.withResolvers<void>()
  const done = Promise.withResolvers<void>()
  let unsent = requests
  let unheard = requests
  let answeredNow = 0
  const answers = new Answers(errorAt + 2, head => {
    refuseError(head.readInt16BE(errorAt), 'Produce')
    first.resolve()
    answeredNow += 1
    heard.requests += 1
    heard.bytes += batch.length
    unheard -= 1
    if (unheard === 0) done.resolve()
  })
  const send = (count: number): void => {
    const sent = Math.min(count, unsent)
    unsent -= sent
    if (sent > 0) socket.write(row.subarray(0, sent * frame.length))
  }
  const socket = open(spec.port, bytes => {
    answers.take(bytes)
    send(answeredNow)
    answeredNow = 0
  })
  socket.once('connect', () => send(inFlight))
  return { first: first.promise, done: done.promise }
}

function consumer(spec: FetchSpec & LoadSpec, partition: number): Client {
  const { topic, bytesMax, offsets } = spec
  const { batch, records } = batchUpTo(spec.batchBytes, 1000)
  const { frame, offsetAt } = fetchFrame(topic, partition, bytesMax)
  const { errorAt, headBytes } = fetchPlaces(topic)
  const first = Promise.withResolvers<void>()
  const [from, to] = offsets
  let offset = from
  let jumps = false
  const ask = (): void => {
    frame.writeBigInt64BE(BigInt(offset), offsetAt)
    socket.write(jumps ? listOffsetsFrame(topic, partition) : frame)
  }
  const answers = new Answers(headBytes, (head, frameBytes) => {
    if (jumps) {
      jumps = false
      offset = Number(head.readBigInt64BE(listedOffsetAt(topic)))
      return ask()
    }
    const errorCode = head.readInt16BE(errorAt)
    // Retention may be faster than a reader: he goes on at the end.
    jumps = errorCode === offsetOutOfRange && to === 'end'
    if (!jumps) refuseError(errorCode, 'Fetch')
    const bytes = frameBytes - headBytes
    first.resolve()
    heard.requests += 1
    heard.bytes += bytes
    offset += (bytes / batch.length) * records
    if (to !== 'end' && offset >= to) offset = from
    ask()
  })
  const socket = open(spec.port, bytes => answers.take(bytes))
  socket.once('connect', ask)
  return { first: first.promise, done: new Promise(() => {}) }
}

function open(port: number, take: (bytes: Buffer) => void): Socket {
  const callback = (bytes: number, buffer: Uint8Array): boolean => {
    take((buffer as Buffer).subarray(0, bytes))
    return true
  }
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer: readBuffer, callback } })
  socket.once('close', () => {
    throw new Error('the broker closed a connection')
  })
  return socket
}

function refuseError(errorCode: number, what: string): void {
  if (errorCode !== 0) throw new Error(`${what} was answered with error ${errorCode}`)
}
