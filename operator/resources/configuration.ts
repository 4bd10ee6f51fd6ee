import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import { configName, dynamicConfigName } from '../../control/kubernetes/resources/names.ts'
import type { ConfigMap } from '../../kube/resources.ts'
import { clusterLabels, ownedMeta } from './labels.ts'

export const propertiesKey = 'server.properties'

const offsetsCopies = 3

/** Said, because brokers that are told wait for each other with committed offsets: the first one that is up would keep them alone. */
export const brokerDefaults = ({ spec }: LogCluster): Readonly<Record<string, number>> => ({
  'offsets.topic.replication.factor': Math.min(offsetsCopies, spec.brokers),
})

/** The settings as Java's properties, by name. */
export function propertiesText(config: LogCluster['spec']['config']): string {
  const lines = Object.entries(config ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${escaped(String(value))}\n`)
  return lines.join('')
}

const escaped = (value: string): string =>
  value
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replace(/^ /, '\\ ')

/** What brokers read at their start. */
export const configMap = (cluster: LogCluster, properties: string): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: ownedMeta(cluster, configName(cluster.metadata.name), clusterLabels(cluster.metadata.name)),
  data: { [propertiesKey]: properties },
})

/** What Kafka's tools change while brokers run. Its data is the brokers' own. */
export const dynamicConfigMap = (cluster: LogCluster): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: ownedMeta(
    cluster,
    dynamicConfigName(cluster.metadata.name),
    clusterLabels(cluster.metadata.name),
  ),
})
