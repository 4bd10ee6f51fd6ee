/**
 * What a leader knows of its followers and concludes from it: in come their fetches and the assignments that were seen; out come the high
 * watermark and the in-sync set that should be. Pure: time is handed in, nothing is asked of anyone.
 */
import { assert } from '../../base/assert.ts'
import { offset, type BrokerId, type Incarnation, type Offset } from '../../base/quantities.ts'
import { inNextEpoch, type InSync, type TabletAssignment } from '../../control/model.ts'
import { countedReplicas, isMoving, targetOf } from '../../control/moves.ts'
import type { WhyOut } from './news.ts'
import type { FollowerRun } from './replica.ts'
import { soundRules, type Rules } from './rules.ts'

/** What is known of the other brokers as processes. Times are monotonic. */
export type Liveness = {
  /** When the broker last asked anything of this one; -Infinity when it never did. */
  askedMs(broker: BrokerId): number
  /** Its connection ended and it was not back in time, or nobody has heard of it for a lease time. */
  isGone(broker: BrokerId): boolean
  /** The run that counts, as the control store knows it. */
  runOf(broker: BrokerId): Incarnation | undefined
  /** It is about to stop on purpose. */
  isLeaving(broker: BrokerId): boolean
}

export type LeadershipOptions = {
  readonly self: FollowerRun
  readonly assignment: TabletAssignment
  /** The end of the log when this leadership began. */
  readonly epochStart: Offset
  readonly highWatermark: Offset
  /** Everything below is as durable here as the topic wants. */
  readonly ownEnd: Offset
  readonly nowMs: number
  readonly rules?: Rules
}

type Follower = {
  readonly incarnation: Incarnation
  end: Offset
  readonly firstMs: number
  /** When it last had everything there was. */
  caughtUpMs: number
  fetchedMs: number
  /** The end of the log when it last fetched. */
  endAtFetch: Offset
  /** Where its own log begins. */
  logStart: Offset
  /** Since when it copies from here no more. */
  leftMs: number | undefined
}

export type Limits = {
  /** `replica.lag.time.max.ms` */
  readonly lagMsMax: number
  readonly minInsync: number
  /** `stele.replication=best-effort`: the leader acknowledges alone. */
  readonly alone: boolean
}

export type HandOver = {
  readonly to: BrokerId
  /** It stops: it is no member of the set any more, where enough others are. */
  readonly leaves: boolean
  /** Since when nothing is appended; monotonic. */
  readonly sinceMs: number
}

/** Whether acks=all goes on with one member of the set less. */
export const mayBeSpared = (now: TabletAssignment, limits: Limits): boolean =>
  now.isr.length > neededInSync(now, limits)

/** As many are in sync as acks=all needs, where it does not do with fewer. */
const neededInSync = (now: TabletAssignment, { minInsync, alone }: Limits): number =>
  alone ? 1 : Math.max(1, Math.min(minInsync, countedReplicas(now)))

/** Nodes of a Kubernetes hear a second or two after a broker has come that its pod is ready: clients outside do not reach it before. */
const reachableMs = 5_000
/** Followers ask twice a second: one that has not asked for so long may be cut off. */
const askedMsMax = 1_500
/** A run that is over is given so long to renew its entry before it is taken out; and one that copies no more, to copy again. */
const renewalMs = 300

export class Leadership {
  readonly epochStart: Offset
  readonly #self: FollowerRun
  readonly #rules: Rules
  /** When each entry of the set was first seen. */
  #entries: ReadonlyMap<string, number>
  readonly #followers = new Map<BrokerId, Follower>()
  /** Why members of the set do not belong there, as it was judged last. */
  readonly #outs = new Map<string, WhyOut>()
  #committed: TabletAssignment
  #inFlight: TabletAssignment | undefined
  /** Since when a change is under way without an answer. */
  #unansweredMs: number | undefined
  #logEnd: Offset
  #ownEnd: Offset
  #highWatermark: Offset

  constructor(options: LeadershipOptions) {
    this.#self = options.self
    this.#rules = options.rules ?? soundRules
    this.#committed = options.assignment
    this.#entries = entriesOf(options.assignment, new Map(), options.nowMs)
    this.epochStart = options.epochStart
    this.#highWatermark = options.highWatermark
    this.#ownEnd = options.ownEnd
    this.#logEnd = options.epochStart
  }

  get highWatermark(): Offset {
    return this.#highWatermark
  }

  /** Whether its set has passed the start of its epoch: the high watermark is then not behind what a leader before has shown. */
  get hasPassedStart(): boolean {
    return this.#highWatermark >= this.epochStart
  }

  /** As many replicas as are surely in sync. */
  get inSyncAtLeast(): number {
    return Math.min(...this.#sets().map(set => set.length))
  }

  /** A change is under way, or was granted and not seen yet. */
  get isChanging(): boolean {
    return this.#inFlight !== undefined
  }

  /** Another leads from now on, or will when a change that is under way is granted. */
  get isGivingUp(): boolean {
    return this.#inFlight !== undefined && this.#inFlight.epoch > this.#committed.epoch
  }

  /** Whether it stands in a set that could be in force. */
  counts({ broker, incarnation }: FollowerRun): boolean {
    return this.#sets().some(set =>
      set.some(member => member.broker === broker && member.incarnation === incarnation),
    )
  }

  /** Somebody else in sync is there and stays, whether it has asked here already or not. */
  hasHeirs(live: Liveness): boolean {
    return this.#committed.isr.some(
      ({ broker, incarnation }) => broker !== this.#self.broker && this.#isThere(broker, incarnation, live),
    )
  }

  /** Who could lead next and had everything within `behindMsMax`, in the order of the replicas, but those that have only just come last. */
  successors(live: Liveness, nowMs: number, behindMsMax: number): readonly BrokerId[] {
    const now = this.#committed
    const able = now.replicas.filter(broker => {
      const follower = this.#successor(now, broker, live)
      return follower !== undefined && nowMs - this.#caughtUpMs(broker, follower, live) <= behindMsMax
    })
    const isNew = (broker: BrokerId): boolean =>
      nowMs - (this.#followers.get(broker)?.firstMs ?? nowMs) < reachableMs
    return [...able.filter(broker => !isNew(broker)), ...able.filter(isNew)]
  }

  /** Those that have shown themselves to this leadership: what each has, and when it last had everything. */
  followers(
    live: Liveness,
  ): readonly (FollowerRun & { readonly end: Offset; readonly caughtUpMs: number })[] {
    return [...this.#followers]
      .filter(([broker, { incarnation }]) => !live.isGone(broker) && live.runOf(broker) === incarnation)
      .map(([broker, follower]) => {
        const { incarnation, end } = follower
        return { broker, incarnation, end, caughtUpMs: this.#caughtUpMs(broker, follower, live) }
      })
  }

  /** Where a reader that is at `at` may go on reading: followers in sync that are there, asked a moment ago and have what is below. Who has most comes first. */
  readableAt(at: Offset, live: Liveness, nowMs: number): readonly BrokerId[] {
    const able = [...this.#followers].filter(
      ([broker, { end, logStart }]) =>
        logStart <= at &&
        end >= at &&
        this.#successor(this.#committed, broker, live) !== undefined &&
        nowMs - live.askedMs(broker) <= askedMsMax,
    )
    return able.toSorted(([, a], [, b]) => b.end - a.end).map(([broker]) => broker)
  }

  enough({ minInsync, alone }: Limits): boolean {
    return alone || this.inSyncAtLeast >= Math.min(minInsync, countedReplicas(this.#committed))
  }

  /** It wants another set, can reach nobody who could grant it, and that for so long that another may lead by now. */
  isStale(nowMs: number, { lagMsMax }: Limits): boolean {
    return this.#unansweredMs !== undefined && nowMs - this.#unansweredMs > lagMsMax
  }

  /**
   * The same leadership, as it was seen in the control store. Answers whether a replica that is still there has to say again what it holds: it
   * was taken away and comes anew, and may have begun anew.
   */
  assigned(assignment: TabletAssignment, nowMs: number): boolean {
    assert(assignment.epoch === this.#committed.epoch, 'a leadership is one epoch')
    if (assignment.version < this.#committed.version) return false
    const before = this.#committed
    this.#committed = assignment
    this.#entries = entriesOf(assignment, this.#entries, nowMs)
    if (this.#inFlight !== undefined && assignment.version >= this.#inFlight.version) this.#over()
    for (const broker of this.#followers.keys())
      if (!assignment.replicas.includes(broker)) this.#followers.delete(broker)
    const anew = assignment.adding.filter(broker => !before.adding.includes(broker))
    return anew.filter(broker => this.#followers.delete(broker)).length > 0
  }

  /** The change to `to` is being asked for: from now on it may be in force. */
  begun(to: TabletAssignment): void {
    assert(this.#inFlight === undefined || this.#inFlight.version === to.version, 'one change is under way')
    this.#inFlight = to
  }

  /** Nothing of it was changed, and nothing will be. */
  dropped(): void {
    this.#over()
  }

  /** It may still land: nobody answered. */
  unanswered(nowMs: number): void {
    if (this.#inFlight !== undefined) this.#unansweredMs ??= nowMs
  }

  /** The log ends at `logEnd`, and below `ownEnd` it is as durable as the topic wants. */
  grown(logEnd: Offset, ownEnd: Offset, live: Pick<Liveness, 'askedMs'>): void {
    if (logEnd > this.#logEnd) {
      // Who had everything until now had it when it last asked.
      for (const [broker, follower] of this.#followers)
        follower.caughtUpMs = this.#caughtUpMs(broker, follower, live)
      this.#logEnd = logEnd
    }
    this.#ownEnd = ownEnd
  }

  /** A follower holds everything below `end`. */
  fetched(who: FollowerRun, end: Offset, nowMs: number, logStart = offset(0)): void {
    const known = this.#followers.get(who.broker)
    if (known !== undefined && known.incarnation > who.incarnation) return
    const isNew = known?.incarnation !== who.incarnation
    const follower = isNew ? newFollower(who.incarnation, end, nowMs) : known
    if (isNew) this.#followers.set(who.broker, follower)
    follower.end = end
    follower.logStart = logStart
    follower.leftMs = undefined
    if (end >= this.#logEnd) follower.caughtUpMs = nowMs
    else if (end >= follower.endAtFetch)
      follower.caughtUpMs = Math.max(follower.caughtUpMs, follower.fetchedMs)
    follower.fetchedMs = nowMs
    follower.endAtFetch = this.#logEnd
  }

  /** It copies from here no more, unless it comes back soon. */
  left({ broker, incarnation }: FollowerRun, nowMs: number): void {
    const follower = this.#followers.get(broker)
    if (follower?.incarnation === incarnation) follower.leftMs ??= nowMs
  }

  /** Moves the high watermark as far as it may go; answers whether it moved. */
  advance(limits: Limits): boolean {
    if (!this.enough(limits)) return false
    const sets = limits.alone ? [[this.#self]] : this.#sets()
    const held = this.#rules.heldByAll(sets, member => this.#endOf(member))
    if (held === undefined || held <= this.#highWatermark) return false
    this.#highWatermark = held
    return true
  }

  /** What the assignment should become, `now` being what it is, or undefined when it is right. */
  wants(now: TabletAssignment, live: Liveness, nowMs: number, limits: Limits): TabletAssignment | undefined {
    const { lagMsMax } = limits
    const stay = now.isr.filter(member => this.#stays(member, live, nowMs, lagMsMax))
    const join = [...this.#followers].flatMap(([broker, follower]) => {
      const member = { broker, incarnation: follower.incarnation }
      // Of who is added only this leadership knows since when.
      const isKnown = !now.adding.includes(broker) || this.#committed.adding.includes(broker)
      const isNew = isKnown && now.replicas.includes(broker) && !stay.some(one => one.broker === broker)
      return isNew && this.#mayJoin(member, follower, live, nowMs, lagMsMax) ? [member] : []
    })
    const { found, unclean, ...rest } = now
    // Said while this leader could not be reached: it is not what the replicas hold from now on.
    const isAsItWas = found === undefined && unclean === undefined
    if (isAsItWas && join.length === 0 && stay.length === now.isr.length) return this.#endOfMove(now, limits)
    return { ...rest, version: now.version + 1, isr: [...stay, ...join] }
  }

  /** Whether nothing is missing for the end of a move but another leader: this one is to go. */
  mustHandOver(now: TabletAssignment, limits: Limits): boolean {
    return now.removing.includes(this.#self.broker) && stayingAfter(now, limits) !== undefined
  }

  /**
   * The tablet without those on their way out, when everyone new is in sync: nobody in sync has less than what was acknowledged. A leader that is itself to go
   * hands over first, and the next one ends the move.
   */
  #endOfMove(now: TabletAssignment, limits: Limits): TabletAssignment | undefined {
    const isr = stayingAfter(now, limits)
    if (isr === undefined || now.removing.includes(this.#self.broker)) return undefined
    return { ...now, version: now.version + 1, replicas: targetOf(now), adding: [], removing: [], isr }
  }

  /** What makes the tablet the successor's, or undefined while that must wait. */
  handsOver(
    now: TabletAssignment,
    { to, leaves, sinceMs }: HandOver,
    live: Liveness,
    nowMs: number,
    limits: Limits,
  ): TabletAssignment | undefined {
    const successor = this.#successor(now, to, live)
    if (successor === undefined) return undefined
    const at = { highWatermark: this.#highWatermark, logEnd: this.#logEnd, waitedMs: nowMs - sinceMs }
    if (!this.#rules.mayHandOver({ ...at, successorEnd: successor.end })) return undefined
    const others = now.isr.filter(({ broker }) => broker !== this.#self.broker)
    const isr = leaves && mayBeSpared(now, limits) ? others : now.isr
    return { ...inNextEpoch(now), leader: to, isr }
  }

  /** A follower in sync that is there and stays. */
  #successor({ isr }: TabletAssignment, broker: BrokerId, live: Liveness): Follower | undefined {
    const follower = this.#followers.get(broker)
    const run = follower?.incarnation
    const isInSync = isr.some(member => member.broker === broker && member.incarnation === run)
    const copies = follower !== undefined && follower.leftMs === undefined
    return copies && isInSync && this.#isThere(broker, run, live) ? follower : undefined
  }

  #isThere(broker: BrokerId, run: Incarnation | undefined, live: Liveness): boolean {
    return live.runOf(broker) === run && !live.isGone(broker) && !live.isLeaving(broker)
  }

  #sets(): readonly (readonly InSync[])[] {
    return this.#rules.setsInForce(this.#committed, this.#inFlight)
  }

  #endOf({ broker, incarnation }: InSync): Offset | undefined {
    if (broker === this.#self.broker) return this.#ownEnd
    const follower = this.#followers.get(broker)
    return follower?.incarnation === incarnation ? follower.end : undefined
  }

  #stays(member: InSync, live: Liveness, nowMs: number, lagMsMax: number): boolean {
    const why = this.#judged(member, live, nowMs, lagMsMax)
    if (why === undefined) this.#outs.delete(nameOf(member))
    else this.#outs.set(nameOf(member), why)
    return why === undefined
  }

  #judged(member: InSync, live: Liveness, nowMs: number, lagMsMax: number): WhyOut | undefined {
    const { broker, incarnation } = member
    if (broker === this.#self.broker) return undefined
    if (live.isGone(broker)) return 'gone'
    const follower = this.#followers.get(broker)
    if (follower !== undefined && follower.incarnation > incarnation)
      return nowMs - follower.firstMs <= renewalMs ? undefined : 'anew'
    if (follower?.incarnation === incarnation && follower.leftMs !== undefined)
      return nowMs - follower.leftMs <= renewalMs ? undefined : 'left'
    const hadAllMs =
      follower?.incarnation === incarnation
        ? this.#caughtUpMs(broker, follower, live)
        : (this.#entries.get(nameOf(member)) ?? nowMs)
    return nowMs - hadAllMs <= lagMsMax ? undefined : 'behind'
  }

  /** Why it was to leave the set; undefined when that was not this leader's wish. */
  whyOut(member: InSync): WhyOut | undefined {
    return this.#outs.get(nameOf(member))
  }

  #mayJoin(member: InSync, follower: Follower, live: Liveness, nowMs: number, lagMsMax: number): boolean {
    const { broker, incarnation } = member
    return (
      follower.end >= this.#highWatermark &&
      follower.end >= this.epochStart &&
      follower.leftMs === undefined &&
      this.#isThere(broker, incarnation, live) &&
      nowMs - this.#caughtUpMs(broker, follower, live) <= lagMsMax
    )
  }

  /** Who has everything has it for as long as it asks. */
  #caughtUpMs(broker: BrokerId, follower: Follower, live: Pick<Liveness, 'askedMs'>): number {
    const { end, caughtUpMs } = follower
    return end >= this.#logEnd ? Math.max(caughtUpMs, live.askedMs(broker)) : caughtUpMs
  }

  #over(): void {
    this.#inFlight = undefined
    this.#unansweredMs = undefined
  }
}

const newFollower = (incarnation: Incarnation, end: Offset, nowMs: number): Follower => ({
  incarnation,
  end,
  firstMs: nowMs,
  caughtUpMs: -Infinity,
  fetchedMs: nowMs,
  endAtFetch: offset(Number.MAX_SAFE_INTEGER),
  logStart: offset(0),
  leftMs: undefined,
})

/** Who is in sync when the move ends; undefined while that cannot be, or nothing moves. */
function stayingAfter(now: TabletAssignment, limits: Limits): readonly InSync[] | undefined {
  if (!isMoving(now)) return undefined
  const isHere = (broker: BrokerId): boolean => now.isr.some(member => member.broker === broker)
  const isr = now.isr.filter(({ broker }) => !now.removing.includes(broker))
  return now.adding.every(isHere) && isr.length >= neededInSync(now, limits) ? isr : undefined
}

const nameOf = ({ broker, incarnation }: InSync): string => `${broker}/${incarnation}`

const entriesOf = ({ isr }: TabletAssignment, before: ReadonlyMap<string, number>, nowMs: number) =>
  new Map(isr.map(member => [nameOf(member), before.get(nameOf(member)) ?? nowMs]))
