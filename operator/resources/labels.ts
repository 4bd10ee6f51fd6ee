/**
 * What the operator makes, as pure functions: a LogCluster and what is known of its brokers enter, whole objects leave, as they are
 * to be server-side-applied. The same input always gives the same object, key by key.
 */
import type { BrokerId } from '../../base/quantities.ts'
import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import { apiVersion, labels } from '../../control/kubernetes/resources/names.ts'
import type { KubeObject, OwnerReference } from '../../kube/api.ts'

/** The server-side-apply manager, and what `app.kubernetes.io/managed-by` says. */
export const manager = 'stele-operator'

type Labels = Readonly<Record<string, string>>

export const clusterLabels = (cluster: string): Labels => ({
  [labels.name]: 'stele',
  [labels.instance]: cluster,
  [labels.managedBy]: manager,
  [labels.cluster]: cluster,
})

/** By these the brokers' pods are found. */
export const brokerSelector = (cluster: string): Labels => ({
  [labels.cluster]: cluster,
  [labels.component]: 'broker',
})

export const brokerLabels = (cluster: string, id: BrokerId): Labels => ({
  ...clusterLabels(cluster),
  [labels.component]: 'broker',
  [labels.brokerId]: String(id),
})

/** Makes garbage collection take an object away with its LogCluster; no data are ever under it. */
const ownerOf = (cluster: LogCluster): OwnerReference => ({
  apiVersion,
  kind: 'LogCluster',
  name: cluster.metadata.name,
  uid: cluster.metadata.uid ?? '',
})

/** The metadata of what goes with its LogCluster. */
export const ownedMeta = (
  cluster: LogCluster,
  name: string,
  objectLabels: Labels,
): KubeObject['metadata'] => ({
  name,
  namespace: cluster.metadata.namespace ?? '',
  labels: objectLabels,
  ownerReferences: [{ ...ownerOf(cluster), controller: true }],
})
