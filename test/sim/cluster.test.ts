/** A simulated cluster at work: what users see of copies, and of a leader that is gone. */
import { expect, test } from 'vitest'
import { batchOf } from '../../broker/log/log.fixture.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { append } from './broker.ts'
import { SimCluster } from './cluster.ts'

async function three(seed: number, settings: Record<string, string> = {}) {
  const cluster = new SimCluster({ seed, brokers: 3 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', { 'min.insync.replicas': '2', ...settings })
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  const leader = (): Tablet => {
    const tablet = cluster.leader(topic.id)
    if (tablet === undefined) throw new Error('nobody leads')
    return tablet
  }
  return { cluster, topic, leader }
}

test('acks=all is answered when every replica in sync has it, and all hold the same', async () => {
  const { cluster, topic, leader } = await three(1)
  for (let n = 0; n < 20; n++)
    expect(await cluster.clock.finish(append(leader(), batchOf({ value: `v${n}` }), -1))).toEqual({
      baseOffset: n,
    })
  expect(leader().highWatermark).toBe(20)
  for (const { tablet } of cluster.replicas(topic.id)) expect(tablet.logEnd).toBe(20)
  await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === 20))
})

test('a killed leader is replaced, and nothing acknowledged is missing', async () => {
  const { cluster, topic, leader } = await three(2)
  for (let n = 0; n < 5; n++) await cluster.clock.finish(append(leader(), batchOf({ value: `v${n}` }), -1))
  const before = cluster.nodes.find(({ id }) => id === leader().leader)
  const killedMs = cluster.clock.monotonicMs()
  before?.kill()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  expect(cluster.clock.monotonicMs() - killedMs).toBeLessThan(1_000)
  expect(leader().epoch).toBe(1)
  expect(await cluster.clock.finish(append(leader(), batchOf({ value: 'after' }), -1))).toEqual({
    baseOffset: 5,
  })
  before?.start()
  await cluster.until(() => cluster.control.state.topicsById.get(topic.id)?.tablets[0]?.isr.length === 3)
  expect(cluster.replicas(topic.id).map(({ tablet }) => tablet.logEnd)).toEqual([6, 6, 6])
})

test('a killed follower holds nobody up for long, and with too few in sync acks=all is refused', async () => {
  const { cluster, topic, leader } = await three(3)
  const followers = cluster.nodes.filter(({ id }) => id !== leader().leader)
  const [first, second] = followers
  await cluster.clock.finish(append(leader(), batchOf({ value: 'before' }), -1))
  first?.kill()
  const killedMs = cluster.clock.monotonicMs()
  expect(await cluster.clock.finish(append(leader(), batchOf({ value: 'a' }), -1))).toEqual({ baseOffset: 1 })
  expect(cluster.clock.monotonicMs() - killedMs).toBeLessThan(500)
  second?.kill()
  const waiting = await cluster.clock.finish(append(leader(), batchOf({ value: 'b' }), -1))
  expect(waiting).toMatchObject({ refusal: { code: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND' } })
  const refused = await cluster.clock.finish(append(leader(), batchOf({ value: 'c' }), -1))
  expect(refused).toMatchObject({ refusal: { code: 'NOT_ENOUGH_REPLICAS' } })
  expect(await cluster.clock.finish(append(leader(), batchOf({ value: 'd' }), 1))).toEqual({ baseOffset: 3 })
  expect(leader().highWatermark).toBe(2)
  for (const node of followers) node.start()
  await cluster.until(() => leader().highWatermark === 4)
  expect(cluster.replicas(topic.id).map(({ tablet }) => tablet.logEnd)).toEqual([4, 4, 4])
})

test('best effort: the leader acknowledges alone, and the others follow', async () => {
  const { cluster, topic, leader } = await three(4, { 'stele.replication': 'best-effort' })
  for (const { id, host } of cluster.nodes)
    if (id !== leader().leader) cluster.shared.network.cut(host, `broker-${leader().leader}`)
  expect(await cluster.clock.finish(append(leader(), batchOf({ value: 'a' }), -1))).toEqual({ baseOffset: 0 })
  expect(leader().highWatermark).toBe(1)
  cluster.shared.network.heal()
  await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === 1))
})

test('a new leader does not say where the newest records end before it knows', async () => {
  const { cluster, topic, leader } = await three(5)
  for (let n = 0; n < 3; n++) await cluster.clock.finish(append(leader(), batchOf({ value: `v${n}` }), -1))
  const ends: unknown[] = []
  cluster.nodes.find(({ id }) => id === leader().leader)?.kill()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  await cluster.until(() => {
    try {
      ends.push(leader().latest)
      return true
    } catch (error) {
      ends.push((error as { code?: unknown }).code)
      return false
    }
  })
  expect(ends.at(-1)).toBe(3)
  expect(ends.slice(0, -1).every(end => end === 'OFFSET_NOT_AVAILABLE')).toBe(true)
})

test('a replica whose directory is gone is copied anew, and never leads what it has lost', async () => {
  const { cluster, topic, leader } = await three(6)
  const inSync = () => cluster.control.state.topicsById.get(topic.id)?.tablets[0]?.isr.length ?? 0
  const first = cluster.nodes.find(({ id }) => id === leader().leader)
  first?.kill()
  await cluster.until(() => cluster.leader(topic.id) !== undefined && inSync() === 2)
  first?.start()
  await cluster.until(() => inSync() === 3)
  for (let n = 0; n < 5; n++) await cluster.clock.finish(append(leader(), batchOf({ value: `v${n}` }), -1))
  const { directory } = leader().identity
  const loser = cluster.nodes.find(({ id }) => id === leader().leader)
  for (const node of cluster.nodes) node.kill()
  await cluster.clock.finish(loser?.sim.world.disk.remove(directory) ?? Promise.resolve())
  // Alone it waits, although the control store says that it leads.
  loser?.start()
  await cluster.run(2_000)
  expect(cluster.leader(topic.id)).toBeUndefined()
  for (const node of cluster.nodes) node.start()
  await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === 5))
  await cluster.until(() => inSync() === 3)
  expect(leader().leader).not.toBe(loser?.id)
})
