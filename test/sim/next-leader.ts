/**
 * One story, from a seed: a leader is killed under load, and another one leads. How long does it take until the follower that is left has everything that one has? Everything
 * around them is slow or late in its own way, so that what waits for something it need not wait for stands out.
 */
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { Producer } from './cluster-clients.ts'
import { SimCluster, type SimNode } from './cluster.ts'

export type NextLeader = {
  /** From the kill until another one leads. */
  readonly ledMs: number
  /** From then until everything is acknowledged that was in its log then. */
  readonly heldMs: number
  /** Whether the follower that was left has stayed in sync. */
  readonly stayed: boolean
  /** What was slow, for whoever looks at a long one. */
  readonly slow: readonly string[]
}

const limitMs = 30_000

/** `together`: another follower is killed with the leader, and one replica in sync is enough. */
export async function nextLeader(seed: number, { together = false } = {}): Promise<NextLeader> {
  const cluster = new SimCluster({ seed, brokers: 3, lagMsMax: 10_000 })
  const { random, control, shared, clock } = cluster
  control.leaseMs = 7_000
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', { 'min.insync.replicas': together ? '1' : '2' })
  const now = () => control.state.topicsById.get(topic.id)?.tablets[0]
  await cluster.until(() => cluster.leader(topic.id) !== undefined && now()?.isr.length === 3)
  const producers = [1, 2, 3].map(id => new Producer(cluster, topic.id, 0, id, () => undefined))
  for (const producer of producers) producer.run().catch((error: unknown) => cluster.failed(error))
  // All brokers have met.
  await cluster.run(200)
  const first = now()?.leader
  const followers = cluster.nodes.filter(({ id }) => id !== first)
  const slow: string[] = []
  const perhaps = (what: string, share: number, act: () => void): void => {
    if (!random.chance(share)) return
    slow.push(what)
    act()
  }
  const one = random.pick(followers as [SimNode, ...SimNode[]])
  perhaps('network', 0.4, () => (shared.network.delayMs = { min: 1, max: random.between(5, 40) }))
  perhaps('disk', 0.4, () => (one.sim.disk.syncMs = { min: 5, max: random.between(10, 60) }))
  perhaps('one sees changes late', 0.4, () => control.lateMs.set(one.id, random.between(20, 400)))
  perhaps('lost answers', 0.2, () => (control.lostAnswers = 0.3))
  perhaps('connections begin late', 0.4, () => (shared.network.lostConnects = 0.7))
  await cluster.run(random.between(200, 900))
  // One that has not sent what it has got yet, and one that has more than the other.
  const [ahead, behind] = random.chance(0.5) ? followers : followers.toReversed()
  const leader = cluster.nodes.find(({ id }) => id === first)
  if (leader === undefined || ahead === undefined || behind === undefined)
    throw new Error('there is no leader')
  perhaps('one is ahead', 0.4, () => shared.network.cut(leader.host, behind.host))
  await cluster.run(random.between(1, 60))
  leader.kill()
  if (together) ahead.kill()
  shared.network.heal()
  perhaps('connections end', 0.5, () => {
    shared.network.lostConnects = 0
    shared.network.reset(ahead.host, behind.host)
  })
  const killedMs = clock.monotonicMs()
  const next = (): Tablet | undefined => cluster.leader(topic.id)
  await cluster.until(() => next() !== undefined, limitMs)
  const ledMs = clock.monotonicMs() - killedMs
  const end = next()?.logEnd ?? 0
  await cluster.until(() => (next()?.highWatermark ?? -1) >= end && next()?.led?.isStale === false, limitMs)
  const heldMs = clock.monotonicMs() - killedMs - ledMs
  for (const producer of producers) producer.stopped = true
  return { ledMs, heldMs, stayed: (now()?.isr.length ?? 0) >= 2, slow }
}
