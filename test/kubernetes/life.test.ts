/** One cluster's life, by what its owner does: Helm and kubectl, and programs that use Kafka's clients. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addClientProgram, clientPod } from './client-pods.ts'
import { holds, images, isRig, Namespace, until, type Pod } from './cluster.ts'
import { OwnedCluster } from './log-cluster.ts'
import { installOperator, removeOperator, upgradeOperator } from './operator.ts'
import { controlPlane, state } from './rig/layout.ts'
import type { LogTopic } from '../../control/kubernetes/resources/log-topic.ts'
import type { TabletSlice } from '../../control/kubernetes/resources/tablet-slice.ts'

const namespace = new Namespace('stele-life')
const owned = new OwnedCluster(namespace, 'events')
const { change, converged, explain, names, seen, topic, uids } = owned
const cluster = (spec: object = {}): object => owned.cluster({ storage: { size: '1Gi' }, ...spec })
const records = 100_000
const isReady = ({ status }: Pod): boolean => holds(status.conditions, 'Ready')

/** Each record of `orders`, read in a pod. */
async function allRecordsAreThere(): Promise<void> {
  const { status } = await seen()
  const read = await clientPod(namespace, 'consume', {
    bootstrap: status?.bootstrap ?? '',
    topic: 'orders',
    first: 0,
    count: records,
  })
  expect(read).toEqual({ consumed: records, again: 0 })
}

/** Who has a replica of the topic. */
async function holders(name: string): Promise<ReadonlySet<number>> {
  const { status } = await namespace.get<LogTopic>('logtopic', name)
  const slices = JSON.parse(await namespace.kubectl('get', 'tabletslices', '-o', 'json')) as {
    items: TabletSlice[]
  }
  const own = slices.items.filter(({ topic }) => topic.id === status?.topicId)
  return new Set(own.flatMap(({ tablets }) => tablets.flatMap(({ replicas }) => replicas)))
}

beforeAll(async () => {
  await namespace.create()
  await installOperator()
  await addClientProgram(namespace)
})
afterAll(async () => {
  await namespace.remove()
  await removeOperator()
})

test('ten lines of YAML become three brokers and a topic', async () => {
  await namespace.apply(cluster(), topic('orders', 6))
  await converged(3)
  const { status } = await owned.topicReady('orders')
  expect(status).toMatchObject({ tablets: 6, led: 6 })
  const pods = await owned.pods()
  expect(new Set(pods.map(({ spec }) => spec.nodeName)).size).toBe(3)
  expect(await names('pvc')).toHaveLength(3)
})

test('a producer pod and a consumer pod move 100,000 records', async () => {
  const { status } = await seen()
  const bootstrap = status?.bootstrap ?? ''
  expect(bootstrap).toBe('events-kafka.stele-life.svc:9092')
  const wrote = await clientPod(namespace, 'produce', {
    bootstrap,
    topic: 'orders',
    first: 0,
    count: records,
  })
  expect(wrote).toEqual({ produced: records })
  await allRecordsAreThere()
})

test('a client outside of the pod network reads by NodePort', async () => {
  const { status } = await seen()
  const outside = new Kafka({
    brokers: status?.externalBootstrap?.split(',') ?? [],
    logLevel: logLevel.ERROR,
  })
  const consumer = outside.consumer({ groupId: 'outside' })
  const values = new Set<string>()
  await consumer.connect()
  await consumer.subscribe({ topic: 'orders', fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message }) => {
      values.add(String(message.value))
    },
  })
  await until('all records outside', async () => values.size >= records, { explain })
  await consumer.disconnect()
  expect(values.size).toBe(records)
})

test('scaling up moves tablets onto the new brokers, and new ones are put there', async () => {
  await namespace.kubectl('scale', 'logcluster/events', '--replicas=5')
  await converged(5)
  expect(await holders('orders')).toEqual(new Set([0, 1, 2, 3, 4]))
  await namespace.apply(topic('clicks', 10, { deletionPolicy: 'Delete', replication: 2 }))
  await owned.topicReady('clicks')
  expect(await holders('clicks')).toEqual(new Set([0, 1, 2, 3, 4]))
  await allRecordsAreThere()
})

test('a broker that a topic needs is not removed, and the cluster says why', async () => {
  await namespace.apply(topic('wide', 1, { deletionPolicy: 'Delete', replication: 4 }))
  await owned.topicReady('wide')
  await namespace.kubectl('scale', 'logcluster/events', '--replicas=3')
  const isBlocked = async (): Promise<boolean> =>
    (await seen()).status?.conditions?.some(
      ({ reason, message }) => reason === 'DrainBlocked' && message.includes('wide'),
    ) === true
  await until('the reason', isBlocked, { explain, limitMs: 120_000 })
  expect((await owned.pods()).length).toBeGreaterThan(3)
  await namespace.kubectl('delete', 'logtopic', 'wide')
})

test('brokers that are too many are drained, then removed, and nothing is lost', async () => {
  await converged(3)
  expect((await seen()).status?.brokers?.map(({ id }) => id)).toEqual([0, 1, 2])
  expect(await holders('orders')).toEqual(new Set([0, 1, 2]))
  expect(await holders('clicks')).toEqual(new Set([0, 1, 2]))
  await allRecordsAreThere()
})

test('a changed setting restarts one broker after the other', async () => {
  const before = (await owned.pods()).map(({ metadata }) => metadata.uid)
  let mostDown = 0
  await change({ config: { 'message.max.bytes': 2000000 } })
  await until(
    'three other pods',
    async () => {
      const pods = await owned.pods()
      const ready = pods.filter(isReady)
      mostDown = Math.max(mostDown, 3 - ready.length)
      return ready.filter(({ metadata }) => !before.includes(metadata.uid)).length === 3
    },
    { limitMs: 180_000, explain },
  )
  await converged(3)
  expect(mostDown).toBe(1)
  await allRecordsAreThere()
})

test('another operator restarts no broker, nor does going back', async () => {
  const before = await uids()
  await upgradeOperator(images.steleNext)
  await converged(3)
  expect(await uids()).toEqual(before)
  await upgradeOperator(images.stele)
  await converged(3)
  expect(await uids()).toEqual(before)
})

test("a pod that is deleted comes back with its broker's records", async () => {
  const [pod] = await owned.pods()
  await namespace.kubectl('delete', 'pod', pod?.metadata.name ?? '')
  await converged(3)
  expect((await uids()).some(uid => uid.endsWith(pod?.metadata.uid ?? '?'))).toBe(false)
  await allRecordsAreThere()
})

test('an image that does not start stops at one broker, and one command takes it back', async () => {
  const before = await uids()
  await change({ image: 'rig.invalid/none:1' })
  await until(
    'the condition',
    async () => {
      const { status } = await seen()
      const degraded = status?.conditions?.find(({ type }) => type === 'Degraded')
      return degraded?.status === 'True' && degraded.message.includes('rig.invalid/none:1')
    },
    { limitMs: 120_000, explain },
  )
  expect((await uids()).filter(uid => before.includes(uid))).toHaveLength(2)
  await change({ image: null })
  await converged(3)
  expect((await uids()).filter(uid => before.includes(uid))).toHaveLength(2)
  await allRecordsAreThere()
})

test('what is changed or deleted by hand is put back, but not while the cluster is paused', async () => {
  await namespace.kubectl('annotate', 'logcluster', 'events', 'stele.dev/paused=true')
  await until(
    'the pause',
    async () => (await seen()).status?.conditions?.some(({ reason }) => reason === 'Paused') === true,
  )
  await namespace.kubectl('delete', 'service', 'events-kafka')
  await change({ config: { 'message.max.bytes': 3000000 } })
  await until('the operator to have seen it', async () => {
    const { metadata, status } = await seen()
    return status?.observedGeneration === metadata.generation
  })
  expect(await namespace.kubectl('get', 'service', 'events-kafka', '--ignore-not-found')).toBe('')
  await change({ config: { 'message.max.bytes': 2000000 } })
  await namespace.kubectl('annotate', 'logcluster', 'events', 'stele.dev/paused-')
  await until('the service', async () => (await names('service')).includes('service/events-kafka'), {
    explain,
  })
  await namespace.kubectl(
    'patch',
    'service',
    'events-kafka',
    '--type=json',
    '-p',
    '[{"op":"remove","path":"/spec/selector"}]',
  )
  await until(
    'its selector',
    async () =>
      (await namespace.get<{ spec: { selector?: object } }>('service', 'events-kafka')).spec.selector !==
      undefined,
  )
  await converged(3)
})

test.runIf(isRig)(
  'an operator with nothing to do writes nothing for two minutes',
  async () => {
    const log = join(state, controlPlane.name, 'audit.log')
    const before = (await readFile(log, 'utf8')).length
    const started = Date.now()
    await until('two minutes', async () => Date.now() > started + 120_000, {
      limitMs: 130_000,
      everyMs: 1_000,
    })
    type Entry = { user: { username: string }; verb: string; objectRef?: { resource: string; name: string } }
    const entries = (await readFile(log, 'utf8'))
      .slice(before)
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line) as Entry)
    const ours = entries.filter(({ user }) => user.username.startsWith('system:serviceaccount:stele-system:'))
    // Its own Lease is how two operators agree on who leads; that they renew it shows that we looked at the right account.
    expect(ours.filter(({ objectRef }) => objectRef?.resource === 'leases').length).toBeGreaterThan(10)
    expect(ours.filter(({ objectRef }) => objectRef?.resource !== 'leases')).toEqual([])
  },
  200_000,
)

test('what was written is there when the cluster is deleted and made again', async () => {
  await owned.remove()
  await until('no brokers', async () => (await owned.pods()).length === 0, { limitMs: 90_000 })
  // Those of brokers 3 and 4 too, which are no more.
  expect(await names('pvc')).toHaveLength(5)
  await namespace.kubectl('get', 'logtopic', 'orders')
  await namespace.apply(cluster())
  await converged(3)
  await owned.topicReady('orders')
  await allRecordsAreThere()
})

test('with deletionPolicy: Delete nothing is left', async () => {
  await change({ deletionPolicy: 'Delete' })
  await converged(3)
  await owned.remove()
  const kinds = 'pods,pvc,services,configmaps,leases,statefulsets,logtopics,tabletslices'
  await until('nothing', async () => (await names(kinds)).length === 0, {
    limitMs: 120_000,
    explain: () => namespace.kubectl('get', kinds),
  })
  expect(await names(kinds)).toEqual([])
})
