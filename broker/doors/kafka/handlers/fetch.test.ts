import { afterAll, beforeAll, expect, test } from 'vitest'
import { deleteRecords } from '../../../../protocol/kafka/apis/delete-records.ts'
import { deleteTopics } from '../../../../protocol/kafka/apis/delete-topics.ts'
import { fetch } from '../../../../protocol/kafka/apis/fetch.ts'
import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import { batchHeaderBytes } from '../../../../protocol/kafka/record-batch.ts'
import { buildBatch } from '../../../../protocol/kafka/records.ts'
import {
  batchOf,
  fetchBody,
  firstOf,
  makeTopic,
  produceBody,
  TestBroker,
  until,
  valuesIn,
} from '../broker.fixture.ts'
import type { TestClient } from '../client.fixture.ts'

let broker: TestBroker
let client: TestClient
beforeAll(async () => {
  broker = await TestBroker.start()
  client = await broker.client()
})
afterAll(() => broker.stop())

const longMs = 60_000

async function write(topic: string, ...values: string[]): Promise<void> {
  for (const value of values) {
    const told = firstOf(await client.ask(produce, 9, produceBody(topic, batchOf(value))))
    expect(told.errorCode).toBe(0)
  }
}

test.each([4, 5, 6, 7, 8, 9, 10, 11, 12])(
  'version %i reads whole batches as they are stored',
  async version => {
    const topic = `stored-${version}`
    await makeTopic(client, topic)
    await write(topic, 'a', 'b', 'c')
    const answer = await client.ask(fetch, version, fetchBody(topic, { fetchOffset: 1 }))
    expect(answer).toMatchObject({ errorCode: 0, sessionId: 0 })
    const told = firstOf(answer)
    expect(told).toMatchObject({
      errorCode: 0,
      highWatermark: 3,
      lastStableOffset: 3,
      preferredReadReplica: -1,
    })
    expect(valuesIn(told.records)).toEqual(['1 b', '2 c'])
  },
)

test('the first partition with records gives one batch however little is asked for, the others nothing', async () => {
  await makeTopic(client, 'little')
  await write('little', 'first', 'second')
  const one = await client.ask(fetch, 12, fetchBody('little', { partitionMaxBytes: 1 }, { maxBytes: 1 }))
  expect(valuesIn(firstOf(one).records)).toEqual(['0 first'])
  const body = fetchBody('little', {}, { maxBytes: 1 })
  const twice = await client.ask(fetch, 12, { ...body, topics: [...body.topics, ...body.topics] })
  expect(twice.responses.map(({ partitions }) => valuesIn(partitions[0]?.records ?? null))).toEqual([
    ['0 first'],
    [],
  ])
})

test('a fetch of nothing waits for records, without holding other connections', async () => {
  await makeTopic(client, 'waits')
  const reader = await broker.client()
  const answer = reader.ask(fetch, 12, fetchBody('waits', {}, { maxWaitMs: longMs }))
  await write('waits', 'at last')
  expect(valuesIn(firstOf(await answer).records)).toEqual(['0 at last'])
})

test('a fetch waits for as many bytes as it asked for', async () => {
  await makeTopic(client, 'bytes')
  await write('bytes', 'there')
  const bytes = batchOf('there').length
  const reader = await broker.client()
  const body = fetchBody('bytes', {}, { maxWaitMs: longMs, minBytes: 3 * bytes })
  let answered = false
  const answer = reader.ask(fetch, 12, body).finally(() => (answered = true))
  await write('bytes', 'more!')
  expect(answered).toBe(false)
  await write('bytes', 'again')
  expect(valuesIn(firstOf(await answer).records)).toEqual(['0 there', '1 more!', '2 again'])
})

test('a fetch whose time is up answers with what is there', async () => {
  await makeTopic(client, 'time')
  await write('time', 'little')
  const startMs = performance.now()
  const answer = await client.ask(fetch, 12, fetchBody('time', {}, { maxWaitMs: 50, minBytes: 10_000 }))
  expect(performance.now() - startMs).toBeGreaterThan(45)
  expect(valuesIn(firstOf(answer).records)).toEqual(['0 little'])
  const empty = await client.ask(fetch, 12, fetchBody('time', { fetchOffset: 1 }, { maxWaitMs: 1 }))
  expect(firstOf(empty)).toMatchObject({ errorCode: 0, highWatermark: 1 })
})

test.each([
  ['an unknown topic', 'nowhere', {}, 3],
  ['an unknown partition', 'refuses', { partition: 5 }, 3],
  ['an offset behind the end', 'refuses', { fetchOffset: 99 }, 1],
  ['a negative offset', 'refuses', { fetchOffset: -5 }, 1],
  ['an old leader epoch', 'refuses', { currentLeaderEpoch: 0, fetchOffset: 0 }, 0],
  ['a leader epoch to come', 'refuses', { currentLeaderEpoch: 1_000 }, 75],
] as const)('%s is answered at once', async (_what, topic, wanted, errorCode) => {
  await makeTopic(client, 'refuses').catch(() => undefined)
  await write('refuses', 'x')
  const told = firstOf(
    await client.ask(fetch, 12, fetchBody(topic, wanted, { maxWaitMs: errorCode === 0 ? 0 : longMs })),
  )
  expect(told.errorCode).toBe(errorCode)
  expect(told.logStartOffset).toBe(errorCode === 0 ? 0 : -1)
})

test('records that were deleted are out of range', async () => {
  await makeTopic(client, 'deleted')
  await write('deleted', 'a', 'b')
  const topics = [{ name: 'deleted', partitions: [{ partitionIndex: 0, offset: -1 }] }]
  await client.ask(deleteRecords, 2, { topics, timeoutMs: 1_000 })
  const told = firstOf(await client.ask(fetch, 12, fetchBody('deleted', {}, { maxWaitMs: longMs })))
  expect(told.errorCode).toBe(1)
  expect(firstOf(await client.ask(fetch, 12, fetchBody('deleted', { fetchOffset: 2 })))).toMatchObject({
    errorCode: 0,
    logStartOffset: 2,
  })
})

test('a waiting fetch hears that its topic was deleted', async () => {
  await makeTopic(client, 'going')
  const reader = await broker.client()
  const answer = reader.ask(fetch, 12, fetchBody('going', {}, { maxWaitMs: longMs, minBytes: 1_000 }))
  await write('going', 'x')
  await client.ask(deleteTopics, 5, { topicNames: ['going'], timeoutMs: 1_000 })
  expect(firstOf(await answer).errorCode).toBe(3)
})

test('a reader that is ahead of its epoch learns where it parted', async () => {
  await makeTopic(client, 'parted')
  await write('parted', 'x')
  const ask = async (wanted: { lastFetchedEpoch: number; fetchOffset: number }) =>
    firstOf(await client.ask(fetch, 12, fetchBody('parted', wanted, { maxWaitMs: longMs })))
  expect(await ask({ lastFetchedEpoch: 0, fetchOffset: 99 })).toMatchObject({
    errorCode: 0,
    divergingEpoch: { epoch: 0, endOffset: 1 },
  })
  expect(await ask({ lastFetchedEpoch: 0, fetchOffset: 0 })).toMatchObject({ divergingEpoch: { epoch: -1 } })
  expect(await ask({ lastFetchedEpoch: 40, fetchOffset: 0 })).toMatchObject({ errorCode: 1 })
})

test('sessions are not kept: one that goes on is not found, and a new one gets number 0', async () => {
  await makeTopic(client, 'session')
  const goesOn = await client.ask(fetch, 12, fetchBody('session', {}, { sessionId: 5, sessionEpoch: 3 }))
  expect(goesOn).toMatchObject({ errorCode: 70, responses: [] })
  const begins = await client.ask(fetch, 12, fetchBody('session', {}, { sessionId: 0, sessionEpoch: 0 }))
  expect(begins).toMatchObject({ errorCode: 0, sessionId: 0 })
})

test('a fetch of no partitions is answered at once', async () => {
  const body = { ...fetchBody('x', {}, { maxWaitMs: longMs }), topics: [] }
  expect(await client.ask(fetch, 12, body)).toMatchObject({ errorCode: 0, responses: [] })
})

test('a reader that goes away leaves nothing behind', async () => {
  await makeTopic(client, 'gone')
  const reader = await broker.client()
  reader.socket.write(reader.encode(fetch, 12, fetchBody('gone', {}, { maxWaitMs: longMs })))
  await until(() => reader.socket.writableLength === 0)
  reader.close()
  await reader.closed
  await write('gone', 'x')
  expect(valuesIn(firstOf(await client.ask(fetch, 12, fetchBody('gone'))).records)).toEqual(['0 x'])
})

test('what compaction has emptied wakes nobody up', async () => {
  const compacting = await TestBroker.start({ 'log.cleaner.backoff.ms': '20' })
  try {
    const writer = await compacting.client()
    const settings = {
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0',
      'max.compaction.lag.ms': '1',
      'delete.retention.ms': '0',
    }
    await makeTopic(
      writer,
      'emptied',
      1,
      Object.entries(settings).map(([name, value]) => ({ name, value })),
    )
    const keyed = (value: string | null): Buffer =>
      buildBatch([
        {
          key: Buffer.from('k'),
          value: value === null ? null : Buffer.from(value),
          headers: [],
          timestamp: 1,
        },
      ])
    const send = async (value: string | null): Promise<void> => {
      expect(firstOf(await writer.ask(produce, 9, produceBody('emptied', keyed(value)))).errorCode).toBe(0)
    }
    await send('a')
    await send(null)
    const now = fetchBody('emptied', {}, { maxWaitMs: 0 })
    const stored = async (): Promise<number> => firstOf(await writer.ask(fetch, 12, now)).records?.length ?? 0
    await until(async () => (await stored()) === batchHeaderBytes)
    const reader = await compacting.client()
    const answer = reader.ask(fetch, 12, fetchBody('emptied', {}, { maxWaitMs: longMs, minBytes: 1 }))
    await until(async () => (await compacting.metric('waiting_fetches')) === 1)
    await send('b')
    expect(valuesIn(firstOf(await answer).records)).toEqual(['2 b'])
  } finally {
    await compacting.stop()
  }
})
