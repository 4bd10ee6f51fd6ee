/** Replicas that move in a simulated cluster: what was acknowledged moves along, and writes go on. */
import { expect, test } from 'vitest'
import { brokerId } from '../../base/quantities.ts'
import { batchOf } from '../../broker/log/log.fixture.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import type { TabletAssignment } from '../../control/model.ts'
import { changeTablets } from '../../control/embedded/changes.ts'
import { isMoving, movedBack, movedTo } from '../../control/moves.ts'
import { append } from './broker.ts'
import { SimCluster } from './cluster.ts'

async function placed(
  seed: number,
  brokers: number,
  on: readonly number[],
  more: Record<string, string> = {},
) {
  const cluster = new SimCluster({ seed, brokers, settings: { 'log.segment.bytes': '6000' } })
  await cluster.startAll()
  const { control, clock } = cluster
  const store = cluster.nodes[0]?.broker?.store
  const [topic] = await clock.finish(
    store?.createTopics([
      {
        name: 't',
        settings: { 'min.insync.replicas': '2', ...more },
        assignment: [{ tablet: 0, replicas: on.map(brokerId) }],
      },
    ]) ?? Promise.resolve([]),
  )
  if (topic === undefined || !('id' in topic)) throw topic ?? new Error('no topic')
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  const now = (): TabletAssignment => {
    const tablet = control.state.topicsById.get(topic.id)?.tablets[0]
    if (tablet === undefined) throw new Error('no tablet')
    return tablet
  }
  const leader = (): Tablet => {
    const tablet = cluster.leader(topic.id)
    if (tablet === undefined) throw new Error('nobody leads')
    return tablet
  }
  /** As producers do: whoever finds no leader asks again. */
  const write = async (count: number, acks: -1 | 1 = -1): Promise<void> => {
    for (let n = 0; n < count;) {
      const told = await clock.finish(append(leader(), batchOf({ value: 'x'.repeat(300) }), acks))
      if ('baseOffset' in told) n++
      else {
        expect(told.refusal.code).toBe('NOT_LEADER_OR_FOLLOWER')
        await cluster.run(20)
        await cluster.until(() => cluster.leader(topic.id) !== undefined)
      }
    }
  }
  const move = (...target: number[]): void => control.move(topic.id, 0, movedTo(now(), target.map(brokerId)))
  const takeBack = (): void => control.move(topic.id, 0, movedBack(now()))
  const moved = () => cluster.until(() => !isMoving(now()) && cluster.leader(topic.id) !== undefined)
  const directories = (id: number): string[] =>
    cluster.nodes[id]?.sim.world.disk.list('/data/tablets').filter(name => name.startsWith('t-0')) ?? []
  return { cluster, topic, now, leader, write, move, takeBack, moved, directories }
}

test('a replica moves to another broker: the new one joins the set, the old one deletes what it has', async () => {
  const { cluster, topic, now, write, move, moved, directories } = await placed(1, 4, [0, 1, 2])
  await write(50)
  move(0, 1, 3)
  await moved()
  expect(now()).toMatchObject({ replicas: [0, 1, 3], leader: 0, epoch: 0 })
  expect(new Set(now().isr.map(({ broker }) => Number(broker)))).toEqual(new Set([0, 1, 3]))
  await write(1)
  await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === 51))
  expect(cluster.replicas(topic.id).map(({ node }) => node.id)).toEqual([0, 1, 3])
  await cluster.until(() => directories(2).length === 0, 200_000)
})

test('a leader that moves hands over, with every record of its log', async () => {
  const { cluster, topic, now, leader, write, move, moved } = await placed(2, 3, [0, 1])
  await write(20)
  // Only the leader has these when the move begins.
  cluster.shared.network.cut('broker-0', 'broker-1')
  await write(5, 1)
  move(1, 2)
  await cluster.run(300)
  cluster.shared.network.heal()
  await moved()
  expect(now()).toMatchObject({ replicas: [1, 2], leader: 1, epoch: 1 })
  await cluster.until(() => leader().highWatermark === 25)
  await write(1)
  expect(cluster.replicas(topic.id).map(({ node }) => node.id)).toEqual([1, 2])
})

test('the only copy moves, and its writes are answered all the way', async () => {
  const { cluster, topic, now, leader, write, move, moved } = await placed(3, 2, [0])
  await write(40)
  move(1)
  await write(10)
  await moved()
  expect(now()).toMatchObject({ replicas: [1], leader: 1, isr: [{ broker: 1 }] })
  await write(1)
  expect(leader().highWatermark).toBe(51)
  await cluster.until(() => cluster.replicas(topic.id).every(({ node }) => node.id === 1))
})

test('a move that is taken back drops the new copy; taken up again it begins anew', async () => {
  const { cluster, topic, now, write, move, takeBack, moved, directories } = await placed(4, 3, [0, 1])
  await write(30)
  move(0, 2)
  await cluster.until(() => now().isr.some(({ broker }) => broker === 2))
  takeBack()
  await moved()
  expect(now()).toMatchObject({ replicas: [0, 1], leader: 0 })
  await cluster.until(() => !directories(2).some(name => !name.includes('.deleted')))
  move(0, 2)
  await moved()
  await write(1)
  for (const { tablet } of cluster.replicas(topic.id))
    expect([tablet.logStart, tablet.logEnd]).toEqual([0, 31])
  // Broker 1 hears of it a moment later.
  await cluster.until(() => cluster.replicas(topic.id).every(({ node }) => node.id !== 1))
  expect(cluster.replicas(topic.id).map(({ node }) => node.id)).toEqual([0, 2])
})

test('a broker that dies while it deletes a replica that was moved away makes a new one when that comes back', async () => {
  const { cluster, topic, now, write, move, moved, directories } = await placed(7, 3, [0, 1, 2])
  const { clock, nodes } = cluster
  await write(30)
  for (const tablet of nodes[2]?.broker?.tablets.all() ?? []) await clock.finish(tablet.checkpoint())
  move(0, 1)
  await cluster.until(() => directories(2).every(name => name.includes('.deleted')))
  nodes[2]?.kill()
  move(0, 1, 2)
  nodes[2]?.start()
  await moved()
  await write(1)
  expect(now().replicas).toEqual([0, 1, 2])
  await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === 31))
})

test('nobody goes while the new one is not in sync, and more replicas do not stop writes before they are there', async () => {
  const { cluster, now, write, move, moved } = await placed(5, 3, [0])
  await write(5)
  cluster.nodes[2]?.kill()
  move(1, 2)
  await cluster.run(5_000)
  await write(5)
  expect(now()).toMatchObject({ replicas: [1, 2, 0], leader: 0 })
  cluster.nodes[2]?.start()
  await moved()
  expect(now()).toMatchObject({ replicas: [1, 2], isr: [{ broker: 1 }, { broker: 2 }] })
})

test.each(['follower.replication.throttled.rate', 'leader.replication.throttled.rate'])(
  'copies that are not in sync are made no faster than %s',
  async setting => {
    const { cluster, write, move, moved } = await placed(6, 3, [0, 1])
    await write(400)
    const { control, clock } = cluster
    const bytes = cluster.leader([...control.state.topicsById.keys()][0] ?? '')?.sizeBytes ?? 0
    const store = cluster.nodes[0]?.broker?.store
    await clock.finish(
      store?.alterBrokerSettings({ set: { [setting]: '10000' }, unset: [] }) ?? Promise.resolve(),
    )
    await cluster.run(100)
    const sinceMs = clock.monotonicMs()
    move(0, 2)
    await moved()
    expect(bytes).toBeGreaterThan(100_000)
    expect(clock.monotonicMs() - sinceMs).toBeGreaterThan((bytes / 10_000) * 1_000 * 0.9)
  },
)

test('a broker whose replica moves away at whatever moment of its start is none of its followers', async () => {
  const { cluster, topic, now } = await placed(8, 3, [0, 1, 2])
  const { control } = cluster
  const node = cluster.nodes[2]
  const place = (replicas: readonly number[]): void => {
    const [test, ids] = [now(), replicas.map(brokerId)]
    const isr = test.isr.filter(({ broker }) => ids.includes(broker))
    const to = { ...test, version: test.version + 1, replicas: ids, isr }
    control.apply(draft => changeTablets(draft, topic.id, [{ tablet: 0, test, to }]))
  }
  for (let at = 0; at < 24; at++) {
    place([0, 1, 2])
    await cluster.run(20)
    node?.kill()
    node?.start()
    await cluster.run(at * 0.5)
    place([0, 1])
    await cluster.until(() => node?.runs === true)
    await cluster.run(20)
    expect(cluster.replicas(topic.id).map(({ node: { id } }) => id)).toEqual([0, 1])
  }
})
