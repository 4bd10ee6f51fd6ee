import { annotations, brokerName, headlessName, labels } from '../../control/kubernetes/resources/names.ts'
import type { StatefulSet } from '../../kube/resources.ts'
import { brokerLabels, brokerSelector, ownedMeta } from './labels.ts'
import { podTemplate, type BrokerPod } from './pod.ts'

/** One broker. It has a set of its own, so that any broker can go and none waits for another. */
export function statefulSet(pod: BrokerPod): StatefulSet {
  const { cluster, id, zone } = pod
  const { name } = cluster.metadata
  const metadata = ownedMeta(cluster, brokerName(name, id), brokerLabels(name, id))
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { ...metadata, ...(zone !== undefined && { annotations: { [annotations.zone]: zone } }) },
    spec: {
      replicas: 1,
      serviceName: headlessName(name),
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      revisionHistoryLimit: 3,
      selector: { matchLabels: { ...brokerSelector(name), [labels.brokerId]: String(id) } },
      template: podTemplate(pod),
    },
  }
}
