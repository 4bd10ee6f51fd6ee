import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import { accountName, dynamicConfigName, group } from '../../control/kubernetes/resources/names.ts'
import type { Role, RoleBinding, ServiceAccount } from '../../kube/resources.ts'
import { clusterLabels, ownedMeta } from './labels.ts'

const meta = (cluster: LogCluster) =>
  ownedMeta(cluster, accountName(cluster.metadata.name), clusterLabels(cluster.metadata.name))

export const serviceAccount = (cluster: LogCluster): ServiceAccount => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: meta(cluster),
})

/** All that brokers may do: topics and their tablets, their Leases, and the settings that clients change. */
export const role = (cluster: LogCluster): Role => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'Role',
  metadata: meta(cluster),
  rules: [
    {
      apiGroups: [group],
      resources: ['logtopics'],
      verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    },
    { apiGroups: [group], resources: ['tabletslices'], verbs: ['get', 'list', 'watch', 'patch'] },
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      verbs: ['get', 'list', 'watch', 'create', 'update', 'patch'],
    },
    {
      apiGroups: [''],
      resources: ['configmaps'],
      resourceNames: [dynamicConfigName(cluster.metadata.name)],
      verbs: ['get', 'patch'],
    },
  ],
})

export const roleBinding = (cluster: LogCluster): RoleBinding => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: meta(cluster),
  roleRef: {
    apiGroup: 'rbac.authorization.k8s.io',
    kind: 'Role',
    name: accountName(cluster.metadata.name),
  },
  subjects: [
    {
      kind: 'ServiceAccount',
      name: accountName(cluster.metadata.name),
      namespace: cluster.metadata.namespace ?? '',
    },
  ],
})
