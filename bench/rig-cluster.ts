/** Three brokers in the Kubernetes of test/kubernetes/rig, made by the operator from the chart of this checkout, as processes of this machine. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Brokers } from '../test/kubernetes/brokers.ts'
import { helm } from '../test/kubernetes/rig/binaries.ts'
import { run } from '../test/kubernetes/rig/commands.ts'
import { auditLog } from '../test/kubernetes/rig/control-plane.ts'
import { images } from '../test/kubernetes/rig/images.ts'
import { kubectl } from '../test/kubernetes/rig/kubectl.ts'
import { kubeconfig } from '../test/kubernetes/rig/layout.ts'
import { lock } from '../test/kubernetes/rig/lock.ts'
import { down, isUp, programs, up } from '../test/kubernetes/rig/rig.ts'
import { until } from '../test/kubernetes/rig/until.ts'
import { MeasuredCluster } from './measured-cluster.ts'

const name = 'bench'
const namespace = 'stele-bench'
const operators = { namespace: 'stele-system', deployment: 'stele-operator' }
const chart = join(import.meta.dirname, '../charts/stele')
export const ids = [0, 1, 2] as const

type Entry = {
  readonly requestReceivedTimestamp: string
  readonly user: { readonly username: string }
  readonly objectRef?: { readonly resource: string }
  readonly responseStatus?: { readonly code: number }
}

export class RigCluster extends MeasuredCluster {
  /** HOST:PORT of all for clients outside, with commas between. */
  readonly kafka: string
  /** Where each broker answers over HTTP. */
  readonly http: string[]
  readonly brokers: Brokers
  readonly #kubectl: (...args: string[]) => Promise<string>
  readonly #end: () => Promise<void>

  private constructor(
    kafka: string,
    http: string[],
    brokers: Brokers,
    kubectl: (...args: string[]) => Promise<string>,
    end: () => Promise<void>,
  ) {
    super()
    this.kafka = kafka
    this.http = http
    this.brokers = brokers
    this.#kubectl = kubectl
    this.#end = end
  }

  static async start(topic: string): Promise<RigCluster> {
    const release = await lock()
    const wasUp = await isUp()
    await up()
    const made = await programs()
    const asked = (...args: string[]): Promise<string> => kubectl(made, ['-n', namespace, ...args])
    await removeAll(made)
    await kubectl(made, ['create', 'namespace', namespace])
    await installOperator()
    const brokers = new Brokers({ name: namespace, kubectl: asked }, name, topic)
    await kubectl(made, ['-n', namespace, 'apply', '-f', '-'], JSON.stringify(cluster))
    await until(
      'three brokers',
      async () => (await Promise.all(ids.map(id => brokers.isReady(id)))).every(Boolean),
      {
        limitMs: 180_000,
        everyMs: 500,
      },
    )
    type Seen = { readonly status?: { readonly externalBootstrap?: string } }
    const { status } = JSON.parse(await asked('get', 'logcluster', name, '-o', 'json')) as Seen
    const http = await Promise.all(ids.map(id => httpOf(brokers, id)))
    return new RigCluster(status?.externalBootstrap ?? '', http, brokers, asked, async () => {
      if (wasUp) await removeAll(made)
      else await down()
      await release()
    })
  }

  /** With as many pods of the operator as that; waits until they are ready, or gone. */
  async operator(replicas: number): Promise<void> {
    const of = ['-n', operators.namespace]
    await this.#kubectl(...of, 'scale', `deployment/${operators.deployment}`, `--replicas=${replicas}`)
    await until(
      'the operator',
      async () => {
        const pods = await this.#kubectl(...of, 'get', 'pods', '-o', 'name')
        return pods.split('\n').filter(Boolean).length === replicas
      },
      { everyMs: 500 },
    )
    await this.#kubectl(...of, 'rollout', 'status', `deployment/${operators.deployment}`, '--timeout=60s')
  }

  /** Changes a setting by which the operator restarts all brokers; waits until each runs anew. */
  async restartAll(round: number): Promise<void> {
    const before = (await this.brokers.look()).runs
    const spec = { config: { ...cluster.spec.config, 'message.max.bytes': 2_000_000 + round } }
    await this.#kubectl('patch', 'logcluster', name, '--type=merge', '-p', JSON.stringify({ spec }))
    await until(
      'all brokers to run anew',
      async () => {
        // Each comes back at another address.
        for (const id of ids) this.http[id] = await httpOf(this.brokers, id).catch(() => this.http[id] ?? '')
        const { runs } = await this.brokers.look()
        return ids.every(id => runs.get(id) !== before.get(id))
      },
      { limitMs: 300_000, everyMs: 100 },
    )
  }

  /** Successful writes of TabletSlices since a moment, by brokers and operator. */
  sliceWrites(sinceMs: number): number {
    const entries = readFileSync(auditLog, 'utf8').split('\n')
    return entries.filter(line => {
      if (!line.includes('"tabletslices"')) return false
      const { requestReceivedTimestamp, objectRef, responseStatus } = JSON.parse(line) as Entry
      const isDone = (responseStatus?.code ?? 500) < 300
      return (
        isDone && objectRef?.resource === 'tabletslices' && Date.parse(requestReceivedTimestamp) >= sinceMs
      )
    }).length
  }

  stop(): Promise<void> {
    return this.#end()
  }
}

const httpOf = async (brokers: Brokers, id: number): Promise<string> =>
  `http://${(await brokers.pod(id)).status.podIP}:8080`

const cluster = {
  apiVersion: 'stele.dev/v1alpha1',
  kind: 'LogCluster',
  metadata: { name },
  spec: {
    brokers: 3,
    storage: { size: '1Gi' },
    config: { 'offsets.topic.num.partitions': 5 },
    listeners: [{ type: 'NodePort' }],
    deletionPolicy: 'Delete',
  },
}

async function installOperator(): Promise<void> {
  const colon = images.stele.lastIndexOf(':')
  const values = {
    'image.repository': images.stele.slice(0, colon),
    'image.tag': images.stele.slice(colon + 1),
    'image.pullPolicy': 'Never',
  }
  const set = Object.entries(values).flatMap(([name, value]) => ['--set-string', `${name}=${value}`])
  await helmed(
    'upgrade',
    'stele',
    chart,
    '--install',
    '--create-namespace',
    '--wait',
    '--timeout',
    '120s',
    ...set,
  )
}

const helmed = async (...args: string[]): Promise<string> =>
  run(await helm(), ['--kubeconfig', kubeconfig, '--namespace', operators.namespace, ...args])

async function removeAll(made: Awaited<ReturnType<typeof programs>>): Promise<void> {
  const gone = (...args: string[]): Promise<string> =>
    kubectl(made, ['delete', ...args, '--ignore-not-found'])
  await gone('namespace', namespace, '--timeout=120s')
  await helmed('uninstall', 'stele', '--ignore-not-found', '--wait')
  await gone(
    'customresourcedefinitions',
    ...['logclusters', 'logtopics', 'tabletslices'].map(one => `${one}.stele.dev`),
  )
  await gone('namespace', operators.namespace, '--timeout=120s')
}
