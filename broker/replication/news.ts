/**
 * What the replicas of this broker go through, in few lines of the log: in come assignments as they are seen, out goes one line for all tablets to which the
 * same happened within a moment. A thousand tablets that fail over are a line, and what goes on and on is told every ten seconds.
 */
import type { Logger } from 'pino'
import type { BrokerId } from '../../base/quantities.ts'
import type { Clock } from '../../base/world.ts'
import type { CopyReport, TabletAssignment } from '../../control/model.ts'
import { keyOf, type FollowerRun, type Replica } from './replica.ts'

export type NewsOptions = {
  readonly log: Logger
  readonly clock: Clock
  readonly self: FollowerRun
  readonly isLeaving: (broker: BrokerId) => boolean
  /** To whom a tablet that was led here is being handed over. */
  readonly handedTo: (key: string) => BrokerId | undefined
  /** Bytes of batches that were copied to here until now. */
  readonly bytesIn: () => number
}

type Seen = { readonly leads: boolean; readonly assignment: TabletAssignment }
type Gathered = {
  readonly text: string
  readonly facts: Readonly<Record<string, unknown>>
  readonly atMs: number
  tablets: number
  readonly which: string[]
}
type CatchingUp = {
  readonly sinceMs: number
  readonly bytesBefore: number
  readonly behind: Set<string>
  tablets: number
  /** Since when nothing is behind. */
  endedMs: number | undefined
}

const gatherMs = 500
const againMs = 10_000
const copiesAgainMs = 60_000
const namesMax = 5

export class News {
  readonly #options: NewsOptions
  readonly #seen = new Map<string, Seen>()
  readonly #gathered = new Map<string, Gathered>()
  /** When a line of its kind may be written next. */
  readonly #nextMs = new Map<string, number>()
  readonly #claimed = new Set<string>()
  #catchingUp: CatchingUp | undefined
  readonly #copiesToldMs = new Map<BrokerId, number>()

  constructor(options: NewsOptions) {
    this.#options = options
  }

  /** The tablet of a lost leader is asked for. */
  claims(key: string): void {
    this.#claimed.add(key)
  }

  /** The replica's role or assignment may be another one. */
  changed(replica: Replica): void {
    const key = keyOf(replica)
    const { role, assignment: now } = replica
    const before = this.#seen.get(key)
    if (now === undefined || (role !== 'leader' && role !== 'follower')) {
      this.#seen.delete(key)
      this.#claimed.delete(key)
      return this.#caughtUp(key)
    }
    const leads = role === 'leader'
    if (before?.leads === leads && before.assignment.version === now.version) return
    this.#seen.set(key, { leads, assignment: now })
    if (leads) {
      this.#caughtUp(key)
      if (before?.leads !== true) this.#begins(replica, key, before?.assignment, now)
      else if (before.assignment.epoch === now.epoch) this.#setChanged(replica, before.assignment, now)
      this.#claimed.delete(key)
      return
    }
    // Another was first.
    if (before?.assignment.epoch !== now.epoch) this.#claimed.delete(key)
    if (before?.leads === true) this.#ends(replica, key, now)
    if (now.leader !== undefined) this.#follows(key, now)
  }

  /** To be called now and then. */
  look(nowMs: number): void {
    for (const [kind, one] of this.#gathered)
      if (nowMs - one.atMs >= gatherMs && nowMs >= (this.#nextMs.get(kind) ?? nowMs)) {
        this.#nextMs.set(kind, nowMs + againMs)
        this.#tell(kind, one)
      }
    this.#tellCaughtUp(nowMs)
    for (const [kind, nextMs] of this.#nextMs) if (nowMs >= nextMs) this.#nextMs.delete(kind)
  }

  /** What is gathered is told now. */
  end(): void {
    for (const [kind, one] of this.#gathered) this.#tell(kind, one)
  }

  /** What other brokers copy from here, as it is reported: told when it begins, and every minute. */
  copies(reports: readonly CopyReport[], nowMs: number): void {
    for (const broker of this.#copiesToldMs.keys())
      if (!reports.some(report => report.broker === broker)) this.#copiesToldMs.delete(broker)
    for (const { broker, tablets, bytesLeft, bytesPerSecond } of reports) {
      if (tablets === 0 || nowMs - (this.#copiesToldMs.get(broker) ?? -Infinity) < copiesAgainMs) continue
      this.#copiesToldMs.set(broker, nowMs)
      this.#options.log.info(
        { replica: broker, tablets, bytesLeft, bytesPerSecond },
        `broker ${broker} copies from here what it lacks of ${counted(tablets)}`,
      )
    }
  }

  #begins(replica: Replica, key: string, before: TabletAssignment | undefined, now: TabletAssignment): void {
    // What is new is led from the start, and an election out of sync has a line of its own.
    if (now.replicas.length === 1 || now.epoch === 0 || before?.found !== undefined) return
    const from = before?.leader
    if (before === undefined) this.#gather(replica, 'led here again since the start', {})
    else if (from === undefined) this.#gather(replica, 'led here now: nobody led', {})
    else if (this.#claimed.has(key))
      this.#gather(replica, `led here now: broker ${from}, which led, is lost`, { from })
    else if (now.isr.some(({ broker }) => broker === from) || this.#options.isLeaving(from))
      this.#gather(replica, `led here now: broker ${from} has handed over`, { from })
    else this.#gather(replica, `led here now: broker ${from}, which led, cannot serve it any more`, { from })
  }

  #ends(replica: Replica, key: string, { leader }: TabletAssignment): void {
    if (leader === undefined)
      return this.#gather(replica, 'not led here any more, and by nobody else yet', {})
    const isHanded = this.#options.handedTo(key) === leader
    const text = isHanded
      ? `handed over to broker ${leader}`
      : `led by broker ${leader} now, in place of this one`
    this.#gather(replica, text, { to: leader })
  }

  #setChanged(replica: Replica, before: TabletAssignment, now: TabletAssignment): void {
    const has = ({ isr }: TabletAssignment, id: BrokerId): boolean => isr.some(({ broker }) => broker === id)
    for (const { broker } of now.isr)
      if (!has(before, broker))
        this.#gather(replica, `broker ${broker} has everything and is in sync`, { replica: broker })
    for (const member of before.isr) {
      const { broker } = member
      if (has(now, broker)) continue
      const why = !now.replicas.includes(broker)
        ? 'its replica is elsewhere now'
        : this.#options.isLeaving(broker)
          ? 'it stops'
          : whys[replica.led?.whyOut(member) ?? 'withdrew']
      this.#gather(replica, `broker ${broker} is not in sync any more: ${why}`, { replica: broker })
    }
  }

  /** How long it takes until everything here is in sync, from the first that is not. */
  #follows(key: string, { isr }: TabletAssignment): void {
    const { self, clock, bytesIn } = this.#options
    if (isr.some(one => one.broker === self.broker && one.incarnation === self.incarnation))
      return this.#caughtUp(key)
    const work = (this.#catchingUp ??= {
      sinceMs: clock.monotonicMs(),
      bytesBefore: bytesIn(),
      behind: new Set(),
      tablets: 0,
      endedMs: undefined,
    })
    work.endedMs = undefined
    if (!work.behind.has(key)) work.tablets++
    work.behind.add(key)
  }

  #caughtUp(key: string): void {
    const work = this.#catchingUp
    if (work?.behind.delete(key) === true && work.behind.size === 0)
      work.endedMs = this.#options.clock.monotonicMs()
  }

  /** When nothing else turned out to be behind within a moment. */
  #tellCaughtUp(nowMs: number): void {
    const work = this.#catchingUp
    if (work?.endedMs === undefined || nowMs - work.endedMs < gatherMs) return
    const { sinceMs, bytesBefore, tablets, endedMs } = work
    this.#catchingUp = undefined
    const { log, bytesIn } = this.#options
    const tookMs = Math.round(endedMs - sinceMs)
    log.info(
      { tablets, tookMs, bytesCopied: bytesIn() - bytesBefore },
      `everything here is in sync: ${counted(tablets)} had to catch up`,
    )
  }

  #gather({ topic, partition }: Replica, text: string, facts: Gathered['facts']): void {
    let one = this.#gathered.get(text)
    if (one === undefined) {
      one = { text, facts, atMs: this.#options.clock.monotonicMs(), tablets: 0, which: [] }
      this.#gathered.set(text, one)
    }
    one.tablets++
    const name = `${topic}-${partition}`
    if (one.which.length < namesMax && !one.which.includes(name)) one.which.push(name)
  }

  #tell(kind: string, { text, facts, tablets, which }: Gathered): void {
    this.#gathered.delete(kind)
    this.#options.log.info({ ...facts, tablets, which }, `${counted(tablets)}: ${text}`)
  }
}

/** As the leader has judged; 'withdrew' when it was not the leader's wish. */
export type WhyOut = 'gone' | 'anew' | 'left' | 'behind'
const whys: Readonly<Record<WhyOut | 'withdrew', string>> = {
  gone: 'it is gone',
  anew: 'it began again without what it had',
  left: 'it copies nothing from here any more',
  behind: 'it has lacked something for longer than replica.lag.time.max.ms',
  withdrew: 'it has left by itself, and its log says why',
}

const counted = (tablets: number): string => (tablets === 1 ? '1 tablet' : `${tablets} tablets`)
