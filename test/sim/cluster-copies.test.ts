/** What a replica keeps beside its records, and what counts of it after a restart, in a simulated cluster. */
import { expect, test } from 'vitest'
import { readFile } from '../../base/files.ts'
import { epoch } from '../../base/quantities.ts'
import { batchOf } from '../../broker/log/log.fixture.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { append } from './broker.ts'
import { SimCluster, type ClusterOptions } from './cluster.ts'

async function three(settings: Record<string, string> = {}, options: Partial<ClusterOptions> = {}) {
  const cluster = new SimCluster({ seed: 6, brokers: 3, ...options })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', { 'min.insync.replicas': '2', ...settings })
  const assignment = () => {
    const found = cluster.control.state.topicsById.get(topic.id)?.tablets[0]
    if (found === undefined) throw new Error('there is no such topic')
    return found
  }
  await cluster.until(() => cluster.leader(topic.id) !== undefined && assignment().isr.length === 3)
  const leader = (): Tablet => {
    const tablet = cluster.leader(topic.id)
    if (tablet === undefined) throw new Error('nobody leads')
    return tablet
  }
  const nodeOf = (tablet: Tablet) => {
    const found = cluster.replicas(topic.id).find(replica => replica.tablet === tablet)
    const node = cluster.nodes.find(({ id }) => id === found?.node.id)
    if (node === undefined) throw new Error('nobody has it')
    return node
  }
  const write = (value: string) => cluster.clock.finish(append(leader(), batchOf({ value }), -1))
  return { cluster, topic, assignment, leader, nodeOf, write }
}

test('a follower remembers five batches of a producer, however many it copies', async () => {
  const { cluster, topic, leader } = await three()
  for (let n = 0; n < 20; n++)
    await cluster.clock.finish(
      append(leader(), batchOf({ value: `v${n}`, producer: { id: 7, epoch: 0, baseSequence: n } }), -1),
    )
  for (const { node, tablet } of cluster.replicas(topic.id)) {
    await cluster.clock.finish(tablet.checkpoint())
    const { disk } = node.sim.world
    const name = `${tablet.identity.directory}/00000000000000000020.snapshot`
    const content = JSON.parse(readFile(disk, name)?.toString() ?? '') as {
      producers: { batches: unknown[] }[]
    }
    expect(content.producers.map(({ batches }) => batches.length)).toEqual([5])
  }
})

test('acks=all goes on when a topic is to be synced that was not before', async () => {
  const { cluster, topic, leader, write } = await three({ 'stele.flush': 'os' }, { lagMsMax: 30_000 })
  await write('before')
  const store = cluster.nodes[0]?.broker?.store
  if (store === undefined) throw new Error('there is no broker')
  await cluster.clock.finish(
    store.alterTopicSettings(topic.id, { set: { 'stele.flush': 'fsync' }, unset: [] }),
  )
  await cluster.until(() => leader().settings.flush === 'fsync')
  let answered = false
  void append(leader(), batchOf({ value: 'after' }), -1).then(() => (answered = true))
  await cluster.run(5_000)
  expect(answered).toBe(true)
})

test('a follower that is cut off and does not renew its Lease holds acks=all up for no longer than that', async () => {
  const { cluster, assignment, leader, nodeOf } = await three({}, { lagMsMax: 30_000 })
  const before = nodeOf(leader())
  const cutOff = cluster.nodes.find(node => node !== before)
  if (cutOff === undefined) throw new Error('it is alone')
  for (const node of cluster.nodes) if (node !== cutOff) cluster.shared.network.cut(cutOff.host, node.host)
  let answered = false
  void append(leader(), batchOf({ value: 'meanwhile' }), -1).then(
    answer => (answered = 'baseOffset' in answer),
  )
  // It is seen by the control store: then only the leader may be out of its reach, and it is given its time.
  await cluster.run(5_000)
  expect(assignment().isr).toHaveLength(3)
  cluster.control.cutOff(cutOff.id)
  await cluster.run(3_000)
  expect(assignment().isr.map(({ broker }) => broker)).not.toContain(cutOff.id)
  expect(answered).toBe(true)
  expect(nodeOf(leader())).toBe(before)
  cluster.shared.network.heal()
  cluster.control.heal()
  await cluster.until(() => assignment().isr.length === 3)
})

test('a leader that is cut off does not say that a sequence is out of order: what is missing may be with the next one', async () => {
  const { cluster, leader, nodeOf } = await three({}, { lagMsMax: 30_000 })
  const old = leader()
  const node = nodeOf(old)
  const sent = (baseSequence: number) =>
    append(old, batchOf({ value: `v${baseSequence}`, producer: { id: 7, epoch: 0, baseSequence } }), -1)
  expect(await cluster.clock.finish(sent(0))).toHaveProperty('baseOffset')
  expect(await cluster.clock.finish(sent(5))).toMatchObject({
    refusal: { code: 'OUT_OF_ORDER_SEQUENCE_NUMBER' },
  })
  for (const one of cluster.nodes) if (one !== node) cluster.shared.network.cut(node.host, one.host)
  cluster.control.cutOff(node.id)
  await cluster.until(() => leader() !== old)
  await cluster.run(1_500)
  expect(old.role).toBe('leader')
  expect(await cluster.clock.finish(sent(5))).toMatchObject({ refusal: { code: 'NOT_LEADER_OR_FOLLOWER' } })
})

test('while the control store is away no leadership is given back: a tablet whose next leader is not known takes no records', async () => {
  const { cluster, topic, assignment, leader, nodeOf } = await three({}, { restoreMs: 10_000 })
  const preferred = nodeOf(leader())
  preferred.kill()
  await cluster.until(() => cluster.leader(topic.id) !== undefined && assignment().isr.length === 2)
  preferred.start()
  await cluster.until(() => assignment().isr.length === 3)
  const before = assignment()
  for (const { id } of cluster.nodes) cluster.control.cutOff(id)
  for (let n = 0; n < 30; n++) {
    let answered = false
    void append(leader(), batchOf({ value: `v${n}` }), -1).then(answer => (answered = 'baseOffset' in answer))
    await cluster.run(1_000)
    expect(answered).toBe(true)
  }
  cluster.control.heal()
  await cluster.until(() => assignment().leader === preferred.id && assignment().epoch > before.epoch)
})

/** The leader's directory is gone with all brokers down; it comes up alone and is started `starts` times before the others come. */
async function loseDirectory(checkpointed: boolean, starts: number) {
  const all = await three()
  const { cluster, topic, leader, nodeOf, write, assignment } = all
  const first = nodeOf(leader())
  first.kill()
  await cluster.until(() => cluster.leader(topic.id) !== undefined && assignment().isr.length === 2)
  first.start()
  await cluster.until(() => assignment().isr.length === 3)
  for (let n = 0; n < 5; n++) await write(`v${n}`)
  const loser = nodeOf(leader())
  if (checkpointed) await cluster.clock.finish(leader().checkpoint())
  const { directory } = leader().identity
  for (const node of cluster.nodes) node.kill()
  await cluster.clock.finish(loser.sim.world.disk.remove(directory))
  for (let n = 0; n < starts; n++) {
    loser.kill()
    loser.start()
    await cluster.run(2_000)
    expect(cluster.leader(topic.id)).toBeUndefined()
  }
  for (const node of cluster.nodes) node.start()
  await cluster.until(() => cluster.replicas(topic.id).length === 3)
  await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === 5))
  await cluster.until(() => assignment().isr.length === 3)
  return { ...all, loser }
}

test.each([
  ['that had no checkpoint, started twice', false, 2],
  ['that had a checkpoint', true, 1],
  ['that had a checkpoint, started three times', true, 3],
])(
  'a replica whose directory is gone counts for nothing until it is let in: one %s',
  async (_, checkpointed, starts) => {
    const { cluster, topic, leader, loser } = await loseDirectory(checkpointed, starts)
    expect(leader().leader).not.toBe(loser.id)
    // What it was granted since then counts, also in its next runs.
    for (const node of cluster.nodes) node.kill()
    loser.start()
    await cluster.until(() => loser.runs)
    for (const node of cluster.nodes) node.start()
    await cluster.until(() => cluster.leader(topic.id) !== undefined)
    await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === 5))
  },
)

test('a tablet whose directory is gone before its first checkpoint does not begin empty as the leader it was placed as', async () => {
  const { cluster, topic, leader, nodeOf, write, assignment } = await three()
  for (let n = 0; n < 5; n++) await write(`v${n}`)
  expect(assignment().version).toBe(0)
  const loser = nodeOf(leader())
  const { directory } = leader().identity
  for (const node of cluster.nodes) node.kill()
  await cluster.clock.finish(loser.sim.world.disk.remove(directory))
  loser.start()
  await cluster.run(3_000)
  expect(cluster.leader(topic.id)).toBeUndefined()
  for (const node of cluster.nodes) node.start()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === 5))
})

test('a replica that finds offsets gone that were on its disk is copied anew, and leads nothing before', async () => {
  const { cluster, topic, leader, nodeOf, write, assignment } = await three()
  for (let n = 0; n < 5; n++) await write(`v${n}`)
  const loser = nodeOf(leader())
  const { directory } = leader().identity
  await cluster.clock.finish(leader().checkpoint())
  for (const node of cluster.nodes) node.kill()
  const { disk } = loser.sim.world
  const segment = disk.open(`${directory}/00000000000000000000.log`, 'write')
  segment.truncate(0)
  await cluster.clock.finish(segment.sync())
  segment.close()
  loser.start()
  await cluster.run(3_000)
  expect(cluster.leader(topic.id)).toBeUndefined()
  for (const node of cluster.nodes) node.start()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  await cluster.until(() => assignment().isr.length === 3)
  await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === 5))
  expect(cluster.replicas(topic.id).map(({ tablet }) => tablet.logStart)).toEqual([0, 0, 0])
  expect(disk.stat(`${directory}.stray`)).toBeDefined()
  for (const { tablet } of cluster.replicas(topic.id)) expect(tablet.sizeBytes).toBe(leader().sizeBytes)
})

test('a directory that is gone is missed also when the file that notes it was lost before', async () => {
  const { cluster, topic, leader, nodeOf, write, assignment } = await three()
  for (let n = 0; n < 5; n++) await write(`v${n}`)
  for (const node of cluster.nodes) {
    node.kill()
    await cluster.clock.finish(node.sim.world.disk.remove('/data/recovery-point.json'))
  }
  for (const node of cluster.nodes) node.start()
  await cluster.until(() => cluster.leader(topic.id) !== undefined && assignment().isr.length === 3)
  await cluster.until(() => leader().highWatermark === 5)
  await write('v5')
  // Another topic's note writes the file anew.
  const other = await cluster.makeTopic('u')
  await cluster.until(() => cluster.replicas(other.id).filter(({ tablet }) => tablet.isOpen).length === 3)
  const loser = nodeOf(leader())
  const { directory } = leader().identity
  for (const node of cluster.nodes) node.kill()
  await cluster.clock.finish(loser.sim.world.disk.remove(directory))
  loser.start()
  await cluster.run(3_000)
  expect(cluster.leader(topic.id)).toBeUndefined()
  for (const node of cluster.nodes) node.start()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === 6))
})

test('a leader whose disk fails does not leave a new tablet to those who never opened it', async () => {
  const cluster = new SimCluster({ seed: 13, brokers: 3 })
  await cluster.startAll()
  const [first, second, third] = cluster.nodes
  second?.kill()
  third?.kill()
  const topic = await cluster.makeTopic('t', { 'min.insync.replicas': '2' })
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  first?.sim.disk.failNext('sync', 'EIO', /\.log$/)
  const leader = cluster.leader(topic.id)
  if (leader !== undefined) void append(leader, batchOf({ value: 'x' }), 1)
  await cluster.until(() => first?.isAiling === true)
  await cluster.run(500)
  first?.kill()
  first?.sim.disk.heal()
  await cluster.startAll()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  expect(cluster.leader(topic.id)).toBeDefined()
})

test('a broker that was killed before it opened a tablet has lost nothing of it', async () => {
  const cluster = new SimCluster({ seed: 13, brokers: 3 })
  await cluster.startAll()
  const [first, second, third] = cluster.nodes
  if (first === undefined || third === undefined) throw new Error('there are three')
  await cluster.run(100)
  // Nobody learns that it is gone.
  cluster.control.leaseMs = 20_000
  cluster.shared.network.cut(first.host, third.host)
  third.kill()
  const topic = await cluster.makeTopic('t')
  const inSync = () =>
    cluster.control.state.topicsById.get(topic.id)?.tablets[0]?.isr.map(({ broker }) => broker)
  await cluster.until(() => cluster.replicas(topic.id).filter(({ tablet }) => tablet.isOpen).length === 2)
  second?.kill()
  await cluster.until(() => inSync()?.length === 2)
  expect(inSync()).toEqual([0, 2])
  first.kill()
  cluster.shared.network.heal()
  third.start()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  expect(cluster.leader(topic.id)?.leader).toBe(2)
})

test('a replica that is still cutting its log leads only when that is done, also when nobody led meanwhile', async () => {
  const cluster = new SimCluster({ seed: 3, brokers: 2 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t')
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  const leader = cluster.leader(topic.id)
  if (leader === undefined) throw new Error('nobody leads')
  for (let n = 0; n < 20; n++) await cluster.clock.finish(append(leader, batchOf({ value: `v${n}` }), -1))
  const copy = cluster.replicas(topic.id).find(({ tablet }) => tablet.role === 'follower')?.tablet
  const assignment = copy?.assignment
  const self = assignment?.isr.find(({ broker }) => broker !== assignment.leader)
  if (copy === undefined || assignment === undefined || self === undefined) throw new Error('nobody follows')
  const at = (more: number) => ({ epoch: epoch(assignment.epoch + more), version: assignment.version + more })
  void copy.followed?.cutBack({ epoch: assignment.epoch, endOffset: 10 })
  copy.follow({ ...assignment, ...at(1), leader: undefined })
  expect(copy.held).toBeUndefined()
  copy.lead({ ...assignment, ...at(2), leader: self.broker, isr: [self] })
  expect(copy.role).toBe('follower')
  await cluster.until(() => copy.role === 'leader')
  expect(copy.logEnd).toBe(10)
  expect(await cluster.clock.finish(append(copy, batchOf({ value: 'next' }), 1))).toEqual({ baseOffset: 10 })
})

test('who is in sync is not held up by what was copied to it at a limited rate before', async () => {
  const settings = { 'leader.replication.throttled.rate': '1000000' }
  const cluster = new SimCluster({ seed: 3, brokers: 2, settings })
  await cluster.startAll()
  const tablets = Array.from({ length: 20 }, (_, n) => n)
  const topic = await cluster.makeTopic('t', {}, tablets.length)
  await cluster.until(() => tablets.every(n => cluster.leader(topic.id, n) !== undefined))
  const led = tablets.filter(n => cluster.leader(topic.id, n)?.assignment?.replicas[0] === 0)
  const leader = (n: number) => {
    const tablet = cluster.leader(topic.id, n)
    if (tablet === undefined) throw new Error('nobody leads')
    return tablet
  }
  const areInSync = (count: number): boolean => led.every(n => leader(n).assignment?.isr.length === count)
  const [, follower] = cluster.nodes
  follower?.kill()
  await cluster.until(() => areInSync(1))
  for (const n of led)
    for (let i = 0; i < 5; i++) await cluster.clock.finish(append(leader(n), batchOf({ bytes: 100_000 }), 1))
  follower?.start()
  await cluster.until(() => areInSync(2))
  let answered = 0
  for (const n of led) void append(leader(n), batchOf({ value: 'x' }), -1).then(() => answered++)
  await cluster.until(() => answered === led.length, 1_000)
  expect(areInSync(2)).toBe(true)
})
