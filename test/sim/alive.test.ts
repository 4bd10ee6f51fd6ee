/** Of which brokers clients are told: as the others see them, whatever the control store knows yet. */
import { expect, test } from 'vitest'
import { SimCluster, type SimNode } from './cluster.ts'

async function three(seed: number) {
  const cluster = new SimCluster({ seed, brokers: 3 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t')
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  await cluster.run(1_000)
  const leader = (): SimNode => {
    const node = cluster.nodes.find(({ id }) => id === cluster.leader(topic.id)?.leader)
    if (node === undefined) throw new Error('nobody leads')
    return node
  }
  /** What the others that run say of it. */
  const toldOf = ({ id }: SimNode): (boolean | undefined)[] =>
    cluster.able.filter(node => node.id !== id).map(({ broker }) => broker?.router.isAlive(id))
  const all = (node: SimNode, told: boolean): boolean => toldOf(node).every(one => one === told)
  return { cluster, leader, toldOf, all }
}

test('a killed broker is told of no more, before its lease is over and until its next run', async () => {
  const { cluster, leader, toldOf, all } = await three(1)
  const killed = leader()
  expect(toldOf(killed)).toEqual([true, true])
  killed.kill()
  const killedMs = cluster.clock.monotonicMs()
  await cluster.until(() => all(killed, false))
  expect(cluster.clock.monotonicMs() - killedMs).toBeLessThan(800)
  for (let n = 0; n < 100; n++) {
    await cluster.run(20)
    expect(toldOf(killed)).toEqual([false, false])
  }
  killed.start()
  await cluster.until(() => all(killed, true))
  await cluster.run(1_000)
  expect(toldOf(killed)).toEqual([true, true])
})

test('who falls silent is told of no more until it is heard again', async () => {
  const { cluster, leader, toldOf, all } = await three(2)
  const paused = leader()
  paused.pause()
  await cluster.until(() => all(paused, false))
  await cluster.run(2_000)
  expect(toldOf(paused)).toEqual([false, false])
  paused.resume()
  await cluster.until(() => all(paused, true))
})

test('who has lost the control store alone is told of as long as it is heard', async () => {
  const { cluster, leader, toldOf, all } = await three(3)
  const alone = leader()
  cluster.control.cutOff(alone.id)
  for (let n = 0; n < 50; n++) {
    await cluster.run(100)
    expect(toldOf(alone)).toEqual([true, true])
  }
  for (const { host } of cluster.nodes) if (host !== alone.host) cluster.shared.network.cut(host, alone.host)
  await cluster.until(() => all(alone, false))
})
