/** What brokers of a cluster tell Kafka's clients: who leads, who coordinates, and by which address of theirs. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { alterPartitionReassignments } from '../../../../protocol/kafka/apis/alter-partition-reassignments.ts'
import { describeCluster } from '../../../../protocol/kafka/apis/describe-cluster.ts'
import { fetch } from '../../../../protocol/kafka/apis/fetch.ts'
import { findCoordinator } from '../../../../protocol/kafka/apis/find-coordinator.ts'
import { heartbeat } from '../../../../protocol/kafka/apis/heartbeat.ts'
import { initProducerId } from '../../../../protocol/kafka/apis/init-producer-id.ts'
import { listOffsets } from '../../../../protocol/kafka/apis/list-offsets.ts'
import { listPartitionReassignments } from '../../../../protocol/kafka/apis/list-partition-reassignments.ts'
import { metadata } from '../../../../protocol/kafka/apis/metadata.ts'
import { deleteRecords } from '../../../../protocol/kafka/apis/delete-records.ts'
import { offsetForLeaderEpoch } from '../../../../protocol/kafka/apis/offset-for-leader-epoch.ts'
import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import { createPartitions } from '../../../../protocol/kafka/apis/create-partitions.ts'
import { createTopics } from '../../../../protocol/kafka/apis/create-topics.ts'
import { TestCluster } from '../../cluster.fixture.ts'
import { batchOf, fetchBody, firstOf, produceBody } from '../broker.fixture.ts'
import { TestClient } from '../client.fixture.ts'

let cluster: TestCluster
let inside: TestClient[]
let outside: TestClient[]
beforeAll(async () => {
  cluster = await TestCluster.start(3)
  await cluster.makeTopic('t', [
    [0, 1],
    [1, 2],
    [2, 0],
  ])
  inside = await Promise.all(cluster.brokers.map(({ kafka }) => TestClient.open(kafka)))
  outside = await Promise.all(cluster.brokers.map(({ external }) => TestClient.open(external)))
}, 60_000)
afterAll(async () => {
  for (const client of [...inside, ...outside]) client.close()
  await cluster.stop()
})

const of = (clients: readonly TestClient[], id: number): TestClient => {
  const client = clients[id]
  if (client === undefined) throw new Error(`there is no broker ${id}`)
  return client
}

const addresses = (ports: readonly number[]) =>
  ports.map((port, nodeId) => ({ nodeId, host: '127.0.0.1', port }))
const outsideAddresses = [0, 1, 2].map(id => ({
  nodeId: id,
  host: `broker-${id}.example.test`,
  port: 30_000 + id,
}))

test('every broker tells of all brokers, by the listener that the client came in at', async () => {
  for (const [clients, due] of [
    [inside, addresses(cluster.brokers.map(({ kafka }) => kafka))],
    [outside, outsideAddresses],
  ] as const) {
    for (const client of clients) {
      const told = await client.ask(metadata, 12, {
        topics: [{ name: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }],
      })
      expect(told.clusterId).toBe('AAAAAAAAAAAAAAAAAAAAAQ')
      expect([...told.brokers].sort((a, b) => a.nodeId - b.nodeId)).toMatchObject(due)
      const partitions = told.topics[0]?.partitions ?? []
      expect(partitions.map(({ leaderId, errorCode }) => [leaderId, errorCode])).toEqual([
        [0, 0],
        [1, 0],
        [2, 0],
      ])
      const described = await client.ask(describeCluster, 0, { includeClusterAuthorizedOperations: false })
      expect([...described.brokers].sort((a, b) => a.brokerId - b.brokerId)).toMatchObject(
        due.map(({ host, port }) => ({ host, port })),
      )
    }
  }
})

test('who does not lead takes and gives nothing, and names the leader', async () => {
  const client = of(inside, 0)
  const written = firstOf(await client.ask(produce, 10, produceBody('t', batchOf('a'), -1, 1)))
  expect(written).toMatchObject({ errorCode: 6, currentLeader: { leaderId: 1, leaderEpoch: 0 } })
  const read = firstOf(await client.ask(fetch, 12, fetchBody('t', { partition: 1 })))
  expect(read).toMatchObject({ errorCode: 6, currentLeader: { leaderId: 1, leaderEpoch: 0 } })
  // Neither a replica here nor none makes a difference.
  for (const partition of [1, 2]) {
    const topics = [{ name: 't', partitions: [{ partitionIndex: partition, timestamp: -1 }] }]
    const offsets = await client.ask(listOffsets, 5, { replicaId: -1, topics })
    expect(offsets.topics[0]?.partitions[0]?.errorCode).toBe(6)
    const deletion = [{ name: 't', partitions: [{ partitionIndex: partition, offset: 0 }] }]
    const deleted = await client.ask(deleteRecords, 2, { topics: deletion, timeoutMs: 1_000 })
    expect(deleted.topics[0]?.partitions[0]?.errorCode).toBe(6)
    const epochs = [{ topic: 't', partitions: [{ partition, currentLeaderEpoch: -1, leaderEpoch: 0 }] }]
    const ended = await client.ask(offsetForLeaderEpoch, 3, { replicaId: -1, topics: epochs })
    expect(ended.topics[0]?.partitions[0]?.errorCode).toBe(6)
  }
  const there = firstOf(await of(inside, 1).ask(produce, 10, produceBody('t', batchOf('a'), -1, 1)))
  expect(there).toMatchObject({ errorCode: 0, baseOffset: 0 })
})

test('a group has one coordinator, whom every broker names, and the others send away', async () => {
  const groups = ['a', 'b', 'c', 'd', 'e', 'f']
  const seen = new Set<number>()
  for (const key of groups) {
    const named = await Promise.all(
      inside.map(client => client.ask(findCoordinator, 4, { keyType: 0, coordinatorKeys: [key] })),
    )
    const [first] = named[0]?.coordinators ?? []
    expect(first?.errorCode).toBe(0)
    for (const { coordinators } of named) expect(coordinators).toEqual([first])
    seen.add(first?.nodeId ?? -1)
    const asked = { groupId: key, generationId: 1, memberId: 'm' }
    for (const [id, client] of inside.entries()) {
      const told = async () => (await client.ask(heartbeat, 3, asked)).errorCode
      let code = await told()
      // Its records are still being read.
      while (code === 14) code = await told()
      expect(code).toBe(id === first?.nodeId ? 25 : 16)
    }
    const external = await of(outside, 0).ask(findCoordinator, 4, { keyType: 0, coordinatorKeys: [key] })
    expect(external.coordinators[0]).toMatchObject(outsideAddresses[first?.nodeId ?? -1] ?? {})
  }
  expect(seen.size).toBeGreaterThan(1)
})

test('producer ids are nobody else’s', async () => {
  const asked = { transactionalId: null, transactionTimeoutMs: 0, producerId: -1, producerEpoch: -1 }
  const ids = new Set<number>()
  for (let round = 0; round < 10; round++)
    for (const client of inside) ids.add((await client.ask(initProducerId, 4, asked)).producerId)
  expect(ids.size).toBe(30)
})

test('a topic made through one broker is placed over all of them', async () => {
  const topic = { name: 'wide', numPartitions: 6, replicationFactor: 1, assignments: [], configs: [] }
  const made = await of(inside, 2).ask(createTopics, 7, { topics: [topic], timeoutMs: 10_000 })
  expect(made.topics[0]?.errorCode).toBe(0)
  const told = await of(inside, 2).ask(metadata, 12, {
    topics: [{ name: 'wide', topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }],
  })
  const leaders = told.topics[0]?.partitions.map(({ leaderId }) => leaderId)
  expect(leaders?.toSorted()).toEqual([0, 0, 1, 1, 2, 2])
})

test('while the operator does not work nobody waits for a topic longer than he says, and it is there when it does', async () => {
  const [client] = inside
  const name = (topic: string) => ({ name: topic, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' })
  cluster.placing(false)
  const shape = { numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
  const created = await client?.ask(createTopics, 7, { topics: [{ name: 'late', ...shape }], timeoutMs: 50 })
  expect(created?.topics).toMatchObject([{ name: 'late', errorCode: 7 }])
  const topics = [{ name: 't', count: 4, assignments: null }]
  const grown = await client?.ask(createPartitions, 3, { topics, timeoutMs: 50, validateOnly: false })
  expect(grown?.results).toMatchObject([{ name: 't', errorCode: 7 }])
  const asked = { topics: [name('automatic'), name('late')], allowAutoTopicCreation: true }
  const told = await client?.ask(metadata, 12, asked)
  expect(told?.topics).toMatchObject([
    { name: 'automatic', errorCode: 5 },
    { name: 'late', errorCode: 5 },
  ])
  cluster.placing(true)
  await cluster.makeTopic('other', [[0]])
  const found = async () => (await client?.ask(metadata, 12, asked))?.topics ?? []
  while ((await found()).some(({ errorCode }) => errorCode !== 0))
    await new Promise(resolve => setImmediate(resolve))
})

test('replicas begin to move on request, are listed while they do, and are taken back', async () => {
  await cluster.makeTopic('moving', [
    [0, 1],
    [1, 0],
  ])
  const client = of(inside, 2)
  const alter = async (partitions: { partitionIndex: number; replicas: number[] | null }[], more = {}) => {
    const topics = [{ name: 'moving', partitions }]
    const told = await client.ask(alterPartitionReassignments, 1, { topics, ...more })
    return told.responses[0]?.partitions.map(({ errorCode }) => errorCode)
  }
  const list = async (topics: { name: string; partitionIndexes: number[] }[] | null = null) =>
    (await client.ask(listPartitionReassignments, 0, { topics })).topics
  const moving = { partitionIndex: 0, replicas: [2, 1, 0], addingReplicas: [2], removingReplicas: [0] }
  const sized = { allowReplicationFactorChange: false }
  expect(await alter([{ partitionIndex: 0, replicas: [2, 1, 0] }], sized)).toEqual([38])
  expect(await alter([{ partitionIndex: 0, replicas: [2, 1] }], sized)).toEqual([0])
  expect(await list()).toEqual([{ name: 'moving', partitions: [moving] }])
  expect(await list([{ name: 'moving', partitionIndexes: [1] }])).toEqual([])
  expect(await list([{ name: 'nobody', partitionIndexes: [0] }])).toEqual([])
  expect(
    await alter([
      { partitionIndex: 0, replicas: null },
      { partitionIndex: 1, replicas: null },
      { partitionIndex: 2, replicas: null },
    ]),
  ).toEqual([0, 85, 3])
  // Until the leader has dropped it.
  expect(await list()).toEqual([
    {
      name: 'moving',
      partitions: [{ partitionIndex: 0, replicas: [1, 0, 2], addingReplicas: [], removingReplicas: [2] }],
    },
  ])
  expect(
    await alter([
      { partitionIndex: 0, replicas: [] },
      { partitionIndex: 1, replicas: [1, 1] },
    ]),
  ).toEqual([39, 39])
  expect(
    await alter([
      { partitionIndex: 0, replicas: [1] },
      { partitionIndex: 0, replicas: [2] },
    ]),
  ).toEqual([42])
})
