import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { brokerId, incarnation } from '../../base/quantities.ts'
import { reportTexts } from '../../control/kubernetes/broker-report.ts'
import { claims, cluster, leases, pods, slice, topics } from './cluster.fixture.ts'

/** What an API server answers to a list, by the plural asked for. */
type Answer = { readonly items: readonly object[] } | { readonly code: number; readonly message: string }
let answers: Record<string, Answer> = {}
let asked: string[] = []
/** What brokers' pods answer. */
let metrics: Record<string, string> = {}
let denied = false

const noAnswer = (pod: string | undefined): Answer =>
  pod === undefined ? { items: [] } : { code: denied ? 403 : 503, message: 'no' }

const server = createServer((request, reply) => {
  const path = new URL(request.url ?? '', 'http://server').pathname
  asked.push(path)
  const pod = /^\/api\/v1\/namespaces\/production\/pods\/([^/]+):8080\/proxy\/metrics$/.exec(path)?.[1]
  const text = pod === undefined ? undefined : metrics[pod]
  if (text !== undefined) {
    reply.end(text)
    return
  }
  const [, namespace, plural = ''] =
    /^\/apis?(?:\/[^/]+){1,2}?(?:\/namespaces\/([^/]+))?\/([a-z]+)$/.exec(path) ?? []
  const answer = answers[`${namespace ?? '*'}/${plural}`] ?? answers[plural] ?? noAnswer(pod)
  const failed = 'code' in answer
  reply.writeHead(failed ? answer.code : 200, { 'content-type': 'application/json' })
  reply.end(
    JSON.stringify(
      failed
        ? { kind: 'Status', apiVersion: 'v1', status: 'Failure', ...answer }
        : { kind: 'List', apiVersion: 'v1', metadata: { resourceVersion: '1' }, items: answer.items },
    ),
  )
})

let directory = ''
beforeAll(async () => {
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  directory = mkdtempSync(join(tmpdir(), 'stele-cli-kube-'))
  const { port } = server.address() as AddressInfo
  writeFileSync(
    join(directory, 'config'),
    JSON.stringify({
      clusters: [{ name: 'here', cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: 'me', user: {} }],
      contexts: [{ name: 'here', context: { cluster: 'here', user: 'me', namespace: 'production' } }],
      'current-context': 'here',
    }),
  )
})
afterAll(() => {
  server.close()
  rmSync(directory, { recursive: true })
})
beforeEach(() => {
  asked = []
  metrics = {}
  denied = false
  answers = {
    logclusters: { items: [cluster] },
    logtopics: { items: topics },
    tabletslices: { items: [slice] },
    pods: { items: pods },
    persistentvolumeclaims: { items: claims },
    leases: { items: leases },
  }
})

const main = join(import.meta.dirname, '../main.ts')

/** Runs `stele` with this server's kubeconfig. */
function stele(...args: string[]): Promise<{ out: string; err: string; code: number | null }> {
  const env = { ...process.env, KUBECONFIG: join(directory, 'config'), HOME: directory, FORCE_COLOR: '' }
  const child = spawn(process.execPath, [main, ...args], { env })
  let [out, err] = ['', '']
  child.stdout.on('data', piece => void (out += piece))
  child.stderr.on('data', piece => void (err += piece))
  return new Promise(resolve => child.once('close', code => resolve({ out, err, code })))
}

test('status says how the cluster is and what to do', async () => {
  const { out, err } = await stele('status')
  expect(err).toBe('')
  expect(out).toBe(`events in production: needs a look

  brokers  2 of 3 ready
  topics   2 topics, 1 not ready
  tablets  4 tablets, of them 1 offline, 1 under-replicated, 1 moving
  inside   events-kafka.production.svc:9092
  outside  10.0.0.1:31000,10.0.0.2:31001

  Available    no   TabletsOffline  1 tablet has no leader
  Progressing  yes  Starting        waiting for events-broker-2-0
  Degraded     yes  BrokerFailed    the image of events-broker-2-0 does not start

What to do
  events-broker-2-0 does not run: ImagePullBackOff: no such image\\u001b[31m
  Offline: orders-2 (no broker leads it). Bring back what they wait for; all of them: stele tablets --problems -n production --cluster events
  Topic Web.Clicks is not ready (TooFewBrokers): spec.replication 5 is more than 3 brokers: lower it, or scale up
`)
})

test('brokers', async () => {
  const { out } = await stele('brokers', 'events')
  expect(out).toBe(`BROKER  ZONE  POD                PHASE    READY  LEADS  HOLDS  BYTES          DISK
     0  a     events-broker-0-0  Running  yes        3      3  1.07 GB (10%)  10Gi
     1  b     events-broker-1-0  Running  yes        0      3  2.15 GB (20%)  10Gi
     2  c     events-broker-2-0  Failed   no         0      1  -              10Gi

events-broker-2-0: ImagePullBackOff: no such image\\u001b[31m
`)
  const wide = await stele('brokers', '-o', 'wide')
  expect(wide.out).toContain('node-1')
  expect(wide.out).toContain('INCARNATION')
})

test('tablets: who is in sync counts only as the incarnation that was', async () => {
  const size = (tablet: number, bytes: number) =>
    `kafka_log_log_size{topic="orders",partition="${tablet}"} ${bytes}\n`
  metrics = {
    'events-broker-0-0': `# TYPE kafka_log_log_size gauge\n${size(0, 1500)}${size(1, 0)}`,
    'events-broker-1-0': `${size(0, 7)}${size(3, 17)}`,
  }
  const { out } = await stele('tablets', 'orders')
  expect(out).toBe(`TOPIC   TABLET  LEADER  REPLICAS  IN SYNC  BYTES    STATE
orders       0  0       0,1       0,1      1.50 kB  well
orders       1  0       0,1       0        0 B      under-replicated, 1 behind
orders       2  none    2         none     -        offline, 2 behind
orders       3  0       0,1       0,1      17 B     moving, to 2, from 1

orders-2: no broker leads it
`)
  const problems = await stele('tablets', '--problems')
  expect(problems.out.split('\n').map(line => line.split(/ +/)[1])).toEqual([
    'TABLET',
    '1',
    '2',
    '3',
    undefined,
    'no',
    undefined,
  ])
})

describe('a broker that is away', () => {
  const offline = async () => {
    const rows = JSON.parse((await stele('tablets', '--problems', '-o', 'json')).out) as {
      tablet: number
      state: string
      why: string
    }[]
    return rows.filter(({ state }) => state === 'offline').map(({ tablet, why }) => `${tablet}: ${why}`)
  }
  const rest = '2: no broker leads it'

  test('by its pod', async () => {
    const conditions = [{ type: 'Ready', status: 'False' }]
    answers['pods'] = { items: pods.map(pod => ({ ...pod, status: { ...pod.status, conditions } })) }
    const why = 'broker 0 is not ready'
    expect(await offline()).toEqual([`0: ${why}`, `1: ${why}`, rest, `3: ${why}`])
    expect((await stele('status')).out).toContain(`Offline: orders-0, orders-1, orders-3 (${why});`)
    expect((await stele('brokers')).out).toContain(`events-broker-0-0: ${why}\n`)
  })

  test('by its Lease, which has run out though its pod counts as ready', async () => {
    const late = { leaseDurationSeconds: 12, renewTime: '2026-01-01T00:00:30.000000Z' }
    answers['leases'] = { items: leases.map((lease, id) => (id === 1 ? { ...lease, spec: late } : lease)) }
    const why = 'broker 0 does not renew its Lease'
    expect(await offline()).toEqual([`0: ${why}`, `1: ${why}`, rest, `3: ${why}`])
    const soon = { ...late, renewTime: '2026-01-01T00:00:10.000000Z' }
    answers['leases'] = { items: leases.map((lease, id) => (id === 1 ? { ...lease, spec: soon } : lease)) }
    expect(await offline()).toEqual([rest])
  })

  test('by what it says of one tablet', async () => {
    const said = reportTexts(
      { bytes: 0, offline: [{ topicId: slice.topic.id, tablet: 1, reason: 'the disk failed to sync: EIO' }] },
      incarnation(1),
    )
    answers['leases'] = {
      items: leases.map(lease => {
        const annotations = { ...lease.metadata.annotations, ...said }
        return { ...lease, metadata: { ...lease.metadata, annotations } }
      }),
    }
    expect(await offline()).toEqual(['1: the disk failed to sync: EIO', rest])
    expect((await stele('tablets')).out).toContain('\norders-1: the disk failed to sync: EIO\n')
  })
})

test('slices of deleted topics are not counted', async () => {
  answers['logtopics'] = { items: topics.slice(1) }
  expect((await stele('status')).out).toContain('tablets  0 tablets\n')
})

test('programs get JSON', async () => {
  const status = JSON.parse((await stele('status', '-o', 'json')).out) as unknown[]
  expect(status).toMatchObject([{ name: 'events', well: false, tablets: { total: 4, offline: 1 } }])
  const tablets = JSON.parse((await stele('tablets', '-o', 'json')).out) as unknown[]
  expect(tablets[1]).toMatchObject({ topic: 'orders', tablet: 1, leader: 0, isr: [0], behind: [1] })
})

test('several clusters are told apart', async () => {
  const other = { ...cluster, metadata: { ...cluster.metadata, name: 'audit', namespace: 'test' } }
  answers['logclusters'] = { items: [cluster, other] }
  answers['tabletslices'] = {
    items: [
      slice,
      {
        ...slice,
        metadata: { ...slice.metadata, namespace: 'test', labels: { 'stele.dev/cluster': 'audit' } },
      },
    ],
  }
  answers['logtopics'] = {
    items: [
      ...topics,
      ...topics.map(topic => ({
        ...topic,
        metadata: { ...topic.metadata, namespace: 'test' },
        spec: { ...topic.spec, cluster: 'audit' },
      })),
    ],
  }
  const { out } = await stele('tablets', '--all-namespaces')
  expect(out).toMatch(/^NAMESPACE +CLUSTER +TOPIC/)
  expect(out).toContain('\ntest        audit    orders')
  expect(asked).toContain('/apis/stele.dev/v1alpha1/logclusters')
  const some = await stele('tablets', '--cluster', 'audit', '-A')
  expect(some.out).not.toContain('events')
})

test('what may not be seen is told, and the rest is shown', async () => {
  for (const plural of ['pods', 'leases']) answers[plural] = { code: 403, message: 'no' }
  const { out, err, code } = await stele('brokers')
  expect(out).toContain('events-broker-1-0')
  expect(err).toBe('some of it is not known: you have no right to list pods, leases\n')
  expect(code).toBe(0)
  denied = true
  expect((await stele('tablets')).err).toContain('you have no right to get pods/proxy')
})

test('a cluster that nobody looks after says so', async () => {
  answers['logclusters'] = { items: [{ ...cluster, status: undefined }] }
  const { out } = await stele('status')
  expect(out).toContain('nobody has said anything about it yet')
  expect(out).toContain('The operator has not seen the last change yet.')
  const paused = { ...cluster.metadata, annotations: { 'stele.dev/paused': 'true' } }
  answers['logclusters'] = { items: [{ ...cluster, metadata: paused }] }
  expect((await stele('status')).out).toContain(
    'kubectl -n production annotate logcluster events stele.dev/paused-',
  )
})

describe('errors say what to do', () => {
  const failing = async (...args: string[]): Promise<string> => {
    const { err, code, out } = await stele(...args)
    expect(code).toBe(1)
    expect(out).toBe('')
    return err
  }

  test('no kubeconfig', async () => {
    expect(await failing('status', '--kubeconfig', join(directory, 'none'))).toMatch(
      /^stele: there is no kubeconfig .*none\n {7}Give --kubeconfig/,
    )
  })

  test('a context that is not there', async () => {
    expect(await failing('status', '--context', 'other')).toContain('`kubectl config get-contexts` lists')
  })

  test('another name of a cluster', async () => {
    expect(await failing('status', 'event')).toBe(
      'stele: there is no LogCluster event in namespace production\n       There are: events.\n',
    )
  })

  test('another namespace', async () => {
    answers['test/logclusters'] = { items: [] }
    expect(await failing('status', '-n', 'test')).toContain(
      'There is one in namespace production: say -n production, or -A for all.',
    )
  })

  test('no cluster anywhere', async () => {
    answers['logclusters'] = { items: [] }
    expect(await failing('status')).toContain('docs/kubernetes.md shows how to make one.')
  })

  test('a topic that is not there', async () => {
    expect(await failing('tablets', 'order')).toBe(
      'stele: no topic order is placed\n       There are: orders.\n',
    )
  })

  test.each([
    [
      404,
      'the server could not find the requested resource',
      /this Kubernetes has no logclusters\.stele\.dev.*\n +Install its chart: helm install/,
    ],
    [
      403,
      'logclusters.stele.dev is forbidden: User "me" cannot list',
      /User "me" cannot list\n +Ask for the right to list logclusters\.stele\.dev/,
    ],
    [401, 'Unauthorized', /does not know who you are.*\n +Log in again/],
    [500, 'etcd is away', /Kubernetes answered 500: etcd is away/],
  ])('the answer %d', async (code, message, said) => {
    answers['logclusters'] = { code, message }
    expect(await failing('status')).toMatch(said)
  })

  test('nobody there', async () => {
    writeFileSync(
      join(directory, 'away'),
      JSON.stringify({
        clusters: [{ name: 'a', cluster: { server: 'http://127.0.0.1:1' } }],
        contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
        users: [{ name: 'a', user: {} }],
        'current-context': 'a',
      }),
    )
    expect(await failing('status', '--kubeconfig', join(directory, 'away'))).toMatch(
      /the API server does not answer: .*\n +Is it the right context\?/,
    )
  })
})

test('--watch shows what changed, until it is interrupted', async () => {
  const env = { ...process.env, KUBECONFIG: join(directory, 'config') }
  const child = spawn(process.execPath, [main, 'status', '--watch'], { env })
  let out = ''
  const saying = (text: string): Promise<void> =>
    new Promise(resolve => {
      const look = (): void => {
        if (out.includes(text)) resolve()
      }
      child.stdout.on('data', look)
      look()
    })
  child.stdout.on('data', piece => void (out += piece))
  await saying('2 of 3 ready')
  answers['logclusters'] = { code: 500, message: 'etcd is away' }
  await saying('Kubernetes answered 500: etcd is away')
  const status = {
    ...cluster.status,
    brokers: cluster.status?.brokers?.map(broker => ({ ...broker, ready: true })),
  }
  answers['logclusters'] = { items: [{ ...cluster, status }] }
  const conditions = [{ type: 'Ready', status: 'True' }]
  answers['pods'] = { items: pods.map(pod => ({ ...pod, status: { ...pod.status, conditions } })) }
  await saying('3 of 3 ready')
  child.kill('SIGINT')
  await new Promise(resolve => child.once('close', resolve))
  expect(out.match(/of 3 ready/g)).toHaveLength(2)
})

describe('copies', () => {
  const GB = 1e9
  const copies = (broker: number, bytesLeft: number) => ({
    broker: brokerId(broker),
    tablets: 2,
    tabletsDone: 0,
    bytes: 10 * GB,
    bytesLeft,
    bytesPerSecond: 50e6,
  })
  beforeEach(() => {
    const [first, ...others] = leases
    if (first === undefined) throw new Error('there is a Lease')
    const texts = reportTexts(
      { bytes: 0, offline: [], copies: [copies(1, 4 * GB), copies(2, GB)] },
      incarnation(1),
    )
    const annotations = { ...first.metadata.annotations, ...texts }
    answers['leases'] = { items: [{ ...first, metadata: { ...first.metadata, annotations } }, ...others] }
  })

  test('the cluster says how far all of them are, each broker how far its own', async () => {
    expect((await stele('status')).out).toContain(
      '\n  copying  4 tablets, 75% of 20.0 GB, 100 MB/s, 1:20 left\n',
    )
    const { out } = await stele('brokers')
    expect(out).toMatch(/ DISK  COPIES\n/)
    expect(out).toMatch(/^ +0 .* 10Gi  -$/m)
    expect(out).toMatch(/^ +1 .* 10Gi  2 tablets, 60% of 10\.0 GB, 50\.0 MB\/s, 1:20 left$/m)
    expect(out).toMatch(/^ +2 .* 10Gi  2 tablets, 90% of 10\.0 GB, 50\.0 MB\/s, 20\.0 s left$/m)
  })

  test('each tablet says how much of it the replicas have that are not in sync', async () => {
    metrics = {
      'events-broker-0-0': [
        'kafka_log_log_size{topic="orders",partition="1"} 1000',
        'kafka_log_log_size{topic="orders",partition="3"} 2000',
        'stele_tablet_copy_left_bytes{topic="orders",partition="1",broker="1"} 550',
        'stele_tablet_copy_left_bytes{topic="orders",partition="3",broker="2"} 1999',
        '',
      ].join('\n'),
    }
    const { out } = await stele('tablets')
    expect(out).toContain('under-replicated, 1 (45%) behind\n')
    expect(out).toContain('moving, to 2 (0%), from 1\n')
  })
})
