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
  /** "true" on the claim and the Lease of a broker that was removed: its id is never given again. */
  retired: 'stele.dev/retired',
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
  /** On a broker's Lease: how many bytes of records it holds. */
  bytes: 'stele.dev/bytes',
  /** On a broker's Lease: the tablets that it cannot serve, and why, as JSON; see `broker-report.ts`. Empty when there are none. */
  offline: 'stele.dev/offline',
  /** On a broker's Lease: what others copy from it, as JSON; see `copy-report.ts`. Empty while nothing is copied. */
  copies: 'stele.dev/copies',
  /** On a LogTopic: where its first tablets shall go, as JSON: one list of broker ids a tablet. */
  assignment: 'stele.dev/assignment',
  /** On a LogTopic: tablets that may be led out of sync, each with the epoch that is to end, as `3@7,5@2`. */
  uncleanElection: 'stele.dev/unclean-election',
  /** On TabletSlices: the uid of the LogTopic they belong to; not the topic's id where a LogTopic made again took them over. */
  logTopic: 'stele.dev/log-topic',
  /** On claims and TabletSlices: the uid of the LogCluster they belong to now; on the record of a deletion, that of the one deleted. */
  logCluster: 'stele.dev/log-cluster',
  /** On claims: the deletionPolicy of their LogCluster, as the operator saw it last. */
  deletionPolicy: 'stele.dev/deletion-policy',
  /** On claims: Kafka's cluster id, so that a LogCluster made again has the same. */
  clusterId: 'stele.dev/cluster-id',
  /** On claims, by their owner: what is on the volume is given up; see the operator's `judge/replacement.ts`. */
  replaceVolume: 'stele.dev/replace-volume',
  /** On brokers' StatefulSets: the zone their pod was in last. */
  zone: 'stele.dev/zone',
  /** A digest of what the operator applied last. */
  applied: 'stele.dev/applied',
  /** On brokers' pods: the uid of the ServiceAccount that they were made with. Their tokens end with it, also when one of the name is made again. */
  account: 'stele.dev/account',
  /** On brokers' pods: a digest of all that a running broker has to be restarted for. */
  revision: 'stele.dev/revision',
} as const

export const brokerName = (cluster: string, id: BrokerId): string => `${cluster}-broker-${id}`
/** The headless Service that gives each broker's pod its name. */
export const headlessName = (cluster: string): string => `${cluster}-brokers`
export const bootstrapName = (cluster: string): string => `${cluster}-kafka`
/** Settings from spec.config, as brokers read them at their start. */
export const configName = (cluster: string): string => `${cluster}-config`
/**
 * Settings that Kafka's tools changed while brokers run; written by brokers. No end of a name has a dash in it and belongs to two objects
 * of one kind: so no two clusters have an object in common, whatever they are called.
 */
export const dynamicConfigName = (cluster: string): string => `${cluster}-dynamic`
/** The ConfigMap that is there while a deleted LogCluster's data are removed. */
export const deletionName = (cluster: string): string => `${cluster}-deletion`

/** ServiceAccount, Role and RoleBinding of the brokers. */
export const accountName = (cluster: string): string => `${cluster}-broker`
/** The Service by which clients outside reach one broker. */
export const externalName = (cluster: string, id: BrokerId): string => `${brokerName(cluster, id)}-external`
/** PodDisruptionBudget and NetworkPolicy of the brokers. */
export const guardName = (cluster: string): string => `${cluster}-brokers`
/** Slice number `slice` of the topic with this id, a UUID's 32 hex digits. */
export const sliceName = (cluster: string, topicHex: string, slice: number): string =>
  `${cluster}-${topicHex}-${slice}`

export const ports = { kafka: 9092, replication: 9093, external: 9094, http: 8080 } as const
