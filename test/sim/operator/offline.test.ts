/** Tablets that their brokers cannot serve: everyone is told which and why, and that it is over; and nothing is written about what stays as it is. */
import { expect, test } from 'vitest'
import { incarnation } from '../../../base/quantities.ts'
import { reportTexts } from '../../../control/kubernetes/broker-report.ts'
import { logTopics } from '../../../control/kubernetes/resources/log-topic.ts'
import { annotations as names } from '../../../control/kubernetes/resources/names.ts'
import { runIn } from '../../../control/kubernetes/standing.ts'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import type { BrokerReport } from '../../../control/model.ts'
import { leases } from '../../../kube/resources.ts'
import { namespace, Operated } from './operated.ts'

async function withTopics(): Promise<Operated> {
  const all = new Operated()
  all.cluster()
  all.start()
  await all.converged()
  all.topic('orders', { tablets: 3 })
  all.topic('audit', { tablets: 3 })
  await all.converged()
  return all
}

const ready = (all: Operated, topic: string) => all.topicNow(topic)?.status?.conditions?.[0]
const idOf = (all: Operated, topic: string): string => all.topicNow(topic)?.status?.topicId ?? ''

function says(all: Operated, broker: number, report: BrokerReport): void {
  all.kube.set(leases, { namespace, name: `events-broker-${broker}` }, lease => {
    if (lease === undefined) throw new Error('there is no Lease')
    const texts = reportTexts(report, incarnation(runIn(lease) ?? 0))
    const annotations = { ...lease.metadata.annotations, ...texts }
    return { ...lease, metadata: { ...lease.metadata, annotations } }
  })
}

const leads = (all: Operated, topic: string, tablet: number): number =>
  all.kube.peekAll(tabletSlices).find(slice => slice.topic.name === topic)?.tablets[tablet]?.leader ?? -1

test("a broker's own reason stands in the conditions of cluster and topic, until it serves again", async () => {
  const all = await withTopics()
  const broker = leads(all, 'orders', 1)
  const reason = 'the disk failed to sync: EIO'
  says(all, broker, { bytes: 0, offline: [{ topicId: idOf(all, 'orders'), tablet: 1, reason }] })
  await all.clock.runFor(1_000)
  expect(all.condition('Degraded')).toMatchObject({ status: 'True', reason: 'TabletsOffline' })
  expect(all.condition('Degraded')?.message).toContain(`1 of 6 tablets are offline: orders-1 (${reason})`)
  expect(all.condition('Available')).toMatchObject({ status: 'False', reason: 'TabletsOffline' })
  expect(all.clusterNow()?.status?.tablets).toMatchObject({ total: 6, offline: 1, underReplicated: 0 })
  expect(ready(all, 'orders')).toMatchObject({ status: 'False', reason: 'NoLeader' })
  expect(ready(all, 'orders')?.message).toContain(`orders-1 (${reason})`)
  expect(all.topicNow('orders')?.status).toMatchObject({ tablets: 3, led: 2 })
  expect(ready(all, 'audit')?.reason).toBe('Placed')
  says(all, broker, { bytes: 0, offline: [] })
  await all.clock.runFor(1_000)
  expect(all.condition('Degraded')?.reason).toBe('Healthy')
  expect(ready(all, 'orders')?.reason).toBe('Placed')
})

test("the owner's word for a tablet reaches its record once, and only while nobody leads it", async () => {
  const all = await withTopics()
  const tablet = (number: number) =>
    all.kube.peekAll(tabletSlices).find(slice => slice.topic.name === 'orders')?.tablets[number]
  const reason = 'its directory is missing'
  says(all, leads(all, 'orders', 1), {
    bytes: 0,
    offline: [{ topicId: idOf(all, 'orders'), tablet: 1, reason }],
  })
  const epoch = tablet(1)?.epoch ?? -1
  all.kube.set(logTopics, { namespace, name: 'orders' }, topic => {
    if (topic === undefined) throw new Error('there is no topic')
    const annotations = { [names.uncleanElection]: `1@${epoch},0@${tablet(0)?.epoch}` }
    return { ...topic, metadata: { ...topic.metadata, annotations } }
  })
  const before = all.writes.length
  await all.clock.runFor(5_000)
  expect(tablet(1)).toMatchObject({ epoch, version: 1, unclean: true })
  expect(tablet(0)?.unclean).toBeUndefined()
  expect(ready(all, 'orders')?.message).not.toContain('kubectl annotate')
  expect(all.writes.slice(before).filter(({ plural }) => plural === 'tabletslices')).toHaveLength(1)
})

test('bytes that grow are no reason to look, and nothing is written', async () => {
  const all = await withTopics()
  const before = all.writes.length
  for (let round = 1; round <= 50; round++) {
    for (const broker of [0, 1, 2]) says(all, broker, { bytes: round * 1_000, offline: [] })
    await all.clock.runFor(2_000)
  }
  expect(all.writes.length).toBe(before)
})

test('a tablet that was not taken up by the run that its broker is in now is offline', async () => {
  const all = await withTopics()
  const broker = leads(all, 'audit', 0)
  all.kube.set(leases, { namespace, name: `events-broker-${broker}` }, lease => {
    if (lease === undefined) throw new Error('there is no Lease')
    const record = JSON.stringify({ brokerId: broker, diskId: 'another', incarnation: 7 })
    const annotations = { ...lease.metadata.annotations, 'stele.dev/broker': record }
    return { ...lease, metadata: { ...lease.metadata, annotations } }
  })
  await all.clock.runFor(1_000)
  expect(ready(all, 'audit')?.message).toContain(`audit-0 (broker ${broker} has started again`)
  expect(all.clusterNow()?.status?.tablets?.offline).toBe(2)
})

test('a broker that falls silent while its pod still counts as ready is noticed by its Lease, and heard again', async () => {
  const all = await withTopics()
  const broker = leads(all, 'orders', 0)
  all.kubelets.silent.add(broker)
  await all.clock.runFor(3_500)
  expect(all.condition('Degraded')?.reason).toBe('Healthy')
  await all.clock.runFor(7_000)
  expect(all.condition('Degraded')?.message).toContain(`(broker ${broker} does not renew its Lease)`)
  const before = all.writes.length
  await all.clock.runFor(300_000)
  expect(all.writes.length).toBe(before)
  all.kubelets.silent.delete(broker)
  await all.clock.runFor(5_000)
  expect(all.condition('Degraded')?.reason).toBe('Healthy')
})
