/** What the API server itself says of LogClusters, LogTopics and TabletSlices, with nobody who looks after them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kubectl, Namespace } from './cluster.ts'
import { installOperator, removeOperator } from './operator.ts'

const namespace = new Namespace('stele-definitions')
const apiVersion = 'stele.dev/v1alpha1'

type Spec = Readonly<Record<string, unknown>>

const logCluster = (spec: Spec, name = 'events'): object => ({
  apiVersion,
  kind: 'LogCluster',
  metadata: { name },
  spec: { storage: { size: '10Gi' }, ...spec },
})

const logTopic = (spec: Spec, name = 'orders'): object => ({
  apiVersion,
  kind: 'LogTopic',
  metadata: { name },
  spec: { cluster: 'events', ...spec },
})

const tablet = { epoch: 0, version: 0, leader: 0, replicas: [0, 1], isr: [{ broker: 0, incarnation: 1 }] }

const tabletSlice = (content: Spec, name = 'events-0123456789abcdef-0'): object => ({
  apiVersion,
  kind: 'TabletSlice',
  metadata: { name },
  topic: { name: 'orders', id: 'AAAAAAAAAAAAAAAAAAAAAA', deletionPolicy: 'Retain' },
  first: 0,
  tablets: [tablet],
  ...content,
})

const apply = (object: object, ...options: string[]): Promise<string> =>
  kubectl(
    [
      '-n',
      namespace.name,
      'apply',
      '--server-side',
      '--force-conflicts',
      ...options,
      '-f',
      '-',
      '-o',
      'json',
    ],
    JSON.stringify(object),
  )
const tried = async (object: object): Promise<Record<string, unknown>> =>
  JSON.parse(await apply(object, '--dry-run=server')) as Record<string, unknown>

beforeAll(async () => {
  await installOperator({ 'operator.replicas': 0 })
  await namespace.create()
  for (const object of [logCluster({}), logTopic({ tablets: 6 }), tabletSlice({})]) await apply(object)
  await apply(logTopic({ name: 'Orders_2' }, 'orders-2'))
  await apply(logCluster({ storage: { size: '10Gi', storageClassName: 'fast' } }, 'classed'))
})
afterAll(async () => {
  await namespace.remove()
  await removeOperator()
})

describe('what is not said', () => {
  test('of a LogCluster', async () => {
    expect(await tried(logCluster({}, 'new'))).toMatchObject({
      spec: { brokers: 3, deletionPolicy: 'Retain', replaceAfter: '5m', storage: { size: '10Gi' } },
    })
  })

  test('of a LogTopic', async () => {
    expect(await tried(logTopic({}, 'new'))).toMatchObject({
      spec: { cluster: 'events', tablets: 1, replication: 1, deletionPolicy: 'Retain' },
    })
  })

  test('of a TabletSlice', async () => {
    expect(await tried(tabletSlice({}, 'new'))).toMatchObject({
      tablets: [{ ...tablet, adding: [], removing: [] }],
    })
  })
})

const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } }

test.each([
  [
    'a LogCluster with everything',
    logCluster(
      {
        brokers: 5,
        image: 'example.org/stele:1',
        imagePullPolicy: 'Always',
        storage: { size: '1.5Ti', storageClassName: 'fast' },
        config: { 'min.insync.replicas': 2, 'auto.create.topics.enable': false, 'a.ratio': 0.5, text: 'x' },
        resources: { requests: { cpu: 2, memory: '4Gi' }, limits: { memory: '4Gi' } },
        template: {
          labels: { team: 'logs' },
          affinity: { nodeAffinity },
          tolerations: [{ key: 'logs', operator: 'Exists' }],
          topologySpreadConstraints: [
            { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' },
          ],
          imagePullSecrets: [{ name: 'registry' }],
        },
        listeners: [{ type: 'LoadBalancer', host: 'broker-{id}.example.com', annotations: { a: 'b' } }],
        deletionPolicy: 'Delete',
        replaceAfter: '1h30m',
      },
      'whole',
    ),
  ],
  ['a volume that grows', logCluster({ storage: { size: '10.5Gi' } })],
  ['the same size in other words', logCluster({ storage: { size: '10240Mi' } })],
  [
    'a LogTopic with everything',
    logTopic(
      {
        name: 'Web.Clicks_2',
        tablets: 64,
        replication: 3,
        config: { 'retention.ms': -1, 'cleanup.policy': 'compact' },
        deletionPolicy: 'Delete',
      },
      'clicks',
    ),
  ],
  ['a size to go back to', logCluster({ storage: { size: '9Gi' } })],
  ['a topic with more tablets', logTopic({ tablets: 12 })],
  ['a topic that says the name it has', logTopic({ tablets: 6, name: 'orders' })],
  [
    'a tablet that nobody leads',
    tabletSlice({ tablets: [{ ...tablet, leader: undefined, isr: [] }] }, 'none'),
  ],
  ['a slice further back', tabletSlice({ first: 128 }, 'third')],
])('%s is taken as it is', async (_, object) => {
  expect(await tried(object)).toMatchObject(JSON.parse(JSON.stringify(object)) as object)
})

const otherTablet = (fields: object): object => tabletSlice({ tablets: [{ ...tablet, ...fields }] }, 'new')

test.each([
  ['no brokers', logCluster({ brokers: 0 }), /spec\.brokers must be from 1 to 1000: to stop a cluster/],
  ['no size', logCluster({ storage: {} }, 'new'), /spec\.storage\.size: Required value/],
  ['no storage', logCluster({ storage: undefined }, 'new'), /spec\.storage: Required value/],
  [
    'a size of words',
    logCluster({ storage: { size: 'much' } }, 'new'),
    /spec\.storage\.size must be a quantity above zero: write it like 100Gi/,
  ],
  [
    'a size of nothing',
    logCluster({ storage: { size: '0' } }, 'new'),
    /spec\.storage\.size must be a quantity above zero/,
  ],
  [
    'another StorageClass',
    logCluster({ storage: { size: '10Gi', storageClassName: 'slow' } }, 'classed'),
    /spec\.storage\.storageClassName cannot change.*make a new LogCluster/,
  ],
  [
    'a StorageClass afterwards',
    logCluster({ storage: { size: '10Gi', storageClassName: 'slow' } }),
    /spec\.storage\.storageClassName cannot change/,
  ],
  ['no StorageClass any more', logCluster({}, 'classed'), /spec\.storage\.storageClassName cannot change/],
  ['a setting that is a list', logCluster({ config: { a: ['b'] } }), /spec\.config\.a/],
  ['a setting that is an object', logCluster({ config: { a: { b: 'c' } } }), /spec\.config\.a/],
  [
    'two listeners',
    logCluster({ listeners: [{ type: 'NodePort' }, { type: 'LoadBalancer' }] }),
    /spec\.listeners takes at most one listener/,
  ],
  [
    'a listener of a kind that is not there',
    logCluster({ listeners: [{ type: 'Ingress' }] }),
    /spec\.listeners\[0\]\.type: Unsupported value: "Ingress": supported values: "NodePort", "LoadBalancer"/,
  ],
  [
    'one host for several load balancers',
    logCluster({ listeners: [{ type: 'LoadBalancer', host: 'a.example' }] }),
    /host must contain \{id\}/,
  ],
  [
    'a host with a port',
    logCluster({ listeners: [{ type: 'NodePort', host: 'a.example/b' }] }),
    /host must be a host name or an address/,
  ],
  [
    'a time of words',
    logCluster({ replaceAfter: 'soon' }),
    /spec\.replaceAfter must be a time of at least 1s: write it like 5m or 1h30m/,
  ],
  [
    'a time of nothing',
    logCluster({ replaceAfter: '0s' }),
    /spec\.replaceAfter must be a time of at least 1s/,
  ],
  [
    'a policy that is not there',
    logCluster({ deletionPolicy: 'Keep' }),
    /spec\.deletionPolicy: Unsupported value: "Keep": supported values: "Retain", "Delete"/,
  ],
  [
    'a field that is not there',
    logCluster({ broker: 3 }),
    /field not declared in schema|unknown field "spec\.broker"/,
  ],
  ['a name that no Service can have', logCluster({}, '9-lives'), /metadata\.name must begin with a letter/],
  [
    'a name with a dot',
    logCluster({}, 'a.b'),
    /metadata\.name must begin with a letter, hold only a-z, 0-9 and -/,
  ],
  [
    'a name that is too long',
    logCluster({}, 'x'.repeat(41)),
    /metadata\.name must .*at most 40 characters long/,
  ],
  [
    'fewer tablets',
    logTopic({ tablets: 5 }),
    /spec\.tablets cannot shrink, that would lose records: put it back/,
  ],
  ['no tablets', logTopic({ tablets: 0 }, 'new'), /spec\.tablets must be from 1 to 10000/],
  ['no copies', logTopic({ replication: 0 }, 'new'), /spec\.replication must be from 1 to 15/],
  [
    'another cluster',
    logTopic({ cluster: 'others', tablets: 6 }),
    /spec\.cluster cannot change: make a LogTopic of another name/,
  ],
  ['no cluster', logTopic({ cluster: undefined }, 'new'), /spec\.cluster: Required value/],
  [
    'another name for Kafka',
    logTopic({ name: 'other' }, 'orders-2'),
    /spec\.name cannot change: make a new LogTopic/,
  ],
  ['no name for Kafka any more', logTopic({}, 'orders-2'), /spec\.name cannot change/],
  ['a name for Kafka afterwards', logTopic({ tablets: 6, name: 'other' }), /spec\.name cannot change/],
  [
    'a name with a space',
    logTopic({ name: 'two words' }, 'new'),
    /spec\.name must be a topic's name in Kafka: 1 to 249 characters/,
  ],
  [
    'a name that means a directory',
    logTopic({ name: '..' }, 'new'),
    /spec\.name must be a topic's name in Kafka.* neither \. nor \.\./,
  ],
  [
    'a name that is too long for Kafka',
    logTopic({ name: 'x'.repeat(250) }, 'new'),
    /spec\.name must be a topic's name in Kafka/,
  ],
  [
    "an object's name that is too long for Kafka",
    logTopic({}, 'x'.repeat(250)),
    /metadata\.name is too long for a topic's name in Kafka: shorten it to 249/,
  ],
  [
    'a leader out of sync',
    otherTablet({ leader: 1 }),
    /leader must be in isr: only a replica in sync may lead/,
  ],
  [
    'one in sync that holds nothing',
    otherTablet({ isr: [...tablet.isr, { broker: 7, incarnation: 1 }] }),
    /isr may hold replicas only/,
  ],
  [
    'a replica twice',
    otherTablet({ replicas: [0, 1, 1] }),
    /replicas\[2\]: Duplicate value: 1|duplicate entries for key \[=1\]/,
  ],
  [
    'one in sync twice',
    otherTablet({ isr: [...tablet.isr, { broker: 0, incarnation: 2 }] }),
    /Duplicate value|duplicate entries for key/,
  ],
  [
    'no replicas',
    otherTablet({ replicas: [], isr: [], leader: undefined }),
    /replicas.* should have at least 1 items/,
  ],
  ['a first tablet in the middle', tabletSlice({ first: 63 }, 'new'), /first must be a multiple of 64/],
  ['another first tablet', tabletSlice({ first: 64 }), /first cannot change/],
  [
    'more tablets than a slice has',
    tabletSlice({ tablets: Array.from({ length: 65 }, () => tablet) }, 'new'),
    /tablets: Too many: 65: must have at most 64 items/,
  ],
  ['fewer tablets in a slice', tabletSlice({ tablets: [] }), /tablets/],
  [
    'an id that is none',
    tabletSlice({ topic: { name: 'a', id: 'short', deletionPolicy: 'Retain' } }, 'new'),
    /topic\.id must be 22 characters of base64url/,
  ],
])('%s is refused', async (_, object, message) => {
  await expect(tried(object)).rejects.toThrow(message)
})

test.each([
  'logcluster',
  'logcluster.spec',
  'logcluster.spec.storage',
  'logtopic.spec',
  'tabletslice.tablets',
])('kubectl explain %s tells what each field is', async path => {
  const text = await kubectl(['explain', path])
  const fields = text.split('\nFIELDS:\n')[1] ?? ''
  const names = fields.split('\n').filter(line => /^ {2}[a-z]/i.test(line))
  expect(names.length).toBeGreaterThan(1)
  expect(text).not.toContain('<no description>')
})

const status = {
  observedGeneration: 1,
  replicas: 3,
  readyReplicas: 2,
  selector: 'stele.dev/cluster=events',
  tablets: { total: 6, underReplicated: 1, offline: 0, moving: 0 },
  bootstrap: 'events-kafka.x.svc:9092',
  conditions: ['Available', 'Degraded'].map(type => ({
    type,
    status: 'True',
    lastTransitionTime: '2026-01-01T00:00:00Z',
    reason: `${type}Reason`,
    message: 'why',
  })),
}

test('kubectl get says whether it is well', async () => {
  const patch = (what: string, value: object): Promise<string> =>
    namespace.kubectl(
      'patch',
      what,
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status: value }),
    )
  await patch('lc/events', status)
  await patch('lt/orders', {
    tablets: 6,
    led: 5,
    conditions: [{ ...status.conditions[0], type: 'Ready', status: 'False', reason: 'NoLeader' }],
  })
  const lines = (await namespace.kubectl('get', 'stele')).split('\n').map(line => line.trim().split(/ {2,}/))
  const row = (name: string): string[] | undefined =>
    lines.find(cells => cells[0]?.endsWith(name))?.slice(1, -1)
  expect(lines[0]?.slice(1)).toEqual(['BROKERS', 'READY', 'AVAILABLE', 'HEALTH', 'TABLETS', 'AGE'])
  expect(row('/events')).toEqual(['3', '2', 'True', 'DegradedReason', '6'])
  expect(row('/orders')).toEqual(['events', '6', '5', '1', 'False', 'NoLeader'])
  expect(row('/events-0123456789abcdef-0')).toEqual(['orders', '0', 'Retain'])
  const one = await namespace.kubectl('get', 'lt', '--field-selector', 'spec.cluster=others', '-o', 'name')
  expect(one).toBe('')
})

test('kubectl scale changes the number of brokers, and what is written there is not the status', async () => {
  await namespace.kubectl('scale', 'logcluster', 'events', '--replicas=7')
  const { spec, status } = await namespace.get<{ spec: object; status?: object }>('logcluster', 'events')
  expect(spec).toMatchObject({ brokers: 7 })
  await apply({ ...logCluster({ brokers: 7 }), status: { bootstrap: 'elsewhere' } })
  expect((await namespace.get<{ status?: object }>('logcluster', 'events')).status).toEqual(status)
})
