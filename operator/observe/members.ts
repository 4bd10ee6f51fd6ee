import { brokerId, type BrokerId } from '../../base/quantities.ts'
import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import { annotations, brokerName, externalName, labels } from '../../control/kubernetes/resources/names.ts'
import { isReady, standingOf, type Standing } from '../../control/kubernetes/standing.ts'
import type { SliceTablet } from '../../control/kubernetes/resources/tablet-slice.ts'
import type { Broker } from '../../control/model.ts'
import type { KubeObject } from '../../kube/api.ts'
import type { ServiceObject, Lease, PersistentVolumeClaim, Pod, StatefulSet } from '../../kube/resources.ts'
import type { Observed } from './observed.ts'

/** A broker that is, or is to be. */
export type Member = {
  readonly id: BrokerId
  readonly statefulSet: StatefulSet | undefined
  readonly pod: Pod | undefined
  readonly claim: PersistentVolumeClaim | undefined
  readonly lease: Lease | undefined
  readonly external: ServiceObject | undefined
  /** What it said of itself when it last started; undefined before its first start. */
  readonly record: (Pick<Broker, 'incarnation'> & Partial<Pick<Broker, 'diskId'>>) | undefined
  readonly zone: string | undefined
  readonly ready: boolean
  /** How tablets on it stand. */
  readonly standing: Standing
  /** How many tablets name it. */
  readonly tablets: number
  /** More than spec.brokers: gets no new tablets, and goes when it has none. */
  readonly excess: boolean
}

/**
 * The brokers of a cluster in the order of their ids: those that have a claim or a StatefulSet and were not removed;
 * and while these are too few, those of the status, and new ones under the smallest ids that nothing has ever named. A tablet or a Lease that names a broker makes
 * none. The highest ones are in excess when there are too many.
 */
export function membersOf(seen: Observed, cluster: LogCluster): Member[] {
  const tablets = tabletsByBroker(seen)
  const { there, lost, used } = idsIn(seen, cluster, tablets)
  const ids = new Set(there)
  for (const id of lost) if (ids.size < cluster.spec.brokers) ids.add(id)
  for (let id = 0; ids.size < cluster.spec.brokers; id += 1) if (!used.has(id)) ids.add(id)
  const sorted = [...ids].sort((a, b) => a - b)
  return sorted.map((id, place) =>
    memberOf(seen, cluster, brokerId(id), {
      tablets: tablets.get(id) ?? 0,
      excess: place >= cluster.spec.brokers,
    }),
  )
}

/** How many tablets name each broker, in whatever role. */
function tabletsByBroker(seen: Observed): Map<number, number> {
  const count = new Map<number, number>()
  for (const slice of seen.slices.values()) {
    for (const tablet of slice.tablets) {
      for (const id of namedIn(tablet)) count.set(id, (count.get(id) ?? 0) + 1)
    }
  }
  return count
}

/** Each broker once. Nearly always these are the replicas, as they stand. */
function namedIn({ replicas, adding, removing, isr }: SliceTablet): readonly number[] {
  const more = adding.length + removing.length > 0 || isr.some(({ broker }) => !replicas.includes(broker))
  return more
    ? [...new Set([...replicas, ...adding, ...removing, ...isr.map(({ broker }) => broker)])]
    : replicas
}

function idsIn(seen: Observed, { status }: LogCluster, tablets: ReadonlyMap<number, number>) {
  const used = new Set<number>(tablets.keys())
  const retired = new Set<number>()
  const claimed = new Set<number>()
  const there = new Set<number>()
  const note = (object: KubeObject, into: Set<number>): void => {
    const id = idOf(object)
    if (id === undefined) return
    into.add(id)
    used.add(id)
  }
  for (const set of seen.statefulSets.values()) note(set, there)
  for (const lease of seen.leases.values()) note(lease, isRetired(lease) ? retired : used)
  for (const claim of seen.claims.values()) {
    note(claim, isRetired(claim) ? retired : claimed)
    // A broker on its way out that a tablet names after all comes back, with what it holds.
    const id = idOf(claim)
    if (id !== undefined && tablets.has(id)) claimed.add(id)
  }
  for (const id of retired) there.delete(id)
  for (const id of claimed) there.add(id)
  const lost = (status?.brokers ?? []).map(({ id }) => id).filter(id => !retired.has(id) && !there.has(id))
  return { there, lost, used }
}

/** The id on an object's label; undefined when it has none that could be one. */
export function idOf({ metadata }: KubeObject): number | undefined {
  const text = metadata.labels?.[labels.brokerId]
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

export const isRetired = ({ metadata }: KubeObject): boolean => metadata.labels?.[labels.retired] === 'true'
export const isGoing = ({ metadata }: KubeObject): boolean => metadata.deletionTimestamp !== undefined

/** Whether the pod is all that keeps the volume: its claim was deleted, and goes when the pod stops. */
export const holdsDeleted = ({ claim }: Member): boolean => claim !== undefined && isGoing(claim)

function memberOf(
  seen: Observed,
  cluster: LogCluster,
  id: BrokerId,
  rest: Pick<Member, 'tablets' | 'excess'>,
): Member {
  const name = brokerName(cluster.metadata.name, id)
  const pod = seen.pods.get(`${name}-0`)
  const lease = seen.leases.get(name)
  const node = pod?.spec?.nodeName
  const statefulSet = seen.statefulSets.get(name)
  const ready = pod !== undefined && isReady(pod)
  return {
    id,
    statefulSet,
    pod,
    claim: seen.claims.get(name),
    lease,
    external: seen.services.get(externalName(cluster.metadata.name, id)),
    record: lease === undefined ? undefined : recordOf(lease),
    // While it has no pod it is where it was.
    zone: seen.zones.get(node ?? '') ?? statefulSet?.metadata.annotations?.[annotations.zone],
    ready,
    standing: standingOf(id, { ready, lease, silent: seen.silent.has(name) }),
    ...rest,
  }
}

/** A broker writes it; what cannot be read is as good as nothing. */
function recordOf({ metadata }: Lease): Member['record'] {
  try {
    const { incarnation, diskId } = JSON.parse(metadata.annotations?.[annotations.broker] ?? 'null') as Broker
    if (!Number.isSafeInteger(incarnation)) return undefined
    return { incarnation, ...(typeof diskId === 'string' && { diskId }) }
  } catch {
    return undefined
  }
}
