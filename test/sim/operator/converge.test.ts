import { expect, test } from 'vitest'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import type { Resource } from '../../../kube/api.ts'
import {
  configMaps,
  networkPolicies,
  persistentVolumeClaims,
  podDisruptionBudgets,
  roleBindings,
  roles,
  serviceAccounts,
  services,
} from '../../../kube/resources.ts'
import { namesOf, Operated } from './operated.ts'

test('from nothing to a cluster with topics, and then not one write', async () => {
  const all = new Operated()
  all.start()
  all.cluster()
  all.topic('orders', { tablets: 100, replication: 3 })
  all.topic('payments', { tablets: 3 })
  await all.converged()
  expect(all.ready).toBe(3)
  expect(all.sets()).toEqual(['events-broker-0', 'events-broker-1', 'events-broker-2'])
  expect(namesOf(all.kube.peekAll(persistentVolumeClaims))).toEqual(all.sets())
  expect(namesOf(all.kube.peekAll(services))).toEqual(['events-brokers', 'events-kafka'])
  expect(namesOf(all.kube.peekAll(configMaps))).toEqual(['events-config', 'events-dynamic-config'])
  for (const resource of [serviceAccounts, roles, roleBindings])
    expect(namesOf(all.kube.peekAll(resource as Resource))).toEqual(['events-broker'])
  for (const resource of [podDisruptionBudgets, networkPolicies])
    expect(namesOf(all.kube.peekAll(resource as Resource))).toEqual(['events-brokers'])
  const slices = all.kube.peekAll(tabletSlices)
  expect(slices.map(({ topic, first, tablets }) => [topic.name, first, tablets.length]).sort()).toEqual([
    ['orders', 0, 64],
    ['orders', 64, 36],
    ['payments', 0, 3],
  ])
  expect(all.clusterNow()?.status).toMatchObject({
    replicas: 3,
    bootstrap: 'events-kafka.logs.svc:9092',
    tablets: { total: 103, offline: 0, underReplicated: 100, moving: 0 },
    brokers: [0, 1, 2].map(id => ({ id, phase: 'Running', ready: true, incarnation: 1 })),
  })
  expect(all.condition('Available')).toMatchObject({ status: 'True', reason: 'Serving' })
  expect(all.condition('Degraded')).toMatchObject({ status: 'True', reason: 'UnderReplicated' })
  expect(all.topicNow('orders')?.status).toMatchObject({ tablets: 100, led: 100 })
  const before = all.writes.length
  all.kube.compact()
  all.kube.cutWatches()
  await all.clock.runFor(120_000)
  expect(all.writes.slice(before)).toEqual([])
}, 60_000)
