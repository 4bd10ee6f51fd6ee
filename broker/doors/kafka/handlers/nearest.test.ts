/** Consumers that say where they are read from the replica there (KIP-392), and only what that surely knows. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deleteRecords } from '../../../../protocol/kafka/apis/delete-records.ts'
import { fetch } from '../../../../protocol/kafka/apis/fetch.ts'
import { listOffsets } from '../../../../protocol/kafka/apis/list-offsets.ts'
import { metadata } from '../../../../protocol/kafka/apis/metadata.ts'
import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import { TestCluster } from '../../cluster.fixture.ts'
import { batchOf, fetchBody, firstOf, produceBody, until, valuesIn } from '../broker.fixture.ts'
import { TestClient } from '../client.fixture.ts'

const settings = {
  'broker.rack': 'zone-{id}',
  listeners: 'PLAINTEXT://127.0.0.1:0,HTTP://127.0.0.1:0,EXTERNAL://127.0.0.1:0,REPLICATION://127.0.0.1:0',
}
let cluster: TestCluster
let clients: TestClient[]
beforeAll(async () => {
  cluster = await TestCluster.start(3, settings)
  clients = await Promise.all(cluster.brokers.map(({ kafka }) => TestClient.open(kafka)))
}, 60_000)
afterAll(async () => {
  for (const client of clients) client.close()
  await cluster.stop()
})

function at(id: number): TestClient {
  const client = clients[id]
  if (client === undefined) throw new Error(`there is no broker ${id}`)
  return client
}

type Asked = Parameters<typeof fetchBody>

/** Of a topic that broker 0 leads and broker 1 follows. */
const read = async (
  id: number,
  topic: string,
  wanted: Asked[1] = {},
  { version = 12, ...whole }: Asked[2] & { version?: number } = {},
) => firstOf(await at(id).ask(fetch, version, fetchBody(topic, wanted, whole)))

async function make(topic: string, ...values: string[]): Promise<void> {
  await cluster.makeTopic(topic, [[0, 1]])
  const inSync = async () => {
    const asked = [{ name: topic, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }]
    const [told] = (await at(0).ask(metadata, 12, { topics: asked })).topics
    return told?.partitions[0]?.isrNodes.length === 2
  }
  await until(inSync)
  for (const value of values) await write(topic, value)
}

const write = (topic: string, value: string) => at(0).ask(produce, 9, produceBody(topic, batchOf(value)))

/** The follower knows that everything up to `end` may be read. */
const known = (topic: string, end: number) => until(async () => (await read(1, topic)).highWatermark === end)

async function metric(id: number, name: string): Promise<number> {
  const text = await (await globalThis.fetch(`${cluster.broker(id).http}/metrics`)).text()
  return Number(new RegExp(`^stele_kafka_${name} (\\d+)$`, 'm').exec(text)?.[1])
}

test('the leader sends a consumer to the replica in its rack, which serves it', async () => {
  await make('told', 'a', 'b')
  const rackId = 'zone-1'
  expect(await read(0, 'told', {}, { rackId })).toMatchObject({
    errorCode: 0,
    preferredReadReplica: 1,
    highWatermark: 2,
    logStartOffset: 0,
    records: Buffer.alloc(0),
  })
  await known('told', 2)
  const before = await metric(1, 'follower_bytes_out_total')
  const got = await read(1, 'told', {}, { rackId })
  expect(valuesIn(got.records)).toEqual(['0 a', '1 b'])
  expect(got).toMatchObject({ errorCode: 0, preferredReadReplica: -1, highWatermark: 2 })
  expect(await metric(1, 'follower_bytes_out_total')).toBe(before + (got.records?.length ?? 0))
  expect(await metric(0, 'follower_bytes_out_total')).toBe(0)
})

test('who is nearer to the leader, says nothing, or says what nobody is near to stays with it', async () => {
  await make('stays', 'a')
  for (const whole of [{ rackId: 'zone-0' }, { rackId: '' }, { rackId: 'zone-2' }, { version: 10 }]) {
    const got = await read(0, 'stays', {}, whole)
    expect(got).toMatchObject({ preferredReadReplica: -1 })
    expect(valuesIn(got.records)).toEqual(['0 a'])
  }
})

test('a follower serves as little as Kafka’s: what else there is stays with the leader', async () => {
  await make('fetch-alone', 'a')
  await known('fetch-alone', 1)
  // An older client would not go back.
  expect(await read(1, 'fetch-alone', {}, { version: 10 })).toMatchObject({ errorCode: 6 })
  const topics = [{ name: 'fetch-alone', partitions: [{ partitionIndex: 0, timestamp: -1 }] }]
  const offsets = await at(1).ask(listOffsets, 5, { replicaId: -1, topics })
  expect(offsets.topics[0]?.partitions[0]?.errorCode).toBe(6)
  // Broker 2 has no replica.
  expect(await read(2, 'fetch-alone')).toMatchObject({ errorCode: 6, currentLeader: { leaderId: 0 } })
})

test('epochs are compared as at the leader', async () => {
  await make('epochs', 'a')
  await known('epochs', 1)
  expect(await read(1, 'epochs', { currentLeaderEpoch: 0 })).toMatchObject({ errorCode: 0 })
  expect(await read(1, 'epochs', { currentLeaderEpoch: 1 })).toMatchObject({ errorCode: 75 })
  expect(await read(1, 'epochs', { fetchOffset: 1, lastFetchedEpoch: 0 })).toMatchObject({ errorCode: 0 })
  expect(await read(1, 'epochs', { fetchOffset: 1, lastFetchedEpoch: 3 })).toMatchObject({ errorCode: 78 })
})

test('what a follower does not know yet the leader may have; what is gone is gone', async () => {
  await make('edges', 'a', 'b', 'c')
  await known('edges', 3)
  expect(await read(1, 'edges', { fetchOffset: 3 })).toMatchObject({ errorCode: 0 })
  expect(await read(1, 'edges', { fetchOffset: 4 })).toMatchObject({ errorCode: 78, highWatermark: -1 })
  expect(await read(1, 'edges', { fetchOffset: -1 })).toMatchObject({ errorCode: 1 })
  // It waits first: the high watermark may be on its way.
  const waiting = read(1, 'edges', { fetchOffset: 4 }, { maxWaitMs: 30_000 })
  await write('edges', 'd')
  await write('edges', 'e')
  expect(valuesIn((await waiting).records)).toEqual(['4 e'])
  const topics = [{ name: 'edges', partitions: [{ partitionIndex: 0, offset: 2 }] }]
  await at(0).ask(deleteRecords, 2, { topics, timeoutMs: 5_000 })
  await until(async () => (await read(1, 'edges', { fetchOffset: 2 })).logStartOffset === 2)
  expect(await read(1, 'edges', { fetchOffset: 1 })).toMatchObject({ errorCode: 1 })
})

test('a fetch that waits at a follower is answered when there is something', async () => {
  await make('waits', 'a')
  await known('waits', 1)
  const waiting = read(1, 'waits', { fetchOffset: 1 }, { maxWaitMs: 30_000 })
  await write('waits', 'b')
  expect(valuesIn((await waiting).records)).toEqual(['1 b'])
})

test('with an empty replica.selector.class consumers stay with the leader', async () => {
  const other = await TestCluster.start(2, { ...settings, 'replica.selector.class': '' })
  await other.makeTopic('t', [[0, 1]])
  const client = await TestClient.open(other.broker(0).kafka)
  const ask = async () => firstOf(await client.ask(fetch, 12, fetchBody('t', {}, { rackId: 'zone-1' })))
  const follower = await TestClient.open(other.broker(1).kafka)
  await until(async () => firstOf(await follower.ask(fetch, 12, fetchBody('t'))).errorCode === 0)
  await client.ask(produce, 9, produceBody('t', batchOf('a')))
  expect(await ask()).toMatchObject({ preferredReadReplica: -1 })
  expect(valuesIn((await ask()).records)).toEqual(['0 a'])
  client.close()
  follower.close()
  await other.stop()
})
