import { logClusters } from '../../control/kubernetes/resources/log-cluster.ts'
import { logTopics } from '../../control/kubernetes/resources/log-topic.ts'
import { labels } from '../../control/kubernetes/resources/names.ts'
import { tabletSlices } from '../../control/kubernetes/resources/tablet-slice.ts'
import type { KubeObject, Resource } from '../../kube/api.ts'
import {
  configMaps,
  leases,
  networkPolicies,
  persistentVolumeClaims,
  podDisruptionBudgets,
  pods,
  roleBindings,
  roles,
  serviceAccounts,
  services,
  statefulSets,
} from '../../kube/resources.ts'

type Watched<T extends KubeObject> = {
  readonly resource: Resource<T>
  /** `namespace/name` of the LogCluster an object belongs to. */
  readonly clusterOf: (object: T) => string | undefined
  readonly labelSelector?: string
}

const inNamespace = ({ metadata }: KubeObject, cluster: string): string =>
  `${metadata.namespace ?? ''}/${cluster}`

function byLabel<T extends KubeObject>(resource: Resource<T>): Watched<T> {
  return {
    resource,
    labelSelector: labels.cluster,
    clusterOf: object => {
      const cluster = object.metadata.labels?.[labels.cluster]
      return cluster === undefined ? undefined : inNamespace(object, cluster)
    },
  }
}

const own = <T extends KubeObject>(watched: Watched<T>): Watched<T> => watched

/** All that is watched by cluster. Of Kubernetes' own kinds only what carries our label: other people's objects cost nothing. */
export const watched = {
  clusters: own({
    resource: logClusters,
    clusterOf: cluster => inNamespace(cluster, cluster.metadata.name),
  }),
  topics: own({ resource: logTopics, clusterOf: topic => inNamespace(topic, topic.spec.cluster) }),
  slices: byLabel(tabletSlices),
  leases: byLabel(leases),
  claims: byLabel(persistentVolumeClaims),
  statefulSets: byLabel(statefulSets),
  pods: byLabel(pods),
  services: byLabel(services),
  configMaps: byLabel(configMaps),
  serviceAccounts: byLabel(serviceAccounts),
  roles: byLabel(roles),
  roleBindings: byLabel(roleBindings),
  budgets: byLabel(podDisruptionBudgets),
  policies: byLabel(networkPolicies),
}
