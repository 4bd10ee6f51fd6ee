import { expect, test } from 'vitest'
import { annotations, labels } from '../../../control/kubernetes/resources/names.ts'
import type { PersistentVolumeClaim } from '../../../kube/resources.ts'
import {
  byName,
  clusterOf,
  leaseOf,
  running,
  seenOf,
  sliceOf,
  tabletOn,
  topicOf,
} from '../../observed.fixture.ts'
import { claim } from '../../resources/claim.ts'
import { brokerId } from '../../../base/quantities.ts'
import { targetOf } from '../step.ts'
import { leave } from './leave.ts'

const cluster = clusterOf({ brokers: 1, deletionPolicy: 'Delete' })
const claimOf = (id: number, more: Record<string, string> = {}): PersistentVolumeClaim => {
  const made = claim(cluster, brokerId(id), { size: '1Gi', storageClassName: undefined, clusterId: 'c' })
  return { ...made, metadata: { ...made.metadata, labels: { ...made.metadata.labels, ...more } } }
}
const retired = { [labels.retired]: 'true' }
const stepsOf = (observed: Parameters<typeof seenOf>[0]) =>
  leave(seenOf(observed)).map(step => `${step.kind} ${targetOf(step)}`)

test('the claim says first that its broker is no more; nothing else happens before that is seen', () => {
  const seen = running(cluster, [0, 1], { claims: byName([claimOf(0), claimOf(1)]) })
  expect(stepsOf(seen)).toEqual(['patch PersistentVolumeClaim events-broker-1'])
})

test('then its StatefulSet goes, and when its pod has gone the Lease stays as a tombstone', () => {
  const seen = running(cluster, [0, 1], { claims: byName([claimOf(0), claimOf(1, retired)]) })
  expect(stepsOf(seen)).toEqual(['delete StatefulSet events-broker-1'])
  const stopped = { ...running(cluster, [0]), claims: seen.claims, leases: byName([leaseOf(0), leaseOf(1)]) }
  const [step] = leave(seenOf(stopped))
  expect(step).toMatchObject({
    kind: 'patch',
    key: { name: 'events-broker-1' },
    patch: [
      { op: 'test', path: '/metadata/uid' },
      { op: 'add', path: `/metadata/labels/${labels.retired.replace('/', '~1')}`, value: 'true' },
      { op: 'remove', path: `/metadata/annotations/${annotations.broker.replace('/', '~1')}` },
    ],
  })
  const { metadata, ...lease } = leaseOf(1)
  const told = { ...lease, metadata: { ...metadata, labels: { ...metadata.labels, ...retired } } }
  expect(stepsOf({ ...stopped, leases: byName([leaseOf(0), told]) })).toEqual([
    'delete PersistentVolumeClaim events-broker-1',
  ])
  const keeping = { ...stopped, cluster: clusterOf({ brokers: 1 }), leases: byName([leaseOf(0), told]) }
  expect(stepsOf(keeping)).toEqual([])
})

test('a broker with a tablet does not go', () => {
  const slice = sliceOf(topicOf('a', 9), [tabletOn(1)])
  const seen = running(cluster, [0, 1], { claims: byName([claimOf(0), claimOf(1)]), slices: byName([slice]) })
  expect(stepsOf(seen)).toEqual([])
})
