/**
 * Copies between brokers. In come the replicas of this broker with their roles, and other brokers' fetches; out go copies, wishes for other in-sync sets, and
 * claims for tablets whose leader is lost. Whatever is wished is a guarded change in the control store, and holds only once it is seen there.
 */
import type { Logger } from 'pino'
import type { BrokerId, Incarnation, Offset } from '../../base/quantities.ts'
import type { RefusalCode } from '../../base/refusals.ts'
import type { Connection, ConnectionEvents, Listener, Place, Timer, World } from '../../base/world.ts'
import { claimLeadership, type CopyReport, type InSync, type TabletAssignment } from '../../control/model.ts'
import { targetOf } from '../../control/moves.ts'
import type { ControlStore } from '../../control/store.ts'
import { Changes, type Wish } from './changes.ts'
import { Comparing } from './comparing.ts'
import { Copies, type Copied } from './copies.ts'
import { CopyRate } from './copy-rate.ts'
import { behindMsMax, Departure } from './departure.ts'
import { Elections } from './elections.ts'
import { Fetcher } from './fetcher.ts'
import { Handovers } from './handovers.ts'
import { News } from './news.ts'
import { isNamed } from './out-of-sync.ts'
import { Peers } from './peers.ts'
import { keyOf, type Followed, type FollowerRun, type Led, type Replica, type TabletKey } from './replica.ts'
import { soundRules, type Rules } from './rules.ts'
import { Session } from './session.ts'

export type ReplicationOptions = {
  readonly world: World
  readonly store: ControlStore
  readonly log: Logger
  readonly self: FollowerRun
  /** The first run on this disk. */
  readonly diskSince: Incarnation
  /** The first run since which this disk has lost nothing that was written, synced or not. */
  readonly keptSince: Incarnation
  /** `replica.lag.time.max.ms` */
  readonly lagMsMax: number
  /** So many bytes a second are copied of replicas that are not in sync; asked again and again. Infinity for no limit. */
  readonly copyBytesPerSecond: () => number
  /** And so many are sent to other brokers' replicas that are not in sync. */
  readonly sendBytesPerSecond: () => number
  /** A preferred leader that could lead for so long gets its tablets back. */
  readonly restoreMs: number
  readonly rules?: Rules
}

const lookMs = 100
const reviewMs = 500
const copiesLookMs = 2_000
/** Those in sync claim one after the other, in the order of the replicas. */
const rankMs = 250
const suspectMs = 30_000
/** Who becomes a leader serves long before. */
const refusedMs = 2_000
/** A preferred leader that did not get its tablet is offered it again after so long. */
const restoreAgainMs = 60_000
/** A move waits for that. */
const moveAgainMs = 5_000
/** A control store that has answered within that time is there. */
const heardMs = 1_000
const leaveLookMs = 20
/** Well below the minute that Kubernetes gives a pod: closing takes time too. */
const leaveMsMax = 25_000

export class Replication {
  readonly self: FollowerRun
  readonly rules: Rules
  readonly lagMsMax: number
  readonly #options: ReplicationOptions
  readonly #changes: Changes
  readonly #peers: Peers
  readonly #copyRate: CopyRate
  readonly #sendRate: CopyRate
  readonly #copies = new Copies()
  readonly #comparing: Comparing
  /** Bytes of batches that were copied from here and to here, and leaderships that others have got from here on purpose. */
  readonly counters = { bytesOut: 0, bytesIn: 0, handovers: 0 }
  readonly #replicas = new Map<string, Replica>()
  readonly #led = new Map<string, Led>()
  readonly #followed = new Map<string, { readonly followed: Followed; readonly fetcher: Fetcher }>()
  readonly #fetchers = new Map<BrokerId, Fetcher>()
  readonly #sessions = new Set<Session>()
  /** Brokers that have replicas of what is here: who leads next is connected already, and who is gone is known of all. */
  #neighbours: ReadonlySet<BrokerId> = new Set()
  #hasNewNeighbours = false
  /** Those whose disk failed. */
  readonly #failed = new Map<string, Replica>()
  /** Brokers whose run may be over, and until when that is looked at: between two looks nothing else is. */
  readonly #suspects = new Map<BrokerId, number>()
  /** Since when the leader of a tablet counts as lost. */
  readonly #lostMs = new Map<string, number>()
  readonly #handovers: Handovers
  /** Tablets that nobody in sync can lead. */
  readonly #elections: Elections
  /** Since when a tablet's preferred leader could lead it in place of this broker. */
  readonly #preferredMs = new Map<string, number>()
  /** Not before then is one handed over again whose replica here moves away. */
  readonly #movedMs = new Map<string, number>()
  readonly #news: News
  #leaving = false
  #listener: Listener | undefined
  #sessionIds = 0
  #timer: Timer | undefined
  #reviewedMs = 0
  #copiesLookedMs = 0
  #unwatch: () => void = () => undefined
  #stopped = false

  constructor(options: ReplicationOptions) {
    const { world, store, log, self, lagMsMax, rules = soundRules } = options
    this.#options = options
    this.self = self
    this.rules = rules
    this.lagMsMax = lagMsMax
    this.#changes = new Changes(store, world.clock, log)
    this.#comparing = new Comparing(world.clock)
    this.#copyRate = new CopyRate(world.clock, options.copyBytesPerSecond)
    this.#handovers = new Handovers(world.clock, () => this.counters.handovers++)
    this.#sendRate = new CopyRate(world.clock, options.sendBytesPerSecond)
    this.#news = new News({
      log,
      clock: world.clock,
      self,
      isLeaving: this.isLeaving,
      handedTo: key => this.#handovers.handedTo(key),
      bytesIn: () => this.counters.bytesIn,
    })
    this.#peers = new Peers(world.clock, store, broker => this.#gone(broker))
    this.#elections = new Elections({
      store,
      log,
      clock: world.clock,
      self,
      diskSince: options.diskSince,
      wish: this.wish,
      isLeaderless: (replica, now) => this.#isLeaderless(replica, now),
    })
  }

  /** How often a replica that was not in sync began to lead here. */
  get outOfSync(): Elections['counters'] {
    return this.#elections.counters
  }

  /** Opens the brokers' own listener, and begins to look after the replicas. */
  async start(at: Place): Promise<{ readonly port: number }> {
    const { world, store } = this.#options
    this.#tellIfEmpty()
    this.#unwatch = store.watch(event => {
      if ('topic' in event) this.#changes.seen(event.topic.id)
      if (event.kind !== 'broker-changed') return
      this.#suspect(event.broker.brokerId)
      this.#fetchers.get(event.broker.brokerId)?.look()
    })
    this.#listener = await world.network.listen(at, connection => this.#accept(connection))
    this.#look()
    return { port: this.#listener.port }
  }

  /** A new disk holds nothing of what this broker had. */
  #tellIfEmpty(): void {
    const { store, self, log, diskSince } = this.#options
    if (diskSince !== self.incarnation) return
    let tablets = 0
    for (const topic of store.topics().values())
      for (const { replicas } of topic.tablets)
        if (replicas.length > 1 && replicas.includes(self.broker)) tablets++
    if (tablets > 0)
      log.warn(
        { tablets },
        "the disk of this broker is empty: it copies its replicas of these tablets from others' that are in sync",
      )
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#news.end()
    this.#unwatch()
    this.#timer?.cancel()
    this.#changes.stop()
    for (const fetcher of this.#fetchers.values()) fetcher.stop()
    for (const session of this.#sessions) session.close()
    await this.#listener?.close()
  }

  /**
   * Hands over what is led here and leaves the sets, as far as others can take that. Resolves when nobody counts on this broker any more; after 25 s what is
   * left is left to those who find this broker gone.
   */
  async leave(): Promise<void> {
    const { log } = this.#options
    const { clock } = this.#options.world
    this.#leaving = true
    const departure = new Departure({
      self: this.self,
      handovers: this.#handovers,
      wish: this.wish,
      isReleased: followed => {
        const fetcher = this.#fetchers.get(followed.leader)
        return fetcher !== undefined && (fetcher.isReleased(followed) || this.#peers.isAway(fetcher))
      },
      isRefused: followed => this.#fetchers.get(followed.leader)?.isFailing(followed, refusedMs) === true,
    })
    const startedMs = clock.monotonicMs()
    while (!this.#stopped) {
      this.#handovers.look()
      const left = departure.look(this.#replicas.values())
      const tookMs = Math.round(clock.monotonicMs() - startedMs)
      if (left.leads + left.inSync + left.awaited === 0)
        return log.info({ tookMs }, 'handed over what others can take')
      if (tookMs >= leaveMsMax)
        return log.warn(
          { ...left, tookMs },
          'stops without having handed over everything: others take the rest when they find this broker gone',
        )
      await new Promise<void>(resolve => clock.after(leaveLookMs, resolve))
    }
  }

  /** The tablet's preferred leader gets it as soon as it could lead, if it is led here. */
  restore(tablet: TabletKey): void {
    const key = keyOf(tablet)
    if (this.#led.has(key)) this.#preferredMs.set(key, -Infinity)
  }

  /** What other brokers copy of what is led here. */
  copies(): readonly CopyReport[] {
    return this.#copies.report(this.#options.world.clock.monotonicMs())
  }

  wish = (wish: Wish): void => this.#changes.wish(wish)
  askedMs = (broker: BrokerId): number => this.#peers.askedMs(broker)
  isGone = (broker: BrokerId): boolean => this.#peers.isGone(broker)
  runOf = (broker: BrokerId): Incarnation | undefined => this.#peers.runOf(broker)
  /** Whether its process is not there now, as far as can be told from here. */
  isDown = (broker: BrokerId): boolean => {
    if (!this.isAlive(broker)) return true
    const fetcher = this.#fetchers.get(broker)
    if (fetcher !== undefined) return fetcher.downMs !== undefined
    // Who has nothing to copy from here does not come back to ask.
    return this.#peers.isGone(broker) && this.#options.store.isSilent(broker)
  }
  isLeaving = (broker: BrokerId): boolean => this.#peers.isLeaving(broker)
  isAlive = (broker: BrokerId): boolean =>
    this.#peers.isAlive(broker, this.#fetchers.get(broker)?.heardMs ?? -Infinity)
  /** Who is cut off from the leader does not know how much it lacks. */
  isCurrent = (followed: Followed): boolean =>
    followed.isAnswered && this.#fetchers.get(followed.leader)?.isCurrent(followed, this.lagMsMax) === true
  noteReader = ({ leader }: Followed): void => this.#fetchers.get(leader)?.noteReader()
  digestOf = async (followed: Followed, from: Offset, to: Offset): Promise<string | undefined> =>
    this.#fetchers.get(followed.leader)?.digestOf(followed, from, to)

  /** On the same disk, with nothing lost that had been said to be there: what was synced, or all of it. */
  mayRenew = (entry: InSync, synced: boolean): boolean =>
    entry.incarnation >= this.#options.diskSince && (synced || entry.incarnation >= this.#options.keptSince)

  /** The replica's role or assignment is another one. */
  changed = (replica: Replica): void => {
    if (this.#stopped) return
    const key = keyOf(replica)
    this.#news.changed(replica)
    const { led, followed } = replica
    this.#hasNewNeighbours = true
    this.#lostMs.delete(key)
    if (led === undefined) {
      this.#led.delete(key)
      this.#preferredMs.delete(key)
      this.#movedMs.delete(key)
    } else this.#led.set(key, led)
    const before = this.#followed.get(key)
    if (before !== undefined && before.followed !== followed) this.#unfollow(key)
    if (replica.role === 'offline') {
      this.#failed.set(key, replica)
      this.#withdraw(replica)
    } else this.#failed.delete(key)
    if (replica.role === 'leader' || replica.role === 'follower') this.#replicas.set(key, replica)
    else this.#replicas.delete(key)
    if (followed !== undefined && before?.followed !== followed) this.#follow(key, followed)
    if (replica.role === 'follower') this.#renew(replica)
    const now = replica.assignment
    if (replica.role === 'follower' && now !== undefined && this.#isUnled(now))
      this.#elections.add(replica, this.#options.world.clock.monotonicMs())
    else if (replica.role !== 'follower' && replica.role !== 'offline') this.#elections.remove(replica)
  }

  #follow(key: string, followed: Followed): void {
    const { leader } = followed
    const fetcher = this.#fetcherOf(leader)
    this.#followed.set(key, { followed, fetcher })
    this.#suspect(leader)
    fetcher.add(followed)
  }

  #fetcherOf(leader: BrokerId): Fetcher {
    const known = this.#fetchers.get(leader)
    if (known !== undefined) return known
    const { world, log, store } = this.#options
    const fetcher = new Fetcher({
      world,
      log,
      self: this.self,
      leader,
      copyRate: this.#copyRate,
      took: bytes => (this.counters.bytesIn += bytes),
      isNeighbour: () => this.#neighbours.has(leader),
      target: () => {
        const broker = store.brokers().get(leader)
        const place = broker?.addresses.replication
        return broker && place && { place, run: broker.incarnation }
      },
    })
    this.#fetchers.set(leader, fetcher)
    return fetcher
  }

  #meetNeighbours(): void {
    if (!this.#hasNewNeighbours) return
    this.#hasNewNeighbours = false
    const neighbours = new Set<BrokerId>()
    for (const { assignment } of this.#replicas.values())
      for (const broker of assignment?.replicas ?? []) if (broker !== this.self.broker) neighbours.add(broker)
    this.#neighbours = neighbours
    for (const broker of neighbours) this.#fetcherOf(broker).connect()
  }

  #unfollow(key: string): void {
    const before = this.#followed.get(key)
    if (before === undefined) return
    this.#followed.delete(key)
    before.fetcher.remove(before.followed)
  }

  /** One that copies nothing any more stays connected, and shows the other that this broker is there, until its connection ends; a neighbour's does not. */
  #endIdle(): void {
    for (const [leader, fetcher] of this.#fetchers) {
      if (!fetcher.isIdle) continue
      fetcher.stop()
      this.#fetchers.delete(leader)
    }
  }

  /** A run that has lost nothing counts as the one before; only a leader lets anyone else in. */
  #renew(replica: Replica): void {
    const { topicId, partition } = replica
    const renewed = (now: TabletAssignment): TabletAssignment | undefined => {
      const entry = now.isr.find(({ broker }) => broker === this.self.broker)
      if (entry === undefined || entry.incarnation >= this.self.incarnation) return undefined
      if (now.leader === this.self.broker || !replica.mayRenew(entry)) return undefined
      const isr = now.isr.map(member => (member === entry ? this.self : member))
      return { ...now, version: now.version + 1, isr }
    }
    if (replica.assignment === undefined || renewed(replica.assignment) === undefined) return
    this.#changes.wish({
      topicId,
      partition,
      wanted: now => (this.#replicas.get(keyOf(replica)) === replica ? renewed(now) : undefined),
    })
  }

  /** A replica whose disk failed leads no more and holds nobody up: where others are in sync it leaves the set. */
  #withdraw({ topicId, partition }: Replica): void {
    const { broker, incarnation } = this.self
    const withdrawn = (now: TabletAssignment): TabletAssignment | undefined => {
      const isr = now.isr.filter(member => member.broker !== broker || member.incarnation !== incarnation)
      // A tablet that nobody has changed yet may never have been opened by the others.
      const isTaken = now.version > 0 ? isr.length > 0 : isr.some(member => this.#isThere(member))
      if (isr.length === now.isr.length || !isTaken) return undefined
      return { ...now, version: now.version + 1, leader: now.leader === broker ? undefined : now.leader, isr }
    }
    const now = this.#options.store.topicById(topicId)?.tablets[partition]
    if (now !== undefined && withdrawn(now) !== undefined)
      this.#changes.wish({ topicId, partition, wanted: withdrawn })
  }

  /** Its run is the one that counts and was heard of here. */
  #isThere({ broker, incarnation }: InSync): boolean {
    if (this.#peers.runOf(broker) !== incarnation || this.#peers.isGone(broker)) return false
    const fetcher = this.#fetchers.get(broker)
    return this.#peers.askedMs(broker) > -Infinity || fetcher?.isAnswered === true
  }

  #accept(connection: Connection): ConnectionEvents {
    const { world, log } = this.#options
    let known = false
    const session: Session = new Session({
      world,
      log,
      connection,
      id: ++this.#sessionIds,
      find: key => this.#find(key),
      refuse: who => this.#refuse(who),
      sent: bytes => (this.counters.bytesOut += bytes),
      asked: who => {
        if (!known) {
          this.#peers.came(who.broker)
          this.#replaceSessions(who.broker, session)
        }
        known = true
        this.#peers.asked(who.broker)
      },
      rest: (tablet, who, bytes) =>
        this.#led.get(keyOf(tablet))?.counts(who) === true ? 0 : this.#sendRate.took(bytes),
      digest: (led, from, to, isLed) => this.#comparing.digest(led, from, to, isLed),
      ended: who => {
        this.#sessions.delete(session)
        if (known && who !== undefined) this.#peers.left(who.broker)
      },
    })
    this.#sessions.add(session)
    return {
      opened: () => undefined,
      received: bytes => session.received(bytes),
      closed: () => session.closed(),
    }
  }

  /** A broker has one connection to here: one that its side has given up may look open here for hours. */
  #replaceSessions(broker: BrokerId, by: Session): void {
    for (const session of this.#sessions) if (session !== by && session.broker === broker) session.close()
  }

  #find(key: TabletKey): Led | 'NOT_LEADER_OR_FOLLOWER' | 'UNKNOWN_TOPIC_ID' {
    const led = this.#led.get(keyOf(key))
    if (led !== undefined) return led
    return this.#options.store.topicById(key.topicId) === undefined
      ? 'UNKNOWN_TOPIC_ID'
      : 'NOT_LEADER_OR_FOLLOWER'
  }

  /** A run that is over has nothing to say; one that is not known yet is told to come again. */
  #refuse({ broker, incarnation }: FollowerRun): RefusalCode | undefined {
    const counts = this.#peers.runOf(broker)
    if (broker === this.self.broker) return 'INVALID_REQUEST'
    return counts === undefined || incarnation < counts ? 'STALE_BROKER_EPOCH' : undefined
  }

  #gone(broker: BrokerId): void {
    for (const led of this.#led.values()) led.gone(broker)
  }

  #look(): void {
    if (this.#stopped) return
    const { clock } = this.#options.world
    const nowMs = clock.monotonicMs()
    if (this.#isAnyoneSuspect(nowMs))
      for (const [key, { fetcher }] of this.#followed) this.#lookAfter(key, fetcher, nowMs)
    this.#meetNeighbours()
    for (const fetcher of this.#fetchers.values()) this.#peers.noteAway(fetcher)
    this.#handovers.look()
    this.#news.look(nowMs)
    if (nowMs - this.#reviewedMs >= reviewMs) {
      this.#reviewedMs = nowMs
      for (const led of this.#led.values()) led.review()
      for (const fetcher of this.#fetchers.values()) fetcher.hurry(nowMs)
      for (const session of this.#sessions) session.look()
      // Who still counts on them may have been out of reach, or alone, before.
      for (const replica of this.#failed.values()) {
        this.#withdraw(replica)
        const now = this.#options.store.topicById(replica.topicId)?.tablets[replica.partition]
        if (now !== undefined && this.#isLeaderless(replica, now)) this.#elections.add(replica, nowMs)
      }
      this.#elections.look(nowMs)
      this.#endIdle()
      if (!this.#leaving) this.#giveAway(nowMs)
    }
    if (nowMs - this.#copiesLookedMs >= copiesLookMs) this.#lookAtCopies(nowMs)
    this.#timer = clock.after(lookMs, () => this.#look())
  }

  #lookAtCopies(nowMs: number): void {
    this.#copiesLookedMs = nowMs
    const led = new Map<string, Copied>()
    for (const [key, { copying }] of this.#led) {
      const isr = this.#replicas.get(key)?.assignment?.isr ?? []
      led.set(key, { copying, inSync: isr.map(({ broker }) => broker) })
    }
    this.#copies.look(led, nowMs)
    this.#news.copies(this.copies(), nowMs)
  }

  /** After a broker was away its tablets come back to it, and from where a replica moves away its leadership goes first; a few at a time. */
  #giveAway(nowMs: number): void {
    for (const [key, led] of this.#led) {
      const assignment = this.#replicas.get(key)?.assignment
      if (assignment === undefined || led.handingTo !== undefined) continue
      if (led.mustHandOver || led.shouldFollow) this.#moveAway(key, led, assignment, nowMs)
      else this.#restorePreferred(key, led, assignment, nowMs)
    }
  }

  #moveAway(key: string, led: Led, assignment: TabletAssignment, nowMs: number): void {
    if (nowMs < (this.#movedMs.get(key) ?? nowMs)) return
    const able = led.successors(behindMsMax)
    const staying = targetOf(assignment).filter(broker => able.includes(broker))
    const next = led.shouldFollow && staying.length === 0 ? able : staying
    if (next.length === 0 || !this.#isControlStoreThere()) return
    if (this.#handovers.begin(led, next, false)) this.#movedMs.set(key, nowMs + moveAgainMs)
  }

  #restorePreferred(key: string, led: Led, { replicas }: TabletAssignment, nowMs: number): void {
    const [preferred] = replicas
    if (preferred === undefined || preferred === this.self.broker) return
    const sinceMs = this.#preferredMs.get(key) ?? nowMs
    if (!led.successors(behindMsMax).includes(preferred)) {
      // What was asked for is done as soon as it can be.
      if (sinceMs !== -Infinity) this.#preferredMs.delete(key)
      return
    }
    this.#preferredMs.set(key, sinceMs)
    if (nowMs - sinceMs < this.#options.restoreMs || !this.#isControlStoreThere()) return
    if (this.#handovers.begin(led, [preferred], false)) this.#preferredMs.set(key, nowMs + restoreAgainMs)
  }

  /** A tablet whose next leader nobody confirms takes no records: what can wait is begun only when the control store has just answered, and it is asked to. */
  #isControlStoreThere(): boolean {
    const { store } = this.#options
    if ((store.leaseAgeMs() ?? 0) < heardMs) return true
    store.renewLease?.()
    return false
  }

  #suspect(broker: BrokerId): void {
    this.#suspects.set(broker, this.#options.world.clock.monotonicMs() + suspectMs)
  }

  /** Thousands of tablets of leaders that are well need no look. */
  #isAnyoneSuspect(nowMs: number): boolean {
    for (const [broker, untilMs] of this.#suspects) if (untilMs < nowMs) this.#suspects.delete(broker)
    if (this.#suspects.size > 0 || this.#lostMs.size > 0) return true
    return [...this.#fetchers.values()].some(({ isAway, isCopying }) => isAway && isCopying)
  }

  /** Claims the tablet when its leader is lost, the first in sync first. */
  #lookAfter(key: string, fetcher: Fetcher, nowMs: number): void {
    const replica = this.#replicas.get(key)
    const assignment = replica?.assignment
    if (replica === undefined || assignment === undefined) return
    if (!this.#mayClaim(assignment, fetcher)) {
      this.#lostMs.delete(key)
      if (this.#isLeaderless(replica, assignment)) this.#elections.add(replica, nowMs)
      return
    }
    const sinceMs = this.#lostMs.get(key) ?? nowMs
    this.#lostMs.set(key, sinceMs)
    if (nowMs - sinceMs < this.#rankOf(assignment) * rankMs) return
    const { topicId, partition } = replica
    this.#news.claims(key)
    this.#changes.wish({
      topicId,
      partition,
      wanted: now =>
        now.epoch === assignment.epoch && this.#mayClaim(now, fetcher)
          ? claimLeadership(partition, now, this.self).to
          : undefined,
    })
  }

  #mayClaim(assignment: TabletAssignment, fetcher: Fetcher): boolean {
    const { leader, isr } = assignment
    if (leader === undefined || leader !== fetcher.leader) return false
    const run = isr.find(({ broker }) => broker === leader)?.incarnation
    return (
      this.#peers.isLost(leader, run, fetcher) &&
      this.rules.mayClaim(assignment, this.self.broker, this.self.incarnation)
    )
  }

  /** A leader whose Lease is renewed is there, whatever keeps this broker from it. */
  #isLeaderless({ role }: Replica, now: TabletAssignment): boolean {
    const { leader, isr } = now
    if (role === 'follower' && this.rules.mayClaim(now, this.self.broker, this.self.incarnation)) return false
    if (leader === undefined || this.#isUnled(now)) return role !== 'leader'
    const run = isr.find(({ broker }) => broker === leader)?.incarnation ?? 0
    return (this.#peers.runOf(leader) ?? 0) > run || this.#options.store.isSilent(leader)
  }

  /** Whoever is named, nobody else leads it. */
  #isUnled(now: TabletAssignment): boolean {
    return now.leader === this.self.broker || !isNamed(now)
  }

  /** How many others in sync come before this one. */
  #rankOf({ replicas, isr, leader }: TabletAssignment): number {
    const runs = new Map(isr.map(({ broker, incarnation }) => [broker, incarnation]))
    const order = replicas.filter(
      broker => broker !== leader && runs.get(broker) === this.#peers.runOf(broker) && runs.has(broker),
    )
    return Math.max(0, order.indexOf(this.self.broker))
  }
}
