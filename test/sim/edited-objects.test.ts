/** Brokers in Kubernetes while people edit, delete and bring back the objects that they read. */
import { expect, test } from 'vitest'
import { Refusal } from '../../base/refusals.ts'
import { logTopics } from '../../control/kubernetes/resources/log-topic.ts'
import { dynamicConfigName } from '../../control/kubernetes/resources/names.ts'
import { tabletSlices } from '../../control/kubernetes/resources/tablet-slice.ts'
import { openKubernetesStore } from '../../control/kubernetes/store.ts'
import type { ControlEvent } from '../../control/store.ts'
import type { KubeApi } from '../../kube/api.ts'
import { configMaps } from '../../kube/resources.ts'
import { batchOf } from '../../broker/log/log.fixture.ts'
import { startOf, wanted } from '../contract/control-store.opened.ts'
import { append, startSimBroker, tabletOf } from './broker.ts'
import { SimKube } from './kube.ts'
import { quietLog, startPlacing } from './kube-placing.ts'
import { simWorld } from './world.ts'

const namespace = 'default'

function cluster() {
  const sim = simWorld({ seed: 3 })
  const clock = sim.clock.clockOf({ alive: true })
  const kube = new SimKube({ clock, random: sim.random.fork() })
  const stopPlacing = startPlacing(kube, { clock, cluster: 'events', namespace })
  const openStore = (api: KubeApi = kube.client(sim.world.clock, 'pod')) =>
    openKubernetesStore({
      ...sim.world,
      api,
      log: quietLog,
      cluster: 'events',
      namespace,
      pod: 'events-broker-0-0',
      lost: () => undefined,
    })
  return { sim, kube, openStore, stopPlacing }
}

async function watching(act: () => Promise<void>): Promise<unknown[]> {
  const seen: unknown[] = []
  const note = (error: unknown): void => void seen.push(error)
  const before = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', note)
  await act()
  await new Promise(resolve => setImmediate(resolve))
  process.removeAllListeners('unhandledRejection')
  for (const one of before) process.on('unhandledRejection', one)
  return seen
}

async function brokerWithTopic() {
  const { sim, kube, openStore } = cluster()
  const broker = await sim.clock.finish(startSimBroker(sim, {}, { openStore }))
  const [made] = await sim.clock.finish(broker.store.createTopics([wanted('t')]))
  if (made === undefined || made instanceof Refusal) throw made ?? new Error('none')
  await sim.clock.runFor(100)
  await sim.clock.finish(broker.tablets.settled())
  const [object] = kube.peekAll(logTopics)
  if (object === undefined) throw new Error('no LogTopic')
  return { sim, kube, openStore, broker, topic: made, key: { namespace, name: object.metadata.name } }
}

test('a LogTopic edited to a value that is none does not end brokers', async () => {
  const { sim, kube, broker, key } = await brokerWithTopic()
  const errors = await watching(async () => {
    kube.set(
      logTopics,
      key,
      now => now && { ...now, spec: { ...now.spec, config: { 'retention.ms': 'banana' } } },
    )
    await sim.clock.runFor(5_000)
  })
  expect(errors.map(String)).toEqual([])
  expect(await sim.clock.finish(append(tabletOf(broker, 't'), batchOf(), -1))).toEqual({ baseOffset: 0 })
})

test('a broker starts beside a LogTopic with a value that is none', async () => {
  const { sim, kube, key, broker, openStore } = await brokerWithTopic()
  await sim.clock.finish(broker.stop())
  sim.kill()
  kube.set(
    logTopics,
    key,
    now => now && { ...now, spec: { ...now.spec, config: { 'retention.ms': 'banana' } } },
  )
  await expect(sim.clock.finish(startSimBroker(sim, {}, { openStore }))).resolves.toBeDefined()
})

test('the shared ConfigMap edited to a value that is none does not end brokers', async () => {
  const { sim, kube } = await brokerWithTopic()
  const errors = await watching(async () => {
    kube.set(
      configMaps,
      { namespace, name: dynamicConfigName('events') },
      now => now && { ...now, data: { 'log.retention.ms': 'banana' } },
    )
    await sim.clock.runFor(30_000)
  })
  expect(errors.map(String)).toEqual([])
})

test('what a broker cannot read deletes nothing, before and after a start', async () => {
  const { sim, kube, broker, key, openStore } = await brokerWithTopic()
  const edit = (config: Record<string, string>): void =>
    kube.set(logTopics, key, now => now && { ...now, spec: { ...now.spec, config } })
  edit({ 'retention.ms': '5000', 'segment.bytes': '1000' })
  await sim.clock.runFor(100)
  expect(tabletOf(broker, 't').settings).toMatchObject({ retentionMs: 5_000, segmentBytes: 1_000 })
  edit({ 'retenton.ms': '5', 'segment.bytes': '2000' })
  await sim.clock.runFor(100)
  expect(tabletOf(broker, 't').settings).toMatchObject({ retentionMs: 5_000, segmentBytes: 1_000 })
  await sim.clock.finish(broker.stop())
  sim.kill()
  const again = await sim.clock.finish(startSimBroker(sim, {}, { openStore }))
  expect(tabletOf(again, 't').settings).toMatchObject({
    retentionMs: Infinity,
    retentionBytes: Infinity,
    segmentBytes: 2_000,
  })
  edit({ 'retention.ms': '5', 'segment.bytes': '2000' })
  await sim.clock.runFor(100)
  expect(tabletOf(again, 't').settings).toMatchObject({ retentionMs: 5, segmentBytes: 2_000 })
})

test('slices gone before their LogTopic of Retain: records are kept', async () => {
  const { sim, kube, openStore } = cluster()
  const store = await sim.clock.finish(openStore())
  await sim.clock.finish(store.registerBroker(startOf(1)))
  const [made] = await sim.clock.finish(store.createTopics([wanted('t')]))
  if (made === undefined || made instanceof Refusal) throw made ?? new Error('none')
  const [object] = kube.peekAll(logTopics)
  const key = { namespace, name: object?.metadata.name ?? '' }
  kube.set(logTopics, key, now => now && { ...now, spec: { ...now.spec, deletionPolicy: 'Retain' as const } })
  await sim.clock.runFor(100)
  const events: ControlEvent[] = []
  store.watch(event => void events.push(event))
  // As a deleted namespace or deleted definitions do: in any order.
  for (const slice of kube.peekAll(tabletSlices))
    kube.set(tabletSlices, { namespace, name: slice.metadata.name }, () => undefined)
  kube.set(logTopics, key, () => undefined)
  await sim.clock.runFor(1_000)
  expect(events.map(event => [event.kind, 'kept' in event && event.kept])).toEqual([['topic-deleted', true]])
})

test('a deleted LogTopic is served no more when another one waits for its name', async () => {
  const { sim, kube, openStore, stopPlacing } = cluster()
  const store = await sim.clock.finish(openStore())
  await sim.clock.finish(store.registerBroker(startOf(1)))
  const make = (name: string) =>
    kube.set(logTopics, { namespace, name }, () => ({
      apiVersion: 'stele.dev/v1alpha1',
      kind: 'LogTopic',
      metadata: { namespace, name },
      spec: {
        cluster: 'events',
        name: 't',
        tablets: 1,
        replication: 1,
        deletionPolicy: 'Delete' as const,
      },
    }))
  make('a')
  await sim.clock.runFor(2_000)
  const id = store.topics().get('t')?.id
  expect(id).toBeDefined()
  stopPlacing()
  make('b')
  await sim.clock.runFor(2_000)
  kube.set(logTopics, { namespace, name: 'a' }, () => undefined)
  await sim.clock.runFor(60_000)
  expect(store.topics().get('t')?.id).not.toBe(id)
})

test.each(['a clean stop', 'a kill, before the first checkpoint'] as const)(
  'a slice that was out of sight at a start and comes back does not begin empty: after %s',
  async end => {
    const { sim, kube, openStore, broker, key } = await brokerWithTopic()
    kube.set(
      logTopics,
      key,
      now => now && { ...now, spec: { ...now.spec, deletionPolicy: 'Retain' as const } },
    )
    for (let n = 0; n < 5; n++) await sim.clock.finish(append(tabletOf(broker, 't'), batchOf(), -1))
    if (end === 'a clean stop') await sim.clock.finish(broker.stop())
    sim.kill()
    const [slice] = kube.peekAll(tabletSlices)
    if (slice === undefined) throw new Error('no slice')
    const at = { namespace, name: slice.metadata.name }
    const labels = slice.metadata.labels ?? {}
    kube.set(tabletSlices, at, now => now && { ...now, metadata: { ...now.metadata, labels: {} } })
    const again = await sim.clock.finish(startSimBroker(sim, {}, { openStore }))
    kube.set(tabletSlices, at, now => now && { ...now, metadata: { ...now.metadata, labels } })
    await sim.clock.runFor(5_000)
    await sim.clock.finish(again.tablets.settled())
    await sim.clock.runFor(5_000)
    const tablet = tabletOf(again, 't')
    // Offline with a reason, or with its five records: never a leader with none.
    expect([tablet.role, tablet.role === 'leader' ? tablet.highWatermark : 'none served']).not.toEqual([
      'leader',
      0,
    ])
  },
)

test('CreateTopics of many topics is not many connections at once', async () => {
  const { sim, kube, openStore } = cluster()
  const { clock } = sim.world
  const api = kube.client(clock, 'pod')
  let now = 0
  let most = 0
  const create: KubeApi['create'] = async (resource, object) => {
    most = Math.max(most, ++now)
    await new Promise<void>(resolve => clock.after(5, resolve))
    try {
      return await api.create(resource, object)
    } finally {
      now -= 1
    }
  }
  const slow = new Proxy(api, {
    get: (of, name) => (name === 'create' ? create : (Reflect.get(of, name) as () => unknown).bind(of)),
  })
  const store = await sim.clock.finish(openStore(slow))
  await sim.clock.finish(store.registerBroker(startOf(2)))
  const made = await sim.clock.finish(
    store.createTopics(Array.from({ length: 100 }, (_, n) => wanted(`t${n}`))),
  )
  expect(made.filter(one => one instanceof Refusal)).toEqual([])
  expect(most).toBe(16)
})
