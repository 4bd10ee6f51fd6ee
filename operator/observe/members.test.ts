import { expect, test } from 'vitest'
import { labels } from '../../control/kubernetes/resources/names.ts'
import {
  byName,
  claimOf,
  clusterOf,
  leaseOf,
  nothing,
  sliceOf,
  tabletOn,
  topicOf,
} from '../observed.fixture.ts'
import { membersOf } from './members.ts'

const retired = { [labels.retired]: 'true' }
const retiredLease = (id: number) => {
  const lease = leaseOf(id)
  return {
    ...lease,
    metadata: { ...lease.metadata, labels: { ...lease.metadata.labels, [labels.retired]: 'true' } },
  }
}
const idsOf = (brokers: number, more: Parameters<typeof nothing>[1]) => {
  const cluster = clusterOf({ brokers })
  return membersOf(nothing(cluster, more), cluster).map(({ id, excess }) => (excess ? `${id} too many` : id))
}

test('a new cluster begins at 0', () => {
  expect(idsOf(3, {})).toEqual([0, 1, 2])
})

test('what was begun is gone on with, whatever part of it there is', () => {
  expect(idsOf(3, { claims: byName([claimOf(1)]) })).toEqual([0, 1, 2])
  expect(idsOf(3, { leases: byName([leaseOf(0)]), claims: byName([claimOf(2)]) })).toEqual([1, 2, 3])
})

test('the highest are too many', () => {
  expect(idsOf(1, { claims: byName([0, 1, 2].map(id => claimOf(id))) })).toEqual([
    0,
    '1 too many',
    '2 too many',
  ])
})

test('ids of removed brokers are not given again', () => {
  const more = {
    claims: byName([claimOf(0), claimOf(1, retired)]),
    leases: byName([leaseOf(0), leaseOf(1), retiredLease(2)]),
  }
  expect(idsOf(2, more)).toEqual([0, 3])
})

test('a tablet brings its broker back', () => {
  const slice = sliceOf(topicOf('a', 9), [tabletOn(5, 0)])
  const more = { slices: byName([slice]), claims: byName([claimOf(0), claimOf(5, retired)]) }
  expect(idsOf(1, more)).toEqual([0, '5 too many'])
})

test('a tablet or a Lease alone makes no broker, and no id of theirs is given', () => {
  const slice = sliceOf(topicOf('a', 9), [tabletOn(77, 1)])
  const more = { slices: byName([slice]), leases: byName([leaseOf(78)]), claims: byName([claimOf(0)]) }
  expect(idsOf(1, more)).toEqual([0])
  expect(idsOf(2, more)).toEqual([0, 2])
})

test('brokers of the status are members, also when somebody has deleted all else of them', () => {
  const cluster = clusterOf({ brokers: 1 })
  const brokers = [{ id: 4, pod: 'events-broker-4-0', phase: 'Running', ready: true } as const]
  expect(membersOf(nothing(cluster), { ...cluster, status: { brokers } }).map(({ id }) => id)).toEqual([4])
  const more = nothing(cluster, { claims: byName([claimOf(0)]) })
  expect(membersOf(more, { ...cluster, status: { brokers } }).map(({ id }) => id)).toEqual([0])
})

test('what a Lease says that cannot be read is as good as nothing', () => {
  const cluster = clusterOf({ brokers: 1 })
  const lease = leaseOf(0)
  const broken = { ...lease, metadata: { ...lease.metadata, annotations: { 'stele.dev/broker': '{' } } }
  const claims = byName([claimOf(0)])
  expect(
    membersOf(nothing(cluster, { claims, leases: byName([broken]) }), cluster)[0]?.record,
  ).toBeUndefined()
  expect(membersOf(nothing(cluster, { claims, leases: byName([lease]) }), cluster)[0]?.record).toEqual({
    incarnation: 1,
    diskId: 'disk-0',
  })
})
