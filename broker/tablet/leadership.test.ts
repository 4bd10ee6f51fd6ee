/** A broker among others: who leads is said in the control store, by whoever writes there. */
import { expect, test } from 'vitest'
import { brokerId, epoch, incarnation, offset } from '../../base/quantities.ts'
import type { TabletAssignment, Topic } from '../../control/model.ts'
import { append, startSimBroker, tabletOf, type SimBroker } from '../../test/sim/broker.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import { startOf } from '../../test/contract/control-store.opened.ts'
import { batchOf } from '../log/log.fixture.ts'

/** Broker 0 here, and broker 1 by its word in the control store alone; a topic with a replica on both, led as said. */
async function pair(leader: 0 | 1) {
  const sim = simWorld({ seed: 5 })
  const broker = await sim.clock.finish(startSimBroker(sim))
  await sim.clock.finish(broker.store.registerBroker(startOf(1)))
  const replicas = (leader === 0 ? [0, 1] : [1, 0]).map(brokerId)
  const wanted = { name: 't', settings: {}, assignment: [{ tablet: 0, replicas }] }
  await sim.clock.finish(broker.router.createTopics([wanted]))
  return { sim, broker }
}

const now = (broker: SimBroker): { topic: Topic; tablet: TabletAssignment } => {
  const topic = broker.store.topics().get('t')
  const tablet = topic?.tablets[0]
  if (topic === undefined || tablet === undefined) throw new Error('there is no t')
  return { topic, tablet }
}

/** Somebody else's guarded patch. */
async function patch(sim: SimWorld, broker: SimBroker, to: Partial<TabletAssignment>): Promise<void> {
  const { topic, tablet } = now(broker)
  const { epoch, version } = tablet
  const change = { tablet: 0, test: { epoch, version }, to: { ...tablet, ...to, version: version + 1 } }
  expect(await sim.clock.finish(broker.store.changeTablets(topic.id, [change]))).toBe('changed')
  await sim.clock.finish(broker.tablets.settled())
}

const refusalOf = (act: () => unknown): unknown => {
  try {
    return act()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
}

test('a replica that does not lead refuses, and says so', async () => {
  const { sim, broker } = await pair(1)
  const tablet = tabletOf(broker, 't')
  expect(tablet).toMatchObject({ role: 'follower', leader: 1 })
  expect(await sim.clock.finish(append(tablet, batchOf(), -1))).toMatchObject({
    refusal: { code: 'NOT_LEADER_OR_FOLLOWER' },
  })
  expect(refusalOf(() => tablet.read(offset(0), 100, true))).toBe('NOT_LEADER_OR_FOLLOWER')
  expect(refusalOf(() => broker.router.leading('t', 0))).toBe('NOT_LEADER_OR_FOLLOWER')
  expect(await sim.clock.finish(broker.stop())).toBe(true)
})

test('leadership comes by a patch of somebody else, and goes again', async () => {
  const { sim, broker } = await pair(1)
  const isr = now(broker).tablet.isr.toReversed()
  await patch(sim, broker, { leader: brokerId(0), epoch: epoch(1), isr })
  const tablet = tabletOf(broker, 't')
  expect(tablet).toMatchObject({ role: 'leader', epoch: 1 })
  expect(await sim.clock.finish(append(tablet, batchOf(), -1))).toEqual({ baseOffset: 0 })
  const waiting = append(tablet, batchOf(), -1)
  // In the same turn, so that the batch is written and not yet durable.
  tablet.follow({ ...now(broker).tablet, leader: brokerId(1), epoch: epoch(2) })
  expect(tablet.epochOf(offset(1))).toBe(1)
  await patch(sim, broker, { leader: brokerId(1), epoch: epoch(2) })
  expect(tablet).toMatchObject({ role: 'follower', leader: 1, epoch: 2 })
  expect(await sim.clock.finish(waiting)).toMatchObject({ refusal: { code: 'NOT_LEADER_OR_FOLLOWER' } })
  await patch(sim, broker, { leader: brokerId(0), epoch: epoch(3) })
  // What was appended before and not acknowledged stays in the log.
  expect(await sim.clock.finish(append(tablet, batchOf(), -1))).toEqual({ baseOffset: 2 })
})

test('a leadership that was moved within an epoch is led in the next one', async () => {
  const { sim, broker } = await pair(1)
  await patch(sim, broker, { leader: brokerId(0) })
  await sim.clock.runFor(10)
  expect(tabletOf(broker, 't')).toMatchObject({ role: 'leader', epoch: 1 })
})

test('nobody leads: the replica in sync claims it', async () => {
  const { sim, broker } = await pair(1)
  await patch(sim, broker, { leader: undefined, isr: [{ broker: brokerId(0), incarnation: incarnation(1) }] })
  await sim.clock.runFor(10)
  expect(now(broker).tablet).toMatchObject({ leader: 0, epoch: 1, version: 2 })
  expect(tabletOf(broker, 't').role).toBe('leader')
})

test('an earlier run never leads on, and a restarted follower stays one', async () => {
  for (const leader of [0, 1] as const) {
    const { sim } = await pair(leader)
    sim.kill()
    const again = await sim.clock.finish(startSimBroker(sim))
    expect(tabletOf(again, 't')).toMatchObject(
      leader === 0 ? { role: 'leader', epoch: 1, leader: 0 } : { role: 'follower', epoch: 0, leader: 1 },
    )
  }
})

test('a claim that loses the race is looked at again', async () => {
  const { sim } = await pair(0)
  sim.kill()
  const again = await sim.clock.finish(
    startSimBroker(
      sim,
      {},
      {
        beforeStart({ store }) {
          // Between the look at the assignment and the claim somebody else changes it.
          const plain = store.changeTablets.bind(store)
          let first = true
          store.changeTablets = async (id, changes) => {
            if (!first) return plain(id, changes)
            first = false
            const tablet = store.topicById(id)?.tablets[0]
            if (tablet === undefined) throw new Error('there is no t')
            const { epoch, version } = tablet
            await plain(id, [
              { tablet: 0, test: { epoch, version }, to: { ...tablet, version: version + 1 } },
            ])
            return plain(id, changes)
          }
        },
      },
    ),
  )
  const tablet = tabletOf(again, 't')
  await sim.clock.runUntil(() => tablet.role === 'leader')
  expect(tablet.epoch).toBe(1)
})

test('a replica that other brokers have now is set aside, and begins anew when it comes back', async () => {
  const { sim, broker } = await pair(1)
  const isr = now(broker).tablet.isr.filter(member => member.broker === 1)
  await patch(sim, broker, { replicas: [brokerId(1)], isr })
  expect(broker.tablets.find('t', 0)).toBeUndefined()
  expect(sim.world.disk.list('/data/tablets')).toEqual([`t-0.${now(broker).topic.id}.stray`])
  await patch(sim, broker, { replicas: [brokerId(1), brokerId(0)] })
  expect(tabletOf(broker, 't').role).toBe('follower')
})

test('a directory that cannot be set aside does not end the broker', async () => {
  const { sim, broker } = await pair(1)
  const name = `t-0.${now(broker).topic.id}`
  sim.disk.failNext('rename', 'EIO', /stray|t-0/)
  await patch(sim, broker, { replicas: [brokerId(1)], isr: now(broker).tablet.isr.slice(0, 1) })
  expect(sim.world.disk.list('/data/tablets')).toEqual([name])
  expect(broker.lines.map(({ msg }) => msg)).toContainEqual(expect.stringContaining('could not set aside'))
  await patch(sim, broker, { replicas: [brokerId(1), brokerId(0)] })
  expect(tabletOf(broker, 't').role).toBe('follower')
})

test('another disk under a leader: its tablets are offline, in this run and the next, until the topic is gone', async () => {
  const { sim, broker } = await pair(0)
  await sim.clock.finish(append(tabletOf(broker, 't'), batchOf(), -1))
  const control = sim.world.disk.open('/data/control.json', 'read')
  const kept = Buffer.alloc(control.sizeBytes())
  control.read(kept, 0)
  sim.kill()
  const { disk } = sim.world
  for (const name of disk.list('/data')) await sim.clock.finish(disk.remove(`/data/${name}`))
  // The record of who leads is not on this disk in a cluster.
  await sim.clock.finish(startSimBroker(sim))
  sim.kill()
  await sim.clock.finish(sim.world.disk.remove('/data/first-run.json'))
  const file = sim.world.disk.open('/data/control.json', 'write')
  file.truncate(0)
  file.write([kept], 0)
  file.close()
  for (let run = 0; run < 2; run++) {
    const again = await sim.clock.finish(startSimBroker(sim))
    expect(tabletOf(again, 't')).toMatchObject({
      role: 'offline',
      offlineReason: expect.stringMatching(/in sync in run 1 on another disk/),
    })
    expect(refusalOf(() => again.router.leading('t', 0))).toBe('KAFKA_STORAGE_ERROR')
    expect(sim.world.disk.list('/data/tablets')).toEqual([])
    sim.kill()
  }
})
