/** What clients are told of a tablet whose leader is gone and that nobody else may lead. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findCoordinator } from '../../../../protocol/kafka/apis/find-coordinator.ts'
import { metadata } from '../../../../protocol/kafka/apis/metadata.ts'
import { TestCluster } from '../../cluster.fixture.ts'
import { TestClient } from '../client.fixture.ts'

let cluster: TestCluster
const settings = {
  'offsets.topic.replication.factor': '2',
  listeners: 'PLAINTEXT://127.0.0.1:0,HTTP://127.0.0.1:0,EXTERNAL://127.0.0.1:0,REPLICATION://127.0.0.1:0',
}
beforeAll(async () => {
  cluster = await TestCluster.start(2, settings)
}, 60_000)
afterAll(() => cluster.stop())

const topics = ['t', '__consumer_offsets']

async function tabletsAt(client: TestClient) {
  const asked = topics.map(name => ({ name, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }))
  const told = (await client.ask(metadata, 12, { topics: asked })).topics
  return told.flatMap(({ partitions }) => partitions)
}

type Told = Awaited<ReturnType<typeof tabletsAt>>[number]

async function untilAll(client: TestClient, holds: (tablet: Told) => boolean) {
  const all = async () => {
    const tablets = await tabletsAt(client)
    return tablets.length === 5 && tablets.every(holds)
  }
  while (!(await all())) await new Promise(resolve => setImmediate(resolve))
}

const coordinator = (client: TestClient) => client.ask(findCoordinator, 3, { key: 'g', keyType: 0 })

test('no leader and no coordinator, so that they ask again: not the one that is gone', async () => {
  await cluster.makeTopic('t', [[0, 1]])
  const first = await TestClient.open(cluster.broker(0).kafka)
  while ((await coordinator(first)).errorCode !== 0) await new Promise(resolve => setImmediate(resolve))
  await untilAll(first, ({ isrNodes }) => isrNodes.length === 2)
  await cluster.broker(1).running.stop()
  await untilAll(first, ({ isrNodes, leaderId }) => isrNodes.length === 1 && leaderId === 0)
  first.close()
  await cluster.broker(0).running.stop()
  cluster.brokers.splice(0, 2, await cluster.startBroker(1, settings))
  const second = await TestClient.open(cluster.broker(0).kafka)
  await untilAll(second, ({ leaderId }) => leaderId === -1)
  for (const tablet of await tabletsAt(second)) expect(tablet).toMatchObject({ errorCode: 5, isrNodes: [0] })
  expect(await coordinator(second)).toMatchObject({ errorCode: 15 })
  second.close()
})
