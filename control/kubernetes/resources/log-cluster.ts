import type { KubeObject, Resource } from '../../../kube/api.ts'
import type { Condition } from './condition.ts'
import { group, version } from './names.ts'

export type LogCluster = KubeObject & { readonly spec: LogClusterSpec; readonly status?: LogClusterStatus }

export type LogClusterSpec = {
  readonly brokers: number
  /** Undefined: that of the status; at first the operator's own. */
  readonly image?: string
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never'
  readonly storage: { readonly size: string; readonly storageClassName?: string }
  /** Brokers' settings under Kafka's names. */
  readonly config?: Readonly<Record<string, string | number | boolean>>
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string | number>>
    readonly limits?: Readonly<Record<string, string | number>>
  }
  /** What brokers' pods have beside what the operator gives them. */
  readonly template?: PodAdditions
  readonly listeners?: readonly ExternalListener[]
  readonly deletionPolicy: 'Retain' | 'Delete'
  /** How long a broker may be gone before its copies are rebuilt elsewhere; as in Go: `5m`, `1h30m`. */
  readonly replaceAfter: string
}

type PodAdditions = {
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly nodeSelector?: Readonly<Record<string, string>>
  readonly affinity?: object
  readonly tolerations?: readonly object[]
  readonly topologySpreadConstraints?: readonly object[]
  readonly priorityClassName?: string
  readonly imagePullSecrets?: readonly { readonly name: string }[]
}

/** How clients outside reach brokers: one address a broker. At most one listener. */
export type ExternalListener = {
  readonly type: 'NodePort' | 'LoadBalancer'
  /** What clients are told instead of the node's or load balancer's address; `{id}` is the broker's id. */
  readonly host?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export type LogClusterStatus = {
  readonly observedGeneration?: number
  readonly conditions?: readonly Condition[]
  /** How many brokers there are; for the scale subresource. */
  readonly replicas?: number
  /** How many of them serve clients. */
  readonly readyReplicas?: number
  /** Labels of the brokers' pods; for the scale subresource. */
  readonly selector?: string
  readonly brokers?: readonly BrokerStatus[]
  readonly tablets?: {
    readonly total: number
    readonly underReplicated: number
    readonly offline: number
    readonly moving: number
  }
  readonly copying?: CopyingStatus
  /** Where clients in the cluster begin: host:port. */
  readonly bootstrap?: string
  /** Where clients outside begin: host:port, one a broker, separated by commas. */
  readonly externalBootstrap?: string
  /** The image that all brokers last were ready with; theirs for as long as the spec names none. */
  readonly image?: string
  /** Kafka's cluster id. */
  readonly clusterId?: string
}

/** What is copied of tablets whose replicas move, or are not in sync; bytes with those of moves that are still to begin, as far as can be told. */
export type CopyingStatus = {
  /** Being copied now. */
  readonly tablets: number
  readonly bytes: number
  readonly bytesLeft: number
  readonly percent: number
  readonly bytesPerSecond: number
  /** Not there while nothing gets nearer. */
  readonly secondsLeft?: number
  /** The same as a sentence. */
  readonly progress: string
  readonly asOf: string
}

export type BrokerPhase = 'Pending' | 'Starting' | 'Recovering' | 'Running' | 'Draining' | 'Failed'

export type BrokerStatus = {
  readonly id: number
  readonly pod: string
  readonly zone?: string
  readonly diskId?: string
  readonly incarnation?: number
  readonly phase: BrokerPhase
  readonly ready: boolean
}

export const logClusters: Resource<LogCluster> = { group, version, kind: 'LogCluster', plural: 'logclusters' }
