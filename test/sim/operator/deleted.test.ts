/** What becomes of data when a LogCluster is deleted: its last word holds, and where nobody knows it, they are kept. */
import { expect, test } from 'vitest'
import { logClusters } from '../../../control/kubernetes/resources/log-cluster.ts'
import { logTopics } from '../../../control/kubernetes/resources/log-topic.ts'
import { annotations } from '../../../control/kubernetes/resources/names.ts'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import type { Resource } from '../../../kube/api.ts'
import {
  configMaps,
  customResourceDefinitions,
  events,
  leases,
  persistentVolumeClaims,
  pods,
} from '../../../kube/resources.ts'
import { killedAt } from './killed-at.ts'
import { namesOf, namespace, Operated } from './operated.ts'

const data = [persistentVolumeClaims, tabletSlices, logTopics, leases] as unknown as Resource[]

/** All that is there of a cluster's data, and what says that it is being removed. */
const left = (all: Operated): string[] =>
  [...data, configMaps as unknown as Resource].flatMap(resource =>
    all.kube
      .peekAll(resource)
      .filter(({ metadata }) => metadata.namespace === namespace)
      .map(({ kind, metadata }) => `${kind} ${metadata.name}`),
  )

const remove = (all: Operated): void =>
  all.kube.set(logClusters, { namespace, name: 'events' }, () => undefined)

async function made(deletionPolicy: 'Retain' | 'Delete'): Promise<Operated> {
  const all = new Operated()
  all.start()
  all.cluster({ deletionPolicy })
  all.topic('orders', { tablets: 70 })
  all.topic('payments', { deletionPolicy: 'Retain' })
  await all.converged()
  return all
}

const owners = (all: Operated): number =>
  data
    .flatMap(resource => all.kube.peekAll(resource))
    .reduce((sum, { metadata }) => sum + (metadata.ownerReferences?.length ?? 0), 0)

/** Three claims, two LogTopics with three slices, three Leases. */
const everything = 11

async function isKept(all: Operated): Promise<void> {
  await all.clock.runUntil(() => all.kube.peekAll(pods).length === 0)
  await all.clock.runFor(120_000)
  expect(left(all)).toHaveLength(everything)
}

const toldOf = (all: Operated, reason: string) =>
  all.kube.peekAll(events).filter(event => event.reason === reason)

test('nothing that holds data has an owner, whatever the policy', async () => {
  const all = await made('Delete')
  expect(owners(all)).toBe(0)
  all.cluster({ deletionPolicy: 'Retain' })
  await all.converged()
  expect(owners(all)).toBe(0)
})

test('under Delete all of it goes when the operator sees the LogCluster go, and the same name begins anew', async () => {
  const all = await made('Delete')
  const before = all.clusterNow()?.status?.clusterId
  remove(all)
  await all.clock.runUntil(() => left(all).length === 0)
  await all.clock.runFor(60_000)
  expect(left(all)).toEqual([])
  all.cluster()
  await all.converged()
  expect(all.clusterNow()?.status?.clusterId).not.toBe(before)
  expect(all.sets()).toEqual([0, 1, 2].map(id => `events-broker-${id}`))
})

test.each(['Retain', 'Delete'] as const)('the last word is heard, right before the end: %s', async last => {
  const all = await made(last === 'Retain' ? 'Delete' : 'Retain')
  all.cluster({ deletionPolicy: last })
  remove(all)
  if (last === 'Retain') return isKept(all)
  await all.clock.runUntil(() => left(all).length === 0)
  return expect(toldOf(all, 'DataKept')).toEqual([])
})

test.each(['paused', 'away', 'paused and away'])(
  'Retain that was said while the operator was %s holds',
  async how => {
    const all = await made('Delete')
    if (how.includes('paused')) all.cluster({}, 'events', { [annotations.paused]: 'true' })
    await all.clock.runFor(30_000)
    if (how.includes('away')) all.kill()
    all.cluster({ deletionPolicy: 'Retain' })
    remove(all)
    await all.clock.runFor(1_000)
    if (how.includes('away')) all.start()
    await isKept(all)
    all.cluster()
    await all.converged()
    expect(all.topicNow('orders')?.status?.conditions?.[0]?.reason).toBe('Placed')
  },
)

test.each(['paused', 'away', 'orphaned', 'a watch that lost its place'])(
  'a LogCluster under Delete that went beside the operator (%s): all is kept, and told with the remedy',
  async how => {
    const all = await made('Delete')
    if (how === 'paused') all.cluster({}, 'events', { [annotations.paused]: 'true' })
    if (how === 'orphaned')
      all.kube.set(
        logClusters,
        { namespace, name: 'events' },
        now => now && { ...now, metadata: { ...now.metadata, finalizers: ['orphan'] } },
      )
    await all.clock.runFor(30_000)
    if (how === 'away') all.kill()
    if (how === 'a watch that lost its place') {
      all.kube.cutWatches()
      all.kube.onCall = ({ client, verb }) =>
        client === 'operator' && verb === 'watch' ? { code: 410, reason: 'Expired' } : undefined
    }
    remove(all)
    if (how === 'orphaned')
      all.kube.set(
        logClusters,
        { namespace, name: 'events' },
        now => now && { ...now, status: undefined as never, metadata: { ...now.metadata, finalizers: [] } },
      )
    await all.clock.runFor(1_000)
    all.kube.compact()
    all.kube.onCall = undefined
    if (how === 'away') all.start()
    await isKept(all)
    const told = toldOf(all, 'DataKept')
    expect(told).toHaveLength(1)
    expect(told[0]?.regarding).toMatchObject({ kind: 'LogCluster', name: 'events' })
    expect(told[0]?.note).toContain(
      'kubectl delete logtopics,tabletslices,pvc,leases -n logs -l stele.dev/cluster=events',
    )
  },
)

test('of what a LogCluster has not taken over nothing goes with it', async () => {
  const all = await made('Retain')
  remove(all)
  await isKept(all)
  all.kube.onCall = ({ client, verb }) =>
    client === 'operator' && verb !== 'watch' ? { code: 500 } : undefined
  all.cluster({ deletionPolicy: 'Delete' })
  await all.clock.runFor(5_000)
  remove(all)
  await all.clock.runFor(1_000)
  all.kube.onCall = undefined
  await isKept(all)
  expect(toldOf(all, 'DataKept')).toEqual([])
})

test('a LogCluster made again at once waits, keeps the LogTopics that were made for it, and loses nothing of its own', async () => {
  const all = await made('Delete')
  remove(all)
  all.cluster({ deletionPolicy: 'Delete' })
  all.topic('orders', { tablets: 3 })
  all.topic('fresh')
  const id = all.topicNow('orders')?.metadata.uid
  await all.clock.runUntil(() => all.condition('Progressing')?.reason === 'RemovingData')
  await all.converged()
  expect(namesOf(all.kube.peekAll(logTopics))).toContain('fresh')
  expect(all.ready).toBe(3)
  expect(
    new Set(
      all.kube.peekAll(tabletSlices).map(({ metadata }) => metadata.annotations?.[annotations.logCluster]),
    ),
  ).toEqual(new Set([all.clusterNow()?.metadata.uid]))
  expect(all.topicNow('orders')?.metadata.uid === id || all.topicNow('orders') === undefined).toBe(true)
  expect(namesOf(all.kube.peekAll(configMaps))).not.toContain('events-deletion')
})

test.each([0, 300])(
  'a LogTopic under Retain that is made again with its LogCluster %d ms after both were deleted begins anew',
  async ms => {
    const all = await made('Delete')
    const before = all.clusterNow()?.status?.clusterId
    remove(all)
    all.kube.set(logTopics, { namespace, name: 'payments' }, () => undefined)
    await all.clock.runFor(ms)
    all.cluster({ deletionPolicy: 'Delete' })
    all.topic('payments', { tablets: 3, deletionPolicy: 'Retain' })
    await all.clock.runUntil(() => all.condition('Progressing')?.reason === 'RemovingData')
    expect(all.clusterNow()?.status?.clusterId).toBeUndefined()
    await all.converged()
    expect(all.topicNow('payments')?.status).toMatchObject({ tablets: 3, led: 3 })
    expect(all.clusterNow()?.status?.clusterId).not.toBe(before)
  },
)

test.each(['before the removal begins', 'after it has begun'])(
  'with the definitions, gone %s, no data go: a LogCluster that comes back with them has all of its volumes',
  async when => {
    const all = await made('Delete')
    const claims = () => all.kube.peekAll(persistentVolumeClaims).map(({ metadata }) => metadata.uid)
    const before = claims()
    const isBegun = () => namesOf(all.kube.peekAll(configMaps)).includes('events-deletion')
    for (const topic of ['orders', 'payments'])
      all.kube.set(logTopics, { namespace, name: topic }, () => undefined)
    remove(all)
    if (when.startsWith('after')) await all.clock.runUntil(isBegun)
    all.kube.onCall = ({ client, verb, plural }) =>
      client === 'operator' && verb === 'list' && plural === logClusters.plural
        ? { code: 404, reason: 'NotFound' }
        : undefined
    await all.clock.runFor(300_000)
    expect(isBegun()).toBe(false)
    expect(toldOf(all, 'DataKept')[0]?.note).toContain('deleted with the definition of all LogClusters')
    all.kube.onCall = undefined
    all.cluster({ deletionPolicy: 'Delete' })
    await all.converged()
    expect(claims()).toEqual(before)
  },
)

test.each(['going', 'gone', 'back already'])(
  'a LogCluster that goes with its definition, which is %s when the operator looks, keeps its data also when both come back at once',
  async how => {
    const all = await made('Delete')
    const claims = () => all.kube.peekAll(persistentVolumeClaims).map(({ metadata }) => metadata.uid)
    const before = claims()
    const key = { namespace: '', name: 'logclusters.stele.dev' }
    const finalized = (finalizers: string[]) =>
      all.kube.set(
        customResourceDefinitions,
        key,
        now => now && { ...now, metadata: { ...now.metadata, finalizers } },
      )
    if (how === 'going') finalized(['customresourcecleanup.apiextensions.k8s.io'])
    all.kube.set(customResourceDefinitions, key, () => undefined)
    remove(all)
    if (how === 'back already') all.define()
    await all.clock.runFor(500)
    if (how === 'going') finalized([])
    if (how !== 'back already') all.define()
    all.cluster({ deletionPolicy: 'Delete' })
    await all.converged()
    expect(claims()).toEqual(before)
    expect(namesOf(all.kube.peekAll(configMaps))).not.toContain('events-deletion')
  },
)

test('who may not see definitions is not kept from removing data', async () => {
  const all = await made('Delete')
  all.kube.onCall = ({ plural }) =>
    plural === 'customresourcedefinitions' ? { code: 403, reason: 'Forbidden' } : undefined
  remove(all)
  await all.clock.runUntil(() => left(all).length === 0)
  expect(all.kube.peekAll(pods)).toEqual([])
})

test('a removal that somebody else’s ConfigMap stands in the way of says so, and goes on without it', async () => {
  const all = await made('Delete')
  const key = { namespace, name: 'events-deletion' }
  all.kube.set(configMaps, key, () => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: key }))
  remove(all)
  await all.clock.runUntil(() => toldOf(all, 'NotOurs').length > 0)
  await all.clock.runFor(120_000)
  expect(toldOf(all, 'NotOurs')).toMatchObject([{ regarding: { kind: 'LogCluster', name: 'events' } }])
  expect(toldOf(all, 'NotOurs')[0]?.note).toContain('ConfigMap events-deletion')
  all.cluster({ deletionPolicy: 'Delete' })
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'NotOurs')
  all.kube.set(configMaps, key, () => undefined)
  await all.converged()
})

test('a LogCluster that a restoration brings back keeps its data, whatever was begun', async () => {
  const all = await made('Delete')
  const cluster = all.clusterNow()
  all.kill()
  all.kube.set(configMaps, { namespace, name: 'events-deletion' }, () => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      namespace,
      name: 'events-deletion',
      labels: { 'stele.dev/cluster': 'events', 'app.kubernetes.io/managed-by': 'stele-operator' },
      annotations: { [annotations.logCluster]: cluster?.metadata.uid ?? '' },
    },
  }))
  all.start()
  await all.clock.runUntil(() => !namesOf(all.kube.peekAll(configMaps)).includes('events-deletion'))
  await all.converged()
  expect(left(all).filter(name => !name.startsWith('ConfigMap'))).toHaveLength(everything)
})

test.each(['gone', 'made again'] as const)(
  'an operator that is killed after any write of a removal: the next one brings it to its end (%s)',
  async then => {
    for (let n = 1; ; n += 1) {
      const all = new Operated(3, ['a'])
      const first = all.start()
      all.cluster({ brokers: 2, deletionPolicy: 'Delete' })
      all.topic('orders', { tablets: 66 })
      all.topic('payments')
      await all.converged()
      const standby = all.operator
      expect(standby).toBe(first)
      let killed = false
      await all.clock.finish(first.stop())
      // It begins to count when the LogCluster goes: a converged one gives nothing to write before.
      all.start(
        killedAt(n, () => {
          killed = true
          all.kill()
        }),
      )
      await all.clock.runFor(5_000)
      remove(all)
      if (then === 'made again') all.cluster({ brokers: 1 })
      const isOver = (): boolean =>
        then === 'gone' ? left(all).length === 0 : all.condition('Progressing')?.reason === 'Converged'
      await all.clock.runUntil(() => killed || isOver(), 600_000)
      if (killed) all.start()
      await all.clock.runUntil(isOver, 600_000)
      await all.quiet()
      if (then === 'gone') expect(left(all), `killed after write ${n}`).toEqual([])
      else {
        const claims = all.kube.peekAll(persistentVolumeClaims)
        expect(claims.map(({ metadata }) => metadata.annotations?.[annotations.logCluster])).toEqual([
          all.clusterNow()?.metadata.uid,
        ])
        expect(all.kube.peekAll(tabletSlices)).toEqual([])
      }
      if (!killed) {
        expect(n).toBeGreaterThan(8)
        return
      }
    }
  },
  300_000,
)
