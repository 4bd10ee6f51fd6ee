/**
 * How brokers and tablets stand: what Leases, pods and TabletSlices say enters, who is in sync, who is not and why comes out. Operator and tools ask here alike,
 * so that a tablet is offline for one exactly when it is for the other.
 */
import type { Lease, Pod } from '../../kube/resources.ts'
import { unledText } from '../unled.ts'
import type { TopicView } from './ownership.ts'
import { bytesIn, nothingOffline, offlineIn, type OfflineThere } from './broker-report.ts'
import { copiesIn, type Copied } from './copy-report.ts'
import { annotations } from './resources/names.ts'
import type { SliceTablet, TabletSlice } from './resources/tablet-slice.ts'

/** One broker. */
export type Standing = {
  /** Why it serves nothing; undefined while it serves. */
  readonly away: string | undefined
  /** The number of its run; undefined where it is not known, and then entries of any run count. */
  readonly run: number | undefined
  readonly offline: OfflineThere
  /** Held by it, as it said last. */
  readonly bytes: number | undefined
  /** What others copy from it; nothing while it serves nothing. */
  readonly copies: readonly Copied[]
}

export type Standings = ReadonlyMap<number, Standing>

type Known = {
  /** Whether its pod is. */
  readonly ready: boolean
  /** Undefined when there is none, or when it may not be seen. */
  readonly lease: Lease | undefined
  /** The Lease has run out. */
  readonly silent?: boolean
}

export function standingOf(id: number, { ready, lease, silent = false }: Known): Standing {
  const run = lease && runIn(lease)
  const away = awayWhy(id, ready, silent, lease?.metadata.annotations?.[annotations.stopped] !== undefined)
  return {
    away,
    run,
    offline: lease === undefined ? nothingOffline : offlineIn(lease, run),
    bytes: lease && bytesIn(lease),
    copies: lease === undefined || away !== undefined ? [] : copiesIn(lease, run),
  }
}

function awayWhy(id: number, ready: boolean, silent: boolean, stopped: boolean): string | undefined {
  if (stopped) return `broker ${id} has stopped`
  if (silent) return `broker ${id} does not renew its Lease`
  return ready ? undefined : `broker ${id} is not ready`
}

/** Whether the pod is, and stays. */
export const isReady = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined &&
  (status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True')

/** The number of the run that a Lease is of; undefined for what no broker has written. */
export function runIn({ metadata }: Lease): number | undefined {
  try {
    const said = JSON.parse(metadata.annotations?.[annotations.broker] ?? 'null') as {
      incarnation?: unknown
    } | null
    return Number.isSafeInteger(said?.incarnation) ? (said?.incarnation as number) : undefined
  } catch {
    return undefined
  }
}

/** The worst that is so of a tablet. */
export type TabletState = 'well' | 'moving' | 'under-replicated' | 'offline'

export type JudgedTablet = SliceTablet & {
  readonly topic: string
  readonly number: number
  /** In sync, still running as the incarnation that was, and able to serve it. */
  readonly live: readonly number[]
  /** Replicas that are to be and are not. */
  readonly behind: readonly number[]
  readonly state: TabletState
  /** Why it is offline; undefined while it is not. */
  readonly why: string | undefined
}

export const judged = ({ topic, first, tablets }: TabletSlice, brokers: Standings): JudgedTablet[] =>
  tablets.map((tablet, at) => {
    const { leader, replicas, isr, adding, removing } = tablet
    const number = first + at
    const whyNot = (id: number, run: number): string | undefined =>
      outWhy(brokers.get(id), id, { topicId: topic.id, number, run })
    const live = isr
      .filter(({ broker, incarnation }) => whyNot(broker, incarnation) === undefined)
      .map(({ broker }) => broker)
    const behind = replicas.filter(id => !live.includes(id) && !adding.includes(id))
    const entry = isr.find(({ broker }) => broker === leader)
    const unled = entry === undefined ? 'no broker leads it' : whyNot(entry.broker, entry.incarnation)
    const why = unled && [unled, unledText(tablet)].filter(part => part !== undefined).join('; ')
    const moves = adding.length > 0 || removing.length > 0
    const state =
      why !== undefined ? 'offline' : behind.length > 0 ? 'under-replicated' : moves ? 'moving' : 'well'
    return { ...tablet, topic: topic.name, number, live, behind, state, why }
  })

/** Those that are to be served; those of deleted topics, and of topics whose name another one has, are not. */
export const judgedTablets = (views: readonly TopicView[], brokers: Standings): JudgedTablet[] =>
  views
    .filter(({ takenBy }) => takenBy === undefined)
    .flatMap(({ slices }) => slices.flatMap(slice => judged(slice, brokers)))

type Entry = { readonly topicId: string; readonly number: number; readonly run: number }

/** Why an entry in sync does not count now. */
function outWhy(
  broker: Standing | undefined,
  id: number,
  { topicId, number, run }: Entry,
): string | undefined {
  if (broker === undefined) return `there is no broker ${id}`
  if (broker.away !== undefined) return broker.away
  const said = broker.offline.whyOf(topicId, number)
  if (said !== undefined) return said
  if (broker.run === undefined || broker.run === run) return undefined
  return `broker ${id} has started again and has not taken it up`
}

export type TabletCounts = {
  readonly total: number
  readonly underReplicated: number
  readonly offline: number
  readonly moving: number
}

/** Each tablet counts once, as the worst that is so of it. */
export function countStates(states: Iterable<TabletState>): TabletCounts {
  const count = { well: 0, moving: 0, 'under-replicated': 0, offline: 0 }
  let total = 0
  for (const state of states) {
    count[state] += 1
    total += 1
  }
  return { total, underReplicated: count['under-replicated'], offline: count.offline, moving: count.moving }
}

/** How many tablets brokers cannot serve without naming them. */
export function unnamedIn(brokers: Standings): number {
  let count = 0
  for (const { offline } of brokers.values()) count += offline.unnamed
  return count
}

const namedMax = 5

/** Which tablets are offline and why, those of one reason together: `orders-0, orders-1 (broker 2 is not ready)`. Undefined when none is. */
export function offlineText(tablets: Iterable<JudgedTablet>, unnamed = 0): string | undefined {
  const offline = [...tablets].filter(({ state }) => state === 'offline')
  if (offline.length === 0 && unnamed === 0) return undefined
  const groups = [...Map.groupBy(offline, ({ why }) => why ?? '')].sort(([a], [b]) => (a < b ? -1 : 1))
  const told = groups.slice(0, namedMax).map(([why, some]) => {
    const names = some.map(({ topic, number }) => `${topic}-${number}`)
    const more = names.length > namedMax ? ` and ${names.length - namedMax} more` : ''
    return `${names.slice(0, namedMax).join(', ')}${more} (${why})`
  })
  const others = groups.slice(namedMax).reduce((sum, [, some]) => sum + some.length, 0) + unnamed
  return [...told, ...(others > 0 ? [`${others} more`] : [])].join('; ')
}
