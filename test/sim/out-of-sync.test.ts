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
  expect(errorsOf(node(2))).toContainEqual(expect.stringContaining('from offset 2 on is lost'))
  await allFollow()
  await write('d')
  expect(leader().logEnd).toBe(3)
})
