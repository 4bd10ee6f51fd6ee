import type { BrokerId } from '../../base/quantities.ts'
import type { Condition } from '../../control/kubernetes/resources/condition.ts'
import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import type { LogTopic } from '../../control/kubernetes/resources/log-topic.ts'
import { annotations, apiVersion, brokerName, labels } from '../../control/kubernetes/resources/names.ts'
import type { SliceTablet, TabletSlice } from '../../control/kubernetes/resources/tablet-slice.ts'
import type { Lease, PersistentVolumeClaim, Pod } from '../../kube/resources.ts'

const namespace = 'production'

const condition = (
  type: string,
  status: Condition['status'],
  reason: string,
  message: string,
): Condition => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: '2026-01-01T00:00:00Z',
})

/** Three brokers: 0 leads, 1 is behind on one tablet since it started again, 2 cannot pull its image. */
export const cluster: LogCluster = {
  apiVersion,
  kind: 'LogCluster',
  metadata: { name: 'events', namespace, generation: 4 },
  spec: { brokers: 3, storage: { size: '10Gi' }, deletionPolicy: 'Retain', replaceAfter: '5m' },
  status: {
    observedGeneration: 4,
    bootstrap: 'events-kafka.production.svc:9092',
    externalBootstrap: '10.0.0.1:31000,10.0.0.2:31001',
    conditions: [
      condition('Available', 'False', 'TabletsOffline', '1 tablet has no leader'),
      condition('Progressing', 'True', 'Starting', 'waiting for events-broker-2-0'),
      condition('Degraded', 'True', 'BrokerFailed', 'the image of events-broker-2-0 does not start'),
    ],
    brokers: [
      { id: 0, pod: 'events-broker-0-0', zone: 'a', phase: 'Running', ready: true, diskId: 'd0' },
      { id: 1, pod: 'events-broker-1-0', zone: 'b', phase: 'Running', ready: true, diskId: 'd1' },
      { id: 2, pod: 'events-broker-2-0', zone: 'c', phase: 'Failed', ready: false },
    ],
  },
}

export const topics: readonly LogTopic[] = [
  {
    apiVersion,
    kind: 'LogTopic',
    metadata: { name: 'orders', namespace, uid: '00000000-0000-0000-0000-000000000000' },
    spec: { cluster: 'events', tablets: 3, replication: 2, deletionPolicy: 'Retain' },
    status: { conditions: [condition('Ready', 'True', 'Led', 'every tablet is led')] },
  },
  {
    apiVersion,
    kind: 'LogTopic',
    metadata: { name: 'clicks', namespace, uid: '00000000-0000-0000-0000-000000000001' },
    spec: { cluster: 'events', name: 'Web.Clicks', tablets: 1, replication: 5, deletionPolicy: 'Retain' },
    status: {
      conditions: [
        condition(
          'Ready',
          'False',
          'TooFewBrokers',
          'spec.replication 5 is more than 3 brokers: lower it, or scale up',
        ),
      ],
    },
  },
]

const tablet = (leader: number | undefined, replicas: number[], isr: [number, number][]): SliceTablet => ({
  epoch: 1,
  version: 1,
  ...(leader === undefined ? {} : { leader }),
  replicas,
  adding: [],
  removing: [],
  isr: isr.map(([broker, incarnation]) => ({ broker, incarnation })),
})

const moving = {
  ...tablet(
    0,
    [0, 1],
    [
      [0, 1],
      [1, 2],
    ],
  ),
  adding: [2],
  removing: [1],
}

export const slice: TabletSlice = {
  apiVersion,
  kind: 'TabletSlice',
  metadata: { name: 'events-00-0', namespace, labels: { [labels.cluster]: 'events' } },
  topic: { name: 'orders', id: 'AAAAAAAAAAAAAAAAAAAAAA', deletionPolicy: 'Retain' },
  first: 0,
  tablets: [
    tablet(
      0,
      [0, 1],
      [
        [0, 1],
        [1, 2],
      ],
    ),
    // Broker 1 was in sync as it was before its last start.
    tablet(
      0,
      [0, 1],
      [
        [0, 1],
        [1, 1],
      ],
    ),
    tablet(undefined, [2], []),
    moving,
  ],
}

const own = (id: number) => ({ [labels.cluster]: 'events', [labels.brokerId]: String(id) })
const named = (id: number) => ({ name: brokerName('events', id as BrokerId), namespace, labels: own(id) })

export const pods: readonly Pod[] = [0, 1, 2].map(id => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { ...named(id), name: `${named(id).name}-0` },
  spec: { nodeName: `node-${id}`, containers: [{ name: 'broker', image: 'stele:1' }] },
  status: {
    conditions: [{ type: 'Ready', status: id < 2 ? 'True' : 'False' }],
    containerStatuses: [
      {
        name: 'broker',
        image: 'stele:1',
        imageID: '',
        ready: id < 2,
        restartCount: id,
        state: id < 2 ? {} : { waiting: { reason: 'ImagePullBackOff', message: 'no such image\u001B[31m' } },
      },
    ],
  },
}))

export const claims: readonly PersistentVolumeClaim[] = [0, 1, 2].map(id => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: named(id),
  status: { capacity: { storage: '10Gi' } },
}))

export const leases: readonly Lease[] = [0, 1].map(id => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: {
    ...named(id),
    annotations: {
      [annotations.broker]: JSON.stringify({ brokerId: id, incarnation: id + 1 }),
      [annotations.bytes]: String((id + 1) * 2 ** 30),
    },
  },
  spec: { leaseDurationSeconds: 12, renewTime: '2026-01-01T00:00:00.000000Z' },
}))
