/** Tablets that nobody in sync can lead, in a simulated cluster: who leads then, when, and what is missing. */
import { expect, test } from 'vitest'
import { batchOf } from '../../broker/log/log.fixture.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { append } from './broker.ts'
import { SimCluster, type SimNode } from './cluster.ts'

async function three(settings: Record<string, string> = {}) {
  const cluster = new SimCluster({ seed: 6, brokers: 3, lagMsMax: 600 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', { 'min.insync.replicas': '1', ...settings })
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
  const node = (id: number): SimNode => {
    const found = cluster.nodes[id]
    if (found === undefined) throw new Error(`there is no node ${id}`)
    return found
  }
  const tablet = (id: number): Tablet => {
    const found = cluster.replicas(topic.id).find(replica => replica.node.id === id)
    if (found === undefined) throw new Error(`node ${id} does not run`)
    return found.tablet
  }
  const write = (value: string) => cluster.clock.finish(append(leader(), batchOf({ value }), -1))
  /** The first `ids` have on their disks what was written until now, and nothing that comes. */
  const keep = async (...ids: number[]): Promise<void> => {
    for (const id of ids) await cluster.clock.finish(tablet(id).checkpoint())
  }
  const allFollow = async (): Promise<void> => {
    await cluster.until(() => assignment().isr.length === 3)
    await cluster.until(() =>
      cluster.replicas(topic.id).every(replica => replica.tablet.highWatermark === leader().logEnd),
    )
  }
  return { cluster, topic, assignment, leader, node, tablet, write, keep, allFollow }
}

const errorsOf = (node: SimNode): readonly string[] =>
  (node.broker?.lines ?? []).filter(({ level }) => level >= 50).map(({ msg }) => msg)

test('after a power cut of all brokers the one that kept most leads, when all have been heard', async () => {
  const { cluster, topic, leader, node, write, keep, allFollow } = await three({ 'stele.flush': 'os' })
  await write('a')
  await keep(0, 1, 2)
  await write('b')
  await keep(2)
  await write('c')
  for (const one of cluster.nodes) one.cutPower('lose')
  for (const id of [0, 1]) node(id).start()
  await cluster.run(20_000)
  expect(cluster.leader(topic.id)).toBeUndefined()
  node(2).start()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  expect([leader().leader, leader().logEnd]).toEqual([2, 2])
  await cluster.until(() => errorsOf(node(2)).length > 0)
  expect(errorsOf(node(2))).toContainEqual(expect.stringContaining('from offset 2 on is lost'))
  await allFollow()
  await write('d')
  expect(leader().logEnd).toBe(3)
})

/** Of three replicas 0 alone is in sync in the end: the others have 'a', one of them 'b', and 0 alone has 'c'. */
async function oneInSync(settings: Record<string, string> = {}) {
  const all = await three(settings)
  const { cluster, node, write, assignment } = all
  const { network } = cluster.shared
  await write('a')
  network.cut(node(0).host, node(1).host)
  await cluster.until(() => assignment().isr.length === 2)
  await write('b')
  network.cut(node(0).host, node(2).host)
  await cluster.until(() => assignment().isr.length === 1)
  await write('c')
  return all
}

/** Replicas of the tablet that hold other than what the leader does. */
const differing = ({ cluster, topic, leader }: Awaited<ReturnType<typeof three>>): number =>
  cluster
    .replicas(topic.id)
    .filter(({ tablet }) => tablet.logEnd !== leader().logEnd || tablet.highWatermark !== leader().logEnd)
    .length

test('with unclean.leader.election.enable the one that has most leads when the last in sync is gone', async () => {
  const all = await oneInSync({ 'unclean.leader.election.enable': 'true' })
  const { cluster, topic, leader, node, allFollow } = all
  await node(0).loseDisk()
  cluster.shared.network.heal()
  const sinceMs = cluster.clock.monotonicMs()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  expect(cluster.clock.monotonicMs() - sinceMs).toBeGreaterThan(10_000)
  expect([leader().leader, leader().logEnd]).toEqual([2, 2])
  expect(errorsOf(node(2))).toContainEqual(expect.stringContaining('from offset 2 on is lost'))
  node(0).start()
  await allFollow()
  expect(differing(all)).toBe(0)
})

test('a broker that is soon back with what it had is waited for, whatever the topic allows', async () => {
  const { cluster, topic, leader, node, allFollow } = await oneInSync({
    'unclean.leader.election.enable': 'true',
  })
  node(0).kill()
  cluster.shared.network.heal()
  await cluster.run(8_000)
  node(0).start()
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  expect([leader().leader, leader().logEnd]).toEqual([0, 3])
  await allFollow()
})

test.each([
  ['is gone', false],
  ['came back with an empty disk', true],
])('by the owner’s word the one that has most leads when the last in sync %s', async (_, back) => {
  const all = await oneInSync()
  const { cluster, topic, leader, node, allFollow, assignment } = all
  await node(0).loseDisk()
  cluster.shared.network.heal()
  if (back) node(0).start()
  await cluster.run(60_000)
  expect(cluster.leader(topic.id)).toBeUndefined()
  const router = node(1).broker?.router
  if (router === undefined) throw new Error('it does not run')
  await cluster.clock.finish(router.allowUnclean('t', 0))
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  expect([leader().leader, leader().logEnd]).toEqual([2, 2])
  expect([assignment().found, assignment().unclean]).toEqual([undefined, undefined])
  await cluster.until(() => router.assignment('t', 0).leader === 2)
  await expect(cluster.clock.finish(router.allowUnclean('t', 0))).rejects.toThrow('broker 2 leads t-0')
  if (!back) node(0).start()
  await allFollow()
  expect(differing(all)).toBe(0)
})
