import { expect, test } from 'vitest'
import type { LogClusterSpec } from '../../../control/kubernetes/resources/log-cluster.ts'
import { logTopics, type LogTopicSpec } from '../../../control/kubernetes/resources/log-topic.ts'
import { annotations } from '../../../control/kubernetes/resources/names.ts'
import { objectName } from '../../../control/kubernetes/topic-writes.ts'
import { offsetsTopic } from '../../../control/model.ts'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import {
  configMaps,
  events,
  persistentVolumeClaims,
  pods,
  services,
  statefulSets,
  storageClasses,
} from '../../../kube/resources.ts'
import { namespace, Operated } from './operated.ts'

const eventOf = (all: Operated, reason: string, about: string) =>
  all.kube.peekAll(events).find(event => event.reason === reason && event.regarding?.name === about)

const three = async (): Promise<Operated> => {
  const all = new Operated()
  all.start()
  all.cluster()
  await all.converged()
  return all
}

test.each<[Partial<LogClusterSpec>, string, RegExp]>([
  [
    { config: { 'num.partition': 3 } },
    'UnknownSetting',
    /^spec\.config: "num\.partition" is not a setting of a broker; did you mean num\.partitions\?; brokers go on with the settings before$/,
  ],
  [
    { config: { 'num.partitions': 'many' } },
    'UnknownSetting',
    /num\.partitions must be a whole number of at least 1, not "many"/,
  ],
  [
    { config: { listeners: 'PLAINTEXT://:1' } },
    'UnknownSetting',
    /listeners is given to brokers by the operator: use spec\.listeners/,
  ],
  [
    { storage: { size: '5Gi' } },
    'VolumeCannotShrink',
    /spec\.storage\.size is 5Gi, the volume has 10Gi .* set it to 10Gi or more/,
  ],
  [
    { image: 'stele:broken' },
    'BrokerFailed',
    /^broker 0: ImagePullBackOff: .*stele:broken.*; correct spec\.image/,
  ],
])('of a running LogCluster, %j: %s', async (spec, reason, message) => {
  const all = await three()
  all.kubelets.brokenImages.add('stele:broken')
  all.cluster(spec)
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === reason)
  expect(all.condition('Degraded')).toMatchObject({
    status: 'True',
    message: expect.stringMatching(message) as string,
  })
  await all.quiet()
  expect(eventOf(all, reason, 'events')).toMatchObject({ type: 'Warning' })
  expect(all.ready).toBeGreaterThanOrEqual(2)
  expect(all.kube.peek(configMaps, { namespace, name: 'events-config' })?.data).toEqual({
    'server.properties': 'offsets.topic.replication.factor=3\n',
  })
})

test('no broker is started with settings that it would refuse', async () => {
  const all = new Operated()
  all.start()
  all.cluster({ config: { nonsense: 1 } })
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'UnknownSetting')
  await all.quiet()
  expect(all.sets()).toEqual([])
  all.cluster({ config: {} })
  await all.converged()
  expect(all.ready).toBe(3)
})

test('a StorageClass that is not there, and then is', async () => {
  const all = new Operated()
  all.start()
  all.cluster({ storage: { size: '1Gi', storageClassName: 'fast' } })
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'StorageClassNotFound')
  expect(all.condition('Degraded')?.message).toContain(
    'spec.storage.storageClassName: there is no StorageClass fast',
  )
  await all.clock.runUntil(() => all.condition('Degraded')?.message.includes('unbound') === true)
  all.kube.set(storageClasses, { namespace: '', name: 'fast' }, () => ({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'fast' },
    provisioner: 'local',
  }))
  await all.converged()
  expect(all.condition('Degraded')?.status).toBe('False')
  all.cluster({ storage: { size: '2Gi', storageClassName: 'fast' } })
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'VolumeCannotGrow')
  all.cluster({ storage: { size: '1Gi', storageClassName: 'fast' } })
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'Healthy')
})

test('what is there under our names and not ours is left alone', async () => {
  const all = new Operated()
  const key = { namespace, name: 'events-broker-1' }
  const stranger = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { ...key, labels: { app: 'shop' } },
    spec: { replicas: 0 },
  }
  all.kube.set(statefulSets, key, () => stranger as never)
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { ...key, name: 'events-broker-2' },
    spec: {},
  }
  all.kube.set(persistentVolumeClaims, { namespace, name: 'events-broker-2' }, () => claim)
  const before = all.kube.peek(statefulSets, key)
  all.start()
  all.cluster()
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'NotOurs')
  await all.clock.runFor(120_000)
  expect(all.condition('Degraded')?.message).toContain(
    'StatefulSet events-broker-1 that the operator did not make',
  )
  expect(all.condition('Degraded')?.message).toContain(
    'PersistentVolumeClaim events-broker-2 that the operator did not make',
  )
  expect(all.kube.peek(statefulSets, key)).toEqual(before)
  expect(all.kube.peekAll(pods).map(({ metadata }) => metadata.name)).toContain('events-broker-0-0')
  expect(all.sets(), 'no broker over a claim of somebody else').not.toContain('events-broker-2')
  all.kube.set(statefulSets, key, () => undefined)
  all.kube.set(persistentVolumeClaims, { namespace, name: 'events-broker-2' }, () => undefined)
  await all.converged()
  expect(all.ready).toBe(3)
})

test.each<[string, Partial<LogTopicSpec>, string, RegExp]>([
  [
    't',
    { replication: 4 },
    'ReplicationTooHigh',
    /spec\.replication is 4, the LogCluster events has 3 brokers: lower it, or raise spec\.brokers/,
  ],
  ['t', { name: 'a b' }, 'InvalidName', /spec\.name: "a b" cannot be a topic's name: .* try "a-b"/],
  ['t', { config: { 'retention.m': 1 } }, 'UnknownSetting', /did you mean retention\.ms\?/],
  [
    't',
    { cluster: 'nowhere' },
    'ClusterNotFound',
    /spec\.cluster: there is no LogCluster nowhere in the namespace logs/,
  ],
  ['t', { name: 'taken' }, 'NameTaken', /the LogTopic taken already has the name taken/],
  [
    't',
    { name: '__consumer_offsets', tablets: 3 },
    'InvalidName',
    /is the topic of consumer groups, which brokers make/,
  ],
  ['t', { name: 'ta.ken_2' }, 'NameCollides', /ta\.ken_2 differs from the topic ta_ken\.2 only in \. and _/],
  ['t', { tablets: 10_001 }, 'TooManyTablets', /spec\.tablets is 10001: at most 10000/],
])('LogTopic %s %j: %s', async (name, spec, reason, message) => {
  const all = await three()
  all.topic('taken')
  all.topic('other', { name: 'ta_ken.2' })
  await all.converged()
  await all.clock.runFor(2_000)
  all.topic(name, spec)
  const ready = () => all.topicNow(name)?.status?.conditions?.[0]
  await all.clock.runUntil(() => ready()?.reason === reason)
  expect(ready()).toMatchObject({
    type: 'Ready',
    status: 'False',
    message: expect.stringMatching(message) as string,
  })
  await all.quiet()
  expect(all.kube.peekAll(tabletSlices)).toHaveLength(2)
  expect(eventOf(all, reason, name)).toMatchObject({ type: 'Warning' })
})

test('a hand-made LogTopic does not take the name of the topic of consumer groups from the brokers', async () => {
  const all = await three()
  all.topic('mine', { name: offsetsTopic })
  await all.clock.runFor(2_000)
  const name = objectName('events', offsetsTopic)
  all.topic(name, { name: offsetsTopic, tablets: 50 })
  await all.clock.runUntil(() => all.topicNow(name)?.status?.conditions?.[0]?.reason === 'Placed')
  await all.clock.runUntil(() => all.topicNow('mine')?.status?.conditions?.[0]?.reason === 'NameTaken')
  expect(all.topicNow(name)?.status?.led).toBe(50)
})

test('fewer tablets than there are, or more copies than brokers', async () => {
  const all = await three()
  all.topic('orders', { tablets: 5 })
  await all.converged()
  const ready = () => all.topicNow('orders')?.status?.conditions?.[0]
  all.topic('orders', { tablets: 4 })
  await all.clock.runUntil(() => ready()?.reason === 'TabletsCannotShrink')
  expect(all.kube.peekAll(tabletSlices)[0]?.tablets).toHaveLength(5)
  all.topic('orders', { tablets: 5, replication: 4 })
  await all.clock.runUntil(() => ready()?.reason === 'ReplicationTooHigh')
  await all.quiet()
  expect(all.kube.peekAll(tabletSlices)[0]?.tablets.every(({ replicas }) => replicas.length === 1)).toBe(true)
})

test('a slice that names a broker makes none', async () => {
  const all = await three()
  all.topic('orders')
  await all.converged()
  const [slice] = all.kube.peekAll(tabletSlices)
  if (slice === undefined) throw new Error('no slice')
  all.kube.set(tabletSlices, { namespace, name: slice.metadata.name }, () => ({
    ...slice,
    tablets: slice.tablets.map(tablet => ({ ...tablet, replicas: [77], isr: [], leader: 77 })),
  }))
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'TabletsOffline')
  await all.quiet()
  expect(all.sets()).toEqual([0, 1, 2].map(id => `events-broker-${id}`))
})

test('a load balancer without an address is told, also where clients use a name', async () => {
  const all = new Operated()
  all.start()
  all.cluster({ listeners: [{ type: 'LoadBalancer', host: 'broker-{id}.example.com' }] })
  await all.clock.runUntil(() => all.ready === 3)
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'AddressPending')
  for (const id of [0, 1, 2])
    all.kube.setStatus(
      services,
      { namespace, name: `events-broker-${id}-external` },
      { loadBalancer: { ingress: [{ ip: '10.0.0.7' }] } },
    )
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'Healthy')
  expect(all.ready).toBe(3)
})

test('the name of a LogTopic that is gone is the next one’s', async () => {
  const all = await three()
  all.topic('orders')
  await all.clock.runFor(2_000)
  all.topic('again', { name: 'orders' })
  const ready = () => all.topicNow('again')?.status?.conditions?.[0]
  await all.clock.runUntil(() => ready()?.reason === 'NameTaken')
  all.kube.set(logTopics, { namespace, name: 'orders' }, () => undefined)
  await all.clock.runUntil(() => ready()?.reason === 'Placed')
  await all.quiet()
  expect(all.kube.peekAll(tabletSlices).map(({ topic }) => topic.id)).toEqual([
    all.topicNow('again')?.status?.topicId,
  ])
})

test.each([
  ['nonsense', /is not a list of lists of broker ids/],
  ['[[0],[9]]', /puts tablet 1 on broker 9, which is not there/],
])('places that cannot be: %s', async (text, message) => {
  const all = await three()
  const put = (assignment: string) =>
    all.kube.set(logTopics, { namespace, name: 'chosen' }, now => ({
      ...(now ?? { apiVersion: 'stele.dev/v1alpha1', kind: 'LogTopic' }),
      metadata: {
        ...now?.metadata,
        namespace,
        name: 'chosen',
        annotations: { [annotations.assignment]: assignment },
      },
      spec: { cluster: 'events', tablets: 2, replication: 1, deletionPolicy: 'Delete' } as const,
    }))
  put(text)
  const ready = () => all.topicNow('chosen')?.status?.conditions?.[0]
  await all.clock.runUntil(() => ready()?.reason === 'InvalidAssignment')
  expect(ready()?.message).toMatch(message)
  put('[[2],[0]]')
  await all.converged()
  expect(all.kube.peekAll(tabletSlices)[0]?.tablets.map(({ replicas }) => replicas)).toEqual([[2], [0]])
})
