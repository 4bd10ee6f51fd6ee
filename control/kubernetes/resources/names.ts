/** What objects of a cluster are called, and the labels by which they are found. One place, so that operator, brokers and tools agree. */
import type { BrokerId } from '../../../base/quantities.ts'

export const group = 'stele.dev'
export const version = 'v1alpha1'
export const apiVersion = `${group}/${version}`

export const labels = {
  /** The LogCluster's name; on everything that belongs to a cluster. */
  cluster: 'stele.dev/cluster',
  /** On everything of one broker: its pod, StatefulSet, claim, Service, Lease. */
  brokerId: 'stele.dev/broker-id',
  /** On TabletSlices. */
  topicId: 'stele.dev/topic-id',
  component: 'app.kubernetes.io/component',
  managedBy: 'app.kubernetes.io/managed-by',
  name: 'app.kubernetes.io/name',
  instance: 'app.kubernetes.io/instance',
} as const

export const annotations = {
  /** "true" on a LogCluster: the operator leaves it as it is. */
  paused: 'stele.dev/paused',
  /** On a broker's Lease: the `Broker` record as JSON. */
  broker: 'stele.dev/broker',
  /** On a broker's Lease: "true" from when the broker stops on purpose until its next start. */
  leaving: 'stele.dev/leaving',
  /** On a broker's Lease: "clean" or "unclean" from when the broker has given it back until its next start. */
  stopped: 'stele.dev/stopped',
  /** On a LogTopic: where its first tablets shall go, as JSON: one list of broker ids a tablet. */
  assignment: 'stele.dev/assignment',
} as const

export const brokerName = (cluster: string, id: BrokerId): string => `${cluster}-broker-${id}`
/** The headless Service that gives each broker's pod its name. */
export const headlessName = (cluster: string): string => `${cluster}-brokers`
export const bootstrapName = (cluster: string): string => `${cluster}-kafka`
/** Settings from spec.config, as brokers read them at their start. */
export const configName = (cluster: string): string => `${cluster}-config`
/** Settings that Kafka's tools changed while brokers run; written by brokers. */
export const dynamicConfigName = (cluster: string): string => `${cluster}-dynamic-config`

export const ports = { kafka: 9092, external: 9094, http: 8080 } as const
