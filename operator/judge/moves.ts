/**
 * Which replicas are to move, and where: purely from what was seen. In come brokers and tablets, out come targets for tablets. What always holds: only tablets
 * that a broker leads move, only to brokers that are ready, and every move brings the cluster nearer to one in which nothing moves.
 */
import { annotations } from '../../control/kubernetes/resources/names.ts'
import type { SliceTablet, TabletSlice } from '../../control/kubernetes/resources/tablet-slice.ts'
import { isMoving, movedTo, targetOf } from '../../control/moves.ts'
import type { Member } from '../observe/members.ts'
import type { Seen } from '../observe/seen.ts'
import { goneBrokers } from './gone.ts'
import { replacedOnes } from './replacement.ts'
import { wantedCopies } from './topic.ts'

export type Move = {
  readonly slice: TabletSlice
  /** Its place in the slice. */
  readonly at: number
  readonly target: readonly number[]
  readonly reason: string
}

export type Moves = {
  /** Those that may begin now. */
  readonly next: readonly Move[]
  /** Tablets whose move has begun, or is wanted and can be made. */
  readonly left: number
  /** Tablets on brokers in excess, or on one that is gone, for which there is no other place. */
  readonly blocked: readonly Blocked[]
  /** Brokers that are gone; of several nothing is rebuilt. */
  readonly gone: readonly number[]
}

type Blocked = {
  readonly slice: TabletSlice
  readonly at: number
  readonly from: number
  readonly why: string
}

/** Each broker has part in at most so many moves at once. */
const movesMax = 4

type Placed = {
  readonly slice: TabletSlice
  readonly at: number
  readonly tablet: SliceTablet
  target: readonly number[]
  /** It was decided just now. */
  isNew?: true
}

export function movesOf(seen: Seen): Moves {
  const known = cache.get(seen)
  if (known !== undefined) return known
  const moves = new Planning(seen).moves()
  cache.set(seen, moves)
  return moves
}
const cache = new WeakMap<Seen, Moves>()

class Planning {
  readonly #seen: Seen
  readonly #tablets: readonly Placed[]
  /** Brokers that may get more. */
  readonly #receivers: readonly Member[]
  readonly #byId: ReadonlyMap<number, Member>
  readonly #gone: ReadonlySet<number>
  /** Those whose copies are made again on a volume of their own. */
  readonly #replaced: ReadonlySet<number>
  /** How many replicas each broker is to hold, and how many tablets to lead. */
  readonly #holds = new Map<number, number>()
  readonly #leads = new Map<number, number>()
  readonly #busy = new Map<number, number>()
  /** By the ids of topics whose spec.replication has changed. */
  readonly #wanted: ReadonlyMap<string, number>
  readonly #next: Move[] = []
  readonly #blocked: Blocked[] = []
  #left = 0

  constructor(seen: Seen) {
    this.#seen = seen
    this.#gone = new Set(goneBrokers(seen).map(({ id }) => id))
    this.#replaced = replacedOnes(seen)
    this.#byId = new Map(seen.members.map(member => [member.id, member]))
    this.#receivers = seen.members.filter(
      member => !member.excess && member.ready && member.record !== undefined,
    )
    this.#wanted = new Map(
      seen.topicViews.flatMap(view => {
        const wanted = view.takenBy === undefined ? wantedCopies(view) : undefined
        return wanted === undefined || wanted > seen.cluster.spec.brokers ? [] : [[view.id, wanted]]
      }),
    )
    const orphans = new Set(seen.orphans.map(({ slice }) => slice))
    this.#tablets = [...seen.slices.values()]
      .filter(slice => !orphans.has(slice))
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
      .flatMap(slice => slice.tablets.map((tablet, at) => ({ slice, at, tablet, target: targetOf(tablet) })))
    for (const { tablet, target } of this.#tablets) {
      this.#count(target, 1)
      if (!isMoving(tablet)) continue
      this.#left += 1
      for (const id of [...tablet.adding, ...tablet.removing]) add(this.#busy, id, 1)
    }
  }

  moves(): Moves {
    const gone = [...this.#gone]
    for (const placed of this.#tablets) this.#decide(placed)
    // Those of deleted LogTopics nobody serves, so nobody copies them.
    for (const { slice } of this.#seen.orphans) {
      for (const [at, { replicas }] of slice.tablets.entries()) {
        const from = replicas.find(id => this.#byId.get(id)?.excess)
        if (from !== undefined) this.#blocked.push({ slice, at, from, why: 'its LogTopic was deleted' })
      }
    }
    if (gone.length === 0) this.#balance()
    return { next: this.#next, left: this.#left, blocked: this.#blocked, gone }
  }

  /** Away from brokers in excess and from the one that is gone, and to as many brokers as spec.replication says. */
  #decide(placed: Placed): void {
    const { slice, at, tablet } = placed
    const from = placed.target.filter(id => this.#mustLeave(id))
    let emptied = placed.target
    for (const id of from) {
      const to = this.#receiver(emptied, tablet, id)
      if (to === undefined) {
        const why = `its tablets have ${emptied.length} replicas`
        this.#blocked.push({ slice, at, from: id, why })
        continue
      }
      emptied = emptied.map(one => (one === id ? to : one))
    }
    const target = this.#resized(placed, emptied)
    if (target === placed.target) return
    const [id = -1] = from
    if (!this.#isServed(tablet)) {
      if (emptied !== placed.target)
        this.#blocked.push({ slice, at, from: id, why: 'no broker that is ready leads its tablets' })
      return
    }
    if (!isMoving(tablet)) this.#left += 1
    const why = this.#gone.has(id) ? `broker ${id} is gone` : `broker ${id} is to go`
    const resized = `spec.replication of ${slice.topic.name} is ${target.length}`
    this.#begin(placed, target, emptied === placed.target ? resized : why)
    this.#place(placed, target)
  }

  /** With as many replicas as are wanted, where there are brokers for them. */
  #resized({ slice, tablet }: Placed, target: readonly number[]): readonly number[] {
    const wanted = this.#wanted.get(slice.topic.id) ?? target.length
    let to = target
    while (to.length < wanted) {
      const id = this.#receiver(to, tablet, -1)
      if (id === undefined) return target
      to = [...to, id]
    }
    while (to.length > wanted) {
      const id = this.#dispensable(to, tablet)
      to = to.filter(one => one !== id)
    }
    return to
  }

  /** Who is not in sync, then who is no preferred leader, where the zone has most of the tablet, and there who holds most. */
  #dispensable(target: readonly number[], { isr }: SliceTablet): number | undefined {
    const score = (id: number): readonly number[] => [
      this.#byId.get(id)?.ready === true && isr.some(({ broker }) => broker === id) ? 1 : 0,
      target[0] === id ? 1 : 0,
      -this.#neighbours(this.#byId.get(id)?.zone, target),
      -(this.#holds.get(id) ?? 0),
      -id,
    ]
    return target.toSorted((a, b) => compared(score(a), score(b)))[0]
  }

  #mustLeave(id: number): boolean {
    const member = this.#byId.get(id)
    if (member?.excess === true) return true
    // Several at once are more likely an outage that ends than brokers that are gone for good.
    return this.#gone.size === 1 && this.#gone.has(id) && !this.#replaced.has(id)
  }

  /** Somebody who is there leads it: there is something to copy from. */
  #isServed({ leader, isr }: SliceTablet): boolean {
    return (
      leader !== undefined &&
      this.#byId.get(leader)?.ready === true &&
      isr.some(({ broker }) => broker === leader)
    )
  }

  /** The broker that takes the place of `from`: where the zone has fewest of the tablet, and there who holds least. */
  #receiver(target: readonly number[], { replicas }: SliceTablet, from: number): number | undefined {
    const rest = target.filter(id => id !== from)
    const free = this.#receivers.filter(({ id }) => !target.includes(id))
    const score = (member: Member): readonly number[] => [
      this.#neighbours(member.zone, rest),
      // What is on its way out has the records already.
      replicas.includes(member.id) ? 0 : 1,
      this.#holds.get(member.id) ?? 0,
      member.id,
    ]
    return free.toSorted((a, b) => compared(score(a), score(b)))[0]?.id
  }

  #neighbours(zone: string | undefined, ids: readonly number[]): number {
    return ids.filter(id => this.#byId.get(id)?.zone === zone).length
  }

  /**
   * Evens out how many replicas brokers hold, from the fullest to the emptiest, while the difference is two or more: each move makes it less, so that comes to an
   * end. Tablets whose places somebody has chosen stay where they are.
   */
  #balance(): void {
    const { members } = this.#seen
    if (!members.every(member => member.ready && !member.excess && this.#receivers.includes(member))) return
    const ids = this.#receivers.map(({ id }) => id as number)
    for (;;) {
      const sorted = ids.toSorted((a, b) => (this.#holds.get(b) ?? 0) - (this.#holds.get(a) ?? 0) || a - b)
      const found = this.#evening(sorted)
      if (found === undefined) return
      const { placed, from, to } = found
      this.#left += 1
      const target = placed.target.map(id => (id === from ? to : id))
      this.#begin(placed, target, `broker ${from} holds more than broker ${to}`)
      this.#place(placed, target)
    }
  }

  #evening(sorted: readonly number[]): { placed: Placed; from: number; to: number } | undefined {
    for (const from of sorted) {
      for (const to of sorted.toReversed()) {
        if ((this.#holds.get(from) ?? 0) - (this.#holds.get(to) ?? 0) < 2) break
        const placed = this.#movable(from, to)
        if (placed !== undefined) return { placed, from, to }
      }
    }
    return undefined
  }

  /** A tablet that may move between the two; one that the fuller one leads first, when it leads more. */
  #movable(from: number, to: number): Placed | undefined {
    const leadsMore = (this.#leads.get(from) ?? 0) > (this.#leads.get(to) ?? 0)
    let other: Placed | undefined
    for (const placed of this.#tablets) {
      const { target, tablet, slice } = placed
      if (placed.isNew || isMoving(tablet) || !target.includes(from) || target.includes(to)) continue
      if (!this.#isServed(tablet) || this.#isChosen(slice) || this.#crowds(target, from, to)) continue
      if ((target[0] === from) === leadsMore) return placed
      other ??= placed
    }
    return other
  }

  /** The move would bring replicas of the tablet nearer together. */
  #crowds(target: readonly number[], from: number, to: number): boolean {
    const rest = target.filter(id => id !== from)
    const zoneOf = (id: number) => this.#byId.get(id)?.zone
    return this.#neighbours(zoneOf(to), rest) > this.#neighbours(zoneOf(from), rest)
  }

  #isChosen({ topic }: TabletSlice): boolean {
    return this.#chosen.has(topic.id)
  }

  get #chosen(): ReadonlySet<string> {
    return (this.#chosenIds ??= new Set(
      this.#seen.topicViews
        .filter(({ topic }) => topic.metadata.annotations?.[annotations.assignment] !== undefined)
        .map(({ id }) => id),
    ))
  }
  #chosenIds: ReadonlySet<string> | undefined

  /** Unless one of the brokers is busy. */
  #begin({ slice, at, tablet }: Placed, target: readonly number[], reason: string): void {
    const to = movedTo(tablet, target)
    if (to === undefined) return
    const parts = [...to.adding, ...to.removing].filter(
      id => !tablet.adding.includes(id) && !tablet.removing.includes(id),
    )
    if (parts.some(id => (this.#busy.get(id) ?? 0) >= movesMax)) return
    for (const id of parts) add(this.#busy, id, 1)
    this.#next.push({ slice, at, target, reason })
  }

  #place(placed: Placed, target: readonly number[]): void {
    this.#count(placed.target, -1)
    placed.target = target
    placed.isNew = true
    this.#count(target, 1)
  }

  #count(target: readonly number[], by: number): void {
    for (const id of target) add(this.#holds, id, by)
    if (target[0] !== undefined) add(this.#leads, target[0], by)
  }
}

const add = (counts: Map<number, number>, id: number, by: number): void =>
  void counts.set(id, (counts.get(id) ?? 0) + by)

function compared(a: readonly number[], b: readonly number[]): number {
  for (const [at, value] of a.entries()) {
    const difference = value - (b[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
