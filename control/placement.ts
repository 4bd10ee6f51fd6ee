/**
 * On which brokers the tablets of a topic go. In come the brokers with what they carry already, out goes one list of
 * brokers a tablet, the preferred leader first; replicas of a tablet always lie on distinct brokers.
 */
import { assert } from '../base/assert.ts'
import { GIB, type BrokerId } from '../base/quantities.ts'
import { Refusal } from '../base/refusals.ts'
import type { Topic } from './model.ts'
import type { ManualPlace } from './store.ts'

/** As many tablets as one topic may have. Each costs files and memory, and a request for billions is a mistake. */
export const topicTabletsMax = 10_000

/** What a broker carries: how many tablets it is preferred to lead, and how many it holds. */
type Load = { leads: number; holds: number }
export type Loads = Map<BrokerId, Load>
type ReadonlyLoads = ReadonlyMap<BrokerId, Readonly<Load>>

/** What each of `brokers` carries of `topics`. */
export function loadsOf(brokers: Iterable<BrokerId>, topics: Iterable<Topic>): Loads {
  const loads: Loads = new Map([...brokers].sort((a, b) => a - b).map(id => [id, { leads: 0, holds: 0 }]))
  for (const topic of topics) carryTopic(loads, topic)
  return loads
}

/** Counts the topic's tablets into `loads`. */
export function carryTopic(loads: Loads, { tablets }: Topic): void {
  for (const { replicas } of tablets) carry(loads, replicas)
}

/** Counts one tablet with these replicas into `loads`. */
export function carry(loads: Loads, replicas: readonly BrokerId[]): void {
  for (const [at, id] of replicas.entries()) {
    const load = loads.get(id)
    if (load === undefined) continue
    load.holds += 1
    if (at === 0) load.leads += 1
  }
}

/** What is known of the brokers beside their load. */
export type Terrain = {
  /** Where a broker stands; brokers of which it is not known stand in one place. */
  readonly zoneOf?: (id: BrokerId) => string | undefined
  /** Who may lead a new tablet; everyone when it is not given, or when it is so of nobody. */
  readonly mayLead?: (id: BrokerId) => boolean
  /** How many bytes a broker holds, as far as that is known. */
  readonly bytesOf?: (id: BrokerId) => number | undefined
  /** The number of the first new tablet; 0 when it is not given. */
  readonly first?: number
}

/**
 * Places `tablets` new tablets with `replication` replicas each: every leader on a broker that leads least; every further replica in a zone with
 * the fewest replicas of this tablet, there on a broker that holds least, or one more than that. Of several the one with the fewest bytes is taken, in steps
 * of a GiB, and round robin from broker to broker where they are even.
 * @throws Refusal INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR
 */
export function place(
  loads: ReadonlyLoads,
  tablets: number,
  replication: number,
  terrain: Terrain = {},
): BrokerId[][] {
  if (!Number.isInteger(replication) || replication < 1 || replication > loads.size) {
    throw new Refusal(
      'INVALID_REPLICATION_FACTOR',
      `the replication factor must be at least 1 and at most ${loads.size}, the number of brokers, not ${replication}`,
    )
  }
  checkTabletCount(tablets)
  const ring = [...loads.keys()]
  const running: Loads = new Map([...loads].map(([id, load]) => [id, { ...load }]))
  const first = terrain.first ?? 0
  return Array.from({ length: tablets }, (_, at) => placeOne(ring, first + at, running, replication, terrain))
}

function placeOne(
  ring: readonly BrokerId[],
  start: number,
  loads: Loads,
  replication: number,
  { zoneOf, mayLead, bytesOf }: Terrain,
): BrokerId[] {
  const fill = (id: BrokerId): number => Math.floor((bytesOf?.(id) ?? 0) / GIB)
  const leads = (id: BrokerId): Score => [loadOf(loads, id).leads, fill(id)]
  const leader =
    lowest(ring, start, id => (mayLead?.(id) === false ? undefined : leads(id))) ?? lowest(ring, start, leads)
  assert(leader !== undefined, 'there is a broker at least')
  const replicas = [leader]
  const turn = ring.indexOf(leader) + 1 + Math.floor(start / ring.length)
  while (replicas.length < replication) {
    const crowd = (id: BrokerId): Score | undefined =>
      replicas.includes(id) ? undefined : [neighbours(id, replicas, zoneOf), loadOf(loads, id).holds]
    const emptiest = lowest(ring, turn, crowd)
    const [zone, least] = (emptiest === undefined ? undefined : crowd(emptiest)) ?? [0, 0]
    const next = lowest(ring, turn, id => {
      const [near, holds] = crowd(id) ?? [Infinity, Infinity]
      return near === zone && holds <= least + 1 ? [fill(id), holds] : undefined
    })
    assert(next !== undefined, 'there are more brokers than replicas were placed')
    replicas.push(next)
  }
  carry(loads, replicas)
  return replicas
}

/** How many of `replicas` stand in the zone of `id`. */
function neighbours(id: BrokerId, replicas: readonly BrokerId[], zoneOf: Terrain['zoneOf']): number {
  if (zoneOf === undefined) return 0
  const zone = zoneOf(id)
  let count = 0
  for (const other of replicas) if (zoneOf(other) === zone) count += 1
  return count
}

/** The second number counts where the first is even. */
type Score = readonly [number, number]

/** The broker with the smallest score, seen from place `turn` of the ring on; the first one where they are even. Undefined: never. */
function lowest(
  ring: readonly BrokerId[],
  turn: number,
  score: (id: BrokerId) => Score | undefined,
): BrokerId | undefined {
  let best: BrokerId | undefined
  let least: Score = [Infinity, Infinity]
  for (let at = 0; at < ring.length; at += 1) {
    const id = ring[(turn + at) % ring.length]
    assert(id !== undefined, 'a ring has no gaps')
    const own = score(id)
    if (own === undefined || own[0] > least[0] || (own[0] === least[0] && own[1] >= least[1])) continue
    best = id
    least = own
  }
  return best
}

function loadOf(loads: ReadonlyLoads, id: BrokerId): Readonly<Load> {
  const load = loads.get(id)
  assert(load !== undefined, 'only known brokers carry anything')
  return load
}

/** @throws Refusal INVALID_PARTITIONS */
export function checkTabletCount(tablets: number): void {
  if (Number.isInteger(tablets) && tablets >= 1 && tablets <= topicTabletsMax) return
  throw new Refusal(
    'INVALID_PARTITIONS',
    `the number of partitions must be at least 1 and at most ${topicTabletsMax}, not ${tablets}`,
  )
}

/** `replication` is what the topic has already; a new topic has what its first tablet is given. */
type Given = {
  readonly first: number
  readonly brokers: ReadonlySet<BrokerId>
  readonly replication: number | undefined
}

/**
 * The brokers of each tablet, as a user has chosen them for the tablets from `first` on.
 * @throws Refusal INVALID_REPLICA_ASSIGNMENT when a tablet is missing or named twice, has no broker, one broker twice, an unknown one,
 * or another number of replicas than the rest; INVALID_PARTITIONS when there are none or too many
 */
export function checkAssignment(
  places: readonly ManualPlace[],
  { first, brokers, replication }: Given,
): BrokerId[][] {
  checkTabletCount(first + places.length)
  const sorted = places.toSorted((a, b) => a.tablet - b.tablet)
  const count = replication ?? sorted[0]?.replicas.length
  for (const [at, { tablet, replicas }] of sorted.entries()) {
    if (tablet !== first + at) refuse(`partitions must be numbered from ${first} on without gaps or repeats`)
    if (replicas.length === 0) refuse(`partition ${tablet} is on no broker`)
    if (new Set(replicas).size < replicas.length) refuse(`partition ${tablet} names a broker twice`)
    const unknown = replicas.find(id => !brokers.has(id))
    if (unknown !== undefined) {
      refuse(`partition ${tablet} is on broker ${unknown}; there are brokers ${[...brokers].join(', ')}`)
    }
    if (replicas.length !== count) {
      refuse(`partition ${tablet} has ${replicas.length} replicas, other partitions have ${count}`)
    }
  }
  return sorted.map(({ replicas }) => [...replicas])
}

function refuse(message: string): never {
  throw new Refusal('INVALID_REPLICA_ASSIGNMENT', message)
}
