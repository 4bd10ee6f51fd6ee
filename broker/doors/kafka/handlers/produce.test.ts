import { afterAll, beforeAll, expect, test } from 'vitest'
import { fetch } from '../../../../protocol/kafka/apis/fetch.ts'
import { initProducerId } from '../../../../protocol/kafka/apis/init-producer-id.ts'
import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import { listOffsets } from '../../../../protocol/kafka/apis/list-offsets.ts'
import { decodeResponse } from '../../../../protocol/kafka/frame.ts'
import { sealBatch } from '../../../../protocol/kafka/record-batch.ts'
import { buildBatch } from '../../../../protocol/kafka/records.ts'
import {
  batchOf,
  fetchBody,
  firstOf,
  makeTopic,
  produceBody,
  TestBroker,
  valuesIn,
} from '../broker.fixture.ts'
import type { TestClient } from '../client.fixture.ts'

let broker: TestBroker
let client: TestClient
beforeAll(async () => {
  broker = await TestBroker.start()
  client = await broker.client()
  await makeTopic(client, 'errors')
})
afterAll(() => broker.stop())

const versions = Array.from({ length: 10 }, (_, n) => n + 3)

test.each(versions)('version %i: a batch gets its offsets with acks 1 and all', async version => {
  const topic = `offsets-${version}`
  await makeTopic(client, topic)
  const first = firstOf(await client.ask(produce, version, produceBody(topic, batchOf('a', 'b'))))
  expect(first).toMatchObject({ index: 0, errorCode: 0, baseOffset: 0, logAppendTimeMs: -1 })
  expect(first.logStartOffset).toBe(version >= 5 ? 0 : -1)
  const second = firstOf(await client.ask(produce, version, produceBody(topic, batchOf('c'), 1)))
  expect(second).toMatchObject({ errorCode: 0, baseOffset: 2 })
  const minBytes = batchOf('a', 'b').length + batchOf('c').length
  const read = firstOf(await client.ask(fetch, 12, fetchBody(topic, {}, { minBytes, maxWaitMs: 5_000 })))
  expect(valuesIn(read.records)).toEqual(['0 a', '1 b', '2 c'])
})

test('acks 0 is not answered, and written', async () => {
  await makeTopic(client, 'silent')
  client.socket.write(client.encode(produce, 9, produceBody('silent', batchOf('quiet'), 0)))
  const answer = await client.ask(produce, 9, produceBody('silent', batchOf('loud')))
  expect(firstOf(answer).baseOffset).toBe(1)
})

test('acks 0 that is refused closes the connection, with a line in the log', async () => {
  const other = await broker.client()
  other.socket.write(other.encode(produce, 9, produceBody('no-such-topic', batchOf('quiet'), 0)))
  await other.closed
  expect(broker.lines.some(({ msg }) => msg.includes('acks=0 was refused: UNKNOWN_TOPIC_OR_PARTITION'))).toBe(
    true,
  )
})

test('many requests under way are answered in their order, and their offsets rise', async () => {
  await makeTopic(client, 'pipelined')
  const requests = Array.from({ length: 300 }, (_, n) =>
    client.encode(produce, 7, produceBody('pipelined', batchOf(`${n}`), n % 3 === 0 ? 1 : -1)),
  )
  client.socket.write(Buffer.concat(requests))
  let last = -1
  for (let n = 0; n < requests.length; n++) {
    const frame = await client.frame()
    if (frame === undefined) throw new Error('closed')
    const { correlationId, body } = decodeResponse(frame, produce, 7)
    expect(correlationId).toBeGreaterThan(last)
    last = correlationId
    expect(firstOf(body).baseOffset).toBe(n)
  }
})

const damaged = (change: (batch: Buffer) => void): Buffer => {
  const batch = batchOf('damaged')
  change(batch)
  return batch
}

test.each([
  ['an unknown topic', () => produceBody('nowhere', batchOf('x')), 3],
  ['an unknown partition', () => produceBody('errors', batchOf('x'), -1, 7), 3],
  ['a negative partition', () => produceBody('errors', batchOf('x'), -1, -1), 3],
  ['no records', () => produceBody('errors', null), 87],
  ['empty records', () => produceBody('errors', Buffer.alloc(0)), 87],
  ['a stub of a batch', () => produceBody('errors', Buffer.alloc(30)), 87],
  ['two batches', () => produceBody('errors', Buffer.concat([batchOf('a'), batchOf('b')])), 87],
  [
    'a wrong CRC',
    () =>
      produceBody(
        'errors',
        damaged(batch => batch.writeUInt32BE(7, 17)),
      ),
    2,
  ],
  [
    'an old magic',
    () =>
      produceBody(
        'errors',
        damaged(batch => batch.writeInt8(1, 16)),
      ),
    43,
  ],
  ['acks 2', () => produceBody('errors', batchOf('x'), 2), 21],
  ['a transactional id', () => ({ ...produceBody('errors', batchOf('x')), transactionalId: 'tx' }), 53],
])('%s is refused', async (_what, body, errorCode) => {
  const told = firstOf(await client.ask(produce, 12, body()))
  expect(told.errorCode).toBe(errorCode)
  expect(told.baseOffset).toBe(-1)
  expect(told.errorMessage).toMatch(/\w/)
})

test('zstd needs version 7', async () => {
  await makeTopic(client, 'zstd')
  const record = { key: null, value: Buffer.from('small'), headers: [], timestamp: 1 }
  const batch = (): Buffer => buildBatch([record], { codec: 'zstd' })
  expect(firstOf(await client.ask(produce, 6, produceBody('zstd', batch()))).errorCode).toBe(76)
  expect(firstOf(await client.ask(produce, 7, produceBody('zstd', batch()))).errorCode).toBe(0)
})

test('one request may go to many topics and partitions, each with its own fate', async () => {
  await makeTopic(client, 'many', 3)
  const answer = await client.ask(produce, 9, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1_000,
    topicData: [
      { name: 'many', partitionData: [2, 0, 9, 1].map(index => ({ index, records: batchOf(`${index}`) })) },
      { name: 'nowhere', partitionData: [{ index: 0, records: batchOf('x') }] },
      { name: 'many', partitionData: [] },
    ],
  })
  expect(answer.responses.map(({ name }) => name)).toEqual(['many', 'nowhere', 'many'])
  const codes = answer.responses.map(topic =>
    topic.partitionResponses.map(({ index, errorCode }) => [index, errorCode]),
  )
  expect(codes).toEqual([
    [
      [2, 0],
      [0, 0],
      [9, 3],
      [1, 0],
    ],
    [[0, 3]],
    [],
  ])
})

test('a topic that stamps at append answers with the time', async () => {
  await makeTopic(client, 'stamped', 1, [{ name: 'message.timestamp.type', value: 'LogAppendTime' }])
  const told = firstOf(await client.ask(produce, 9, produceBody('stamped', batchOf('x'))))
  expect(Math.abs(told.logAppendTimeMs - Date.now())).toBeLessThan(60_000)
})

test('an idempotent producer gets an id; a repeated batch is answered as the first', async () => {
  await makeTopic(client, 'idempotent')
  const { producerId, producerEpoch, errorCode } = await client.ask(initProducerId, 4, {
    transactionalId: null,
    transactionTimeoutMs: 0,
  })
  expect({ errorCode, producerEpoch }).toEqual({ errorCode: 0, producerEpoch: 0 })
  const batch = (baseSequence: number): Buffer =>
    buildBatch([{ key: null, value: Buffer.from('once'), headers: [], timestamp: 1 }], {
      producer: { id: producerId, epoch: producerEpoch, baseSequence },
    })
  const ask = async (sequence: number) =>
    firstOf(await client.ask(produce, 9, produceBody('idempotent', batch(sequence))))
  expect(await ask(0)).toMatchObject({ errorCode: 0, baseOffset: 0 })
  expect(await ask(1)).toMatchObject({ errorCode: 0, baseOffset: 1 })
  expect(await ask(1)).toMatchObject({ errorCode: 0, baseOffset: 1 })
  expect(await ask(5)).toMatchObject({ errorCode: 45 })
})

const hex = (spaced: string): Buffer => Buffer.from(spaced.replaceAll(' ', ''), 'hex')

test.each([0, 1, 2])('version %i is told UNSUPPORTED_VERSION in its own form', async version => {
  const request = hex(
    `00000000 0000 000${version} 0000004d 0000 0001 000003e8 00000001 0003 6f6c64 00000001 00000002 00000003 abcdef`,
  )
  request.writeInt32BE(request.length - 4)
  client.socket.write(request)
  const appendTime = version >= 2 ? 'ffffffffffffffff' : ''
  const throttle = version >= 1 ? '00000000' : ''
  expect(await client.frame()).toEqual(
    hex(`0000004d 00000001 0003 6f6c64 00000001 00000002 0023 ffffffffffffffff ${appendTime} ${throttle}`),
  )
})

test('a record whose time no number holds is found all the same', async () => {
  await makeTopic(client, 'far-future')
  const batch = batchOf('a')
  batch.writeBigInt64BE(2n ** 63n - 1n, 27)
  sealBatch(batch, 0)
  expect(firstOf(await client.ask(produce, 9, produceBody('far-future', batch))).errorCode).toBe(0)
  const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: 5 }]
  const asked = { replicaId: -1, isolationLevel: 0, topics: [{ name: 'far-future', partitions }] }
  const { topics } = await client.ask(listOffsets, 7, asked)
  expect(topics[0]?.partitions[0]).toMatchObject({ errorCode: 0, offset: 0, timestamp: 2 ** 63 })
})

test('a topic without a limit for the future takes any time', async () => {
  await makeTopic(client, 'any-time', 1, [
    { name: 'message.timestamp.after.max.ms', value: '9223372036854775807' },
    { name: 'index.interval.bytes', value: '0' },
  ])
  const batch = batchOf('a')
  batch.writeBigInt64BE(2n ** 63n - 1n, 35)
  sealBatch(batch, 0)
  for (const due of [0, 1, 2]) {
    const answer = await client.ask(produce, 9, produceBody('any-time', batch))
    expect(firstOf(answer)).toMatchObject({ errorCode: 0, baseOffset: due })
  }
})
