/** What a broker tells others on its own listener, above all those that have no business there. */
import { expect, test } from 'vitest'
import { brokerId, incarnation, offset } from '../../base/quantities.ts'
import { refusals } from '../../base/refusals.ts'
import type { Connection, ConnectionEnd } from '../../base/world.ts'
import { decodeResponse } from '../../protocol/kafka/frame.ts'
import {
  fetchFrame,
  FrameStream,
  replicaFetch,
  type ReplicaFetchResponse,
  type WrittenRequest,
} from '../../protocol/replication/fetch.ts'
import { append } from '../../test/sim/broker.ts'
import { SimCluster } from '../../test/sim/cluster.ts'
import { batchOf } from '../log/log.fixture.ts'

type Part = WrittenRequest['topics'][number]['partitions'][number]

/** Two brokers with a topic of two replicas, led by broker 0, with five records; broker 1 is down, and the test speaks in its name. */
async function impostor(tablets = 1) {
  const cluster = new SimCluster({ seed: 3, brokers: 2, lagMsMax: 500 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', {}, tablets)
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  const leader = cluster.leader(topic.id)
  const [, other] = cluster.nodes
  if (leader === undefined || other === undefined) throw new Error('nobody leads')
  for (let n = 0; n < 5; n++) await cluster.clock.finish(append(leader, batchOf({ value: `v${n}` }), -1))
  other.kill()
  await cluster.until(() => leader.assignment?.isr.length === 1)
  const frames = new FrameStream(1_000_000)
  const answers: ReplicaFetchResponse[] = []
  let open = false
  let closed: ConnectionEnd | undefined
  const connection: Connection = other.sim.world.network.connect(
    { host: 'broker-0', port: 9093 },
    {
      opened: () => (open = true),
      received(bytes) {
        for (const frame of frames.push(bytes)) answers.push(decodeResponse(frame, replicaFetch, 17).body)
      },
      closed: why => (closed = why),
    },
  )
  await cluster.until(() => open)
  let sessionId = 0
  let sessionEpoch = 0
  /** Asks, and answers what came. */
  const ask = async (part: Partial<Part>, more: Partial<WrittenRequest> = {}) => {
    const count = answers.length
    const whole = { currentLeaderEpoch: leader.epoch, fetchOffset: 5, lastFetchedEpoch: 0, logStartOffset: 0 }
    const partition = { partition: 0, partitionMaxBytes: 1_000, ...whole, ...part }
    const body: WrittenRequest = {
      replicaState: { replicaId: 1, replicaEpoch: 1 },
      maxWaitMs: 100,
      minBytes: 1,
      maxBytes: 10_000,
      sessionId,
      sessionEpoch,
      topics: [{ topicId: topic.id, partitions: [partition] }],
      forgottenTopicsData: [],
      ...more,
    }
    connection.send([fetchFrame(count, body)])
    await cluster.clock.runUntil(() => answers.length > count)
    const answer = answers.at(-1)
    if (answer === undefined) throw new Error('no answer')
    if (answer.errorCode === 0) {
      sessionId = answer.sessionId
      sessionEpoch++
    }
    return { whole: answer.errorCode, part: answer.responses[0]?.partitions[0] }
  }
  const send = (bytes: Buffer): void => connection.send([bytes])
  return { cluster, topic, leader, ask, send, answers, closed: () => closed }
}

const code = (name: keyof typeof refusals): number => refusals[name].kafka

test('a follower gets what it lacks, and then only what is new', async () => {
  const { ask, leader, cluster } = await impostor()
  const first = await ask({ fetchOffset: 3 })
  expect(first.part).toMatchObject({ errorCode: 0, highWatermark: 5, logStartOffset: 0 })
  expect(first.part?.records?.length).toBeGreaterThan(0)
  const startedMs = cluster.clock.monotonicMs()
  cluster.clock.after({ alive: true }, 20, () => void append(leader, batchOf({ value: 'new' }), 1))
  const next = await ask({ fetchOffset: 5 })
  expect(next.part?.records?.length).toBeGreaterThan(0)
  expect(cluster.clock.monotonicMs() - startedMs).toBeLessThan(30)
  const nothing = await ask({ fetchOffset: 6 })
  expect(nothing.part?.records?.length ?? 0).toBe(0)
})

test.each<[string, Partial<Part>, keyof typeof refusals]>([
  ['an epoch that is over', { currentLeaderEpoch: -1 }, 'FENCED_LEADER_EPOCH'],
  ['an epoch that nobody has seen here', { currentLeaderEpoch: 9 }, 'UNKNOWN_LEADER_EPOCH'],
  ['an offset that it cannot have', { fetchOffset: 99, lastFetchedEpoch: -1 }, 'OFFSET_OUT_OF_RANGE'],
  ['a tablet that is not there', { partition: 7 }, 'NOT_LEADER_OR_FOLLOWER'],
])('%s is refused', async (_what, part, refusal) => {
  const { ask, leader } = await impostor()
  expect((await ask(part)).part?.errorCode).toBe(code(refusal))
  expect(leader.highWatermark).toBe(5)
})

test('who claims more than there was in an epoch is told where it ended', async () => {
  const { ask } = await impostor()
  expect((await ask({ fetchOffset: 8 })).part?.divergingEpoch).toEqual({ epoch: 0, endOffset: 5 })
})

test('who is no replica, and an older run of one, has nothing to say', async () => {
  const { ask, leader } = await impostor()
  const as = (replicaId: number, replicaEpoch: number) => ({ replicaState: { replicaId, replicaEpoch } })
  expect((await ask({}, as(7, 1))).whole).toBe(code('STALE_BROKER_EPOCH'))
  expect((await ask({}, as(1, 0))).whole).toBe(code('STALE_BROKER_EPOCH'))
  expect((await ask({}, as(0, 1))).whole).toBe(code('INVALID_REQUEST'))
  expect(leader.assignment?.isr).toEqual([{ broker: brokerId(0), incarnation: incarnation(1) }])
})

test('a topic that nobody knows, a session that is none, an epoch of it that is not due', async () => {
  const { ask } = await impostor()
  const partitions = [
    {
      partition: 0,
      currentLeaderEpoch: 0,
      fetchOffset: 0,
      lastFetchedEpoch: -1,
      logStartOffset: 0,
      partitionMaxBytes: 1,
    },
  ]
  const unknown = await ask({}, { topics: [{ topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitions }] })
  expect(unknown.part?.errorCode).toBe(code('UNKNOWN_TOPIC_ID'))
  expect((await ask({}, { sessionId: 999 })).whole).toBe(code('FETCH_SESSION_ID_NOT_FOUND'))
  expect((await ask({}, { sessionEpoch: 5 })).whole).toBe(code('INVALID_FETCH_SESSION_EPOCH'))
})

test('what is no fetch ends the connection, and nothing else', async () => {
  const { send, closed, cluster, leader } = await impostor()
  send(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  await cluster.clock.runUntil(() => closed() !== undefined)
  expect(await cluster.clock.finish(append(leader, batchOf(), -1))).toMatchObject({ baseOffset: 5 })
})

test('what is in sync is sent first, and of the rest no more than holds it up for a moment', async () => {
  const { ask, cluster, topic, answers } = await impostor(10)
  const led = Array.from({ length: 10 }, (_, n) => n).filter(
    n => n > 0 && cluster.leader(topic.id, n)?.assignment?.replicas[0] === 0,
  )
  const [kept = -1, ...copied] = led
  expect(copied.length).toBeGreaterThan(2)
  const leaderOf = (n: number) => {
    const tablet = cluster.leader(topic.id, n)
    if (tablet === undefined) throw new Error('nobody leads')
    return tablet
  }
  for (const n of led) await cluster.clock.finish(append(leaderOf(n), batchOf({ value: 'old' }), -1))
  const part = (n: number, fetchOffset: number) => ({
    partition: n,
    currentLeaderEpoch: leaderOf(n).epoch,
    fetchOffset,
    lastFetchedEpoch: fetchOffset === 0 ? -1 : leaderOf(n).epoch,
    logStartOffset: 0,
    partitionMaxBytes: 1024 * 1024,
  })
  const fetch = (...partitions: Part[]) =>
    ask({}, { maxBytes: 10 * 1024 * 1024, topics: [{ topicId: topic.id, partitions }] })
  const sent = (): number[] =>
    (answers.at(-1)?.responses ?? []).flatMap(({ partitions }) =>
      partitions.flatMap(({ partitionIndex, records }) =>
        (records?.length ?? 0) > 0 ? [partitionIndex] : [],
      ),
    )
  await fetch(part(kept, 1))
  await cluster.until(() => leaderOf(kept).assignment?.isr.length === 2)
  await cluster.clock.finish(append(leaderOf(kept), batchOf({ value: 'new' }), 1))
  await fetch(...copied.map(n => part(n, 0)), part(kept, 1))
  const [first, ...others] = sent()
  expect(first).toBe(kept)
  expect(others).toEqual(copied.slice(0, 2))
  await ask({}, { topics: [] })
  expect(sent()).toEqual(copied.slice(2, 4))
})

test('a connection over which nothing comes any more is ended, however it is about the other end', async () => {
  const { ask, closed, cluster } = await impostor()
  for (let n = 0; n < 3; n++) {
    await ask({ fetchOffset: 5 })
    await cluster.clock.runFor(20_000)
  }
  expect(closed()).toBeUndefined()
  await cluster.clock.runFor(12_000)
  expect(closed()).toBeDefined()
})

test('a follower is told the digest of a stretch, of what is below the high watermark in this epoch alone', async () => {
  const { ask, answers, cluster, topic, leader } = await impostor()
  await ask({})
  const digestOf = async (from: number, to: number, epoch: number = leader.epoch) => {
    const asked = { topicId: topic.id, partition: 0, epoch, from, to }
    const before = answers.length
    await ask({}, { topics: [], comparing: [asked] })
    for (let n = 0; n < 5 && answers.slice(before).every(({ compared }) => compared.length === 0); n++)
      await ask({}, { topics: [] })
    const [found] = answers.slice(before).flatMap(({ compared }) => compared)
    expect(found).toMatchObject(asked)
    return found?.digest
  }
  const [whole, part] = [await digestOf(0, 5), await digestOf(0, 4)]
  expect(whole).toMatch(/^[0-9a-f]{32}$/)
  expect(part).not.toBe(whole)
  expect(await digestOf(0, 5)).toBe(whole)
  expect(await digestOf(0, 6)).toBe('')
  expect(await digestOf(0, 5, leader.epoch + 1)).toBe('')
  await cluster.clock.finish(leader.deleteRecordsBefore(offset(2)))
  expect(await digestOf(0, 5)).toBe('')
  expect(await digestOf(2, 5)).toMatch(/^[0-9a-f]{32}$/)
})
