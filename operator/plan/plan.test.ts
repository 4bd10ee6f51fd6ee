import { expect, test } from 'vitest'
import { annotations, labels } from '../../control/kubernetes/resources/names.ts'
import { services, type PersistentVolumeClaim } from '../../kube/resources.ts'
import { byName, clusterOf, nothing } from '../observed.fixture.ts'
import { firstAddress } from '../resources/reaching.ts'
import { plan } from './plan.ts'
import { put } from './put.ts'
import { targetOf } from './step.ts'

test('from nothing, volumes come first; StatefulSets when there is all that they need', () => {
  const cluster = clusterOf({ brokers: 1 })
  const first = plan(nothing(cluster)).flat()
  const targets = first.map(targetOf)
  expect(targets[0]).toBe('PersistentVolumeClaim events-broker-0')
  expect(targets).toHaveLength(10)
  const claims = first
    .slice(0, 1)
    .flatMap(step => (step.kind === 'apply' ? [step.object as PersistentVolumeClaim] : []))
  expect(
    plan(nothing(cluster, { claims: byName(claims) }))
      .flat()
      .map(targetOf)
      .at(-1),
  ).toBe('StatefulSet events-broker-0')
  const foreign = claims.map(claim => ({
    ...claim,
    metadata: { ...claim.metadata, labels: { [labels.cluster]: 'events' } },
  }))
  expect(
    plan(nothing(cluster, { claims: byName(foreign) }))
      .flat()
      .map(targetOf),
  ).not.toContain('StatefulSet events-broker-0')
})

test('a paused LogCluster, and one that is being deleted, is left as it is', () => {
  const cluster = clusterOf()
  const paused = {
    ...cluster,
    metadata: { ...cluster.metadata, annotations: { [annotations.paused]: 'true' } },
  }
  const going = { ...cluster, metadata: { ...cluster.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }
  expect(plan(nothing(paused))).toEqual([])
  expect(plan(nothing(going))).toEqual([])
})

test('an object is written when it is missing, changed, edited or not known to be ours', () => {
  const cluster = clusterOf()
  const wanted = firstAddress(cluster)
  const [made] = put(cluster, services, undefined, wanted)
  if (made?.kind !== 'apply') throw new Error('it is not applied')
  expect(made).toMatchObject({ isNew: true, reason: 'it is missing' })
  const live = made.object as typeof wanted
  expect(put(cluster, services, live, wanted)).toEqual([])
  const edited = { ...live, spec: { ...live.spec, selector: { app: 'other' } } }
  expect(put(cluster, services, edited, wanted)).toMatchObject([
    { reason: 'it was edited by hand', event: { reason: 'PutBack' } },
  ])
  const other = { ...wanted, spec: { ...wanted.spec, type: 'NodePort' } }
  expect(put(cluster, services, live, other)).toMatchObject([{ reason: 'something else is wanted now' }])
  const more = { ...live, spec: { ...live.spec, ports: [...(live.spec?.ports ?? []), { port: 1 }] } }
  expect(put(cluster, services, more, other)).toMatchObject([{ kind: 'patch', putsBack: true }])
  const reaching = { ...live, spec: { ...live.spec, externalIPs: ['10.0.0.1'] } }
  expect(put(cluster, services, reaching, other)).toMatchObject([{ kind: 'apply' }])
  const foreign = { ...live, metadata: { name: live.metadata.name, namespace: 'logs' } }
  expect(put(cluster, services, foreign, wanted)).toMatchObject([{ isNew: true }])
  const going = { ...edited, metadata: { ...edited.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }
  expect(put(cluster, services, going, wanted)).toEqual([])
})
