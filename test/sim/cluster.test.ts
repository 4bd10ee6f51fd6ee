/** A simulated cluster at work: what users see of copies, and of a leader that is gone. */
import { expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { prefer } from '../../broker/router/elections.ts'
import { batchOf } from '../../broker/log/log.fixture.ts'
import type { Topic } from '../../control/model.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { fetchFrame } from '../../protocol/replication/fetch.ts'
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

const assignments = (cluster: SimCluster, id: string) =>
  cluster.control.state.topicsById.get(id)?.tablets ?? []

test('a broker that leads many tablets hands them over a few slices at a time, and each is without a leader only shortly', async () => {
  const cluster = new SimCluster({ seed: 7, brokers: 3 })
  await cluster.startAll()
  const topics: Topic[] = []
  for (let n = 0; n < 20; n++)
    topics.push(await cluster.makeTopic(`t${n}`, { 'min.insync.replicas': '2' }, 6))
  const all = () => topics.flatMap(({ id }) => assignments(cluster, id))
  await cluster.until(() => all().every(({ isr }) => isr.length === 3))
  const [node] = cluster.nodes
  if (node === undefined) throw new Error('there is no broker')
  const led = () => all().filter(({ leader }) => leader === node.id).length
  const before = led()
  expect(before).toBeGreaterThan(30)
  let most = 0
  const paused = (): number =>
    [...(node.broker?.tablets.all() ?? [])].filter(({ led: one }) => one?.handingTo !== undefined).length
  node.stop()
  await cluster.until(() => {
    most = Math.max(most, paused())
    return !node.isStopping
  })
  expect(most).toBeGreaterThan(0)
  expect(most).toBeLessThan(before)
  expect(led()).toBe(0)
  expect(all().every(({ isr }) => isr.length === 2)).toBe(true)
})

test('who comes with records during a hand-over is sent to the new leader, once there is one', async () => {
  const { cluster, topic, leader } = await three(8)
  await cluster.until(() => assignments(cluster, topic.id)[0]?.isr.length === 3)
  const first = leader()
  await cluster.until(() => first.led?.successors(Infinity).length === 2)
  const [successor] = first.led?.successors(Infinity) ?? []
  if (successor === undefined) throw new Error('nobody could lead next')
  const written = append(first, batchOf({ value: 'before' }), 1)
  first.led?.handOver(successor, false)
  const late = append(first, batchOf({ value: 'late' }), -1)
  expect(await cluster.clock.finish(written)).toEqual({ baseOffset: 0 })
  expect(await cluster.clock.finish(late)).toMatchObject({ refusal: { code: 'NOT_LEADER_OR_FOLLOWER' } })
  expect(assignments(cluster, topic.id)[0]).toMatchObject({ leader: successor, epoch: 1 })
  expect(assignments(cluster, topic.id)[0]?.isr).toHaveLength(3)
  await cluster.until(() => cluster.leader(topic.id)?.epoch === 1)
  expect(await cluster.clock.finish(append(leader(), batchOf({ value: 'after' }), -1))).toEqual({
    baseOffset: 1,
  })
})

test('a successor that cannot be reached is not waited for: the leader leads on', async () => {
  const { cluster, topic, leader } = await three(9)
  await cluster.until(() => assignments(cluster, topic.id)[0]?.isr.length === 3)
  const first = leader()
  await cluster.until(() => first.led?.successors(Infinity).length === 2)
  const [successor] = first.led?.successors(Infinity) ?? []
  await cluster.clock.finish(append(first, batchOf({ value: 'a' }), -1))
  cluster.shared.network.cut(`broker-${first.leader}`, `broker-${successor}`)
  await cluster.clock.finish(append(first, batchOf({ value: 'b' }), 1))
  const node = cluster.nodes.find(({ id }) => id === first.leader)
  node?.stop()
  await cluster.until(() => first.led?.handingTo === successor)
  const late = await cluster.clock.finish(append(first, batchOf({ value: 'c' }), -1))
  expect(late).toMatchObject({ refusal: { code: 'NOT_LEADER_OR_FOLLOWER' } })
  await cluster.until(() => node?.isStopping === false)
  // The other one had everything.
  expect(assignments(cluster, topic.id)[0]?.leader).not.toBe(successor)
  expect(leader().logEnd).toBe(2)
})

test('one that others need in their sets stays there, and a tablet of one copy stays where it is', async () => {
  const cluster = new SimCluster({ seed: 10, brokers: 2 })
  await cluster.startAll()
  const both = await cluster.makeTopic('both', { 'min.insync.replicas': '2' }, 2)
  const alone = await cluster.makeTopic('alone', {}, 2, 1)
  await cluster.until(() => assignments(cluster, both.id).every(({ isr }) => isr.length === 2))
  const [node] = cluster.nodes
  const stoppedMs = cluster.clock.monotonicMs()
  node?.stop()
  await cluster.until(() => node?.isStopping === false)
  expect(cluster.clock.monotonicMs() - stoppedMs).toBeLessThan(1_000)
  expect(assignments(cluster, both.id)).toMatchObject([{ leader: 1 }, { leader: 1 }])
  expect(new Set(assignments(cluster, alone.id).map(({ leader }) => leader))).toEqual(new Set([0, 1]))
})

test('who alone has opened a new tablet does not leave its set to those who never did', async () => {
  const cluster = new SimCluster({ seed: 13, brokers: 3 })
  await cluster.startAll()
  const [first, second, third] = cluster.nodes
  first?.kill()
  third?.kill()
  const topic = await cluster.makeTopic('t', { 'min.insync.replicas': '2' })
  expect(topic.tablets[0]).toMatchObject({ leader: 0, isr: [{ broker: 0 }, { broker: 1 }, { broker: 2 }] })
  await cluster.until(() => cluster.replicas(topic.id).some(({ tablet }) => tablet.isOpen))
  second?.stop()
  await cluster.until(() => second?.isStopping === false)
  expect(assignments(cluster, topic.id)[0]?.isr).toContainEqual({ broker: 1, incarnation: 1 })
  await cluster.startAll()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  await cluster.until(() => assignments(cluster, topic.id)[0]?.isr.length === 3)
})

test('a preferred leader that is back gets its tablets again, and at once when somebody asks for that', async () => {
  const cluster = new SimCluster({ seed: 11, brokers: 3, restoreMs: 4_000 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', { 'min.insync.replicas': '2' }, 6)
  const now = () => assignments(cluster, topic.id)
  const isPreferred = () =>
    now().every(({ leader, replicas, isr }) => leader === replicas[0] && isr.length === 3)
  await cluster.until(
    () => isPreferred() && now().every((_, partition) => cluster.leader(topic.id, partition) !== undefined),
  )
  const restart = async (): Promise<void> => {
    const [node] = cluster.nodes
    node?.stop()
    await cluster.until(() => node?.isStopping === false)
    expect(isPreferred()).toBe(false)
    node?.start()
    await cluster.until(() => now().every(({ isr }) => isr.length === 3))
  }
  await restart()
  const backMs = cluster.clock.monotonicMs()
  await cluster.until(isPreferred)
  expect(cluster.clock.monotonicMs() - backMs).toBeGreaterThan(3_000)
  await restart()
  await cluster.run(100)
  const againMs = cluster.clock.monotonicMs()
  await cluster.until(() => {
    for (const { broker } of cluster.nodes)
      for (const partition of now().keys()) broker?.router.prefer('t', partition)
    return isPreferred()
  })
  expect(cluster.clock.monotonicMs() - againMs).toBeLessThan(1_500)
})

test('a leader that has not heard yet that a broker is back does not keep it out for good', async () => {
  const { cluster, topic, leader } = await three(12)
  const inSync = () => assignments(cluster, topic.id)[0]?.isr.length
  await cluster.until(() => leader().led?.successors(Infinity).length === 2)
  const led = leader().leader
  const node = cluster.nodes.find(({ id }) => id !== led)
  if (node === undefined || led === undefined) throw new Error('nobody follows')
  node.stop()
  await cluster.until(() => !node.isStopping)
  expect(inSync()).toBe(2)
  cluster.control.cutOff(led)
  node.start()
  await cluster.until(() => node.runs)
  await cluster.run(1_000)
  cluster.control.heal()
  await cluster.until(() => inSync() === 3)
})

test('when all stop at once none waits for one that has stopped already', async () => {
  const cluster = new SimCluster({ seed: 13, brokers: 3 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', {}, 12)
  await cluster.until(() => assignments(cluster, topic.id).every(({ isr }) => isr.length === 3))
  const stoppedMs = cluster.clock.monotonicMs()
  for (const node of cluster.nodes) node.stop()
  await cluster.until(() => cluster.nodes.every(({ isStopping }) => !isStopping))
  expect(cluster.clock.monotonicMs() - stoppedMs).toBeLessThan(3_000)
})

test('a follower that fails while nothing is written leaves the set and is not let in again', async () => {
  const { cluster, topic } = await three(14)
  const now = () => assignments(cluster, topic.id)[0]
  const follower = () => cluster.replicas(topic.id).find(({ tablet }) => tablet.followed?.isAnswered)
  await cluster.until(() => follower() !== undefined)
  follower()?.tablet.syncFailed('its directory was taken away')
  await cluster.until(() => now()?.isr.length === 2)
  const version = now()?.version
  await cluster.run(30_000)
  expect(now()?.version).toBe(version)
})

test('a tablet that its leader cannot serve holds up no stop', async () => {
  const cluster = new SimCluster({ seed: 3, brokers: 2 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t')
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  const [first, second] = cluster.nodes
  if (first === undefined || second === undefined) throw new Error('two were started')
  expect(cluster.leader(topic.id)?.leader).toBe(first.id)
  second.kill()
  await cluster.until(() => cluster.leader(topic.id)?.assignment?.isr.length === 1)
  await first.loseDisk()
  await cluster.startAll()
  await cluster.run(20_000)
  expect(cluster.replicas(topic.id).map(({ tablet }) => tablet.role)).toEqual(['offline', 'follower'])
  const beganMs = cluster.clock.monotonicMs()
  second.stop()
  await cluster.until(() => !second.runs)
  expect(cluster.clock.monotonicMs() - beganMs).toBeLessThan(5_000)
})

test('who has nothing to copy any more is neither down nor gone, and stays in the sets', async () => {
  const cluster = new SimCluster({ seed: 6, brokers: 3, restoreMs: 5_000 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', { 'min.insync.replicas': '2' })
  const now = () => assignments(cluster, topic.id)[0]
  await cluster.until(() => now()?.isr.length === 3 && cluster.leader(topic.id) !== undefined)
  const first = cluster.nodes.find(({ id }) => id === now()?.leader)
  first?.kill()
  await cluster.until(() => now()?.leader !== first?.id)
  const second = cluster.nodes.find(({ id }) => id === now()?.leader)
  first?.start()
  await cluster.until(() => now()?.leader === first?.id && now()?.isr.length === 3)
  const { version } = now() ?? {}
  await cluster.run(10_000)
  for (const { broker } of cluster.nodes) expect(broker?.router.leaderOf('t', 0)?.id).toBe(first?.id)
  // Nor is it left out when the second leads again.
  const led = cluster.leader(topic.id)?.led
  await cluster.until(() => second !== undefined && led?.successors(Infinity).includes(second.id) === true)
  if (second !== undefined) led?.handOver(second.id, false)
  await cluster.until(() => now()?.leader === second?.id)
  await cluster.run(1_000)
  expect(now()).toMatchObject({ version: (version ?? 0) + 1, isr: [{}, {}, {}] })
})

test('a leader that may have been replaced says nothing of its offsets, and deletes nothing', async () => {
  const { cluster, topic, leader } = await three(14)
  await cluster.until(() => assignments(cluster, topic.id)[0]?.isr.length === 3)
  const old = leader()
  await cluster.clock.finish(append(old, batchOf({ value: 'a' }), -1))
  const node = cluster.nodes.find(({ id }) => id === old.leader)
  for (const { id, host } of cluster.nodes)
    if (id !== old.leader) cluster.shared.network.cut(host, `broker-${old.leader}`)
  if (node !== undefined) cluster.control.cutOff(node.id)
  void append(old, batchOf({ value: 'b' }), 1)
  await cluster.until(() => old.led?.isStale === true)
  expect(old.role).toBe('leader')
  const notLeader = expect.objectContaining({ code: 'NOT_LEADER_OR_FOLLOWER' })
  expect(() => old.latest).toThrow(notLeader)
  expect(() => old.endOfEpoch(0)).toThrow(notLeader)
  expect(() => node?.broker?.router.leading('t', 0)).toThrow(notLeader)
  await expect(old.deleteRecordsBefore(offset(1))).rejects.toThrow(notLeader)
})

test('with the control store away for ten minutes writes go on; what is lost meanwhile is replaced when it is back', async () => {
  const { cluster, topic, leader } = await three(17)
  const minutes = async (count: number): Promise<void> => {
    for (let n = 0; n < count * 6; n++) {
      await cluster.run(10_000)
      const told = await cluster.clock.finish(append(leader(), batchOf({ value: 'away' }), -1))
      expect(told).toEqual({ baseOffset: leader().logEnd - 1 })
    }
  }
  for (const { id } of cluster.nodes) cluster.control.cutOff(id)
  const [before, epoch] = [leader().leader, leader().epoch]
  await minutes(9)
  cluster.nodes.find(({ id }) => id === before)?.kill()
  await cluster.run(60_000)
  // Nobody can ask for the leadership.
  expect(cluster.leader(topic.id)).toBeUndefined()
  cluster.control.heal()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  expect(leader().epoch).toBe(epoch + 1)
  await minutes(1)
  expect(leader().logEnd).toBe(60)
})

test('a disk that fails to read for a follower ends nothing: the follower comes again', async () => {
  const { cluster, topic, leader } = await three(15, { 'segment.bytes': '1048576' })
  const follower = cluster.nodes.find(({ id }) => id !== leader().leader)
  follower?.kill()
  const node = cluster.nodes.find(({ id }) => id === leader().leader)
  for (let n = 0; n < 5; n++)
    await cluster.clock.finish(append(leader(), batchOf({ value: 'x'.repeat(500_000) }), -1))
  node?.sim.disk.failShare('read', 1, 'EIO', /\.log$/)
  const lines = node?.broker?.lines ?? []
  follower?.start()
  await cluster.until(() => lines.some(({ msg }) => msg === 'tablet could not be read'))
  node?.sim.disk.heal()
  await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.logEnd === 5))
  expect(node?.broker?.lines.filter(({ level }) => level > 50)).toEqual([])
})

test('a leader whose disk failed gives its tablet up, also when that is refused at first', async () => {
  const { cluster, topic, leader } = await three(16)
  await cluster.until(() => assignments(cluster, topic.id)[0]?.isr.length === 3)
  const first = leader()
  const store = cluster.nodes.find(({ id }) => id === first.leader)?.broker?.store
  if (store === undefined) throw new Error('the leader does not run')
  const change = store.changeTablets.bind(store)
  let refused = 0
  store.changeTablets = (...asked) => (++refused > 1 ? change(...asked) : Promise.resolve('refused'))
  first.fail('its disk is broken')
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  expect(refused).toBe(2)
  expect(assignments(cluster, topic.id)[0]?.isr).toHaveLength(2)
})

test('of two sessions of one broker the older one ends', async () => {
  const { cluster, topic, leader } = await three(17)
  await cluster.until(() => assignments(cluster, topic.id)[0]?.isr.length === 3)
  const follower = cluster.nodes.find(({ id }) => id !== leader().leader)
  if (follower?.broker === undefined) throw new Error('nobody follows')
  const body = {
    replicaState: { replicaId: follower.id, replicaEpoch: follower.broker.incarnation },
    maxWaitMs: 500,
    minBytes: 1,
    maxBytes: 1_000_000,
    sessionId: 0,
    sessionEpoch: 0,
    topics: [],
    forgottenTopicsData: [],
  }
  let end: string | undefined
  const half = follower.sim.world.network.connect(
    { host: `broker-${leader().leader}`, port: 9093 },
    {
      opened: () => half.send([fetchFrame(0, body)]),
      received: () => undefined,
      closed: why => (end = why),
    },
  )
  // The follower's own connection ends first, and ends the other when it is back.
  await cluster.until(() => end !== undefined)
  expect(end).toBe('ended')
  await cluster.clock.finish(append(leader(), batchOf({ value: 'a' }), -1))
  expect(assignments(cluster, topic.id)[0]?.isr).toHaveLength(3)
})

test('a preferred leader that somebody asked for is tried once, and then there is a pause', async () => {
  const cluster = new SimCluster({ seed: 18, brokers: 3 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', { 'min.insync.replicas': '2' })
  const now = () => assignments(cluster, topic.id)[0]
  await cluster.until(() => now()?.isr.length === 3 && cluster.leader(topic.id) !== undefined)
  const preferred = cluster.nodes.find(({ id }) => id === now()?.leader)
  const led = cluster.leader(topic.id)?.led
  await cluster.until(() => led?.successors(Infinity).length === 2)
  const [successor] = led?.successors(Infinity) ?? []
  if (successor !== undefined) led?.handOver(successor, false)
  await cluster.until(() => cluster.leader(topic.id)?.leader === successor)
  const node = cluster.nodes.find(({ id }) => id === successor)
  const next = cluster.leader(topic.id)?.led
  if (node?.broker === undefined || preferred === undefined || next === undefined)
    throw new Error('nobody leads')
  await cluster.until(() => next.successors(Infinity).includes(preferred.id))
  node.broker.store.changeTablets = () => Promise.resolve('refused')
  const { clock } = node.sim.world
  let answer: unknown
  prefer(node.broker.router, clock, 't', 0, clock.monotonicMs() + 10_000).catch((error: unknown) => {
    answer = error
  })
  const tried = new Set<number>()
  let trying = false
  await cluster.until(() => {
    const tries = next.handingTo !== undefined
    if (tries && !trying) tried.add(clock.monotonicMs())
    trying = tries
    return answer !== undefined
  })
  expect(answer).toMatchObject({ code: 'REQUEST_TIMED_OUT' })
  expect(tried.size).toBe(1)
})
