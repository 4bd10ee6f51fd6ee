/** What clients are told of a tablet whose leader is gone and that nobody else may lead. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { metadata } from '../../../../protocol/kafka/apis/metadata.ts'
import { TestCluster } from '../../cluster.fixture.ts'
import { TestClient } from '../client.fixture.ts'

let cluster: TestCluster
const settings = {
  listeners: 'PLAINTEXT://127.0.0.1:0,HTTP://127.0.0.1:0,EXTERNAL://127.0.0.1:0,REPLICATION://127.0.0.1:0',
}
beforeAll(async () => {
  cluster = await TestCluster.start(2, settings)
}, 60_000)
afterAll(() => cluster.stop())

async function tabletAt(client: TestClient) {
  const asked = [{ name: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }]
  const [tablet] = (await client.ask(metadata, 12, { topics: asked })).topics[0]?.partitions ?? []
  if (tablet === undefined) throw new Error('the tablet is not told')
  return tablet
}

async function until(client: TestClient, holds: (tablet: Awaited<ReturnType<typeof tabletAt>>) => boolean) {
  while (!holds(await tabletAt(client))) await new Promise(resolve => setImmediate(resolve))
}

test('no leader, so that they ask again: not the one that is gone', async () => {
  await cluster.makeTopic('t', [[0, 1]])
  const first = await TestClient.open(cluster.broker(0).kafka)
  await until(first, ({ isrNodes }) => isrNodes.length === 2)
  await cluster.broker(1).running.stop()
  await until(first, ({ isrNodes }) => isrNodes.length === 1)
  first.close()
  await cluster.broker(0).running.stop()
  cluster.brokers.splice(0, 2, await cluster.startBroker(1, settings))
  const second = await TestClient.open(cluster.broker(0).kafka)
  await until(second, ({ leaderId }) => leaderId === -1)
  expect(await tabletAt(second)).toMatchObject({ errorCode: 5, leaderId: -1, isrNodes: [0] })
  second.close()
})
