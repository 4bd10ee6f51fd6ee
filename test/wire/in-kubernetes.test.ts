/** A real broker process whose control store is a simulated API server: what happens to its disk is seen by who asks Kubernetes. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { realClock } from '../../broker/world/clock.ts'
import { bytesIn, offlineIn } from '../../control/kubernetes/broker-report.ts'
import { topicIdOf } from '../../control/kubernetes/ownership.ts'
import { logClusters } from '../../control/kubernetes/resources/log-cluster.ts'
import { logTopics } from '../../control/kubernetes/resources/log-topic.ts'
import { apiVersion, labels } from '../../control/kubernetes/resources/names.ts'
import { runIn } from '../../control/kubernetes/standing.ts'
import { leases, pods, type Lease } from '../../kube/resources.ts'
import { SimKube } from '../sim/kube.ts'
import { startPlacing } from '../sim/kube-placing.ts'
import { serveKube, type KubeServer } from '../sim/kube-server.ts'
import { Seeded } from '../sim/seeded.ts'
import { checkout, explainFailures, isOurs } from './broker.ts'
import { launch, run, type Running } from './processes.ts'
import { until } from './until.ts'

const namespace = 'default'
const pod = 'events-broker-0-0'
const main = join(checkout, 'cli', 'main.ts')

describe.skipIf(!isOurs)('a broker in Kubernetes', () => {
  let kube = new SimKube({ clock: realClock, random: new Seeded(1) })
  let directory = ''
  let server: KubeServer | undefined
  let broker: Running | undefined
  let http = ''
  let environment: Record<string, string> = {}
  let stopPlacing = (): void => undefined
  explainFailures(() => (broker === undefined ? 'no broker' : broker.stdout() + broker.stderr()))

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stele-wire-kube-'))
    kube = new SimKube({ clock: realClock, random: new Seeded(1) })
    server = await serveKube(kube.client(), () => http)
    await writeFile(join(directory, 'kubeconfig'), server.kubeconfig)
    environment = {
      KUBECONFIG: join(directory, 'kubeconfig'),
      STELE_CLUSTER: 'events',
      POD_NAMESPACE: namespace,
      POD_NAME: pod,
    }
    stopPlacing = startPlacing(kube, { clock: realClock, cluster: 'events', namespace })
    kube.set(logClusters, { namespace, name: 'events' }, () => ({
      apiVersion,
      kind: 'LogCluster',
      metadata: { namespace, name: 'events' },
      spec: { brokers: 1, storage: { size: '1Gi' }, deletionPolicy: 'Retain' as const, replaceAfter: '5m' },
    }))
    kube.set(pods, { namespace, name: pod }, () => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        namespace,
        name: pod,
        labels: { [labels.cluster]: 'events', [labels.brokerId]: '0' },
      },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    }))
    await start()
    kube.set(logTopics, { namespace, name: 'orders' }, () => ({
      apiVersion,
      kind: 'LogTopic',
      metadata: { namespace, name: 'orders' },
      spec: { cluster: 'events', tablets: 2, replication: 1, deletionPolicy: 'Retain' as const },
    }))
    await until(async () => (await append(0)) && (await append(1)))
  })
  afterEach(async () => {
    stopPlacing()
    await broker?.kill('SIGTERM')
    await server?.close()
    await rm(directory, { recursive: true, force: true })
  })

  async function start(): Promise<void> {
    const settings = ['broker.id=0', 'log.flush.offset.checkpoint.interval.ms=200']
    const running = launch(
      process.execPath,
      [
        main,
        'start',
        '--control=kubernetes',
        '--json',
        `--data=${join(directory, 'data')}`,
        '--kafka=127.0.0.1:0',
        '--http=127.0.0.1:0',
        ...settings.map(setting => `--set=${setting}`),
      ],
      { environment },
    )
    broker = running
    const ready = () =>
      running
        .stdout()
        .split('\n')
        .find(line => line.startsWith('{"ready":true'))
    await running.printed(() => ready() !== undefined)
    http = (JSON.parse(ready() ?? '') as { http: string }).http
  }

  async function append(partition: number): Promise<boolean> {
    const answer = await fetch(`${http}/v1/topics/orders/records`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ records: [{ partition, value: 'x'.repeat(1_000) }] }),
    })
    await answer.text()
    return answer.ok
  }

  function lease(): Lease {
    const there = kube.peek(leases, { namespace, name: 'events-broker-0' })
    if (there === undefined) throw new Error('there is no Lease')
    return there
  }

  /** What the broker says of the topic's tablets in the run that it is in. */
  function offlineThere(): string[] {
    const { uid = '' } = kube.peek(logTopics, { namespace, name: 'orders' })?.metadata ?? {}
    const said = offlineIn(lease(), runIn(lease()))
    return [0, 1].flatMap(tablet => said.whyOf(topicIdOf(uid), tablet) ?? [])
  }

  type Row = {
    readonly tablet: number
    readonly state: string
    readonly why?: string
    readonly bytes?: number
  }
  async function tablets(): Promise<Row[]> {
    const { stdout } = await run(process.execPath, [main, 'tablets', '-o', 'json'], { environment })
    return JSON.parse(String(stdout)) as Row[]
  }

  async function take(tablet: number): Promise<void> {
    const all = join(directory, 'data', 'tablets')
    const name = (await readdir(all)).find(name => name.startsWith(`orders-${tablet}.`)) ?? ''
    await rm(join(all, name), { recursive: true })
  }

  test('says what it holds, and which tablets were taken from its disk: while it ran, and before it started again', async () => {
    await until(() => bytesIn(lease()) !== undefined)
    await take(0)
    await until(() => offlineThere().length === 1)
    const [taken, well] = await tablets()
    expect(taken).toMatchObject({ state: 'offline', why: expect.stringContaining('was taken away while') })
    expect(well).toMatchObject({ state: 'well' })
    expect(well?.bytes).toBeGreaterThan(1_000)
    expect(await append(0)).toBe(false)
    await broker?.kill('SIGKILL')
    await take(1)
    await start()
    await until(() => offlineThere().length === 2)
    const { stdout } = await run(process.execPath, [main, 'status'], { environment })
    expect(String(stdout)).toMatch(/Offline: (?=.*orders-0)(?=.*orders-1).*is missing/)
  })
})
