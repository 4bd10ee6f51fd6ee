/** Tablets of a running cluster whose record somebody edits into nonsense, or takes from an old backup: never wrong data, and writes go on or resume. */
import { expect, test } from 'vitest'
import { brokerId, epoch, incarnation } from '../../base/quantities.ts'
import { batchOf } from '../../broker/log/log.fixture.ts'
import type { TabletAssignment } from '../../control/model.ts'
import { append } from './broker.ts'
import { SimCluster } from './cluster.ts'

async function running(seed: number) {
  const cluster = new SimCluster({ seed, brokers: 3 })
  await cluster.startAll()
  const { id } = await cluster.makeTopic('t', { 'min.insync.replicas': '2' })
  await cluster.until(() => cluster.leader(id) !== undefined)
  const now = (): TabletAssignment => {
    const tablet = cluster.control.state.topicsById.get(id)?.tablets[0]
    if (tablet === undefined) throw new Error('no tablet')
    return tablet
  }
  const edit = (change: Partial<TabletAssignment>): void => {
    const edited = { ...now(), version: now().version + 1, ...change }
    cluster.control.apply(draft => {
      const topic = draft.topicsById.get(id)
      if (topic !== undefined) draft.putTopic({ ...topic, tablets: [edited] })
    })
  }
  let acknowledged = 0
  /** One record with acks=all; whether it was taken. */
  const write = async (): Promise<boolean> => {
    const leader = cluster.leader(id)
    if (leader === undefined) return false
    const told = await cluster.clock.finish(append(leader, batchOf({ value: `v${acknowledged}` }), -1))
    if ('baseOffset' in told) acknowledged++
    return 'baseOffset' in told
  }
  const writes = async (count: number): Promise<void> => {
    for (let n = 0; n < count;) {
      if (await write()) n++
      else await cluster.run(50)
    }
  }
  /** Every replica has all that was acknowledged, and nothing else twice. */
  const whole = () =>
    cluster.until(() => {
      const replicas = cluster.replicas(id)
      return replicas.length === 3 && replicas.every(({ tablet }) => tablet.highWatermark >= acknowledged)
    })
  const inSync = (): number[] => now().isr.map(({ broker }) => Number(broker))
  return { cluster, id, now, edit, write, writes, whole, inSync }
}

test('a member that no cluster has leaves the set, and holds writes up no longer than a lost one', async () => {
  const { cluster, now, edit, writes, whole, inSync } = await running(1)
  await writes(10)
  const stranger = brokerId(77)
  edit({
    replicas: [...now().replicas, stranger],
    isr: [...now().isr, { broker: stranger, incarnation: incarnation(1) }],
  })
  await writes(10)
  await cluster.until(() => !inSync().includes(77))
  expect(inSync()).toHaveLength(3)
  await whole()
})

test('a leader that no cluster has is replaced', async () => {
  const { now, edit, writes, whole } = await running(2)
  await writes(10)
  const stranger = brokerId(77)
  edit({
    replicas: [stranger, ...now().replicas],
    isr: [{ broker: stranger, incarnation: incarnation(1) }, ...now().isr],
    leader: stranger,
    epoch: epoch(now().epoch + 1),
  })
  await writes(10)
  expect(now().leader).not.toBe(stranger)
  await whole()
})

test('a set of runs that are none takes no writes until it is put right', async () => {
  const { cluster, now, edit, write, writes, whole } = await running(3)
  await writes(10)
  const before = now()
  edit({ isr: before.isr.map(member => ({ ...member, incarnation: incarnation(member.incarnation + 500) })) })
  await cluster.run(5_000)
  expect(await write()).toBe(false)
  edit({ isr: before.isr })
  await writes(10)
  await whole()
})

test('with nobody in sync nobody leads, until it is put right', async () => {
  const { cluster, id, now, edit, writes, whole } = await running(4)
  await writes(10)
  const before = now()
  edit({ isr: [], leader: undefined })
  await cluster.run(5_000)
  expect(cluster.leader(id)).toBeUndefined()
  edit({ isr: before.isr })
  await writes(10)
  await whole()
})

test('an old copy of the record is refused by those who know later epochs', async () => {
  const { cluster, id, now, edit, writes, whole } = await running(5)
  const old = now()
  for (let n = 0; n < 3; n++) {
    await writes(5)
    const leader = cluster.nodes.find(({ id }) => id === now().leader)
    leader?.kill()
    await cluster.until(() => now().leader !== leader?.id)
    leader?.start()
    await cluster.until(() => now().isr.length === 3)
  }
  edit({ ...old })
  await writes(10)
  await whole()
  for (const node of cluster.nodes) node.kill()
  await cluster.startAll()
  await cluster.until(() => cluster.replicas(id).every(({ tablet }) => tablet.role === 'offline'))
  const [one] = cluster.replicas(id)
  expect(one?.tablet.offlineReason).toContain('restored an old copy')
  // Each has claimed a later epoch since, so now it is right again, with every record.
  for (const node of cluster.nodes) node.kill()
  await cluster.startAll()
  await writes(10)
  await whole()
  expect(cluster.leader(id)?.logEnd).toBe(35)
})

test('an epoch far ahead is gone on from', async () => {
  const { now, edit, writes, whole } = await running(6)
  await writes(10)
  edit({ epoch: epoch(now().epoch + 1_000_000) })
  await writes(10)
  expect(now().epoch).toBeGreaterThanOrEqual(1_000_000)
  await whole()
})
