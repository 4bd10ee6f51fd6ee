import type { BrokerId } from '../../base/quantities.ts'
import { brokerName, labels } from '../../control/kubernetes/resources/names.ts'
import type { BrokerStatus } from '../../control/kubernetes/resources/log-cluster.ts'
import type { Pod } from '../../kube/resources.ts'
import type { Seen } from './seen.ts'
import { held } from './tablets.ts'

export type BrokerRow = {
  readonly namespace: string
  readonly cluster: string
  readonly id: number
  readonly zone: string | undefined
  readonly node: string | undefined
  readonly pod: string
  readonly phase: string
  readonly ready: boolean
  readonly leads: number
  readonly holds: number
  /** The size of its volume, as Kubernetes writes it. */
  readonly disk: string | undefined
  readonly restarts: number | undefined
  readonly incarnation: number | undefined
  readonly diskId: string | undefined
  readonly image: string | undefined
  /** Why its pod does not run, in Kubernetes' words. */
  readonly trouble: string | undefined
}

/** The brokers in the status, and those whose pod or volume is there but that the status does not know yet. */
export function brokerRows(seen: Seen): BrokerRow[] {
  const { namespace = '', name } = seen.cluster.metadata
  const counts = held(seen.slices)
  const known = new Map((seen.cluster.status?.brokers ?? []).map(broker => [broker.id, broker]))
  const ids = new Set([
    ...known.keys(),
    ...(seen.pods ?? []).map(pod => idOf(pod)).filter(id => id !== undefined),
  ])
  return [...ids]
    .toSorted((a, b) => a - b)
    .map(id => {
      const broker = known.get(id)
      const pod = seen.pods?.find(pod => idOf(pod) === id)
      const claim = seen.claims?.find(({ metadata }) => metadata.name === brokerName(name, id as BrokerId))
      return {
        namespace,
        cluster: name,
        id,
        zone: broker?.zone,
        disk: claim?.status?.capacity?.['storage'],
        leads: counts.get(id)?.leads ?? 0,
        holds: counts.get(id)?.holds ?? 0,
        ...ofStatus(broker, seen.incarnations?.get(id)),
        ...ofPod(pod, broker?.pod ?? `${brokerName(name, id as BrokerId)}-0`),
      }
    })
}

const idOf = ({ metadata }: Pod): number | undefined => {
  const label = metadata.labels?.[labels.brokerId]
  return label === undefined ? undefined : Number(label)
}

const ofStatus = (broker: BrokerStatus | undefined, incarnation: number | undefined) => ({
  phase: broker?.phase ?? 'Pending',
  ready: broker?.ready ?? false,
  incarnation: incarnation ?? broker?.incarnation,
  diskId: broker?.diskId,
})

function ofPod(pod: Pod | undefined, name: string) {
  const container = pod?.status?.containerStatuses?.[0]
  const waiting = container?.state?.waiting
  const unplaced = pod?.status?.conditions?.find(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  )
  return {
    pod: pod?.metadata.name ?? name,
    node: pod?.spec?.nodeName,
    restarts: container?.restartCount,
    image: pod?.spec?.containers[0]?.image,
    trouble:
      waiting?.reason === undefined || waiting.reason === 'ContainerCreating'
        ? unplaced?.message
        : `${waiting.reason}${waiting.message === undefined ? '' : `: ${waiting.message}`}`,
  }
}
