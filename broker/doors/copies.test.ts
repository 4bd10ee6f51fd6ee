/** A replica that moves, from broker to broker over the real network: while it is copied everybody who is asked says how far it is. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { copiesIn } from '../../control/kubernetes/copy-report.ts'
import { runIn } from '../../control/kubernetes/standing.ts'
import { leases } from '../../kube/resources.ts'
import { alterPartitionReassignments } from '../../protocol/kafka/apis/alter-partition-reassignments.ts'
import { describeLogDirs } from '../../protocol/kafka/apis/describe-log-dirs.ts'
import { TestCluster } from './cluster.fixture.ts'
import { TestClient } from './kafka/client.fixture.ts'

const settings = {
  listeners: 'PLAINTEXT://127.0.0.1:0,HTTP://127.0.0.1:0,EXTERNAL://127.0.0.1:0,REPLICATION://127.0.0.1:0',
  // The copy below takes twelve seconds, and is asked on for every two.
  'follower.replication.throttled.rate': '500000',
}
const records = 96
const recordBytes = 64 * 1024

let cluster: TestCluster
let client: TestClient
beforeAll(async () => {
  cluster = await TestCluster.start(2, settings)
  client = await TestClient.open(cluster.broker(0).kafka)
}, 60_000)
afterAll(async () => {
  client.close()
  await cluster.stop()
})

type Described = {
  readonly partitions: readonly {
    readonly replicas: readonly number[]
    readonly isr: readonly number[]
    readonly copying: readonly { readonly broker: number; readonly bytes_left: number }[]
  }[]
}

async function until<T>(ask: () => Promise<T> | T, holds: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (holds(answer)) return answer
    await new Promise(resolve => setImmediate(resolve))
  }
}

const get = async (broker: number, path: string): Promise<string> =>
  (await fetch(cluster.broker(broker).http + path)).text()
const described = async (broker: number) =>
  (JSON.parse(await get(broker, '/v1/topics/moved')) as Described).partitions[0]
const value = async (broker: number, name: string): Promise<number> =>
  Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'm').exec(await get(broker, '/metrics'))?.[1])
const said = () => {
  const lease = cluster.kube.peek(leases, { namespace: 'default', name: 'events-broker-0' })
  return lease === undefined ? [] : copiesIn(lease, runIn(lease))
}

test(
  'what a replica lacks that is copied is told by its leader, on its Lease, over HTTP and in metrics',
  { timeout: 60_000 },
  async () => {
    await cluster.makeTopic('moved', [[0]])
    for (let n = 0; n < records; n++) {
      const body = JSON.stringify({ value: 'x'.repeat(recordBytes) })
      const headers = { 'content-type': 'application/json' }
      await fetch(`${cluster.broker(0).http}/v1/topics/moved/records`, { method: 'POST', body, headers })
    }
    const topics = [{ name: 'moved', partitions: [{ partitionIndex: 0, replicas: [0, 1] }] }]
    await client.ask(alterPartitionReassignments, 1, { timeoutMs: 10_000, topics })
    const all = records * recordBytes
    const copied = await until(
      () => described(1),
      found => found?.copying[0] !== undefined && found.copying[0].bytes_left < all,
    )
    expect(copied?.copying).toEqual([{ broker: 1, bytes_left: expect.any(Number) }])
    const at = copied?.copying[0]?.bytes_left ?? 0
    expect(at).toBeGreaterThan(all / 3)
    expect(await value(0, 'stele_copying_replicas')).toBe(1)
    expect(await value(1, 'stele_copying_replicas')).toBe(0)
    for (const name of ['stele_tablet_copy_left_bytes', 'stele_copying_left_bytes']) {
      const left = await value(0, name)
      expect(left).toBeGreaterThan(0)
      expect(left).toBeLessThanOrEqual(at)
    }
    const sent = await value(0, 'kafka_server_brokertopicmetrics_replicationbytesout_total')
    expect(sent).toBeGreaterThan(recordBytes)
    expect(await value(1, 'kafka_server_brokertopicmetrics_replicationbytesin_total')).toBeGreaterThanOrEqual(
      sent - all / 3,
    )
    const lag = await value(1, 'kafka_server_replicafetchermanager_maxlag')
    expect(lag).toBeGreaterThan(0)
    expect(lag).toBeLessThan(records)
    const other = await TestClient.open(cluster.broker(1).kafka)
    const { results } = await other.ask(describeLogDirs, 4, { topics: null })
    other.close()
    const [moved] = results[0]?.topics.find(({ name }) => name === 'moved')?.partitions ?? []
    expect(moved?.offsetLag).toBeGreaterThan(0)
    expect(moved?.offsetLag).toBeLessThanOrEqual(lag)
    const [report] = await until(said, ([one]) => one !== undefined)
    expect(report).toMatchObject({ broker: 1, tablets: 1, tabletsDone: 0 })
    expect(report?.bytes).toBeGreaterThanOrEqual(all)
    expect(report?.bytesLeft).toBeLessThan(all)
    expect(report?.bytesPerSecond).toBeGreaterThan(0)
  },
)
