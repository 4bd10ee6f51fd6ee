import type { BrokerId } from '../../base/quantities.ts'
import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import { annotations, brokerName } from '../../control/kubernetes/resources/names.ts'
import type { PersistentVolumeClaim } from '../../kube/resources.ts'
import { brokerLabels } from './labels.ts'

/**
 * A broker's volume. It has no owner, so that it outlives its LogCluster; an annotation says whose it is. Of a claim that is there its own storage
 * class is kept, which cannot change, and the larger size: volumes never shrink.
 */
export function claim(
  cluster: LogCluster,
  id: BrokerId,
  as: { readonly size: string; readonly storageClassName: string | undefined; readonly clusterId: string },
): PersistentVolumeClaim {
  const { name, namespace = '' } = cluster.metadata
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: brokerName(name, id),
      namespace,
      labels: brokerLabels(name, id),
      annotations: {
        [annotations.clusterId]: as.clusterId,
        [annotations.logCluster]: cluster.metadata.uid ?? '',
        [annotations.deletionPolicy]: cluster.spec.deletionPolicy,
      },
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: as.size } },
      ...(as.storageClassName !== undefined && { storageClassName: as.storageClassName }),
    },
  }
}
