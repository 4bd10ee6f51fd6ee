// What does the operator cost on a large cluster? A real API server and etcd of the Kubernetes rig, 200 brokers that are plain objects, 1,000
// LogTopics: how long until the operator has them all ready, its memory and CPU, and what 600 objects of others and two idle minutes add.
// `node bench/operator.ts [BROKERS] [TOPICS] [TABLETS-EACH]`.
import { spawn, type ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse } from 'yaml'
import { realClock } from '../broker/world/clock.ts'
import { realWorld } from '../broker/world/world.ts'
import { logClusters } from '../control/kubernetes/resources/log-cluster.ts'
import { logTopics } from '../control/kubernetes/resources/log-topic.ts'
import { annotations, apiVersion, labels } from '../control/kubernetes/resources/names.ts'
import { kubeConfigAccess } from '../kube/kube-config.ts'
import type { KubeObject, Resource } from '../kube/api.ts'
import { KubeClient } from '../kube/client.ts'
import { ListWatch } from '../kube/list-watch.ts'
import { configMaps, leases, pods, statefulSets, type StatefulSet } from '../kube/resources.ts'
import { programs } from '../test/kubernetes/rig/rig.ts'
import { freePort } from '../test/wire/ports.ts'

const [brokers = 200, topics = 1_000, tabletsEach = 6] = process.argv.slice(2).map(Number)
const namespace = 'bench'
const cluster = 'events'
const writesAtOnce = 16
const limitMs = 300_000

const scratch = await mkdtemp(join(tmpdir(), 'stele-bench-operator-'))
const started: ChildProcess[] = []
let failed = ''
const ended = new AbortController()
async function measure(): Promise<void> {
  const kubeconfig = await startApiServer()
  const api = new KubeClient({
    access: kubeConfigAccess({ file: kubeconfig }),
    userAgent: 'stele-bench/1',
  })
  await define(api)
  const nodes = await playNodes(api)
  const renewing = renewLeases(api).catch(
    (error: unknown) => (failed = `a Lease was not renewed: ${String(error)}`),
  )
  const http = await freePort()
  // As the chart starts it.
  const operator = run(process.execPath, [
    '--max-semi-space-size=1',
    join(import.meta.dirname, '../dist/stele.mjs'),
    'operator',
    '--kubeconfig',
    kubeconfig,
    '--image',
    'stele:bench',
    '--http',
    `127.0.0.1:${http}`,
  ])
  const metric = async (pattern: RegExp): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text()
    return [...text.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0)
  }
  const written = (resources: string) =>
    metric(
      new RegExp(
        `^rest_client_requests_total[{]method="(?:POST|PUT|PATCH|DELETE)",resource="${resources}"[^}]*[}] (\\d+)`,
        'gm',
      ),
    )
  const writes = () => written('(?!leases)[a-z]+')
  const ownLease = () => written('leases')
  const said = (what: string, figure: string): void => {
    process.stdout.write(`${what.padEnd(64)} ${figure}\n`)
  }
  await until('the operator', async () => (await fetch(`http://127.0.0.1:${http}/readyz`)).ok)
  said('memory of the operator with nothing to do', await residentOf(operator))

  const begun = performance.now()
  await api.create(logClusters, clusterObject())
  await until(`${brokers} ready brokers`, async () => {
    const now = await api.get(logClusters, { namespace, name: cluster })
    return now?.status?.conditions?.find(({ type }) => type === 'Progressing')?.reason === 'Converged'
  })
  said(`until ${brokers} brokers are made and ready`, secondsSince(begun))

  const cpuBefore = await cpuOf(operator)
  const asked = performance.now()
  await inLanes(topics, n => api.create(logTopics, topicObject(n)))
  said(`until ${topics} LogTopics are created`, secondsSince(asked))
  await until(`${topics} ready topics`, async () => {
    const { items } = await api.list(logTopics, { namespace })
    return items.filter(topic => topic.status?.conditions?.[0]?.status === 'True').length === topics
  })
  said(`until all of them are ready, ${topics * tabletsEach} tablets`, secondsSince(asked))
  said('CPU of the operator for that', `${((await cpuOf(operator)) - cpuBefore).toFixed(1)} s`)
  await sleep(10_000)
  said('memory of the operator', await residentOf(operator))

  await inLanes(600, n => api.create(configMaps, foreignObject(n)))
  await sleep(10_000)
  said('memory of the operator with 600 objects of others', await residentOf(operator))

  // Events about what happened go out at a bounded rate, so some come late.
  let seen = -1
  await until('the last event', async () => {
    const last = seen
    seen = await writes()
    await sleep(5_000)
    return seen === last && (await writes()) === seen
  })
  const [before, ownBefore] = [await writes(), await ownLease()]
  const idleCpu = await cpuOf(operator)
  await sleep(120_000)
  const [after, ownAfter] = [await writes(), await ownLease()]
  said('CPU of the operator in two idle minutes', `${((await cpuOf(operator)) - idleCpu).toFixed(2)} s`)
  said('its writes meanwhile, without those to its own Lease', String(after - before))
  said('its writes to its own Lease', String(ownAfter - ownBefore))
  ended.abort()
  await renewing
  await nodes.stop()
  if (failed !== '') throw new Error(failed)
}

const clusterObject = () =>
  ({
    apiVersion,
    kind: 'LogCluster',
    metadata: { name: cluster, namespace },
    spec: { brokers, storage: { size: '1Gi' }, deletionPolicy: 'Retain', replaceAfter: '5m' },
  }) as const

const topicObject = (n: number) =>
  ({
    apiVersion,
    kind: 'LogTopic',
    metadata: { name: `topic-${n}`, namespace },
    spec: { cluster, tablets: tabletsEach, replication: 1, deletionPolicy: 'Delete' },
  }) as const

const foreignObject = (n: number) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: `foreign-${n}`, namespace },
  data: { text: 'x'.repeat(10_000) },
})

/** etcd and an API server on loopback, that trusts everybody. Answers a kubeconfig. */
async function startApiServer(): Promise<string> {
  const { debian, kubernetes } = await programs()
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()]
  const etcd = `http://127.0.0.1:${etcdPort}`
  run(join(debian, 'usr/bin/etcd'), [
    '--data-dir',
    join(scratch, 'etcd'),
    '--unsafe-no-fsync',
    '--log-level',
    'error',
    '--listen-client-urls',
    etcd,
    '--advertise-client-urls',
    etcd,
    '--listen-peer-urls',
    `http://127.0.0.1:${peerPort}`,
  ])
  const tokens = join(scratch, 'tokens.csv')
  await writeFile(tokens, 'bench,bench,bench,"system:masters"\n')
  const key = join(scratch, 'key.pem')
  await writeFile(
    key,
    generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    }).privateKey,
  )
  run(join(kubernetes, 'kube-apiserver'), [
    `--etcd-servers=${etcd}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${scratch}`,
    `--token-auth-file=${tokens}`,
    '--authorization-mode=AlwaysAllow',
    '--advertise-address=127.0.0.1',
    '--disable-admission-plugins=ServiceAccount',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--service-account-issuer=https://bench',
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
  ])
  const file = join(scratch, 'kubeconfig')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bench',
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench', namespace } }],
    clusters: [
      { name: 'bench', cluster: { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } },
    ],
    users: [{ name: 'bench', user: { token: 'bench' } }],
  }
  await writeFile(file, JSON.stringify(config))
  const api = new KubeClient({ access: kubeConfigAccess({ file }), userAgent: 'stele-bench/1' })
  await until('the API server', async () => (await api.list(pods)).items.length === 0)
  return file
}

const unscoped = (group: string, kind: string, plural: string): Resource => ({
  group,
  version: 'v1',
  kind,
  plural,
  namespaced: false,
})

async function define(api: KubeClient): Promise<void> {
  const definitions = unscoped(
    'apiextensions.k8s.io',
    'CustomResourceDefinition',
    'customresourcedefinitions',
  )
  for (const name of ['logclusters', 'logtopics', 'tabletslices']) {
    const text = await readFile(join(import.meta.dirname, `../crds/${name}.yaml`), 'utf8')
    await api.create(definitions, parse(text) as KubeObject)
  }
  const metadata = { name: namespace }
  await api.create(unscoped('', 'Namespace', 'namespaces'), { apiVersion: 'v1', kind: 'Namespace', metadata })
  await until('the definitions', async () => (await api.list(logTopics)).items.length === 0)
}

/** Plays what runs on nodes: each StatefulSet gets a pod that is ready, and a Lease as its broker would take it. */
async function playNodes(api: KubeClient): Promise<ListWatch<StatefulSet>> {
  const log = { debug() {}, info() {}, warn() {}, error: (...said: unknown[]) => (failed = String(said)) }
  const watch: ListWatch<StatefulSet> = new ListWatch({
    api,
    clock: realClock,
    random: realWorld().random,
    log,
    resource: statefulSets,
    onChange: ({ before, after }) => {
      if (before !== undefined || after === undefined) return
      startBroker(api, after).catch((error: unknown) => (failed = `a broker did not start: ${String(error)}`))
    },
  })
  watch.start()
  await watch.synced
  return watch
}

async function startBroker(api: KubeClient, set: StatefulSet): Promise<void> {
  const template = set.spec?.template
  const id = Number(template?.metadata?.labels?.[labels.brokerId])
  const name = `${set.metadata.name}-0`
  await api.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: template?.metadata?.labels ?? {},
      annotations: template?.metadata?.annotations ?? {},
    },
    spec: { ...template?.spec, containers: template?.spec?.containers ?? [] },
  })
  const status = {
    phase: 'Running',
    conditions: [
      { type: 'PodScheduled', status: 'True' },
      { type: 'Ready', status: 'True' },
    ],
    containerStatuses: [
      {
        name: 'stele',
        image: 'stele:bench',
        imageID: '',
        ready: true,
        started: true,
        restartCount: 0,
        state: { running: {} },
      },
    ],
  }
  await api.patch(pods, { namespace, name }, [{ op: 'add', path: '/status', value: status }], {
    subresource: 'status',
  })
  const record = { brokerId: id, diskId: `disk-${id}`, cleanStop: true, incarnation: 1, addresses: {} }
  await api.create(leases, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: set.metadata.name,
      namespace,
      labels: { [labels.cluster]: cluster, [labels.brokerId]: String(id) },
      annotations: { [annotations.broker]: JSON.stringify(record) },
    },
    spec: { holderIdentity: name },
  })
  renewed.push(set.metadata.name)
}

const renewed: string[] = []
/** As brokers do it: a patch each four seconds a broker. Whose Leases do not change would count as silent. */
async function renewLeases(api: KubeClient): Promise<void> {
  const renewMs = 4_000
  while (!ended.signal.aborted) {
    const begun = performance.now()
    for (const [i, name] of renewed.entries()) {
      const dueMs = (i * renewMs) / renewed.length - (performance.now() - begun)
      if (dueMs > 0) await sleep(dueMs)
      const renewTime = new Date().toISOString().replace('Z', '000Z')
      await api.patch(leases, { namespace, name }, [{ op: 'add', path: '/spec/renewTime', value: renewTime }])
    }
    await sleep(Math.max(100, renewMs - (performance.now() - begun)))
  }
}

function run(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr?.on('data', (bytes: Buffer) => (said = (said + bytes.toString()).slice(-2_000)))
  child.once('exit', code => {
    if (code !== null && code !== 0) failed = `${program} ended with ${code}: ${said}`
  })
  started.push(child)
  return child
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const begun = performance.now()
  for (;;) {
    if (failed !== '') throw new Error(failed)
    if (await holds().catch(() => false)) return
    if (performance.now() - begun > limitMs) throw new Error(`gave up on ${what}`)
    await sleep(200)
  }
}

async function inLanes(count: number, act: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) await act(next++)
  }
  await Promise.all(Array.from({ length: writesAtOnce }, lane))
}

const secondsSince = (begun: number): string => `${((performance.now() - begun) / 1_000).toFixed(1)} s`

async function residentOf({ pid }: ChildProcess): Promise<string> {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return `${(Number(kib) / 1024).toFixed(0)} MiB`
}

/** User and system time in seconds; the kernel counts in hundredths. */
async function cpuOf({ pid }: ChildProcess): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

try {
  await measure()
} finally {
  for (const child of started.toReversed()) {
    child.kill()
    if (child.exitCode === null && child.signalCode === null)
      await new Promise(resolve => child.once('exit', resolve))
  }
  await rm(scratch, { recursive: true })
}
