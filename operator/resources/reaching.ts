import type { BrokerId } from '../../base/quantities.ts'
import type { ExternalListener, LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import {
  bootstrapName,
  externalName,
  headlessName,
  labels,
  ports,
} from '../../control/kubernetes/resources/names.ts'
import type { ServiceObject } from '../../kube/resources.ts'
import { brokerLabels, brokerSelector, clusterLabels, ownedMeta } from './labels.ts'

const inside = [
  { name: 'kafka', port: ports.kafka, targetPort: 'kafka', protocol: 'TCP' },
  { name: 'http', port: ports.http, targetPort: 'http', protocol: 'TCP' },
]

/** Gives each broker's pod its name, also while it is not ready: or brokers could not find each other to become so. */
export const namesOfPods = (cluster: LogCluster): ServiceObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: ownedMeta(cluster, headlessName(cluster.metadata.name), clusterLabels(cluster.metadata.name)),
  spec: {
    clusterIP: 'None',
    publishNotReadyAddresses: true,
    selector: brokerSelector(cluster.metadata.name),
    ports: inside,
  },
})

/** Where clients in the cluster begin: any broker that is ready. */
export const firstAddress = (cluster: LogCluster): ServiceObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: ownedMeta(cluster, bootstrapName(cluster.metadata.name), clusterLabels(cluster.metadata.name)),
  spec: { type: 'ClusterIP', selector: brokerSelector(cluster.metadata.name), ports: inside },
})

/** The address of one broker for clients outside. */
export function outsideAddress(cluster: LogCluster, id: BrokerId, listener: ExternalListener): ServiceObject {
  const { name } = cluster.metadata
  const meta = ownedMeta(cluster, externalName(name, id), brokerLabels(name, id))
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...meta, ...(listener.annotations !== undefined && { annotations: listener.annotations }) },
    spec: {
      type: listener.type,
      // With 'Local' the nodes drop connections while the pod is replaced, and clients wait for their time-outs; so they are refused at once.
      externalTrafficPolicy: 'Cluster',
      selector: { ...brokerSelector(name), [labels.brokerId]: String(id) },
      ports: [{ name: 'external', port: ports.external, targetPort: 'external', protocol: 'TCP' }],
    },
  }
}
