/** The control store in Kubernetes when the API server does not do as it should, on simulated time. */
import { expect, test } from 'vitest'
import { brokerId, incarnation } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import { leases } from '../../kube/resources.ts'
import { brokerIn } from '../../control/kubernetes/broker-lease.ts'
import { bytesIn, offlineIn } from '../../control/kubernetes/broker-report.ts'
import { logTopics, type LogTopic } from '../../control/kubernetes/resources/log-topic.ts'
import { annotations, apiVersion } from '../../control/kubernetes/resources/names.ts'
import { tabletSlices } from '../../control/kubernetes/resources/tablet-slice.ts'
import { openKubernetesStore } from '../../control/kubernetes/store.ts'
import { claimLeadership, type BrokerReport, type BrokerStart, type Topic } from '../../control/model.ts'
import type { ControlEvent, ControlStore } from '../../control/store.ts'
import { SimKube, type SimClient } from '../sim/kube.ts'
import { quietLog, startPlacing } from '../sim/kube-placing.ts'
import { simWorld, type SimWorld } from '../sim/world.ts'
import { startOf, stateOf, wanted } from './control-store.opened.ts'

const namespace = 'default'
const key = (name: string) => ({ namespace, name })

type Opened = { readonly store: ControlStore; readonly api: SimClient; readonly lost: string[] }

class Cluster {
  readonly sim: SimWorld
  readonly kube: SimKube
  readonly stopPlacing: () => void

  constructor(seed = 1) {
    this.sim = simWorld({ seed })
    const { clock } = this.sim.world
    this.kube = new SimKube({ clock, random: this.sim.random.fork() })
    this.stopPlacing = startPlacing(this.kube, { clock, cluster: 'events', namespace })
  }

  async open(pod = 'events-broker-1-0'): Promise<Opened> {
    const api = this.kube.client(undefined, pod)
    const lost: string[] = []
    const store = await this.done(
      openKubernetesStore({
        ...this.sim.world,
        api,
        log: quietLog,
        cluster: 'events',
        namespace,
        pod,
        lost: why => void lost.push(why),
      }),
    )
    return { store, api, lost }
  }

  /** A store with broker 1 in it, and a topic `t` of so many tablets. */
  async withTopic(tablets = 1): Promise<Opened & { readonly topic: Topic }> {
    const opened = await this.open()
    await this.done(opened.store.registerBroker(startOf(1)))
    const [topic] = await this.done(opened.store.createTopics([wanted('t', tablets)]))
    if (topic === undefined || topic instanceof Refusal) throw topic ?? new Error('no answer')
    return { ...opened, topic }
  }

  done<T>(promise: Promise<T>): Promise<T> {
    return this.sim.clock.finish(promise)
  }

  leaseOf(broker: number) {
    const lease = this.kube.peek(leases, key(`events-broker-${broker}`))
    if (lease === undefined) throw new Error('there is no Lease')
    return lease
  }
}

const claimOf = ({ tablets }: Topic, n = 0) => {
  const now = tablets[n]
  if (now === undefined) throw new Error(`no tablet ${n}`)
  return claimLeadership(n, now, { broker: brokerId(1), incarnation: incarnation(1) })
}

const logTopic = (name: string, spec: Partial<LogTopic['spec']> = {}): LogTopic => ({
  apiVersion,
  kind: 'LogTopic',
  metadata: { name, namespace },
  spec: { cluster: 'events', tablets: 1, replication: 1, deletionPolicy: 'Retain', ...spec },
})

test('a change whose answer is lost is unknown, and is seen when it has landed', async () => {
  const cluster = new Cluster()
  const { store, topic } = await cluster.withTopic()
  for (const [lost, epoch] of [
    ['before', 0],
    ['after', 1],
  ] as const) {
    cluster.kube.failNext({ lost }, { verb: 'patch', plural: 'tabletslices' })
    expect(await cluster.done(store.changeTablets(topic.id, [claimOf(topic)]))).toBe('unknown')
    await cluster.sim.clock.runFor(100)
    expect(store.topicById(topic.id)?.tablets[0]?.epoch).toBe(epoch)
  }
  expect(await cluster.done(store.changeTablets(topic.id, [claimOf(topic)]))).toBe('refused')
})

test.each([409, 429, 500, 503])('an answer of %d leaves open what became of a change', async code => {
  const cluster = new Cluster()
  const { store, topic } = await cluster.withTopic()
  cluster.kube.failNext({ code }, { verb: 'patch', plural: 'tabletslices' })
  expect(await cluster.done(store.changeTablets(topic.id, [claimOf(topic)]))).toBe('unknown')
  expect(await cluster.done(store.changeTablets(topic.id, [claimOf(topic)]))).toBe('changed')
})

test('what refused a change is known when the refusal is, however late the watch is', async () => {
  const cluster = new Cluster()
  const { store, topic } = await cluster.withTopic()
  const other = await cluster.open('events-broker-2-0')
  cluster.kube.eventDelayMsMax = 60_000
  cluster.kube.cutWatches()
  expect(await cluster.done(other.store.changeTablets(topic.id, [claimOf(topic)]))).toBe('changed')
  expect(await cluster.done(store.changeTablets(topic.id, [claimOf(topic)]))).toBe('refused')
  expect(store.topicById(topic.id)?.tablets[0]).toMatchObject({ epoch: 1, version: 1 })
})

test('a forbidden change says which right is missing', async () => {
  const cluster = new Cluster()
  const { store, topic } = await cluster.withTopic()
  cluster.kube.failNext({ code: 403, reason: 'Forbidden' }, { verb: 'patch', plural: 'tabletslices' })
  await expect(cluster.done(store.changeTablets(topic.id, [claimOf(topic)]))).rejects.toThrow(
    /may not patch tabletslices in namespace default/,
  )
})

test.each([
  [403, /may not list logtopics in namespace default.*Role/],
  [404, /has no logtopics.*CustomResourceDefinitions/],
  [401, /service account/],
])('when opening it, %d ends with a sentence on what to do', async (code, sentence) => {
  const cluster = new Cluster()
  cluster.kube.failNext({ code }, { verb: 'list' })
  await expect(cluster.open()).rejects.toThrow(sentence)
})

test('it waits for an API server that does not answer yet', async () => {
  const cluster = new Cluster()
  for (let n = 0; n < 5; n++) cluster.kube.failNext(n % 2 === 0 ? { code: 503 } : { lost: 'before' })
  expect(stateOf((await cluster.open()).store).topics).toEqual([])
})

test('while the API server is away reads go on, changes are refused or unknown, and afterwards all is well', async () => {
  const cluster = new Cluster()
  const { store, api, topic, lost } = await cluster.withTopic()
  api.connected = false
  const creating = store.createTopics([wanted('u')])
  const altering = store.alterTopicSettings(topic.id, { set: { 'retention.ms': '1' }, unset: [] })
  const failed = altering.catch((error: unknown) => error)
  expect(await cluster.done(store.changeTablets(topic.id, [claimOf(topic)]))).toBe('unknown')
  expect(await cluster.done(creating)).toEqual([expect.objectContaining({ code: 'REQUEST_TIMED_OUT' })])
  expect(await cluster.done(failed)).toMatchObject({ code: 'REQUEST_TIMED_OUT' })
  await cluster.sim.clock.runFor(300_000)
  expect(store.topicById(topic.id)).toEqual(topic)
  expect(store.leaseAgeMs()).toBeGreaterThan(200_000)
  expect(lost).toEqual([])
  api.connected = true
  await cluster.sim.clock.runFor(60_000)
  expect(store.leaseAgeMs()).toBeLessThan(6_000)
  expect(await cluster.done(store.changeTablets(topic.id, [claimOf(topic)]))).toBe('changed')
})

test.each([
  ['cut', (kube: SimKube) => kube.cutWatches()],
  [
    'compacted away',
    (kube: SimKube) => {
      kube.compact()
      kube.cutWatches()
    },
  ],
])('what happens while watches are %s is told afterwards, in order', async (_how, hurt) => {
  const cluster = new Cluster()
  const { store, topic } = await cluster.withTopic(2)
  const events: ControlEvent[] = []
  store.watch(event => events.push(event))
  const other = await cluster.open('events-broker-2-0')
  cluster.kube.failNext({ code: 503 }, { verb: 'watch', client: 'events-broker-1-0' })
  hurt(cluster.kube)
  await cluster.done(other.store.alterTopicSettings(topic.id, { set: { 'retention.ms': '1' }, unset: [] }))
  await cluster.done(other.store.changeTablets(topic.id, [claimOf(topic, 1)]))
  await cluster.done(other.store.registerBroker(startOf(2)))
  await cluster.sim.clock.runFor(60_000)
  expect(stateOf(store)).toEqual(stateOf(other.store))
  const changes = events.filter(event => event.kind === 'topic-changed')
  expect(changes[0]?.before).toEqual(topic)
  for (const [n, change] of changes.entries()) if (n > 0) expect(change.before).toEqual(changes[n - 1]?.topic)
  expect(changes.at(-1)?.topic).toEqual(store.topicById(topic.id))
})

test('a topic is shown with all its tablets, and while it grows with those that are placed', async () => {
  const cluster = new Cluster()
  const { store } = await cluster.withTopic()
  cluster.stopPlacing()
  const creating = store.createTopics([wanted('big', 100)])
  await cluster.sim.clock.runFor(1_000)
  expect(store.topics().has('big')).toBe(false)
  expect(await cluster.done(creating)).toEqual([expect.objectContaining({ code: 'REQUEST_TIMED_OUT' })])
  // The name is taken all the same.
  expect(await cluster.done(store.createTopics([wanted('big')]))).toEqual([
    expect.objectContaining({ code: 'TOPIC_ALREADY_EXISTS' }),
  ])
  const { clock } = cluster.sim.world
  const stop = startPlacing(cluster.kube, { clock, cluster: 'events', namespace })
  cluster.kube.setStatus(logTopics, key(cluster.kube.peekAll(logTopics).at(-1)?.metadata.name ?? ''), {})
  for (const topic of cluster.kube.peekAll(logTopics))
    cluster.kube.setStatus(logTopics, key(topic.metadata.name), { tablets: topic.spec.tablets })
  await cluster.sim.clock.runFor(1_000)
  expect(store.topics().get('big')?.tablets).toHaveLength(100)
  stop()
  // The operator dies in the middle of growing it, and a broker starts.
  const big = store.topics().get('big')
  const growing = store.addTablets(big?.id ?? '', 200).catch((error: unknown) => error)
  await cluster.sim.clock.runFor(1_000)
  const again = await cluster.open('events-broker-2-0')
  expect(again.store.topics().get('big')).toEqual(big)
  expect(await cluster.done(growing)).toMatchObject({ code: 'REQUEST_TIMED_OUT' })
})

test('who makes or grows a topic waits as long as he says, also for an API server that is away, and it is done later', async () => {
  const cluster = new Cluster()
  const { store, api, topic } = await cluster.withTopic()
  cluster.stopPlacing()
  const { clock } = cluster.sim
  const beganMs = clock.monotonicMs()
  const [made] = await cluster.done(store.createTopics([wanted('u', 3)], { timeoutMs: 500 }))
  expect(made).toMatchObject({ code: 'REQUEST_TIMED_OUT' })
  const growing = store.addTablets(topic.id, 200, { timeoutMs: 500 }).catch((error: unknown) => error)
  expect(await cluster.done(growing)).toMatchObject({ code: 'REQUEST_TIMED_OUT' })
  api.connected = false
  const [lost] = await cluster.done(store.createTopics([wanted('v')], { timeoutMs: 0 }))
  expect(lost).toMatchObject({ code: 'REQUEST_TIMED_OUT' })
  expect(clock.monotonicMs() - beganMs).toBeLessThan(1_500)
  api.connected = true
  startPlacing(cluster.kube, { clock: cluster.sim.world.clock, cluster: 'events', namespace })
  await cluster.done(store.createTopics([wanted('w')]))
  await clock.runFor(60_000)
  expect(store.topics().get('u')?.tablets).toHaveLength(3)
  expect(store.topicById(topic.id)?.tablets).toHaveLength(200)
})

test('a topic kept by Retain is served no more and its records stay; made again it is the same one', async () => {
  const cluster = new Cluster()
  const { store } = await cluster.withTopic()
  const events: ControlEvent[] = []
  store.watch(event => events.push(event))
  cluster.kube.set(logTopics, key('kept'), () => logTopic('kept'))
  await cluster.sim.clock.runFor(100)
  const kept = store.topics().get('kept')
  if (kept === undefined) throw new Error('it was not placed')
  await expect(cluster.done(store.deleteTopic('kept', kept.id))).rejects.toThrow(
    /deletionPolicy Retain. Delete it with kubectl/,
  )
  cluster.kube.set(logTopics, key('kept'), () => undefined)
  await cluster.sim.clock.runFor(100)
  expect(store.topics().has('kept')).toBe(false)
  expect(store.keepsRecords(kept.id)).toBe(true)
  expect(events.at(-1)).toEqual({ kind: 'topic-deleted', topic: kept, kept: true })
  cluster.kube.set(logTopics, key('kept'), () => logTopic('kept'))
  await cluster.sim.clock.runFor(100)
  expect(store.topics().get('kept')).toEqual(kept)
  expect(events.at(-1)).toEqual({ kind: 'topic-created', topic: kept })
  // Its records go with the slices, when somebody deletes those too.
  cluster.kube.set(logTopics, key('kept'), () => undefined)
  for (const slice of cluster.kube.peekAll(tabletSlices))
    if (slice.topic.name === 'kept') cluster.kube.set(tabletSlices, key(slice.metadata.name), () => undefined)
  await cluster.sim.clock.runFor(100)
  expect(store.keepsRecords(kept.id)).toBe(false)
})

test('of two LogTopics with one name the older one counts', async () => {
  const cluster = new Cluster()
  const { store } = await cluster.withTopic()
  cluster.kube.set(logTopics, key('a'), () => logTopic('a', { name: 'same', config: { 'retention.ms': 1 } }))
  await cluster.sim.clock.runFor(2_000)
  cluster.kube.set(logTopics, key('b'), () => logTopic('b', { name: 'same', config: { 'retention.ms': 2 } }))
  await cluster.sim.clock.runFor(100)
  expect(store.topics().get('same')?.settings).toEqual({ 'retention.ms': '1' })
})

test('a slice that makes no sense shows no topic, and spoils no other', async () => {
  const cluster = new Cluster()
  const { store, topic } = await cluster.withTopic()
  const [slice] = cluster.kube.peekAll(tabletSlices)
  cluster.kube.set(tabletSlices, key(slice?.metadata.name ?? ''), now => {
    if (now === undefined) throw new Error('there is no slice')
    return { ...now, tablets: now.tablets.map(tablet => ({ ...tablet, leader: 7 })) }
  })
  await cluster.sim.clock.runFor(100)
  // What was known before stays.
  expect(store.topicById(topic.id)).toEqual(topic)
  expect((await cluster.open('events-broker-2-0')).store.topics().size).toBe(0)
})

const start = (more: Partial<BrokerStart> = {}): BrokerStart => ({ ...startOf(1), ...more })

test('a Lease that another process renews is waited for, and taken when it has not changed for its time', async () => {
  const cluster = new Cluster()
  const first = await cluster.open()
  await cluster.done(first.store.registerBroker(start()))
  const second = await cluster.open('events-broker-1-0b')
  const registering = second.store.registerBroker(start({ bootId: 'another' }))
  await cluster.sim.clock.runFor(60_000)
  expect(cluster.leaseOf(1).spec?.holderIdentity).toMatch(/^events-broker-1-0_/)
  first.api.connected = false
  const goneMs = cluster.sim.clock.monotonicMs()
  expect(await cluster.done(registering)).toMatchObject({ incarnation: 2, before: { incarnation: 1 } })
  expect(cluster.sim.clock.monotonicMs() - goneMs).toBeGreaterThanOrEqual(4_000)
  expect(cluster.sim.clock.monotonicMs() - goneMs).toBeLessThan(10_000)
  expect(first.lost).toEqual([])
  first.api.connected = true
  await cluster.sim.clock.runFor(60_000)
  expect(first.lost).toEqual([expect.stringMatching(/held by events-broker-1-0b_.* this one ends/)])
  expect(first.store.leaseAgeMs()).toBe(Infinity)
  await expect(first.store.announceAddresses(brokerId(1), incarnation(1), {})).rejects.toMatchObject({
    code: 'INVALID_REQUEST',
  })
})

test('who was killed on the same disk and kernel is not waited for', async () => {
  const cluster = new Cluster()
  const first = await cluster.open()
  await cluster.done(first.store.registerBroker(start()))
  first.api.connected = false
  const second = await cluster.open()
  const fromMs = cluster.sim.clock.monotonicMs()
  expect(await cluster.done(second.store.registerBroker(start()))).toMatchObject({ incarnation: 2 })
  expect(cluster.sim.clock.monotonicMs() - fromMs).toBeLessThan(1_000)
})

test('who was cut off learns what has changed as soon as its Lease is renewed again', async () => {
  const cluster = new Cluster()
  const { store, api, topic } = await cluster.withTopic()
  const other = await cluster.open('events-broker-2-0')
  api.connected = false
  await cluster.sim.clock.runFor(15_000)
  expect(await cluster.done(other.store.changeTablets(topic.id, [claimOf(topic)]))).toBe('changed')
  api.connected = true
  await cluster.sim.clock.runFor(5_000)
  expect(store.topicById(topic.id)?.tablets[0]).toMatchObject({ epoch: 1, version: 1 })
})

test('a renewal that hangs is asked for again before the Lease runs out', async () => {
  const cluster = new Cluster()
  const { store } = await cluster.withTopic()
  for (const verb of ['patch', 'patch'] as const)
    cluster.kube.failNext({ lost: 'before', afterMs: 8_000 }, { verb })
  let oldestMs = 0
  for (let second = 0; second < 40; second++) {
    await cluster.sim.clock.runFor(1_000)
    oldestMs = Math.max(oldestMs, store.leaseAgeMs() ?? Infinity)
  }
  expect(oldestMs).toBeGreaterThan(4_500)
  expect(oldestMs).toBeLessThan(6_000)
})

test('a topic that was made and deleted before any watch told of it does not hold its name', async () => {
  const cluster = new Cluster()
  const { store } = await cluster.open()
  await cluster.done(store.registerBroker(startOf(1)))
  cluster.stopPlacing()
  cluster.kube.onCall = ({ verb }) => (verb === 'watch' || verb === 'list' ? { code: 503 } : undefined)
  cluster.kube.cutWatches()
  await cluster.sim.clock.runFor(100)
  const making = store.createTopics([wanted('t')])
  await cluster.sim.clock.runFor(20)
  const [object] = cluster.kube.peekAll(logTopics)
  cluster.kube.set(logTopics, key(object?.metadata.name ?? ''), () => undefined)
  await cluster.done(making)
  cluster.kube.onCall = undefined
  await cluster.sim.clock.runFor(120_000)
  const [again] = await cluster.done(store.createTopics([wanted('t')], { validateOnly: true }))
  expect(again).toMatchObject({ name: 't' })
})

test('a stop on purpose stands in the Lease, step by step', async () => {
  const cluster = new Cluster()
  const { store } = await cluster.open()
  await cluster.done(store.registerBroker(start()))
  await cluster.done(store.leaving(brokerId(1), incarnation(1)))
  expect(cluster.leaseOf(1).metadata.annotations).toMatchObject({ [annotations.leaving]: 'true' })
  await cluster.done(store.close({ clean: true }))
  expect(cluster.leaseOf(1).spec?.holderIdentity).toBeUndefined()
  expect(cluster.leaseOf(1).metadata.annotations).toMatchObject({ [annotations.stopped]: 'clean' })
  const again = await cluster.open()
  await cluster.done(again.store.registerBroker(start()))
  const { annotations: noted = {} } = cluster.leaseOf(1).metadata
  expect(Object.keys(noted)).toEqual([annotations.broker])
  expect(brokerIn(cluster.leaseOf(1))).toMatchObject({ incarnation: 2 })
})

test('what a broker holds goes along with a renewal, and only when it is something else', async () => {
  const cluster = new Cluster()
  const { store } = await cluster.open()
  const { incarnation: run } = await cluster.done(store.registerBroker(start()))
  const patches = () => cluster.kube.writes.filter(({ verb }) => verb === 'patch').length
  let report: BrokerReport = { bytes: 7, offline: [] }
  store.reporting?.(brokerId(1), run, () => report)
  await cluster.sim.clock.runFor(1_000)
  expect(bytesIn(cluster.leaseOf(1))).toBe(7)
  const before = patches()
  report = { bytes: 9, offline: [{ topicId: 'a', tablet: 2, reason: 'the disk failed' }] }
  await cluster.sim.clock.runFor(40_000)
  expect(patches() - before).toBeLessThanOrEqual(15)
  expect(bytesIn(cluster.leaseOf(1))).toBe(9)
  expect(offlineIn(cluster.leaseOf(1), run).whyOf('a', 2)).toBe('the disk failed')
  report = { bytes: 9, offline: [] }
  await cluster.sim.clock.runFor(5_000)
  expect(offlineIn(cluster.leaseOf(1), run).whyOf('a', 2)).toBeUndefined()
})

test('no renewal fails for a report, whatever somebody does to the annotations', async () => {
  const cluster = new Cluster()
  const { store, lost } = await cluster.open()
  const { incarnation: run } = await cluster.done(store.registerBroker(start()))
  let bytes = 0
  store.reporting?.(brokerId(1), run, () => ({ bytes: (bytes += 1), offline: [] }))
  for (let round = 0; round < 3; round++) {
    await cluster.sim.clock.runFor(5_000)
    cluster.kube.set(leases, key('events-broker-1'), now => {
      if (now === undefined) throw new Error('there is no Lease')
      const { annotations: _, ...metadata } = now.metadata
      return { ...now, metadata }
    })
    await cluster.sim.clock.runFor(20_000)
    expect(store.leaseAgeMs()).toBeLessThan(6_000)
  }
  expect(lost).toEqual([])
})

test('a Lease that somebody deletes is made again, and runs are never counted down', async () => {
  const cluster = new Cluster()
  const { store, topic, lost } = await cluster.withTopic()
  await cluster.done(store.registerBroker(start()))
  await cluster.done(
    store.changeTablets(topic.id, [
      {
        ...claimOf(topic),
        to: { ...claimOf(topic).to, isr: [{ broker: brokerId(1), incarnation: incarnation(2) }] },
      },
    ]),
  )
  cluster.kube.set(leases, key('events-broker-1'), () => undefined)
  await cluster.sim.clock.runFor(20_000)
  expect(brokerIn(cluster.leaseOf(1))?.incarnation).toBe(2)
  expect(lost).toEqual([])
  await cluster.done(store.close({ clean: false }))
  cluster.kube.set(leases, key('events-broker-1'), () => undefined)
  const again = await cluster.open()
  expect(await cluster.done(again.store.registerBroker(start()))).toMatchObject({ incarnation: 3 })
})

test('taking a Lease survives lost answers and being overtaken', async () => {
  for (const fault of [{ lost: 'before' }, { lost: 'after' }, { code: 409 }, { code: 500 }] as const) {
    const cluster = new Cluster()
    const { store } = await cluster.open()
    cluster.kube.failNext(fault, { verb: 'create', plural: 'leases' })
    const { incarnation: run } = await cluster.done(store.registerBroker(start()))
    expect(brokerIn(cluster.leaseOf(1))?.incarnation).toBe(run)
    cluster.kube.failNext(fault, { verb: 'patch', plural: 'leases' })
    const addresses = { http: { host: 'a', port: 1 } }
    await cluster.done(store.announceAddresses(brokerId(1), run, addresses))
    await cluster.sim.clock.runFor(20_000)
    expect(store.leaseAgeMs()).toBeLessThan(6_000)
  }
})

test('settings for all brokers are seen by the others, and survive being written at once', async () => {
  const cluster = new Cluster()
  const [a, b] = [await cluster.open('events-broker-1-0'), await cluster.open('events-broker-2-0')]
  await cluster.done(
    Promise.all([
      a.store.alterBrokerSettings({ set: { 'log.retention.ms': '1' }, unset: [] }),
      b.store.alterBrokerSettings({ set: { 'log.retention.bytes': '2' }, unset: [] }),
    ]),
  )
  await cluster.sim.clock.runFor(15_000)
  expect(a.store.brokerSettings()).toEqual({ 'log.retention.ms': '1', 'log.retention.bytes': '2' })
  expect(b.store.brokerSettings()).toEqual({ 'log.retention.ms': '1', 'log.retention.bytes': '2' })
})
