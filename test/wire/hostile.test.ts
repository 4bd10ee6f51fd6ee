import { describe, expect, test } from 'vitest'
import { isOurs, useBroker } from './broker.ts'
import { chance } from './content.ts'
import {
  RawConnection,
  batch,
  fetchBody,
  fetched,
  int16,
  int32,
  int8,
  join,
  produceRaw,
  request,
  sized,
  text,
} from './raw.ts'
import { createTopic, freshTopic } from './topics.ts'

const broker = useBroker()

const open = (): Promise<RawConnection> => RawConnection.open(broker().kafka)
/** What a new client's first write gets: a broker that took harm would not answer. */
const serves = async (): Promise<{ error: number; baseOffset: number }> => {
  const topic = await createTopic(broker().kafka, 'still-serves', 1)
  const connection = await open()
  const answer = await produceRaw(connection, topic, 0, batch({ values: ['here'] }))
  connection.close()
  return answer
}
const fine = { error: 0, baseOffset: 0 }
// Request header v2 ends with an empty set of tagged fields.
const taggedHeader = int8(0)

describe('frames that are no requests close their connection and nothing else', () => {
  test.for<[string, Buffer]>([
    ['a negative length', int32(-1)],
    ['the most negative length', int32(-(2 ** 31))],
    ['a length above socket.request.max.bytes', int32(100 * 1024 * 1024 + 1)],
    ['the largest length', int32(2 ** 31 - 1)],
    ['an unknown request', request(9999, 0, Buffer.alloc(0))],
    ['a negative request key', request(-1, 0, Buffer.alloc(0))],
    ['a version never heard of', request(3, 99, Buffer.alloc(0))],
    ['a negative version', request(3, -1, Buffer.alloc(0))],
    ['a header cut short', sized(Buffer.from([0, 3, 0]))],
    ['a client id longer than the frame', sized(join(int16(3), int16(1), int32(7), int16(30_000)))],
    ['a body cut short', request(3, 1, Buffer.from([0, 0]))],
    ['an array longer than the frame', request(3, 1, int32(2 ** 31 - 1))],
    ['an array longer than the frame, compact', flexible(3, 9, [0xff, 0xff, 0xff, 0xff, 0x07])],
    ['a string longer than the frame', request(3, 1, join(int32(1), int16(30_000), Buffer.from('x')))],
    [
      'a varint without an end',
      flexible(
        3,
        9,
        Array.from({ length: 12 }, () => 0xff),
      ),
    ],
    ['records longer than the frame', request(0, 7, produceOf(join(int32(1 << 30), Buffer.from('x'))))],
    ['a request of another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ])('%s', async ([, bytes]) => {
    const connection = await open()
    connection.write(bytes)
    await connection.closed
    expect(await serves()).toEqual(fine)
  })

  test('noise', async () => {
    const next = chance(23)
    for (let round = 0; round < 200; round++) {
      const connection = await open()
      const noise = Buffer.from(Array.from({ length: 1 + Math.floor(next() * 300) }, () => next() * 256))
      // Half of them inside a frame of the right length, so that the noise reaches the decoders.
      connection.socket.end(round % 2 === 0 ? noise : sized(noise))
      await connection.closed
    }
    expect(await serves()).toEqual(fine)
  })

  test('noise behind the head of each request', async () => {
    const next = chance(29)
    for (const key of [0, 1, 2, 3, 10, 18, 19, 20, 21, 22, 23, 32, 33, 35, 37, 44, 60, 75]) {
      for (let version = 0; version < 13; version++) {
        const connection = await open()
        const noise = Buffer.from(Array.from({ length: 64 }, () => next() * 256))
        connection.socket.end(request(key, version, noise))
        await connection.closed
      }
    }
    expect(await serves()).toEqual(fine)
  })
})

test('ApiVersions of a version never heard of gets the body of version 0, error 35 and the range', async () => {
  const connection = await open()
  const answer = await connection.ask(18, 99, taggedHeader)
  expect(answer.int16()).toBe(35)
  const ranges = answer.array(() => ({ key: answer.int16(), min: answer.int16(), max: answer.int16() }))
  expect(ranges.find(({ key }) => key === 18)).toMatchObject({ min: 0, max: 4 })
  expect(answer.left).toBe(0)
  // The connection stays: the client asks again with a version from the range.
  expect((await connection.ask(18, 0, Buffer.alloc(0))).int16()).toBe(0)
  connection.close()
})

test.for<[string, Buffer]>([
  ['Produce below version 3', request(0, 2, join(int16(1), int32(1000), int32(0)))],
  ['records of negative length', request(0, 7, produceOf(int32(-2)))],
  ['no records', request(0, 7, produceOf(int32(-1)))],
])('%s: refused or closed, never left without an end', async ([, bytes]) => {
  const connection = await open()
  connection.write(bytes)
  await Promise.race([connection.answer().catch(() => undefined), connection.closed])
  connection.close()
  expect(await serves()).toEqual(fine)
})

test('requests sent at once are answered in their order', async () => {
  const topic = await createTopic(broker().kafka, 'pipelined', 1)
  const connection = await open()
  const frames = Array.from({ length: 50 }, (_, i) =>
    i % 2 === 0
      ? request(18, 0, Buffer.alloc(0), i)
      : request(1, 4, fetchBody({ topic, partition: 0, offset: 0 }), i),
  )
  connection.write(join(...frames))
  for (let i = 0; i < frames.length; i++) {
    const answer = await connection.answer()
    expect(answer.correlationId).toBe(i)
  }
  connection.close()
})

test('a frame that comes byte by byte is a frame', async () => {
  const connection = await open()
  connection.socket.setNoDelay(true)
  for (const byte of request(18, 0, Buffer.alloc(0))) connection.write(Buffer.from([byte]))
  expect((await connection.answer()).int16()).toBe(0)
  connection.close()
})

describe('batches that are wrong are refused and not stored', () => {
  const magicAt = 16
  const crcAt = 17
  test.for<[string, number[], Buffer]>([
    ['a wrong CRC', [2], batch({ values: ['x'], spoil: bytes => bytes.writeUInt32BE(1, crcAt) })],
    [
      'a flipped bit in a value',
      [2],
      batch({ values: ['x'], spoil: bytes => (bytes[bytes.length - 2] = 0) }),
    ],
    ['an unknown magic', [2, 87, 35, 43], batch({ values: ['x'], spoil: bytes => (bytes[magicAt] = 9) })],
    [
      'the magic of an old format',
      [2, 87, 35, 43],
      batch({ values: ['x'], spoil: bytes => (bytes[magicAt] = 1) }),
    ],
    ['a count above the records', [2, 87], batch({ values: ['x', 'y'], count: 5 })],
    ['a count below the records', [2, 87], batch({ values: ['x', 'y'], count: 1 })],
    ['a negative count', [2, 87], batch({ values: ['x'], count: -3 })],
    ['a last offset that the count contradicts', [2, 87], batch({ values: ['x', 'y'], lastOffsetDelta: 7 })],
    ['no records at all', [2, 87], batch({ values: [] })],
    [
      'a length beyond the bytes',
      [2, 87],
      batch({ values: ['x'], spoil: bytes => bytes.writeInt32BE(5000, 8) }),
    ],
    ['a negative length', [2, 87], batch({ values: ['x'], spoil: bytes => bytes.writeInt32BE(-5, 8) })],
    ['a cut tail', [2, 87], batch({ values: ['x'] }).subarray(0, 40)],
    ['a control batch', [2, 87], batch({ values: ['x'], attributes: 0x20 })],
    ['two batches in one', [2, 87], join(batch({ values: ['x'] }), batch({ values: ['y'] }))],
  ])('%s', async ([, errors, bytes]) => {
    const topic = await createTopic(broker().kafka, 'wrong-batch', 1)
    const connection = await open()
    const { error } = await produceRaw(connection, topic, 0, bytes)
    expect(errors).toContain(error)
    expect(await produceRaw(connection, topic, 0, batch({ values: ['right'] }))).toEqual(fine)
    connection.close()
  })

  test('a batch above max.message.bytes', async () => {
    const topic = await createTopic(broker().kafka, 'too-large', 1, { 'max.message.bytes': '1000' })
    const connection = await open()
    expect((await produceRaw(connection, topic, 0, batch({ values: ['x'.repeat(2000)] }))).error).toBe(10)
    expect((await produceRaw(connection, topic, 0, batch({ values: ['small'] }))).error).toBe(0)
    connection.close()
  })

  test('acks that do not exist', async () => {
    const topic = await createTopic(broker().kafka, 'acks', 1)
    const connection = await open()
    expect((await produceRaw(connection, topic, 0, batch({ values: ['x'] }), 7)).error).toBe(21)
    connection.close()
  })
})

describe('what is not there is refused by name', () => {
  test('an unknown topic and an unknown partition', async () => {
    const topic = await createTopic(broker().kafka, 'known', 1)
    const connection = await open()
    const bytes = batch({ values: ['x'] })
    expect((await produceRaw(connection, freshTopic('unknown'), 0, bytes)).error).toBe(3)
    expect((await produceRaw(connection, topic, 1, bytes)).error).toBe(3)
    expect((await produceRaw(connection, topic, -1, bytes)).error).toBe(3)
    const fetch = async (name: string, partition: number): Promise<number> =>
      fetched(await connection.ask(1, 4, fetchBody({ topic: name, partition, offset: 0 }))).error
    expect(await fetch(freshTopic('unknown'), 0)).toBe(3)
    expect(await fetch(topic, 99)).toBe(3)
    connection.close()
  })

  test('offsets below the start and beyond the end', async () => {
    const topic = await createTopic(broker().kafka, 'range', 1)
    const connection = await open()
    await produceRaw(connection, topic, 0, batch({ values: ['a', 'b'] }))
    const fetch = async (offset: number): Promise<number> =>
      fetched(await connection.ask(1, 4, fetchBody({ topic, partition: 0, offset }))).error
    expect(await fetch(2)).toBe(0)
    expect(await fetch(3)).toBe(1)
    expect(await fetch(-7)).toBe(1)
    expect(await fetch(2 ** 52)).toBe(1)
    connection.close()
  })

  test('a topic name that cannot be', async () => {
    const connection = await open()
    for (const name of ['', '.', '..', 'a/b', 'x'.repeat(250), 'a b', '石']) {
      const answer = await connection.ask(19, 2, createTopicsBody(name))
      answer.int32()
      const [error] = answer.array(() => {
        answer.text()
        return answer.int16()
      })
      expect([name, error]).toEqual([name, 17])
    }
    connection.close()
  })
})

describe('idempotent producers by hand', () => {
  test('a batch sent twice is stored once; a gap and an old epoch are refused', async () => {
    const topic = await createTopic(broker().kafka, 'sequences', 1)
    const connection = await open()
    const answer = await connection.ask(22, 0, join(text(null), int32(60_000)))
    answer.int32()
    expect(answer.int16()).toBe(0)
    const producer = { producerId: answer.int64(), producerEpoch: answer.int16() }
    const send = (baseSequence: number, epoch = producer.producerEpoch): ReturnType<typeof produceRaw> =>
      produceRaw(
        connection,
        topic,
        0,
        batch({ ...producer, producerEpoch: epoch, baseSequence, values: ['a', 'b'] }),
      )
    expect(await send(0)).toEqual({ error: 0, baseOffset: 0 })
    expect(await send(2)).toEqual({ error: 0, baseOffset: 2 })
    expect(await send(0)).toEqual({ error: 0, baseOffset: 0 })
    expect(await send(2)).toEqual({ error: 0, baseOffset: 2 })
    expect((await send(6)).error).toBe(45)
    expect(await send(4)).toEqual({ error: 0, baseOffset: 4 })
    expect((await send(0, producer.producerEpoch + 1)).error).toBe(0)
    expect((await send(6)).error).toBe(47)
    connection.close()
  })

  test.skipIf(!isOurs)('a transactional id is refused for good', async () => {
    const connection = await open()
    const answer = await connection.ask(22, 0, join(text('payments'), int32(60_000)))
    answer.int32()
    // TRANSACTIONAL_ID_AUTHORIZATION_FAILED: clients give up at once instead of trying for ever.
    expect(answer.int16()).toBe(53)
    connection.close()
  })
})

function flexible(apiKey: number, version: number, body: number[]): Buffer {
  return request(apiKey, version, join(taggedHeader, Buffer.from(body)))
}

function produceOf(records: Buffer): Buffer {
  return join(text(null), int16(-1), int32(1000), int32(1), text('t'), int32(1), int32(0), records)
}

function createTopicsBody(name: string): Buffer {
  const noAssignments = int32(0)
  const noConfigs = int32(0)
  return join(int32(1), text(name), int32(1), int16(1), noAssignments, noConfigs, int32(10_000), int8(0))
}
