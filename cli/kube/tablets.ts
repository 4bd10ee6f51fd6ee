import { percentOf } from '../../control/copied.ts'
import type { TabletSlice } from '../../control/kubernetes/resources/tablet-slice.ts'
import type { JudgedTablet, TabletState } from '../../control/kubernetes/standing.ts'
import type { Seen } from './seen.ts'
import type { Sizes } from './sizes.ts'

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
  readonly state: TabletState
  /** Why it is offline. */
  readonly why: string | undefined
  /** On the disk of its leader, or of another replica when that does not say. */
  readonly bytes: number | undefined
  /** What its replicas that are being copied still lack, by broker. */
  readonly copies: readonly { readonly broker: number; readonly bytesLeft: number }[]
}

export function tabletRows(seen: Seen, sizes: Sizes): TabletRow[] {
  const { namespace = '', name } = seen.cluster.metadata
  const rows = seen.tablets.map(judged => {
    const {
      topic,
      number: tablet,
      leader,
      replicas,
      live,
      behind,
      adding,
      removing,
      epoch,
      state,
      why,
    } = judged
    const row = { topic, tablet, leader, replicas, isr: live, behind, adding, removing, epoch, state, why }
    const copies = [...new Set([...replicas, ...adding])].flatMap(broker => {
      const bytesLeft = sizes.left(seen, broker, topic, tablet)
      return bytesLeft === undefined || live.includes(broker) ? [] : [{ broker, bytesLeft }]
    })
    return { namespace, cluster: name, ...row, bytes: bytesOf(seen, judged, sizes), copies }
  })
  return rows.toSorted((a, b) => a.topic.localeCompare(b.topic, 'en') || a.tablet - b.tablet)
}

function bytesOf(
  seen: Seen,
  { topic, number, leader, replicas }: JudgedTablet,
  sizes: Sizes,
): number | undefined {
  for (const id of leader === undefined ? replicas : [leader, ...replicas]) {
    const bytes = sizes.of(seen, id, topic, number)
    if (bytes !== undefined) return bytes
  }
  return undefined
}

/** What a person reads of the state: who is behind, who comes and goes, and how much of it each of them has. */
export function stateText({ state, behind, adding, removing, bytes, copies }: TabletRow): string {
  const named = (id: number): string => {
    const left = copies.find(({ broker }) => broker === id)?.bytesLeft
    return left === undefined || bytes === undefined
      ? String(id)
      : `${id} (${percentOf({ bytes: Math.max(bytes, left), bytesLeft: left })}%)`
  }
  const parts = [
    state,
    behind.length > 0 ? `${behind.map(named).join(',')} behind` : '',
    adding.length > 0 ? `to ${adding.map(named).join(',')}` : '',
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
