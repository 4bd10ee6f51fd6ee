/** One cluster's life, by what its owner does: Helm and kubectl, and programs that use Kafka's clients. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addClientProgram, clientPod } from './client-pods.ts'
import { images, isRig, Namespace, until, type Pod } from './cluster.ts'
import { installOperator, removeOperator, upgradeOperator } from './operator.ts'
import { controlPlane, state } from './rig/layout.ts'
import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import type { LogTopic } from '../../control/kubernetes/resources/log-topic.ts'
import type { TabletSlice } from '../../control/kubernetes/resources/tablet-slice.ts'

const namespace = new Namespace('stele-life')
const brokerPods = 'stele.dev/cluster=events,stele.dev/broker-id'
const records = 100_000

const cluster = (spec: object = {}): object => ({
  apiVersion: 'stele.dev/v1alpha1',
  kind: 'LogCluster',
  metadata: { name: 'events' },
  spec: {
    brokers: 3,
    storage: { size: '1Gi' },
    config: { 'offsets.topic.num.partitions': 5 },
    listeners: [{ type: 'NodePort' }],
    ...spec,
  },
})

const topic = (name: string, tablets: number, deletionPolicy = 'Retain'): object => ({
  apiVersion: 'stele.dev/v1alpha1',
  kind: 'LogTopic',
  metadata: { name },
  spec: { cluster: 'events', tablets, deletionPolicy },
})

const seen = (): Promise<LogCluster> => namespace.get('logcluster', 'events')
/** What an owner does to the cluster's spec. */
const change = (spec: object): Promise<string> =>
  namespace.kubectl('patch', 'logcluster', 'events', '--type=merge', '-p', JSON.stringify({ spec }))
const uids = async (): Promise<string[]> =>
  (await namespace.pods(brokerPods)).map(({ metadata }) => `${metadata.name} ${metadata.uid}`).sort()
const isReady = ({ status }: Pod): boolean =>
  status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
const names = async (kind: string): Promise<string[]> =>
  (await namespace.kubectl('get', kind, '-l', 'stele.dev/cluster=events', '-o', 'name'))
    .split('\n')
    .filter(Boolean)

/** What the operator says is wrong or going on, for errors of this file. */
const explain = async (): Promise<string> =>
  (
    await Promise.all([
      namespace.kubectl('get', 'logclusters,logtopics,pods,pvc', '-o', 'wide'),
      namespace.kubectl('get', 'logcluster', 'events', '-o', 'jsonpath={.status}').catch(String),
      namespace.kubectl('get', 'events.events.k8s.io', '--sort-by=.metadata.creationTimestamp'),
      namespace.kubectl('logs', '-l', brokerPods, '--tail=10', '--prefix').catch(String),
    ])
  ).join('\n')

/** Waits until the cluster has `count` brokers, all of them ready, and the operator has nothing left to do. */
async function converged(count: number): Promise<void> {
  await until(
    `${count} ready brokers`,
    async () => {
      const { metadata, status } = await seen()
      const condition = (type: string) => status?.conditions?.find(each => each.type === type)?.status
      return (
        status?.observedGeneration === metadata.generation &&
        condition('Available') === 'True' &&
        condition('Progressing') === 'False' &&
        status?.brokers?.length === count &&
        status.brokers.every(({ ready }) => ready)
      )
    },
    { limitMs: 180_000, everyMs: 500, explain },
  )
}

async function topicReady(name: string): Promise<LogTopic> {
  await namespace
    .kubectl('wait', '--for=condition=Ready', `logtopic/${name}`, '--timeout=60s')
    .catch(async error => {
      throw new Error(`${String(error)}\n${await explain()}`, { cause: error })
    })
  return namespace.get('logtopic', name)
}

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
  const { status } = await topicReady('orders')
  expect(status).toMatchObject({ tablets: 6, led: 6 })
  const pods = await namespace.pods(brokerPods)
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

test('scaling up makes brokers that new tablets are put on', async () => {
  await namespace.kubectl('scale', 'logcluster/events', '--replicas=5')
  await converged(5)
  await namespace.apply(topic('clicks', 10, 'Delete'))
  const { status } = await topicReady('clicks')
  const slices = JSON.parse(await namespace.kubectl('get', 'tabletslices', '-o', 'json')) as {
    items: TabletSlice[]
  }
  const [slice] = slices.items.filter(({ topic }) => topic.id === status?.topicId)
  const leaders = new Set(slice?.tablets.map(({ leader }) => leader))
  expect(leaders).toContain(3)
  expect(leaders).toContain(4)
})

test('a broker that holds tablets is not removed, and the cluster says why', async () => {
  await namespace.kubectl('scale', 'logcluster/events', '--replicas=4')
  await until(
    'the reason',
    async () => {
      const { status } = await seen()
      return (
        status?.conditions?.some(
          ({ reason, message }) => reason === 'DrainBlocked' && message.includes('4'),
        ) === true
      )
    },
    { explain },
  )
  await namespace.kubectl('delete', 'logtopic', 'clicks')
  await converged(4)
  await namespace.kubectl('scale', 'logcluster/events', '--replicas=3')
  await converged(3)
  expect((await seen()).status?.brokers?.map(({ id }) => id)).toEqual([0, 1, 2])
})

test('a changed setting restarts one broker after the other', async () => {
  const before = await uids()
  let mostDown = 0
  const rolling = new AbortController()
  const watching = (async () => {
    while (!rolling.signal.aborted)
      mostDown = Math.max(mostDown, 3 - (await namespace.pods(brokerPods)).filter(isReady).length)
  })()
  await change({ config: { 'message.max.bytes': 2000000 } })
  await until('other pods', async () => (await uids()).filter(uid => before.includes(uid)).length === 0, {
    limitMs: 180_000,
    everyMs: 500,
    explain,
  })
  await converged(3)
  rolling.abort()
  await watching
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
  const [pod] = await namespace.pods(brokerPods)
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
  await namespace.kubectl('delete', 'logcluster', 'events', '--timeout=60s')
  await until('no brokers', async () => (await namespace.pods(brokerPods)).length === 0, { limitMs: 90_000 })
  // Those of brokers 3 and 4 too, which are no more.
  expect(await names('pvc')).toHaveLength(5)
  await namespace.kubectl('get', 'logtopic', 'orders')
  await namespace.apply(cluster())
  await converged(3)
  await topicReady('orders')
  await allRecordsAreThere()
})

test('with deletionPolicy: Delete nothing is left', async () => {
  await change({ deletionPolicy: 'Delete' })
  await converged(3)
  await namespace.kubectl('delete', 'logcluster', 'events', '--timeout=60s')
  const kinds = 'pods,pvc,services,configmaps,leases,statefulsets,logtopics,tabletslices'
  await until('nothing', async () => (await names(kinds)).length === 0, {
    limitMs: 120_000,
    explain: () => namespace.kubectl('get', kinds),
  })
  expect(await names(kinds)).toEqual([])
})
