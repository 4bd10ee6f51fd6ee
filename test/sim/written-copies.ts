/** A tablet with records on three simulated brokers, for tests of what happens to its files. */
import { pino } from 'pino'
import { readFile } from '../../base/files.ts'
import { Checks } from '../../broker/tablet/checks.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { buildBatch } from '../../protocol/kafka/records.ts'
import { append } from './broker.ts'
import { SimCluster, type SimNode } from './cluster.ts'
import { recordsIn } from './cluster-clients.ts'

export const records = 60
const silent = pino({ level: 'silent' })

/** A tablet on three brokers with records in several segments; the node that leads, and one that follows. */
export async function written(settings: Record<string, string> = {}) {
  const cluster = new SimCluster({ seed: 7, brokers: 3 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', {
    'segment.bytes': '1500',
    'min.insync.replicas': '2',
    ...settings,
  })
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  const leader = (): Tablet => {
    const tablet = cluster.leader(topic.id)
    if (tablet === undefined) throw new Error('nobody leads')
    return tablet
  }
  const write = async (value: string) => {
    const batch = buildBatch([
      { key: Buffer.from('a'), value: Buffer.from(value), headers: [], timestamp: 1 },
    ])
    return cluster.clock.finish(append(leader(), batch, -1, leader().nowMs + 5_000))
  }
  for (let n = 0; n < records; n++) await write(`record ${n}`)
  const settled = (): boolean =>
    cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === leader().logEnd)
  await cluster.until(settled)
  const replica = (node: SimNode): Tablet => {
    const found = cluster.replicas(topic.id).find(one => one.node === node)
    if (found === undefined) throw new Error(`${node.host} has no replica`)
    return found.tablet
  }
  const led = cluster.nodes.find(({ id }) => id === leader().leader)
  const followed = cluster.nodes.find(({ id }) => id !== leader().leader)
  if (led === undefined || followed === undefined) throw new Error('nobody leads')
  const isInSync = (): boolean => cluster.control.state.topicsById.get(topic.id)?.tablets[0]?.isr.length === 3
  return { cluster, topic, leader, write, replica, led, followed, settled, isInSync }
}

/** The log files of the replica, the oldest first. */
export const filesOf = (node: SimNode, { identity }: Tablet): string[] =>
  node.sim.world.disk
    .list(identity.directory)
    .filter(name => name.endsWith('.log'))
    .map(name => `${identity.directory}/${name}`)

/** What stands in the files of the replica; a damaged batch throws. */
export const held = (node: SimNode, tablet: Tablet) =>
  filesOf(node, tablet).flatMap(path => recordsIn(readFile(node.sim.world.disk, path) ?? Buffer.alloc(0)))

/** The node looks through the replica again and again. */
export function check(node: SimNode, tablet: Tablet): Checks {
  const { clock } = node.sim.world
  const restMs = { first: 1, next: 50 }
  const checks = new Checks({ clock, log: silent, tablets: { all: () => [tablet] }, restMs })
  checks.start()
  return checks
}
