import type { BrokerId } from '../../base/quantities.ts'
import { copiesByBroker, type CopyProgress } from '../../control/kubernetes/copy-report.ts'
import { brokerName } from '../../control/kubernetes/resources/names.ts'
import type { Pod } from '../../kube/resources.ts'
import { quantityOf } from '../../operator/resources/quantity.ts'
import { idOf, type Seen } from './seen.ts'
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
  /** Of records, as it said last. */
  readonly bytes: number | undefined
  /** The size of its volume, as Kubernetes writes it. */
  readonly disk: string | undefined
  /** How much of the volume these bytes are, from 0 to 1. */
  readonly full: number | undefined
  /** What it copies from others; undefined while it does not. */
  readonly copying: CopyProgress | undefined
  readonly restarts: number | undefined
  readonly incarnation: number | undefined
  readonly diskId: string | undefined
  readonly image: string | undefined
  /** Why its pod does not run, in Kubernetes' words; or why it serves nothing though that runs. */
  readonly trouble: string | undefined
}

/** The brokers in the status, and those whose pod or volume is there but that the status does not know yet. */
export function brokerRows(seen: Seen): BrokerRow[] {
  const { namespace = '', name } = seen.cluster.metadata
  const counts = held(seen.slices)
  const copying = new Map(
    [...copiesByBroker([...seen.standings.values()].map(({ copies }) => copies))].filter(
      ([, { tablets }]) => tablets > 0,
    ),
  )
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
      const standing = seen.standings.get(id)
      const disk = claim?.status?.capacity?.['storage']
      const shown = ofPod(pod, broker?.pod ?? `${brokerName(name, id as BrokerId)}-0`)
      const wasReady = broker?.ready === true
      return {
        namespace,
        cluster: name,
        id,
        zone: broker?.zone,
        bytes: standing?.bytes,
        disk,
        full: fullOf(standing?.bytes, disk),
        copying: copying.get(id),
        leads: counts.get(id)?.leads ?? 0,
        holds: counts.get(id)?.holds ?? 0,
        phase: broker?.phase ?? 'Pending',
        ready: standing !== undefined && standing.away === undefined,
        incarnation: standing?.run ?? broker?.incarnation,
        diskId: broker?.diskId,
        ...shown,
        trouble: shown.trouble ?? (wasReady ? standing?.away : undefined),
      }
    })
}

function fullOf(bytes: number | undefined, disk: string | undefined): number | undefined {
  const size = disk === undefined ? undefined : quantityOf(disk)
  return bytes === undefined || size === undefined || size === 0 ? undefined : bytes / size
}

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
