// The cluster as tests see it: kubectl, and a namespace that is gone afterwards.
import { join } from 'node:path'
import { inject } from 'vitest'
import { kubernetes } from './rig/binaries.ts'
import { run } from './rig/commands.ts'
import { until } from './rig/until.ts'

export { images } from './rig/images.ts'
export { until }

export const isRig = inject('isRig')

/** kubectl: that of the rig, else the machine's. */
export const kubectlProgram = async (): Promise<string> =>
  isRig ? join(await kubernetes(), 'kubectl') : (await run('sh', ['-c', 'command -v kubectl'])).trim()

/** What kubectl answers. Throws with what it says when it fails. */
export const kubectl = async (args: readonly string[], input?: string): Promise<string> =>
  run(
    await kubectlProgram(),
    ['--kubeconfig', inject('kubeconfig'), ...args],
    input === undefined ? {} : { input },
  )

export interface Pod {
  metadata: { name: string; uid: string }
  spec: { nodeName?: string }
  status: {
    podIP?: string
    conditions?: { type: string; status: string }[]
    containerStatuses?: { restartCount: number }[]
  }
}

export class Namespace {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  /** Makes it new. What an earlier run left behind goes first. */
  async create(): Promise<void> {
    await this.remove()
    await kubectl(['create', 'namespace', this.name])
    // Pods that wish for less than this profile allows are refused, as in clusters of careful people.
    await kubectl(['label', 'namespace', this.name, 'pod-security.kubernetes.io/enforce=restricted'])
    await until(
      `the account of ${this.name}`,
      async () => (await this.kubectl('get', 'serviceaccount', 'default')) !== '',
    )
  }

  remove = (): Promise<string> =>
    kubectl(['delete', 'namespace', this.name, '--ignore-not-found', '--timeout=120s'])

  kubectl = (...args: string[]): Promise<string> => kubectl(['-n', this.name, ...args])

  apply = (...items: object[]): Promise<string> =>
    kubectl(['-n', this.name, 'apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))

  /** Deletes and makes again an object that is too large for what `apply` remembers. */
  replace = (item: object): Promise<string> =>
    kubectl(['-n', this.name, 'replace', '--force', '-f', '-'], JSON.stringify(item))

  get = async <Item>(kind: string, name: string): Promise<Item> =>
    JSON.parse(await this.kubectl('get', kind, name, '-o', 'json')) as Item

  pods = async (selector: string): Promise<Pod[]> => {
    const list = JSON.parse(await this.kubectl('get', 'pods', '-l', selector, '-o', 'json')) as {
      items: Pod[]
    }
    return list.items
  }

  exec = (pod: string, ...command: string[]): Promise<string> => this.kubectl('exec', pod, '--', ...command)

  /** Waits for a rollout; when it does not come, the error says what the pods' events and logs do. */
  async rolledOut(what: string, selector: string): Promise<void> {
    await this.kubectl('rollout', 'status', what, '--timeout=120s').catch(async (error: unknown) => {
      const seen = await Promise.all([
        this.kubectl('get', 'pods', '-o', 'wide'),
        this.kubectl('get', 'events', '--sort-by=.lastTimestamp'),
        this.kubectl('logs', '-l', selector, '--tail=20', '--all-containers').catch(String),
      ])
      throw new Error(`${String(error)}\n${seen.join('\n')}`, { cause: error })
    })
  }
}

export interface Node {
  metadata: { name: string }
  status: {
    addresses: { type: string; address: string }[]
    conditions: { type: string; status: string }[]
  }
}

export const nodes = async (): Promise<Node[]> =>
  (JSON.parse(await kubectl(['get', 'nodes', '-o', 'json'])) as { items: Node[] }).items

export const holds = (conditions: { type: string; status: string }[] | undefined, type: string): boolean =>
  conditions?.some(condition => condition.type === type && condition.status === 'True') === true

/** The addresses at which nodes that run pods are reached from outside of the cluster. */
export const nodeAddresses = async (): Promise<string[]> =>
  (await nodes()).flatMap(({ status }) =>
    status.addresses.filter(({ type }) => type === 'InternalIP').map(({ address }) => address),
  )

/** What a container of the restricted profile says about itself. */
export const restricted = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  runAsUser: 65532,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
}
