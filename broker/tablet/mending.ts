/**
 * What a replica does about damage in its log. In come offsets that cannot be read and, while it follows, what its leader has there; out go stretches that
 * are to be asked for, and the log whole again. Nothing is written but where no sound batch stands, so nothing that is there is lost by it: what is sound and
 * differs from the leader's is only told.
 */
import type { Logger } from 'pino'
import { InvariantViolation } from '../../base/assert.ts'
import { epoch, MIB, offset, type Offset } from '../../base/quantities.ts'
import type { Clock } from '../../base/world.ts'
import { gapBatch } from '../../protocol/kafka/compacted-batch.ts'
import {
  baseOffsetOf,
  batchBytesOf,
  batchHeaderBytes,
  checkBatch,
  countOf,
  lastOffsetOf,
  leaderEpochOf,
} from '../../protocol/kafka/record-batch.ts'
import type { Pace } from '../log/compaction/pace.ts'
import { SwapUnfinished } from '../log/compaction/swap.ts'
import type { Filled, Hole, IsRight, Seen } from '../log/holes.ts'
import { Stretches, type Stretch } from '../log/stretches.ts'
import type { TabletState } from './appends.ts'

/** The tablet, as its mending sees it. */
export type MendingOwner = {
  readonly logStart: Offset
  readonly highWatermark: Offset
  readonly isOpen: boolean
}

/** Puts sound batches where a hole is, durably: in place, or, when they have another size, by writing the segment anew. */
export type Filling = {
  fill(hole: Hole, cover: Buffer): Promise<Filled>
  rewrite(hole: Hole, cover: Buffer): Promise<Filled>
}

/** Whom a follower compares with. */
export type Compared = {
  /** A digest of what the leader has in [from, to); undefined when it does not say. */
  digest(from: Offset, to: Offset): Promise<string | undefined>
  /** Whether it is still this leader in this epoch that is followed. */
  counts(): boolean
}

type Asked = {
  readonly hole: Hole
  /** Sound batches from the beginning of the hole up to `due`. */
  readonly cover: Buffer[]
  due: Offset
  untilMs: number
}

/** Nothing else is copied while a hole is asked for. */
const tryMsMax = 2_000
const againMs = 10_000
/** Where another leader was of no use, or not for long enough, one is tried again so much later. */
const handOverAgainMs = 30_000
const suspectsMax = 1_000
const coverBytesMax = 64 * MIB
/** Of a segment at a time: where there is more it is no disk that forgets a little. */
const differencesMax = 8

export class Mending {
  readonly counters = { found: 0, mended: 0, different: 0 }
  readonly #owner: MendingOwner
  readonly #state: TabletState
  readonly #filling: Filling
  readonly #clock: Clock
  readonly #log: Logger
  #holes: Hole[] = []
  /** Behind what is known to be something else than the leader that is followed now has: nobody reads it here. */
  differingTo = offset(0)
  /** Somewhere in their segments something could not be read. */
  readonly #suspects = new Set<Offset>()
  #looking = false
  #asked: Asked | undefined
  /** Its segment is being written anew. */
  #rewriting: Hole | undefined
  #restsUntilMs = -Infinity
  /** Nothing can be done about them before the next start. */
  readonly #putOff = new WeakSet<Hole>()
  /** When others were let lead because of them. */
  readonly #triedMs = new WeakMap<Hole, number>()
  /** Called when there may be something to ask for. */
  onDue: () => void = () => undefined

  constructor(owner: MendingOwner, state: TabletState, filling: Filling, clock: Clock, log: Logger) {
    this.#owner = owner
    this.#state = state
    this.#filling = filling
    this.#clock = clock
    this.#log = log
  }

  /** What cannot be read, as far as that is known: asked again after every wait. */
  get isDamaged(): boolean {
    return this.#holes.length > 0 || this.#suspects.size > 0
  }

  /** Whether others are to lead, so that this replica can be mended; not soon again after that was of no use. */
  get shouldFollow(): boolean {
    this.#forgetGone()
    return this.#holes.some(hole => this.#isUntried(hole))
  }

  /** The same, or something was just found that may be a reason. */
  get mayFollow(): boolean {
    return this.#suspects.size > 0 || this.shouldFollow
  }

  #isUntried(hole: Hole): boolean {
    const sinceMs = this.#clock.monotonicMs() - (this.#triedMs.get(hole) ?? -Infinity)
    return sinceMs >= handOverAgainMs && !this.#putOff.has(hole)
  }

  /** It follows another leader, or in another epoch: what differed from the one before says nothing of this one. */
  follows(onDue: () => void): void {
    this.onDue = onDue
    this.differingTo = offset(0)
  }

  /** It leads no more. */
  followsNow(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const hole of this.#holes) this.#triedMs.set(hole, nowMs)
  }

  /** Something in the segment of `at` could not be read. */
  found(at: Offset): void {
    if (this.#suspects.size >= suspectsMax || this.#holes.some(({ from, to }) => from <= at && at < to))
      return
    this.#suspects.add(at)
    if (!this.#looking) void this.#look()
  }

  /**
   * Reads the segment that holds `from`, and answers where the next one begins; undefined when there is none. What is sound below the high watermark is compared
   * with the leader's meanwhile.
   */
  async check(from: Offset, pace: Pace, leader?: Compared): Promise<Offset | undefined> {
    const { log } = this.#state
    const { logStart, highWatermark } = this.#owner
    const next = log.lookUps.endAfter(from)
    const until = this.counters.different + differencesMax
    let comparing = Promise.resolve()
    const stretches =
      leader &&
      new Stretches(logStart, highWatermark, stretch => {
        comparing = comparing.then(async () => {
          if (this.counters.different < until && leader.counts()) await this.#compare(stretch, leader)
        })
      })
    const seen: Seen = (batch, of) => stretches?.add(batch, of)
    const holes = await log.lookUps.holesAt(from, this.#isRight, pace, seen)
    stretches?.end()
    for (const hole of holes) this.#know(hole)
    if (holes.length > 0) this.onDue()
    await comparing
    return next > from && next < log.end.offset ? next : undefined
  }

  async #compare(stretch: Stretch, leader: Compared): Promise<void> {
    const theirs = await leader.digest(stretch.from, stretch.to)
    const { from, to, of, digest } = stretch
    if (theirs === undefined || theirs === digest || !leader.counts()) return
    const { logStart, highWatermark, isOpen } = this.#owner
    // What was cut, replaced or deleted meanwhile says nothing.
    if (!isOpen || from < logStart || to > highWatermark || !this.#state.log.lookUps.has(of)) return
    this.counters.different++
    this.differingTo = offset(Math.max(this.differingTo, to))
    this.#log.error(
      { from, to, digest, leaderDigest: theirs },
      'the leader has something else at these offsets: nobody reads them here, and docs/operations.md says what to do',
    )
  }

  /** What to ask the leader for in place of what follows here; undefined when nothing can be mended now. */
  get due(): Offset | undefined {
    const nowMs = this.#clock.monotonicMs()
    if (this.#asked !== undefined && nowMs >= this.#asked.untilMs) this.failed()
    if (this.#asked === undefined && this.#rewriting === undefined && nowMs >= this.#restsUntilMs) {
      this.#forgetGone()
      // Behind the high watermark nobody counts on it yet, and it may still be cut off.
      const isKnown = (one: Hole): boolean => one.to <= this.#owner.highWatermark && !this.#putOff.has(one)
      const hole = this.#holes.find(isKnown)
      if (hole !== undefined) this.#asked = { hole, cover: [], due: hole.from, untilMs: nowMs + tryMsMax }
    }
    return this.#asked?.due
  }

  /** The leader does not have it, or not now. */
  failed(): void {
    if (this.#asked !== undefined) this.#rest()
  }

  #rest(): void {
    this.#asked = undefined
    this.#restsUntilMs = this.#clock.monotonicMs() + againMs
    this.#clock.after(againMs, () => this.onDue())
  }

  /** The leader has nothing below `start` any more, and soon it is gone here too. */
  forgetBelow(start: Offset): void {
    this.#asked = undefined
    this.#holes = this.#holes.filter(({ from }) => from >= start)
  }

  /** The log was cut, and ends at `end`. */
  forgetFrom(end: Offset): void {
    this.#asked = undefined
    this.#holes = this.#holes.filter(({ to }) => to <= end)
  }

  /** Behind what is known to be damaged, or to be something else than the leader has. */
  get damagedTo(): Offset {
    return offset(Math.max(endOf(this.#holes), this.differingTo))
  }

  /** Batches from the leader, from `due` on. Resolves when there is something else to ask for. */
  async take(records: Buffer): Promise<void> {
    const asked = this.#asked
    if (asked === undefined) return
    const { hole, cover } = asked
    for (let at = 0; at < records.length && asked.due < hole.to;) {
      const batch = this.#batchAt(records, at, asked)
      if (batch === undefined) return this.#notTheSame(hole)
      cover.push(batch)
      asked.due = offset(lastOffsetOf(batch, 0) + 1)
      at += batchBytesOf(records, at)
    }
    asked.untilMs = this.#clock.monotonicMs() + tryMsMax
    if (asked.due < hole.to) {
      if (cover.reduce((sum, { length }) => sum + length, 0) > coverBytesMax) this.#notTheSame(hole)
      return
    }
    const filled = await this.#try(hole, () => this.#filling.fill(hole, Buffer.concat(cover)))
    if (filled === 'not synced') throw new Error('the disk failed to sync what was damaged before')
    if (filled !== 'other size') return this.#done(hole, cover, filled)
    this.#asked = undefined
    this.#rewriting = hole
    void this.#rewrite(hole, cover)
  }

  async #rewrite(hole: Hole, cover: readonly Buffer[]): Promise<void> {
    const filled = await this.#try(hole, () => this.#filling.rewrite(hole, Buffer.concat(cover)))
    this.#rewriting = undefined
    this.#done(hole, cover, filled)
    this.onDue()
  }

  #done(hole: Hole, cover: readonly Buffer[], filled: Filled | undefined): void {
    if (filled === undefined) return this.#rest()
    if (filled === 'other size') return this.#notTheSame(hole)
    this.#asked = undefined
    this.#holes = this.#holes.filter(one => one !== hole)
    if (filled === 'gone') return this.found(hole.from)
    this.counters.mended++
    for (const batch of cover) {
      this.#state.producers.filled(batch, this.#clock.monotonicMs())
      this.#state.epochs.restored(epoch(leaderEpochOf(batch, 0)), offset(baseOffsetOf(batch, 0)))
    }
    const { from, to } = hole
    this.#log.warn({ from, to }, 'a damaged stretch of the log was copied again from the leader')
  }

  async #try<Done>(hole: Hole, act: () => Promise<Done>): Promise<Done | undefined> {
    try {
      return await act()
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      if (error instanceof SwapUnfinished) {
        const { from, to } = hole
        this.#putOff.add(hole)
        this.#log.error(
          { from, to, error },
          'a damaged stretch of the log stays until the broker is started again, which puts what was written anew in its place',
        )
      } else
        this.#log.warn(
          { error },
          'a damaged stretch of the log could not be written again; it is tried again',
        )
      return undefined
    }
  }

  /** A copy of the batch at `at`, or of what the hole still needs of it; undefined when it is not what belongs there. */
  #batchAt(records: Buffer, at: number, { hole, due }: Asked): Buffer | undefined {
    const left = records.length - at
    const size = left < batchHeaderBytes ? 0 : batchBytesOf(records, at)
    if (size < batchHeaderBytes || checkBatch(records, at, at + size) !== undefined) return undefined
    if (baseOffsetOf(records, at) !== due || !this.#fits(leaderEpochOf(records, at), hole)) return undefined
    if (lastOffsetOf(records, at) < hole.to) return Buffer.from(records.subarray(at, at + size))
    // Compaction may have joined at the leader what is left of none.
    return countOf(records, at) === 0 ? gapBatch(due, hole.to, leaderEpochOf(records, at)) : undefined
  }

  #notTheSame({ from, to }: Hole): void {
    this.#log.error({ from, to }, 'a damaged stretch of the log could not be filled with what the leader has')
    this.#rest()
  }

  /** Epochs rise: it is one between those of what stands around the hole. */
  #fits(of: number, { from, to }: Hole): boolean {
    const { epochs } = this.#state
    const before = from === 0 ? undefined : epochs.of(offset(from - 1))
    return of >= (before ?? -1) && of <= (epochs.of(to) ?? Infinity)
  }

  /** The epoch that is known of its place. */
  readonly #isRight: IsRight = (bytes, at) => {
    const known = this.#state.epochs.of(offset(baseOffsetOf(bytes, at)))
    return known === undefined || known === leaderEpochOf(bytes, at)
  }

  async #look(): Promise<void> {
    this.#looking = true
    try {
      for (const at of this.#suspects) {
        const holes = await this.#state.log.lookUps.holesAt(at, this.#isRight)
        this.#suspects.delete(at)
        for (const hole of holes) this.#know(hole)
      }
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      // A disk that fails: who reads there next finds it again.
      this.#suspects.clear()
    } finally {
      this.#looking = false
    }
    if (this.#holes.length > 0) this.onDue()
  }

  #know(hole: Hole): void {
    const { of, from, to } = hole
    if (this.#holes.some(one => one.of === of && one.from === from)) return
    this.#holes = [...this.#holes, hole].toSorted((a, b) => a.from - b.from)
    this.counters.found++
    this.#log.error({ from, to }, 'these offsets of the log are damaged on the disk')
  }

  #forgetGone(): void {
    const { lookUps } = this.#state.log
    if (!this.#owner.isOpen || this.#holes.every(({ of }) => lookUps.has(of))) return
    const gone = this.#holes.filter(({ of }) => !lookUps.has(of))
    this.#holes = this.#holes.filter(({ of }) => lookUps.has(of))
    for (const { from } of gone) this.found(from)
  }
}

const endOf = (holes: readonly Hole[]): number => holes.reduce((most, { to }) => Math.max(most, to), 0)
