/**
 * Tablets that nobody in sync can lead. In come the replicas here whose leader is lost and that may not lead by themselves; out go reports of what they hold,
 * into the shared record, and claims by whoever holds most, as soon as somebody's word allows that. Nothing of it is done silently.
 */
import type { Logger } from 'pino'
import { LimitedLog } from '../../base/limited-log.ts'
import type { Incarnation } from '../../base/quantities.ts'
import type { Clock } from '../../base/world.ts'
import { inNextEpoch, type Found, type TabletAssignment } from '../../control/model.ts'
import type { ControlStore } from '../../control/store.ts'
import type { Wish } from './changes.ts'
import { mayLeadWith, type Around, type Word } from './out-of-sync.ts'
import { keyOf, type FollowerRun, type Replica, type TabletKey } from './replica.ts'

export type ElectionsOptions = {
  readonly store: ControlStore
  readonly log: Logger
  readonly clock: Clock
  readonly self: FollowerRun
  readonly diskSince: Incarnation
  wish(wish: Wish): void
  /** Its leader is lost, as far as can be told from here, or nobody leads it; and this run may not lead it by itself. */
  isLeaderless(replica: Replica, now: TabletAssignment): boolean
}

/** Those in sync claim well before. */
const reportMs = 1_000
/** Kafka elects out of sync when a broker is fenced, after 9 s; nobody in sync was there for so long. */
const uncleanMs = 10_000

type Leaderless = { readonly replica: Replica; readonly sinceMs: number }

export class Elections {
  /** How often a replica here began to lead by which word; 'owner' counts none that another one won. */
  readonly counters: Record<Word, number> = { 'all lost': 0, topic: 0, owner: 0 }
  readonly #options: ElectionsOptions
  /** One line each would be thousands after a power cut. */
  readonly #waits: LimitedLog
  readonly #around: Around
  readonly #leaderless = new Map<string, Leaderless>()
  /** The epochs that were announced. */
  readonly #announced = new WeakMap<Replica, number>()

  constructor(options: ElectionsOptions) {
    const { store, log, clock } = options
    this.#options = options
    this.#waits = new LimitedLog(log, clock, 20)
    this.#around = {
      runOf: broker => store.brokers().get(broker)?.incarnation,
      isSilent: broker => store.isSilent(broker),
    }
  }

  /** The replica is looked after from now on, for as long as it has no leader. */
  add(replica: Replica, nowMs: number): void {
    const key = keyOf(replica)
    if (this.#leaderless.get(key)?.replica !== replica) this.#leaderless.set(key, { replica, sinceMs: nowMs })
  }

  remove(replica: Replica): void {
    const key = keyOf(replica)
    if (this.#leaderless.get(key)?.replica === replica) this.#leaderless.delete(key)
  }

  /** To be called now and then. */
  look(nowMs: number): void {
    for (const [key, { replica, sinceMs }] of this.#leaderless) {
      const now = this.#assignmentOf(replica)
      if (now === undefined || !this.#options.isLeaderless(replica, now)) this.#leaderless.delete(key)
      else if (nowMs - sinceMs >= reportMs) this.#look(replica, now, nowMs - sinceMs >= uncleanMs)
    }
  }

  #look(replica: Replica, now: TabletAssignment, isLong: boolean): void {
    const { topicId, partition } = replica
    if (this.#isTold(replica, now) === false) {
      this.#waits.warn(
        { topic: replica.topic, partition, lastInSync: now.isr, found: now.found, holds: replica.held },
        'nobody who was in sync can lead a tablet now: it waits for them; `stele topic describe` says for whom, and what its owner can do',
      )
      return this.#options.wish({ topicId, partition, wanted: seen => this.#told(replica, seen) })
    }
    const word = this.#wordFor(replica, now, isLong)
    if (word === undefined) return
    this.#options.wish({
      topicId,
      partition,
      wanted: seen =>
        seen.epoch === now.epoch && this.#wordFor(replica, seen, isLong) !== undefined
          ? this.#led(seen)
          : undefined,
      answered: () => this.#announce(replica, now, word),
    })
  }

  /** Undefined while there is nothing to tell. */
  #isTold(replica: Replica, now: TabletAssignment): boolean | undefined {
    const found = this.#foundBy(replica, now)
    if (found === undefined) return undefined
    const told = now.found?.find(({ broker }) => broker === found.broker)
    return (
      told?.incarnation === found.incarnation &&
      told.epoch === found.epoch &&
      told.end === found.end &&
      told.trouble === found.trouble
    )
  }

  #told(replica: Replica, now: TabletAssignment): TabletAssignment | undefined {
    const found = this.#foundBy(replica, now)
    if (found === undefined || this.#isTold(replica, now) !== false) return undefined
    if (!this.#options.isLeaderless(replica, now)) return undefined
    const others = (now.found ?? []).filter(({ broker }) => broker !== found.broker)
    return { ...now, version: now.version + 1, found: [...others, found] }
  }

  #foundBy(replica: Replica, { replicas, isr }: TabletAssignment): Found | undefined {
    const { self, diskSince } = this.#options
    const { role, held, bornIn } = replica
    if (!replicas.includes(self.broker)) return undefined
    if (role === 'offline') return { ...self, epoch: -1, end: 0, trouble: 'offline' }
    const entry = isr.find(({ broker }) => broker === self.broker)
    // What it was in sync with is here: it leads without anybody's word as soon as the control store hears it.
    if (role !== 'follower' || held === undefined || (entry && replica.mayRenew(entry))) return undefined
    const isLost = entry !== undefined && entry.incarnation < Math.max(diskSince, bornIn)
    return { ...self, ...held, ...(isLost && { trouble: 'lost' }) }
  }

  #wordFor(replica: Replica, now: TabletAssignment, isLong: boolean): Word | undefined {
    const { os, unclean } = replica.election
    if (replica.role !== 'follower' || this.#isTold(replica, now) !== true) return undefined
    if (!this.#options.isLeaderless(replica, now)) return undefined
    const wants = { os, topicAllows: unclean && isLong }
    return mayLeadWith(now, this.#options.self, this.#around, wants)
  }

  /** Nobody else counts: what others had may be more, and is cut off. */
  #led(now: TabletAssignment): TabletAssignment {
    const { self } = this.#options
    return { ...inNextEpoch(now), leader: self.broker, isr: [{ ...self }] }
  }

  #announce(replica: Replica, before: TabletAssignment, word: Word): void {
    const now = this.#assignmentOf(replica)
    const { self, log } = this.#options
    const isOurs = now?.epoch === before.epoch + 1 && now.leader === self.broker
    if (!isOurs || this.#announced.get(replica) === now.epoch) return
    this.#announced.set(replica, now.epoch)
    this.counters[word]++
    const { topic, partition, held } = replica
    const { isr, found } = before
    log.error(
      { topic, partition, epoch: now.epoch, word: words[word], end: held?.end, lastInSync: isr, found },
      `leads a tablet out of sync: what was acknowledged from offset ${held?.end ?? 0} on is lost, as far as no replica that was heard holds it`,
    )
  }
  #assignmentOf({ topicId, partition }: TabletKey): TabletAssignment | undefined {
    return this.#options.store.topicById(topicId)?.tablets[partition]
  }
}

const words: Readonly<Record<Word, string>> = {
  'all lost': 'stele.flush=os, and all that were in sync lost what was not synced',
  topic: 'unclean.leader.election.enable',
  owner: 'an election was asked for',
}
