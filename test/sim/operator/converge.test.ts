import { expect, test } from 'vitest'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import {
  configMaps,
  networkPolicies,
  nodes,
  persistentVolumeClaims,
  podDisruptionBudgets,
  roleBindings,
  roles,
  serviceAccounts,
  services,
} from '../../../kube/resources.ts'
import type { KubeApi, Selection } from '../../../kube/api.ts'
import { namesOf, namespace, Operated } from './operated.ts'

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
  expect(namesOf(all.kube.peekAll(configMaps))).toEqual(['events-config', 'events-dynamic'])
  const accounts = [serviceAccounts, roles, roleBindings].map(resource => namesOf(all.kube.peekAll(resource)))
  expect(accounts).toEqual([['events-broker'], ['events-broker'], ['events-broker']])
  expect(namesOf(all.kube.peekAll(podDisruptionBudgets))).toEqual(['events-brokers'])
  expect(namesOf(all.kube.peekAll(networkPolicies))).toEqual(['events-brokers'])
  const slices = all.kube.peekAll(tabletSlices)
  expect(
    slices.map(({ topic, first, tablets }) => `${topic.name} ${first} ${tablets.length}`).sort(),
  ).toEqual(['orders 0 64', 'orders 64 36', 'payments 0 3'])
  expect(all.clusterNow()?.status).toMatchObject({
    replicas: 3,
    bootstrap: 'events-kafka.logs.svc:9092',
    tablets: { total: 103, offline: 0, underReplicated: 0, moving: 0 },
    brokers: [0, 1, 2].map(id => ({ id, phase: 'Running', ready: true, incarnation: 1 })),
  })
  expect(all.condition('Available')).toMatchObject({ status: 'True', reason: 'Serving' })
  expect(all.condition('Degraded')).toMatchObject({ status: 'False', reason: 'Healthy' })
  expect(all.topicNow('orders')?.status).toMatchObject({ tablets: 100, led: 100 })
  const before = all.writes.length
  all.kube.compact()
  all.kube.cutWatches()
  await all.clock.runFor(120_000)
  expect(all.writes.slice(before)).toEqual([])
}, 60_000)

test('of other people’s objects nothing is listed or watched', async () => {
  const all = new Operated()
  const asked = new Map<string, Selection>()
  const through = (api: KubeApi): KubeApi => ({
    ...api,
    watch(resource, options, signal) {
      asked.set(resource.plural, options)
      return api.watch(resource, options, signal)
    },
  })
  all.start(through)
  all.cluster()
  await all.converged()
  const unlabelled = [...asked].flatMap(([plural, { labelSelector }]) =>
    labelSelector === undefined ? [plural] : [],
  )
  expect(unlabelled.sort()).toEqual(['logclusters', 'logtopics', 'storageclasses'])
  expect(new Set([...asked.values()].map(({ labelSelector }) => labelSelector))).toEqual(
    new Set([undefined, 'stele.dev/cluster']),
  )
  expect(asked.size).toBe(15)
})

test('of two operators one leads; the other goes on when it is gone', async () => {
  const all = new Operated()
  const first = all.start()
  all.cluster()
  await all.converged()
  const second = all.start()
  await all.clock.runFor(60_000)
  expect(first.isReady() && second.isReady()).toBe(true)
  expect(await first.metrics()).toContain('leader_election_master_status{name="stele-operator"} 1')
  expect(await second.metrics()).toContain('leader_election_master_status{name="stele-operator"} 0')
  await all.clock.finish(first.stop())
  all.kube.set(configMaps, { namespace, name: 'events-config' }, () => undefined)
  await all.clock.runUntil(
    () => all.kube.peek(configMaps, { namespace, name: 'events-config' }) !== undefined,
  )
  await all.quiet()
  expect(await second.metrics()).toMatch(/controller_runtime_reconcile_total\{[^}]*\} [1-9]/)
})

test('nothing is written twice while watches are late', async () => {
  const all = new Operated()
  all.kube.eventDelayMsMax = 5_000
  all.start()
  all.cluster()
  all.topic('orders', { tablets: 3 })
  await all.converged()
  const made = all.writes.filter(({ verb }) => ['create', 'apply'].includes(verb))
  const times = Map.groupBy(made, ({ plural, name }) => `${plural} ${name}`)
  // A StatefulSet is written again when the zone of its pod is known.
  const often = [...times].filter(([what, calls]) => calls.length > (what.startsWith('statefulsets') ? 2 : 1))
  expect(often.map(([what]) => what)).toEqual([])
  expect(made.length).toBeGreaterThan(10)
})

test('nodes that do not answer, or get their zones late, hold nobody up', async () => {
  const all = new Operated(1, ['a', 'b'])
  const label = (labelOf: (zone: string) => Record<string, string>): void => {
    for (const zone of ['a', 'b'])
      all.kube.set(
        nodes,
        { namespace: '', name: `node-${zone}` },
        now => now && { ...now, metadata: { ...now.metadata, labels: labelOf(zone) } },
      )
  }
  const zonesNow = () => new Set(all.clusterNow()?.status?.brokers?.map(({ zone }) => zone))
  all.kube.onCall = ({ plural }) => (plural === 'nodes' ? { code: 500 } : undefined)
  label(() => ({}))
  all.start()
  all.cluster()
  await all.converged()
  all.kube.onCall = undefined
  await all.clock.runFor(240_000)
  expect(zonesNow()).toEqual(new Set([undefined]))
  label(zone => ({ 'topology.kubernetes.io/zone': zone }))
  await all.clock.runFor(240_000)
  expect(zonesNow()).toEqual(new Set(['a', 'b']))
})
