import type { BrokerId } from '../../base/quantities.ts'
import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import {
  accountName,
  annotations,
  brokerName,
  configName,
  headlessName,
  ports,
} from '../../control/kubernetes/resources/names.ts'
import type { StatefulSet } from '../../kube/resources.ts'
import { digestOf } from './digest.ts'
import type { ExternalAddress } from './external-address.ts'
import { brokerLabels, brokerSelector } from './labels.ts'

type PodTemplate = NonNullable<StatefulSet['spec']>['template']
type PodSpec = NonNullable<PodTemplate['spec']>
type Container = PodSpec['containers'][number]

export type BrokerPod = {
  readonly cluster: LogCluster
  readonly id: BrokerId
  readonly image: string
  readonly clusterId: string
  /** `server.properties`, which the pod has mounted: a broker reads it at its start only. */
  readonly properties: string
  readonly zone: string | undefined
  /** The uid of the ServiceAccount. */
  readonly account: string
  /** Undefined when the cluster has no listener for clients outside. */
  readonly external: ExternalAddress | undefined
}

const containerName = 'stele'
/** The user of the image; distroless' nonroot. */
const userId = 65_532

/**
 * A digest of all that a running broker has to be restarted for. Its zone is not: it is told at the next start. Nor is the account: a broker gets on with
 * another one of the name, as a rule.
 */
export function revisionOf(pod: BrokerPod): string {
  const { metadata, spec } = bareTemplate({ ...pod, zone: undefined, account: '' })
  return digestOf([metadata, spec, pod.properties])
}

export function podTemplate(pod: BrokerPod): PodTemplate {
  const { metadata, spec } = bareTemplate(pod)
  const revision = { [annotations.revision]: revisionOf(pod) }
  return { metadata: { ...metadata, annotations: { ...metadata.annotations, ...revision } }, spec }
}

function bareTemplate(pod: BrokerPod) {
  const { cluster, id } = pod
  const additions = cluster.spec.template ?? {}
  const metadata = {
    labels: { ...additions.labels, ...brokerLabels(cluster.metadata.name, id) },
    annotations: { ...additions.annotations, [annotations.account]: pod.account },
  }
  const {
    nodeSelector,
    affinity,
    tolerations,
    topologySpreadConstraints,
    priorityClassName,
    imagePullSecrets,
  } = additions
  // What a user writes there is the API server's to judge.
  const free = {
    ...(nodeSelector && { nodeSelector }),
    ...(affinity && { affinity }),
    ...(tolerations && { tolerations }),
    ...(priorityClassName !== undefined && { priorityClassName }),
    ...(imagePullSecrets && { imagePullSecrets }),
    topologySpreadConstraints: spread(cluster.metadata.name, topologySpreadConstraints ?? []),
  } as Partial<PodSpec>
  const spec: PodSpec = {
    serviceAccountName: accountName(cluster.metadata.name),
    automountServiceAccountToken: true,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 60,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: userId,
      runAsGroup: userId,
      fsGroup: userId,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [container(pod)],
    volumes: [
      { name: 'data', persistentVolumeClaim: { claimName: brokerName(cluster.metadata.name, id) } },
      { name: 'config', configMap: { name: configName(cluster.metadata.name) } },
      { name: 'tmp', emptyDir: {} },
    ],
    ...free,
  }
  return { metadata, spec }
}

/** Over zones and nodes where that goes; what a user says of the same key and kind goes before it. */
function spread(cluster: string, more: readonly object[]): object[] {
  const says =
    (key: string) => (constraint: Readonly<{ topologyKey?: string; whenUnsatisfiable?: string }>) =>
      constraint.topologyKey === key && constraint.whenUnsatisfiable === 'ScheduleAnyway'
  const usual = ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].filter(key => !more.some(says(key)))
  const own = usual.map(topologyKey => ({
    topologyKey,
    maxSkew: 1,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: brokerSelector(cluster) },
  }))
  return [...own, ...more]
}

function container(pod: BrokerPod): Container {
  const { spec } = pod.cluster
  return {
    name: containerName,
    image: pod.image,
    ...(spec.imagePullPolicy !== undefined && { imagePullPolicy: spec.imagePullPolicy }),
    args: brokerArguments(pod),
    env: [
      { name: 'STELE_CLUSTER', value: pod.cluster.metadata.name },
      { name: 'STELE_CLUSTER_ID', value: pod.clusterId },
      fromField('POD_NAMESPACE', 'metadata.namespace'),
      fromField('POD_NAME', 'metadata.name'),
      fromField('NODE_NAME', 'spec.nodeName'),
      fromField('NODE_IP', 'status.hostIP'),
      fromField('POD_IP', 'status.podIP'),
    ],
    ports: [
      { name: 'kafka', containerPort: ports.kafka, protocol: 'TCP' },
      { name: 'http', containerPort: ports.http, protocol: 'TCP' },
      { name: 'replication', containerPort: ports.replication, protocol: 'TCP' },
      ...(pod.external === undefined
        ? []
        : [{ name: 'external', containerPort: ports.external, protocol: 'TCP' }]),
    ],
    ...(spec.resources !== undefined && { resources: textResources(spec.resources) }),
    volumeMounts: [
      { name: 'data', mountPath: '/data' },
      { name: 'config', mountPath: '/etc/stele', readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
    ],
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
    },
    // /livez answers while logs are being recovered: that takes long on a large disk, and is no death.
    startupProbe: { ...probe('/livez'), periodSeconds: 2, failureThreshold: 1800 },
    livenessProbe: { ...probe('/livez'), periodSeconds: 10, failureThreshold: 6 },
    // A broker that stops answers on until this was noticed: `noticeMs` in cli/start/in-kubernetes.ts.
    readinessProbe: { ...probe('/readyz'), periodSeconds: 1, failureThreshold: 2 },
  }
}

const fromField = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } })

const probe = (path: string) => ({ httpGet: { path, port: 'http' }, timeoutSeconds: 5 })

const textResources = ({ requests, limits }: NonNullable<LogCluster['spec']['resources']>) => ({
  ...(requests !== undefined && { requests: asTexts(requests) }),
  ...(limits !== undefined && { limits: asTexts(limits) }),
})

const asTexts = (quantities: Readonly<Record<string, string | number>>): Record<string, string> =>
  Object.fromEntries(Object.entries(quantities).map(([name, value]) => [name, String(value)]))

function brokerArguments({ cluster, id, zone, external }: BrokerPod): string[] {
  const { name, namespace } = cluster.metadata
  const host = `${brokerName(name, id)}-0.${headlessName(name)}.${namespace}.svc`
  // Brokers go by addresses: whoever answers for names may have gone with the node of a leader, and others are to follow the next one at once.
  const doors = [
    ['PLAINTEXT', ports.kafka, host],
    ['HTTP', ports.http, host],
    ['REPLICATION', ports.replication, '[$(POD_IP)]'],
  ] as const
  const listeners = doors.map(([scheme, port]) => `${scheme}://:${port}`)
  const advertised = doors.map(([scheme, port, place]) => `${scheme}://${place}:${port}`)
  if (external !== undefined) {
    listeners.push(`EXTERNAL://:${ports.external}`)
    advertised.push(`EXTERNAL://${external.host}:${external.port}`)
  }
  const settings = [
    `broker.id=${id}`,
    ...(zone === undefined ? [] : [`broker.rack=${zone}`]),
    `listeners=${listeners.join(',')}`,
    `advertised.listeners=${advertised.join(',')}`,
  ]
  return [
    'start',
    '--control=kubernetes',
    '--data=/data',
    '--config=/etc/stele/server.properties',
    '--json',
    ...settings.flatMap(setting => ['--set', setting]),
  ]
}

/** Settings that the operator gives each broker itself. */
export const reservedSettings: ReadonlyMap<string, string> = new Map([
  ['broker.id', 'each broker has its own'],
  ['node.id', 'each broker has its own'],
  ['broker.rack', 'it is the zone of the node'],
  ['listeners', 'use spec.listeners'],
  ['advertised.listeners', 'use spec.listeners'],
])
