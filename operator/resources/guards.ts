import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import { guardName, ports } from '../../control/kubernetes/resources/names.ts'
import type { NetworkPolicy, PodDisruptionBudget } from '../../kube/resources.ts'
import { brokerSelector, clusterLabels, ownedMeta } from './labels.ts'

const meta = (cluster: LogCluster) =>
  ownedMeta(cluster, guardName(cluster.metadata.name), clusterLabels(cluster.metadata.name))

/** Drains of nodes take one broker at a time. */
export const podDisruptionBudget = (cluster: LogCluster): PodDisruptionBudget => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: meta(cluster),
  spec: { maxUnavailable: 1, selector: { matchLabels: brokerSelector(cluster.metadata.name) } },
})

/** Whoever may reach the brokers' doors may reach nothing else of them; where they copy from each other only brokers of the same cluster come. */
export function networkPolicy(cluster: LogCluster): NetworkPolicy {
  const outside = (cluster.spec.listeners ?? []).length > 0 ? [ports.external] : []
  const open = [ports.kafka, ports.http, ...outside]
  const brokers = { matchLabels: brokerSelector(cluster.metadata.name) }
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: meta(cluster),
    spec: {
      podSelector: brokers,
      policyTypes: ['Ingress'],
      ingress: [
        { ports: open.map(port => ({ protocol: 'TCP', port })) },
        { ports: [{ protocol: 'TCP', port: ports.replication }], from: [{ podSelector: brokers }] },
      ],
    },
  }
}
