/** What a cluster looks like to the operator, for tests of what it decides: everything ready, unless a test changes it. */
import { brokerId } from '../base/quantities.ts'
import type { LogCluster, LogClusterSpec } from '../control/kubernetes/resources/log-cluster.ts'
import type { LogTopic, LogTopicSpec } from '../control/kubernetes/resources/log-topic.ts'
import { accountName, annotations, apiVersion, labels } from '../control/kubernetes/resources/names.ts'
import type { SliceTablet, TabletSlice } from '../control/kubernetes/resources/tablet-slice.ts'
import type { KubeObject } from '../kube/api.ts'
import type { Lease, PersistentVolumeClaim, Pod, ServiceAccount, StatefulSet } from '../kube/resources.ts'
import type { Observed } from './observe/observed.ts'
import { see, type Seen } from './observe/seen.ts'
import { hexOf, topicIdOf } from '../control/kubernetes/ownership.ts'
import { statefulSet } from './resources/stateful-set.ts'

export const uidOf = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

export const clusterOf = (spec: Partial<LogClusterSpec> = {}): LogCluster => ({
  apiVersion,
  kind: 'LogCluster',
  metadata: { namespace: 'logs', name: 'events', uid: uidOf(1), generation: 1 },
  spec: { brokers: 3, storage: { size: '10Gi' }, deletionPolicy: 'Retain', replaceAfter: '5m', ...spec },
})

export const topicOf = (name: string, n: number, spec: Partial<LogTopicSpec> = {}): LogTopic => ({
  apiVersion,
  kind: 'LogTopic',
  metadata: {
    namespace: 'logs',
    name,
    uid: uidOf(n),
    generation: 1,
    creationTimestamp: `2026-01-01T00:00:${String(n % 60).padStart(2, '0')}Z`,
  },
  spec: { cluster: 'events', tablets: 1, replication: 1, deletionPolicy: 'Delete', ...spec },
})

export const tabletOn = (...replicas: number[]): SliceTablet => ({
  epoch: 0,
  version: 0,
  ...(replicas[0] !== undefined && { leader: replicas[0] }),
  replicas,
  adding: [],
  removing: [],
  isr: replicas.slice(0, 1).map(broker => ({ broker, incarnation: 1 })),
})

export function sliceOf(topic: LogTopic, tablets: readonly SliceTablet[], first = 0): TabletSlice {
  const id = topicIdOf(topic.metadata.uid ?? '')
  return {
    apiVersion,
    kind: 'TabletSlice',
    metadata: {
      namespace: 'logs',
      name: `events-${hexOf(id)}-${first / 64}`,
      uid: `slice ${id} ${first}`,
      resourceVersion: '7',
      labels: { [labels.cluster]: 'events', [labels.topicId]: hexOf(id) },
      annotations: { [annotations.logTopic]: topic.metadata.uid ?? '', [annotations.logCluster]: uidOf(1) },
    },
    topic: { name: topic.spec.name ?? topic.metadata.name, id, deletionPolicy: topic.spec.deletionPolicy },
    first,
    tablets,
  }
}

export const leaseOf = (id: number): Lease => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: {
    namespace: 'logs',
    name: `events-broker-${id}`,
    uid: `lease ${id}`,
    labels: { [labels.cluster]: 'events', [labels.brokerId]: String(id) },
    annotations: { [annotations.broker]: JSON.stringify({ incarnation: 1, diskId: `disk-${id}` }) },
  },
})

export const claimOf = (id: number, more: Readonly<Record<string, string>> = {}): PersistentVolumeClaim => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: {
    namespace: 'logs',
    name: `events-broker-${id}`,
    uid: `claim ${id}`,
    labels: {
      [labels.cluster]: 'events',
      [labels.managedBy]: 'stele-operator',
      [labels.brokerId]: String(id),
      ...more,
    },
  },
})

export const podOfSet = (set: StatefulSet, ready = true): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    ...set.spec?.template.metadata,
    namespace: 'logs',
    name: `${set.metadata.name}-0`,
    uid: `pod of ${set.metadata.name}`,
  },
  spec: { containers: [], nodeName: 'node' },
  status: {
    conditions: [
      { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: '2026-01-01T00:00:00Z' },
    ],
    containerStatuses: [{ name: 'stele', image: '', imageID: '', ready, started: true, restartCount: 0 }],
  },
})

const accountOf = (cluster: string): ServiceAccount => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: {
    namespace: 'logs',
    name: accountName(cluster),
    uid: 'account',
    labels: { [labels.cluster]: cluster, [labels.managedBy]: 'stele-operator' },
  },
})

const none = new Map<string, never>()

export const byName = <T extends KubeObject>(objects: readonly T[]): Map<string, T> =>
  new Map(objects.map(object => [object.metadata.name, object]))

/** A LogCluster of which nothing was made yet, but the brokers' ServiceAccount. */
export const nothing = (cluster: LogCluster | undefined, more: Partial<Observed> = {}): Observed => ({
  key: { namespace: 'logs', name: 'events' },
  nowMs: Date.UTC(2026, 0, 1),
  cluster,
  topics: none,
  slices: none,
  lastWords: none,
  endings: none,
  leases: none,
  silent: new Set(),
  claims: none,
  volumes: none,
  statefulSets: none,
  pods: none,
  services: none,
  configMaps: none,
  serviceAccounts: byName([accountOf('events')]),
  roles: none,
  roleBindings: none,
  budgets: none,
  policies: none,
  vanished: new Set(),
  storageClasses: none,
  zones: new Map(),
  image: 'stele:1',
  ...more,
})

/** `ids` run, each as `cluster` wants it. */
export function running(cluster: LogCluster, ids: readonly number[], more: Partial<Observed> = {}): Observed {
  const claims = byName(ids.map(id => claimOf(id)))
  const bare = nothing(cluster, { leases: byName(ids.map(leaseOf)), ...more, claims })
  const seen = see(bare, cluster)
  const sets = ids.flatMap(id => {
    const pod = seen.wanted.get(brokerId(id))
    return pod === undefined ? [] : [{ ...statefulSet(pod) }]
  })
  return nothing(cluster, {
    leases: byName(ids.map(leaseOf)),
    claims,
    statefulSets: byName(sets),
    pods: byName(sets.map(set => podOfSet(set))),
    ...more,
  })
}

export const seenOf = (observed: Observed): Seen => see(observed, observed.cluster ?? clusterOf())
