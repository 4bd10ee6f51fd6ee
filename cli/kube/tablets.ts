import { type SliceTablet, type TabletSlice } from '../../control/kubernetes/resources/tablet-slice.ts'
import type { Seen } from './seen.ts'

export type TabletRow = {
  readonly namespace: string
  readonly cluster: string
  readonly topic: string
  readonly tablet: number
  readonly leader: number | undefined
  readonly replicas: readonly number[]
  /** In sync, and still running as the incarnation that was. */
  readonly isr: readonly number[]
  /** Replicas that are not. */
  readonly behind: readonly number[]
  readonly adding: readonly number[]
  readonly removing: readonly number[]
  readonly epoch: number
  readonly state: 'well' | 'under-replicated' | 'offline' | 'moving'
}

export function tabletRows({ cluster, slices, incarnations }: Seen): TabletRow[] {
  const { namespace = '', name } = cluster.metadata
  const rows = slices.flatMap(slice =>
    slice.tablets.map((tablet, index) => ({
      namespace,
      cluster: name,
      topic: slice.topic.name,
      tablet: slice.first + index,
      ...rowOf(tablet, incarnations),
    })),
  )
  return rows.toSorted((a, b) => a.topic.localeCompare(b.topic, 'en') || a.tablet - b.tablet)
}

function rowOf(tablet: SliceTablet, incarnations: Seen['incarnations']) {
  const counts = ({ broker, incarnation }: SliceTablet['isr'][number]): boolean =>
    incarnations === undefined || incarnations.get(broker) === incarnation
  const isr = tablet.isr.filter(counts).map(({ broker }) => broker)
  const behind = tablet.replicas.filter(id => !isr.includes(id))
  const { leader, replicas, adding, removing, epoch } = tablet
  return { leader, replicas, isr, behind, adding, removing, epoch, state: stateOf(tablet, isr, behind) }
}

function stateOf(
  { leader, adding, removing }: SliceTablet,
  isr: readonly number[],
  behind: readonly number[],
): TabletRow['state'] {
  if (leader === undefined || !isr.includes(leader)) return 'offline'
  if (adding.length > 0 || removing.length > 0) return 'moving'
  return behind.length > 0 ? 'under-replicated' : 'well'
}

/** What a person reads of the state: who is behind, who comes and goes. */
export function stateText({ state, behind, adding, removing }: TabletRow): string {
  const parts = [
    state === 'well' ? 'well' : state,
    behind.length > 0 ? `${behind.join(',')} behind` : '',
    adding.length > 0 ? `to ${adding.join(',')}` : '',
    removing.length > 0 ? `from ${removing.join(',')}` : '',
  ]
  return parts.filter(part => part !== '').join(', ')
}

/** How many tablets each broker leads and holds. */
export function held(slices: readonly TabletSlice[]): ReadonlyMap<number, { leads: number; holds: number }> {
  const counts = new Map<number, { leads: number; holds: number }>()
  const of = (id: number) => {
    const found = counts.get(id) ?? { leads: 0, holds: 0 }
    counts.set(id, found)
    return found
  }
  for (const { leader, replicas } of slices.flatMap(({ tablets }) => tablets)) {
    for (const id of replicas) of(id).holds += 1
    if (leader !== undefined) of(leader).leads += 1
  }
  return counts
}
