import { createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import * as fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { MIB } from '../../../base/quantities.ts'
import { apiVersions } from '../../../protocol/kafka/apis/api-versions.ts'
import { fetch } from '../../../protocol/kafka/apis/fetch.ts'
import { metadata } from '../../../protocol/kafka/apis/metadata.ts'
import { produce } from '../../../protocol/kafka/apis/produce.ts'
import { registry } from '../../../protocol/kafka/registry.ts'
import {
  batchOf,
  fetchBody,
  firstOf,
  makeTopic,
  produceBody,
  TestBroker,
  valuesIn,
} from './broker.fixture.ts'
import { TestClient } from './client.fixture.ts'

const brokers: TestBroker[] = []
async function start(settings?: Record<string, string>, kafka?: string): Promise<TestBroker> {
  const broker = await TestBroker.start(settings, kafka)
  brokers.push(broker)
  return broker
}
afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.stop()
})

const turns = async (count: number): Promise<void> => {
  for (let n = 0; n < count; n++) await new Promise(resolve => setImmediate(resolve))
}

test('requests cut at any byte are answered as if they were whole', async () => {
  const broker = await start()
  const client = await broker.client()
  await makeTopic(client, 'cut')
  const bytes = Buffer.concat([
    client.encode(apiVersions, 0, {}),
    client.encode(produce, 9, produceBody('cut', batchOf('x'))),
    client.encode(metadata, 12, { topics: null }),
  ])
  for (let at = 1; at < bytes.length; at++) {
    client.socket.write(bytes.subarray(0, at))
    await turns(4)
    client.socket.write(bytes.subarray(at))
    const answers = [await client.frame(), await client.frame(), await client.frame()]
    expect(answers.every(answer => answer !== undefined)).toBe(true)
  }
  const all = await client.ask(fetch, 12, fetchBody('cut'))
  expect(valuesIn(firstOf(all).records)).toHaveLength(bytes.length - 1)
})

test.each([
  ['a negative length', Buffer.from('ffffffff', 'hex'), /a frame of -1 bytes/],
  [
    'a length beyond the limit',
    Buffer.from('7fffffff', 'hex'),
    /a frame of 2147483647 bytes; socket.request.max.bytes is 1000000/,
  ],
  ['another protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /a frame of 1195725856 bytes/],
  [
    'an API that does not exist',
    Buffer.from('0000000a03e700000000000100000000', 'hex'),
    /asks for API 999, which is not served/,
  ],
  [
    'a version that does not exist',
    Buffer.from('0000000b00030063000000010000000000', 'hex'),
    /asks for Metadata version 99, 0 to 12 are served/,
  ],
  ['a frame without a header', Buffer.from('0000000100', 'hex'), /2 bytes wanted, 1 left/],
  [
    'an array longer than its frame',
    Buffer.from('0000000e000300010000000100007fffffff', 'hex'),
    /Metadata: an array of 2147483647 elements/,
  ],
])(
  '%s closes the connection with a line that names the client, and nothing else',
  async (_what, bytes, line) => {
    const broker = await start({ 'socket.request.max.bytes': '1000000' })
    const [bad, good] = [await broker.client(), await broker.client()]
    const client = `127.0.0.1:${bad.socket.localPort}`
    bad.socket.write(bytes)
    await bad.closed
    expect(broker.lines.filter(({ level }) => level >= 40)).toMatchObject([
      { client, msg: expect.stringMatching(line) },
    ])
    expect(await good.ask(apiVersions, 0, {})).toMatchObject({ errorCode: 0 })
  },
)

test('whatever stands in a request, the broker lives', async () => {
  const broker = await start()
  const versions = registry.flatMap(({ api, advertised }) =>
    Array.from({ length: advertised.max - advertised.min + 1 }, (_, n) => ({
      key: api.key,
      version: advertised.min + n,
    })),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...versions),
      fc.uint8Array({ maxLength: 60 }),
      async ({ key, version }, body) => {
        const client = await TestClient.open(broker.port)
        const frame = Buffer.concat([Buffer.alloc(14), body])
        frame.writeInt32BE(frame.length - 4)
        frame.writeInt16BE(key, 4)
        frame.writeInt16BE(version, 6)
        frame.writeInt16BE(-1, 12)
        client.socket.end(frame)
        await client.closed
      },
    ),
    { numRuns: 300 },
  )
  const client = await broker.client()
  expect(await client.ask(apiVersions, 0, {})).toMatchObject({ errorCode: 0 })
  expect(broker.lines.filter(({ level }) => level >= 50)).toEqual([])
})

test('connections beyond max.connections are closed, with a line in the log', async () => {
  const broker = await start({ 'max.connections': '2' })
  const [first, second] = [await broker.client(), await broker.client()]
  await first.ask(apiVersions, 0, {})
  await second.ask(apiVersions, 0, {})
  const third = await broker.client()
  await third.closed
  expect(broker.lines.some(({ msg }) => msg.includes('max.connections'))).toBe(true)
  first.close()
  await first.closed
  await untilAsync(async () => (await broker.metric('connections')) === 1)
  const fourth = await broker.client()
  expect(await fourth.ask(apiVersions, 0, {})).toMatchObject({ errorCode: 0 })
})

const untilAsync = async (holds: () => Promise<boolean>): Promise<void> => {
  while (!(await holds())) await turns(1)
}

test('an idle connection is closed after connections.max.idle.ms, one that waits for an answer is not', async () => {
  const broker = await start({ 'connections.max.idle.ms': '60' })
  const [idle, waiting] = [await broker.client(), await broker.client()]
  await makeTopic(waiting, 'slow')
  const answer = waiting.ask(fetch, 12, fetchBody('slow', {}, { maxWaitMs: 300 }))
  await idle.closed
  expect(firstOf(await answer).errorCode).toBe(0)
})

test('clients that do not read their fetches hold no more memory than the budget, and get everything when they read', async () => {
  const broker = await start()
  const writer = await broker.client()
  await makeTopic(writer, 'large')
  const value = 'x'.repeat(1_000_000)
  for (let n = 0; n < 8; n++)
    expect(firstOf(await writer.ask(produce, 9, produceBody('large', batchOf(value)))).errorCode).toBe(0)
  const body = fetchBody('large', { partitionMaxBytes: 16 * MIB }, { maxBytes: 16 * MIB })
  const readers = await Promise.all(Array.from({ length: 12 }, () => broker.client()))
  for (const reader of readers) {
    reader.socket.pause()
    for (let n = 0; n < 3; n++) reader.socket.write(reader.encode(fetch, 12, body))
  }
  await untilAsync(async () => (await broker.metric('fetch_memory_bytes')) > 30 * MIB)
  for (let n = 0; n < 5; n++) {
    expect(await broker.metric('fetch_memory_bytes')).toBeLessThan(50 * MIB)
    await turns(10)
  }
  let frames = 0
  await Promise.all(
    readers.map(async reader => {
      reader.socket.resume()
      for (let n = 0; n < 3; n++) if ((await reader.frame()) !== undefined) frames += 1
    }),
  )
  expect(frames).toBe(36)
  await untilAsync(async () => (await broker.metric('fetch_memory_bytes')) === 0)
}, 20_000)

test('requests larger than the memory for requests get through one after the other', async () => {
  const broker = await start({ 'queued.max.request.bytes': '500000', 'socket.request.max.bytes': '3000000' })
  const writers = await Promise.all(Array.from({ length: 6 }, () => broker.client()))
  await Promise.all(writers.map((writer, n) => makeTopic(writer, `topic-${n}`)))
  const answers = await Promise.all(
    writers.map((writer, n) =>
      writer.ask(produce, 9, produceBody(`topic-${n}`, batchOf('x'.repeat(1_000_000)))),
    ),
  )
  expect(answers.map(answer => firstOf(answer).errorCode)).toEqual([0, 0, 0, 0, 0, 0])
  expect(await broker.metric('frame_memory_bytes')).toBe(0)
}, 20_000)

test('stop answers what is under way and leaves nobody connected', async () => {
  const broker = await start()
  const [writer, reader, idle] = [await broker.client(), await broker.client(), await broker.client()]
  await makeTopic(writer, 'ends')
  const fetched = reader.ask(fetch, 12, fetchBody('ends', {}, { maxWaitMs: 60_000, minBytes: 10_000 }))
  await untilAsync(async () => (await broker.metric('waiting_fetches')) === 1)
  const written = writer.ask(produce, 9, produceBody('ends', batchOf('last')))
  await untilAsync(async () => (await broker.metric('requests_total{api="Produce"}')) === 1)
  const stopped = broker.shut()
  expect(firstOf(await written).errorCode).toBe(0)
  expect(firstOf(await fetched).errorCode).toBe(0)
  await Promise.all([writer.closed, reader.closed, idle.closed])
  await stopped
  await expect(TestClient.open(broker.port)).rejects.toThrow('ECONNREFUSED')
})

test('a port in use is said in one sentence that names it', async () => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await expect(TestBroker.start({}, `127.0.0.1:${port}`)).rejects.toThrow(
    `The Kafka address 127.0.0.1:${port} is in use: stop the process that has it, or choose another port with --kafka HOST:PORT`,
  )
  server.close()
})

test('clients are told the address they have reached, or what advertised.listeners says', async () => {
  const addresses = Object.values(networkInterfaces()).flatMap(all => all ?? [])
  const host =
    addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
  const everywhere = await start({}, '0.0.0.0:0')
  for (const reached of ['127.0.0.1', host]) {
    const client = await TestClient.open(everywhere.port, reached)
    const { brokers } = await client.ask(metadata, 12, { topics: [] })
    expect(brokers).toMatchObject([{ host: reached, port: everywhere.port }])
    client.close()
  }
  const named = await start({ 'advertised.listeners': 'PLAINTEXT://logs.example:4242' })
  expect(await (await named.client()).ask(metadata, 12, { topics: [] })).toMatchObject({
    brokers: [{ host: 'logs.example', port: 4242 }],
  })
})

test('localhost is reached over both families', async () => {
  const broker = await start({}, 'localhost:0')
  const hosts = [
    '127.0.0.1',
    ...(Object.values(networkInterfaces())
      .flat()
      .some(at => at?.address === '::1')
      ? ['::1']
      : []),
  ]
  for (const host of hosts) {
    const client = await TestClient.open(broker.port, host)
    expect(await client.ask(metadata, 12, { topics: [] })).toMatchObject({
      brokers: [{ host: 'localhost', port: broker.port }],
    })
    client.close()
  }
})

test('what the door counts can be read', async () => {
  const broker = await start()
  const client = await broker.client()
  await makeTopic(client, 'counted')
  await client.ask(produce, 9, produceBody('counted', batchOf('x')))
  await client.ask(produce, 9, produceBody('nowhere', batchOf('x')))
  await client.ask(fetch, 12, fetchBody('counted'))
  expect(await broker.metric('connections')).toBe(1)
  expect(await broker.metric('connections_total')).toBe(1)
  expect(await broker.metric('requests_total{api="Produce"}')).toBe(2)
  expect(await broker.metric('produce_refused_total')).toBe(1)
  expect(await broker.metric('produce_seconds_count')).toBe(2)
  expect(await broker.metric('fetch_seconds_bucket{le="+Inf"}')).toBe(1)
  expect(await broker.metric('bytes_in_total')).toBe(client.socket.bytesWritten)
  expect(await broker.metric('bytes_out_total')).toBe(client.socket.bytesRead)
})
