/**
 * What somebody has added to an object that the operator applies: server-side apply takes away only what the operator has set itself. The
 * object that is there and the one that is wanted enter; what makes the one be the other leaves, as a patch. What always holds: what the
 * API server fills in by itself is no addition, or there would be no end of writing.
 */
import type { JsonPatch, KubeObject } from '../../kube/api.ts'

type Entries = Readonly<Record<string, unknown>>

/** A part that is the operator's as a whole. */
type Owned = {
  /** What is put back when anything in it is too much. */
  readonly part: string
  /**
   * Where it is looked for: keys of maps, members of lists, all else that is set at all. `*` is each member, as far as it is wanted too. Nothing
   * stands here that an API server fills in where it was left out.
   */
  readonly at: readonly string[]
}

const container = [
  '.command',
  '.env',
  '.env.*',
  '.envFrom',
  '.lifecycle',
  '.ports',
  '.resources.limits',
  '.resources.requests',
  '.resources.claims',
  '.securityContext',
  '.securityContext.capabilities',
  '.volumeDevices',
  '.volumeMounts',
  ...['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap(probe =>
    ['exec', 'grpc', 'tcpSocket'].map(how => `.${probe}.${how}`),
  ),
]
const pod = [
  'affinity',
  'dnsConfig',
  'hostAliases',
  'hostIPC',
  'hostNetwork',
  'hostPID',
  'imagePullSecrets',
  'initContainers',
  'nodeSelector',
  'priorityClassName',
  'readinessGates',
  'runtimeClassName',
  'securityContext',
  'tolerations',
  'topologySpreadConstraints',
  'volumes',
  'volumes.*',
  'containers',
  ...container.map(field => `containers.*${field}`),
]

const owned: Readonly<Record<string, readonly Owned[]>> = {
  Service: [
    { part: 'spec.selector', at: [''] },
    { part: 'spec.ports', at: [''] },
    { part: 'spec.externalIPs', at: [''] },
  ],
  ConfigMap: [
    { part: 'data', at: [''] },
    { part: 'binaryData', at: [''] },
  ],
  Role: [{ part: 'rules', at: ['', '*'] }],
  RoleBinding: [{ part: 'subjects', at: [''] }],
  PodDisruptionBudget: [{ part: 'spec.selector', at: ['', 'matchLabels'] }],
  NetworkPolicy: [
    { part: 'spec.podSelector', at: ['', 'matchLabels'] },
    { part: 'spec.ingress', at: ['', '*'] },
  ],
  StatefulSet: [{ part: 'spec.template.spec', at: pod }],
}

/** Empty when there is nothing too much. What is wanted and is not there is not looked for. */
export function additionsIn(live: KubeObject, wanted: KubeObject): JsonPatch {
  // To data that the operator only makes room for, others add what they like.
  if (wanted.kind === 'ConfigMap' && fieldOf(wanted, 'data') === undefined) return []
  return (owned[wanted.kind] ?? []).flatMap(({ part, at }): JsonPatch => {
    const path = part.split('.')
    const [there, ours] = [valueAt(live, path), valueAt(wanted, path)]
    const isHere = at.some(field =>
      isAdded(
        there,
        ours,
        field.split('.').filter(step => step !== ''),
      ),
    )
    if (!isHere) return []
    const pointer = `/${path.join('/')}`
    return ours === undefined
      ? [{ op: 'remove', path: pointer }]
      : [{ op: 'replace', path: pointer, value: withGiven(ours, there) }]
  })
}

function isAdded(live: unknown, wanted: unknown, [step, ...rest]: readonly string[]): boolean {
  if (isNothing(live)) return false
  if (step === undefined) return isMore(live, wanted)
  if (step !== '*') return isAdded(fieldOf(live, step), fieldOf(wanted, step), rest)
  if (!Array.isArray(live) || !Array.isArray(wanted)) return false
  const byIdentity = new Map(wanted.map((member, at) => [identityOf(member, at), member]))
  return live.some((member, at) => {
    const ours: unknown = byIdentity.get(identityOf(member, at))
    return ours !== undefined && isAdded(member, ours, rest)
  })
}

function isMore(live: unknown, wanted: unknown): boolean {
  if (isNothing(wanted)) return true
  if (Array.isArray(live)) {
    if (!Array.isArray(wanted)) return true
    const known = new Set(wanted.map(identityOf))
    return live.length > wanted.length || live.some((member, at) => !known.has(identityOf(member, at)))
  }
  if (typeof live !== 'object' || live === null) return false
  return Object.entries(live).some(([name, value]) => value !== null && !(name in (wanted as Entries)))
}

/** By what members of a list are told apart: a name and the place that it is for; else their place in the list. */
function identityOf(member: unknown, at: number): string {
  if (typeof member !== 'object' || member === null) return String(at)
  const { name, kind, port, containerPort, mountPath } = member as Entries
  if (name === undefined || kind !== undefined) return String(at)
  return JSON.stringify([name, port ?? containerPort ?? mountPath])
}

/** Ports of nodes are the API server's to give: those that were given stay. */
function withGiven(ours: unknown, there: unknown): unknown {
  if (!Array.isArray(ours) || !Array.isArray(there)) return ours
  const given = new Map(there.map(member => [fieldOf(member, 'name'), fieldOf(member, 'nodePort')]))
  return ours.map((member: unknown) => {
    const nodePort = given.get(fieldOf(member, 'name'))
    return nodePort === undefined ? member : { ...(member as Entries), nodePort }
  })
}

const valueAt = (value: unknown, path: readonly string[]): unknown => path.reduce<unknown>(fieldOf, value)

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Entries)[name] : undefined

function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false || value === 0) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
