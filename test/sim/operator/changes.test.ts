import { expect, test } from 'vitest'
import { logClusters } from '../../../control/kubernetes/resources/log-cluster.ts'
import { logTopics } from '../../../control/kubernetes/resources/log-topic.ts'
import { annotations, labels } from '../../../control/kubernetes/resources/names.ts'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import {
  configMaps,
  events,
  leases,
  networkPolicies,
  persistentVolumeClaims,
  pods,
  serviceAccounts,
  services,
  statefulSets,
  storageClasses,
} from '../../../kube/resources.ts'
import { namesOf, namespace, Operated } from './operated.ts'

const three = async (): Promise<Operated> => {
  const all = new Operated()
  all.start()
  all.cluster()
  all.topic('orders', { tablets: 6 })
  await all.converged()
  return all
}

const imagesOf = (all: Operated) => all.kube.peekAll(pods).map(pod => pod.spec?.containers[0]?.image)

test('a change of the image rolls brokers one by one, only while all others are ready', async () => {
  const all = await three()
  const down: [string, number][] = []
  all.kubelets.onPodDown = pod => down.push([pod.metadata.name, all.ready])
  all.cluster({ image: 'stele:2' })
  await all.converged()
  expect(down).toEqual([0, 1, 2].map(id => [`events-broker-${id}-0`, 3]))
  expect(imagesOf(all)).toEqual(['stele:2', 'stele:2', 'stele:2'])
  expect(all.kube.peekAll(events).map(event => event.reason)).toContain('BrokerRestartsWithOnlyCopies')
})

test('a setting reaches brokers by a roll, too', async () => {
  const all = await three()
  const uids = all.kube.peekAll(pods).map(({ metadata }) => metadata.uid)
  all.cluster({ config: { 'log.retention.hours': 24, 'num.partitions': '2' } })
  await all.converged()
  const config = all.kube.peek(configMaps, { namespace, name: 'events-config' })
  expect(config?.data).toEqual({
    'server.properties': 'log.retention.hours=24\nnum.partitions=2\noffsets.topic.replication.factor=3\n',
  })
  for (const pod of all.kube.peekAll(pods)) expect(uids).not.toContain(pod.metadata.uid)
})

test('brokers keep the image they run well with, whatever the operator would give to new clusters', async () => {
  const all = new Operated()
  all.start()
  all.cluster()
  await all.converged()
  expect(all.clusterNow()?.status?.image).toBe('stele:1')
  all.kill()
  all.start(undefined, 'stele:2')
  all.cluster({ config: { 'message.max.bytes': 2_000_000 } })
  await all.converged()
  expect(imagesOf(all)).toEqual(['stele:1', 'stele:1', 'stele:1'])
  all.kubelets.brokenImages.add('stele:broken')
  all.cluster({ image: 'stele:broken' })
  await all.clock.runUntil(() => imagesOf(all).includes('stele:broken'), 120_000)
  await all.quiet()
  all.kube.set(logClusters, { namespace, name: 'events' }, now => {
    if (now === undefined) return undefined
    const { image: _, ...spec } = now.spec
    return { ...now, spec }
  })
  await all.converged()
  expect(imagesOf(all)).toEqual(['stele:1', 'stele:1', 'stele:1'])
})

test.each(['image', 'crash'] as const)(
  'a revision that is broken (%s) stops at its first broker, and is taken back at once',
  async how => {
    const all = await three()
    all.kubelets.brokenImages.add('stele:broken')
    if (how === 'image') all.cluster({ image: 'stele:broken' })
    else {
      all.kubelets.crashing.add(0)
      all.cluster({ config: { 'num.partitions': 7 } })
    }
    await all.clock.runUntil(() => all.condition('Progressing')?.reason === 'RollStopped')
    await all.clock.runFor(300_000)
    expect(all.ready).toBe(2)
    expect(all.condition('Degraded')).toMatchObject({ status: 'True', reason: 'BrokerFailed' })
    expect(all.condition('Degraded')?.message).toMatch(/^broker 0: (ImagePullBackOff|CrashLoopBackOff): /)
    const uids = all.kube.peekAll(pods).map(({ metadata }) => metadata.uid)
    all.kubelets.crashing.clear()
    all.cluster({ image: 'stele:1', config: {} })
    await all.converged()
    expect(all.ready).toBe(3)
    const now = all.kube.peekAll(pods).map(({ metadata }) => metadata.uid)
    expect(now.slice(1)).toEqual(uids.slice(1))
  },
)

test('what is edited or deleted by hand is put back', async () => {
  const all = await three()
  const key = (name: string) => ({ namespace, name })
  all.kube.set(
    statefulSets,
    key('events-broker-1'),
    now => now && { ...now, spec: { ...now.spec, replicas: 0 } as never },
  )
  all.kube.set(
    networkPolicies,
    key('events-brokers'),
    now => now && { ...now, spec: { ...now.spec, ingress: [{}] } },
  )
  all.kube.set(services, key('events-kafka'), () => undefined)
  all.kube.set(
    configMaps,
    key('events-config'),
    now => now && { ...now, data: { 'server.properties': 'x=1' } },
  )
  await all.clock.runFor(30_000)
  expect(all.ready).toBe(3)
  expect(all.kube.peek(statefulSets, key('events-broker-1'))?.spec?.replicas).toBe(1)
  expect(all.kube.peek(networkPolicies, key('events-brokers'))?.spec?.ingress?.[0]?.ports).toHaveLength(2)
  expect(all.kube.peek(services, key('events-kafka'))).toBeDefined()
  expect(all.kube.peek(configMaps, key('events-config'))?.data).toEqual({
    'server.properties': 'offsets.topic.replication.factor=3\n',
  })
  const putBack = all.kube.peekAll(events).filter(event => event.reason === 'PutBack')
  expect(putBack).toHaveLength(4)
  expect(putBack.map(({ note }) => note)).toContain(
    'the Service events-kafka was deleted, and is made again: change the LogCluster instead',
  )
})

test('what is added by hand is taken away again: also what server-side apply leaves, or is refused for', async () => {
  const all = await three()
  const key = (name: string) => ({ namespace, name })
  const before = [
    all.kube.peek(services, key('events-kafka'))?.spec,
    all.kube.peek(services, key('events-brokers'))?.spec,
    all.kube.peek(configMaps, key('events-config'))?.data,
    all.kube.peek(statefulSets, key('events-broker-1'))?.spec,
  ]
  all.kube.set(
    services,
    key('events-kafka'),
    now => now && { ...now, spec: { ...now.spec, selector: { ...now.spec?.selector, app: 'shop' } } },
  )
  all.kube.set(
    services,
    key('events-brokers'),
    now =>
      now && {
        ...now,
        metadata: { ...now.metadata, annotations: { ...now.metadata.annotations, mine: 'stays' } },
        spec: {
          ...now.spec,
          ports: now.spec?.ports?.map(port => (port.name === 'kafka' ? { ...port, port: 9093 } : port)) ?? [],
        },
      },
  )
  all.kube.set(
    configMaps,
    key('events-config'),
    now => now && { ...now, data: { ...now.data, 'log4j.properties': 'x' } },
  )
  all.kube.set(statefulSets, key('events-broker-1'), now => {
    const template = now?.spec?.template
    const [container] = template?.spec?.containers ?? []
    if (now?.spec === undefined || template?.spec === undefined || container === undefined) return now
    const env = [...(container.env ?? []), { name: 'NODE_OPTIONS', value: '--inspect' }]
    const spec = { ...template.spec, nodeSelector: { disk: 'none' }, containers: [{ ...container, env }] }
    return { ...now, spec: { ...now.spec, template: { ...template, spec } } }
  })
  await all.clock.runFor(30_000)
  expect([
    all.kube.peek(services, key('events-kafka'))?.spec,
    all.kube.peek(services, key('events-brokers'))?.spec,
    all.kube.peek(configMaps, key('events-config'))?.data,
    all.kube.peek(statefulSets, key('events-broker-1'))?.spec,
  ]).toEqual(before)
  expect(all.kube.peek(services, key('events-brokers'))?.metadata.annotations?.['mine']).toBe('stays')
  expect(all.kube.peekAll(events).filter(event => event.reason === 'PutBack')).toHaveLength(4)
  const writes = all.writes.length
  await all.clock.runFor(240_000)
  expect(all.writes.slice(writes)).toEqual([])
})

test('a ServiceAccount that was deleted is made again, and brokers that it has silenced roll, whatever they have in sync', async () => {
  const all = await three()
  const key = { namespace, name: 'events-broker' }
  const before = all.kube.peek(serviceAccounts, key)?.metadata.uid
  all.topic('orders', { replication: 2, config: { 'min.insync.replicas': 2 } })
  await all.converged()
  const down: number[] = []
  all.kubelets.onPodDown = () => down.push(all.ready)
  all.kube.set(serviceAccounts, key, () => undefined)
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'AccountReplaced')
  await all.converged()
  const now = all.kube.peek(serviceAccounts, key)?.metadata.uid
  expect(now).not.toBe(before)
  expect(all.kube.peekAll(pods).map(({ metadata }) => metadata.annotations?.[annotations.account])).toEqual([
    now,
    now,
    now,
  ])
  expect(down).toEqual([3, 3, 3])
  expect(all.condition('Degraded')?.reason).toBe('Healthy')
})

test('brokers that have got tokens of the new ServiceAccount are not restarted', async () => {
  const all = await three()
  const uids = () => all.kube.peekAll(pods).map(({ metadata }) => metadata.uid)
  const before = uids()
  all.kubelets.renewedTokens = true
  all.kube.set(serviceAccounts, { namespace, name: 'events-broker' }, () => undefined)
  await all.clock.runFor(300_000)
  expect(uids()).toEqual(before)
  expect(all.condition('Progressing')?.reason).toBe('Converged')
  expect(all.condition('Degraded')?.reason).toBe('Healthy')
})

test('brokers that the loss of their ServiceAccount has made unready are not waited for', async () => {
  const all = await three()
  for (const id of [0, 1, 2]) all.kubelets.recovering.add(id)
  await all.clock.runUntil(() => all.ready === 0)
  all.kube.set(serviceAccounts, { namespace, name: 'events-broker' }, () => undefined)
  await all.clock.runFor(40_000)
  for (const pod of all.kube.peekAll(pods))
    expect(pod.metadata.annotations?.[annotations.account]).toBe(
      all.kube.peek(serviceAccounts, { namespace, name: 'events-broker' })?.metadata.uid,
    )
})

test('a claim that was deleted is the first thing said, and its broker is not restarted', async () => {
  const all = await three()
  all.kube.set(storageClasses, { namespace: '', name: 'small' }, () => ({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'small' },
    provisioner: 'local',
  }))
  for (const id of [0, 1, 2]) {
    const key = { namespace, name: `events-broker-${id}` }
    const claim = all.kube.peek(persistentVolumeClaims, key)
    if (claim === undefined) throw new Error('no claim')
    // A class is no field that may change: it is another claim of the same name.
    all.kube.set(persistentVolumeClaims, key, () => undefined)
    const { uid: _, resourceVersion: __, ...metadata } = claim.metadata
    all.kube.set(persistentVolumeClaims, key, () => ({
      ...claim,
      metadata: { ...metadata, finalizers: ['kubernetes.io/pvc-protection'] },
      spec: { ...claim.spec, storageClassName: 'small' },
    }))
  }
  await all.quiet()
  const uids = all.kube.peekAll(pods).map(({ metadata }) => metadata.uid)
  all.kube.set(persistentVolumeClaims, { namespace, name: 'events-broker-1' }, () => undefined)
  all.cluster({ storage: { size: '20Gi' }, image: 'stele:2' })
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'VolumeDeleted')
  await all.clock.runFor(120_000)
  expect(all.condition('Degraded')?.message).toMatch(
    /^broker 1: the claim events-broker-1 was deleted.*VolumeCannotGrow: brokers 0, 1, 2: spec.storage.size/,
  )
  const now = all.kube.peekAll(pods).map(({ metadata }) => metadata.uid)
  expect(now.map((uid, id) => uid === uids[id])).toEqual([false, true, false])
})

test.each([labels.cluster, labels.brokerId])(
  'the label %s that somebody took off a pod is put back',
  async label => {
    const all = await three()
    const key = { namespace, name: 'events-broker-1-0' }
    const before = all.kube.peek(pods, key)
    all.kube.set(pods, key, now => {
      if (now === undefined) return undefined
      const { [label]: _, ...others } = now.metadata.labels ?? {}
      return { ...now, metadata: { ...now.metadata, labels: others } }
    })
    await all.clock.runFor(30_000)
    expect(all.kube.peek(pods, key)?.metadata).toMatchObject({
      uid: before?.metadata.uid,
      labels: before?.metadata.labels,
    })
    await all.converged()
  },
)

test('of many brokers it is told how far it has come', async () => {
  const all = new Operated()
  const told: string[] = []
  all.kube.onChange(logClusters, ({ after }) => {
    told.push(after?.status?.conditions?.find(({ type }) => type === 'Progressing')?.message ?? '')
  })
  all.start()
  all.cluster({ brokers: 300 })
  await all.clock.runUntil(() => all.sets().length === 300, 120_000)
  expect(told.some(message => /^[1-9]\d* of 300 brokers are made; /.test(message))).toBe(true)
}, 60_000)

test('brokers come and go; ids are never given twice, and a broker whose tablets nobody can take stays', async () => {
  const all = await three()
  all.cluster({ brokers: 5 })
  await all.converged()
  expect(all.sets()).toHaveLength(5)
  all.topic('more', { tablets: 4, replication: 4 })
  await all.converged()
  const placed = all.kube.peekAll(tabletSlices).flatMap(slice => slice.tablets.flatMap(one => one.replicas))
  expect(new Set(placed)).toEqual(new Set([0, 1, 2, 3, 4]))
  all.cluster({ brokers: 3 })
  await all.clock.runUntil(() => all.condition('Progressing')?.reason === 'DrainBlocked')
  expect(all.condition('Degraded')?.message).toContain(
    'cannot be removed, 4 tablets of more are there and no other broker can take them (its tablets have 4 replicas)',
  )
  expect(all.ready).toBeGreaterThan(3)
  all.topic('more', { deletionPolicy: 'Retain' })
  await all.quiet()
  const kept = all.topicNow('more')?.status?.topicId ?? ''
  all.kube.set(logTopics, { namespace, name: 'more' }, () => undefined)
  const remedy = `kubectl delete tabletslices -l 'stele.dev/topic-id in (${Buffer.from(kept, 'base64url').toString('hex')})'`
  await all.clock.runUntil(() => all.condition('Degraded')?.message.includes(remedy) === true)
  for (const slice of all.kube.peekAll(tabletSlices))
    if (slice.topic.id === kept)
      all.kube.set(tabletSlices, { namespace, name: slice.metadata.name }, () => undefined)
  await all.converged()
  expect(all.sets()).toEqual([0, 1, 2].map(id => `events-broker-${id}`))
  expect(namesOf(all.kube.peekAll(persistentVolumeClaims))).toHaveLength(5)
  all.cluster({ brokers: 4 })
  await all.converged()
  expect(all.sets()).toEqual([0, 1, 2, 5].map(id => `events-broker-${id}`))
})

test('volumes grow, and never shrink', async () => {
  const all = await three()
  all.cluster({ storage: { size: '20Gi' } })
  const grown = (id: number, storage: string) =>
    all.kube.set(
      persistentVolumeClaims,
      { namespace, name: `events-broker-${id}` },
      now => now && { ...now, status: { ...now.status, capacity: { storage } } },
    )
  for (const id of [0, 1, 2]) grown(id, id === 1 ? '10Gi' : '20Gi')
  await all.clock.runUntil(() => all.condition('Progressing')?.reason === 'VolumesGrowing')
  expect(all.condition('Progressing')?.message).toMatch(/^broker 1: .*`kubectl describe pvc events-broker-1`/)
  grown(1, '20Gi')
  await all.converged()
  const sizes = () =>
    all.kube.peekAll(persistentVolumeClaims).map(claim => claim.spec?.resources?.requests?.['storage'])
  expect(sizes()).toEqual(['20Gi', '20Gi', '20Gi'])
  all.cluster({ storage: { size: '15Gi' } })
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'VolumeCannotShrink')
  expect(sizes()).toEqual(['20Gi', '20Gi', '20Gi'])
  expect(all.ready).toBe(3)
})

test('a size that volumes could not grow to is taken back, down to more than they have', async () => {
  const all = await three()
  all.cluster({ storage: { size: '100Gi' } })
  const requested = () =>
    new Set(
      all.kube.peekAll(persistentVolumeClaims).map(claim => claim.spec?.resources?.requests?.['storage']),
    )
  await all.clock.runUntil(() => requested().has('100Gi'))
  for (const id of [0, 1, 2])
    all.kube.set(
      persistentVolumeClaims,
      { namespace, name: `events-broker-${id}` },
      now => now && { ...now, status: { ...now.status, capacity: { storage: '10Gi' } } },
    )
  await all.quiet()
  all.cluster({ storage: { size: '10Gi' } })
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'VolumeCannotShrink')
  expect(all.condition('Degraded')?.message).toContain('asks for 100Gi and has 10Gi')
  expect(requested()).toEqual(new Set(['100Gi']))
  all.cluster({ storage: { size: '15Gi' } })
  await all.clock.runUntil(() => !requested().has('100Gi'))
  await all.quiet()
  expect(requested()).toEqual(new Set(['15Gi']))
  expect(all.condition('Degraded')?.reason).toBe('Healthy')
})

test('under Retain a LogCluster that is made again has its brokers, its tablets and its id again', async () => {
  const all = await three()
  const before = all.clusterNow()?.status
  const slices = all.kube.peekAll(tabletSlices)
  all.kube.set(logClusters, { namespace, name: 'events' }, () => undefined)
  await all.clock.runUntil(() => all.kube.peekAll(pods).length === 0)
  await all.clock.runUntil(
    () => all.topicNow('orders')?.status?.conditions?.[0]?.reason === 'ClusterNotFound',
  )
  expect(namesOf(all.kube.peekAll(persistentVolumeClaims))).toHaveLength(3)
  expect(namesOf(all.kube.peekAll(leases))).toContain('events-broker-2')
  expect(all.kube.peekAll(tabletSlices)).toEqual(slices)
  all.cluster({ brokers: 2 })
  await all.clock.runUntil(() => all.ready === 3)
  // The third, in excess now, brings back what it holds, and goes when that has moved.
  await all.converged()
  expect(all.clusterNow()?.status?.clusterId).toBe(before?.clusterId)
  expect(all.clusterNow()?.status?.brokers?.map(({ id, phase }) => [id, phase])).toEqual([
    [0, 'Running'],
    [1, 'Running'],
  ])
  expect(all.condition('Available')?.status).toBe('True')
})

test('a removed broker under Delete leaves no volume, and its id stays used', async () => {
  const all = new Operated()
  all.start()
  all.cluster({ deletionPolicy: 'Delete' })
  await all.converged()
  all.cluster({ brokers: 2 })
  await all.converged()
  expect(namesOf(all.kube.peekAll(persistentVolumeClaims))).toHaveLength(2)
  const lease = all.kube.peek(leases, { namespace, name: 'events-broker-2' })
  expect(lease?.metadata.labels?.[labels.retired]).toBe('true')
  expect(lease?.metadata.annotations?.[annotations.broker]).toBeUndefined()
  all.cluster({ brokers: 3 })
  await all.converged()
  expect(all.sets().at(-1)).toBe('events-broker-3')
})

test('a paused cluster is left alone, and told so', async () => {
  const all = await three()
  all.cluster({}, 'events', { [annotations.paused]: 'true' })
  await all.clock.runUntil(() => all.condition('Progressing')?.reason === 'Paused')
  await all.quiet()
  expect(all.condition('Degraded'), 'the column HEALTH').toMatchObject({ status: 'False', reason: 'Paused' })
  const before = all.writes.length
  all.kube.set(services, { namespace, name: 'events-kafka' }, () => undefined)
  all.topic('late')
  await all.clock.runFor(60_000)
  expect(all.writes.slice(before).filter(({ subresource }) => subresource !== 'status')).toEqual([])
  all.cluster({}, 'events', { [annotations.paused]: 'false' })
  await all.converged()
  expect(all.kube.peek(services, { namespace, name: 'events-kafka' })).toBeDefined()
})

test('topics: tablets are added, policies followed, records deleted or kept as they say', async () => {
  const all = await three()
  const [slice] = all.kube.peekAll(tabletSlices)
  all.topic('orders', { tablets: 70, deletionPolicy: 'Retain' })
  await all.converged()
  const slices = () => all.kube.peekAll(tabletSlices).sort((a, b) => a.first - b.first)
  expect(slices().map(({ tablets }) => tablets.length)).toEqual([64, 6])
  expect(slices()[0]?.tablets.slice(0, 6)).toEqual(slice?.tablets)
  expect(slices()[0]?.topic.deletionPolicy).toBe('Retain')
  all.kube.set(logTopics, { namespace, name: 'orders' }, () => undefined)
  await all.quiet()
  expect(slices()).toHaveLength(2)
  all.topic('orders', { tablets: 70, deletionPolicy: 'Delete' })
  await all.converged()
  expect(all.topicNow('orders')?.status?.topicId).toBe(slice?.topic.id)
  expect(slices()[0]?.topic.deletionPolicy).toBe('Delete')
  expect(slices()[0]?.metadata.annotations?.[annotations.logTopic]).toBe(all.topicNow('orders')?.metadata.uid)
  all.kube.set(logTopics, { namespace, name: 'orders' }, () => undefined)
  await all.clock.runUntil(() => slices().length === 0)
})

test('clients outside: brokers wait for their addresses, and are told them', async () => {
  const all = new Operated()
  all.start()
  all.cluster({ listeners: [{ type: 'NodePort' }] })
  await all.converged()
  expect(all.clusterNow()?.status?.externalBootstrap).toBe('10.0.0.1:30000,10.0.0.1:30001,10.0.0.1:30002')
  const args = all.kube.peek(statefulSets, { namespace, name: 'events-broker-1' })?.spec?.template.spec
    ?.containers[0]?.args
  expect(args?.find(arg => arg.startsWith('advertised.listeners='))).toContain('EXTERNAL://$(NODE_IP):30001')
  all.cluster({ listeners: [] })
  await all.converged()
  expect(namesOf(all.kube.peekAll(services))).toEqual(['events-brokers', 'events-kafka'])
})

test('an object that somebody else changes again each time is put back ever more rarely, and that is told', async () => {
  const all = await three()
  const key = { namespace, name: 'events-broker-1' }
  const scale = (): void =>
    all.kube.set(statefulSets, key, now => now && { ...now, spec: { ...now.spec, replicas: 0 } as never })
  let fights = true
  all.kube.onChange(statefulSets, ({ after }) => {
    if (!fights || after?.metadata.name !== key.name || after.spec?.replicas === 0) return
    all.clock.clockOf({ alive: true }).after(10, scale)
  })
  const before = all.writes.length
  scale()
  await all.clock.runFor(600_000)
  const putBack = all.writes.slice(before).filter(({ plural }) => plural === 'statefulsets')
  expect(putBack.length).toBeGreaterThan(5)
  expect(putBack.length).toBeLessThan(16)
  expect(all.condition('Degraded')?.message).toContain('StatefulSet events-broker-1: whenever')
  expect(all.kube.peekAll(events).filter(({ reason }) => reason === 'Contested')).toHaveLength(1)
  fights = false
  await all.clock.runUntil(() => all.ready === 3, 600_000)
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'Healthy', 900_000)
})
