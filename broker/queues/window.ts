/**
 * What becomes of the records of one partition that this broker hands out. In come offsets that are handed out, acknowledged, released and
 * extended; out goes the offset to commit. Always holds: whatever lies below that offset is acknowledged, and a record is with one
 * holder at a time.
 *
 *   … acknowledged | base: held, free or acknowledged above a hole … | next: not handed out yet …
 */
import { assert } from '../../base/assert.ts'
import type { Room } from './room.ts'

/** Who holds records; the window keeps the count. */
export type Holder = { unacknowledged: number }

type Entry = {
  readonly offset: number
  deliveries: number
  /** Undefined when it is free, or acknowledged. */
  holder: Holder | undefined
  untilMs: number
  acknowledged: boolean
}

export type Held = { readonly offset: number; readonly deliveries: number; readonly untilMs: number }

/** So many records of a partition are remembered above the oldest one that is not acknowledged. */
export const windowRecordsMax = 10_000

/** So many of them whatever other windows remember. */
export const ownRecords = 100

/** Of so many records below the base that were handed out several times it is known how often. */
const redeliveredMax = 1_000

/** A run of records that nobody wants is read over rather than around when it is no longer than this. */
const readOverMax = 100

export class Window {
  /** Tells receipts of this window from those of an earlier one. */
  readonly id: string
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** What is committed, as far as is known here; -1 when nothing is. */
  durable: number
  readonly #room: Room
  /** By offset. The first one is never acknowledged. */
  #entries: Entry[] = []
  #next: number
  /** How often those below the base were handed out that were several times, oldest first. */
  readonly #redelivered = new Map<number, number>()
  #free = 0
  /** No holder's time is over before. */
  #dueMs = Infinity
  #closed = false

  constructor(
    place: {
      readonly id: string
      readonly topic: string
      readonly topicId: string
      readonly partition: number
    },
    { start, durable, room }: { readonly start: number; readonly durable: number; readonly room: Room },
  ) {
    this.id = place.id
    this.topic = place.topic
    this.topicId = place.topicId
    this.partition = place.partition
    this.durable = durable
    this.#next = start
    this.#room = room
  }

  /** The lowest offset that is not acknowledged: the one to commit. */
  get base(): number {
    return this.#entries[0]?.offset ?? this.#next
  }

  /** The first offset that was never handed out. */
  get next(): number {
    return this.#next
  }

  get dueMs(): number {
    return this.#dueMs
  }

  /** Nothing new is handed out until the oldest is acknowledged. */
  get isFull(): boolean {
    return this.#entries.length >= windowRecordsMax
  }

  /** The partition is somebody else's now. */
  get closed(): boolean {
    return this.#closed
  }

  /** The lowest offset at or above `from` that is to be handed out, when records below `end` can be read; undefined when there is none. */
  wanted(from: number, end: number): number | undefined {
    if (this.#closed) return undefined
    if (this.#free > 0 && from < this.#next)
      for (let i = this.#indexOf(from); i < this.#entries.length; i++) {
        const entry = this.#entries[i]
        if (entry !== undefined && isFree(entry)) return entry.offset < end ? entry.offset : undefined
      }
    const fresh = Math.max(from, this.#next)
    return fresh < end && this.#hasRoom() ? fresh : undefined
  }

  /** What to do with a record that was read: hand it out, read over it, or stop in front of it. */
  verdict(offset: number): 'hand out' | 'pass over' | 'stop' {
    const wanted = this.wanted(offset, Infinity)
    if (wanted === offset) return 'hand out'
    return wanted !== undefined && wanted - offset <= readOverMax ? 'pass over' : 'stop'
  }

  /** How often it was handed out before. */
  deliveriesOf(offset: number): number {
    return this.#entry(offset)?.deliveries ?? 0
  }

  /** The record is with `holder` until then. */
  handOut(offset: number, holder: Holder, untilMs: number): void {
    assert(this.verdict(offset) === 'hand out', 'a record is with one holder at a time')
    let entry = this.#entry(offset)
    if (entry === undefined) {
      entry = { offset, deliveries: 0, holder: undefined, untilMs: 0, acknowledged: false }
      this.#entries.push(entry)
      this.#next = offset + 1
      this.#room.take()
    } else this.#free -= 1
    entry.deliveries += 1
    entry.untilMs = untilMs
    entry.holder = holder
    holder.unacknowledged += 1
    this.#dueMs = Math.min(this.#dueMs, untilMs)
  }

  /**
   * The log has no record from `from` to below `to`: those that were to be handed out again are gone (compacted, say), and what
   * was never handed out begins behind.
   */
  hasNone(from: number, to: number): void {
    if (this.#closed) return
    for (let i = this.#indexOf(from); i < this.#entries.length; i++) {
      const entry = this.#entries[i]
      if (entry === undefined || entry.offset >= to) break
      if (!isFree(entry)) continue
      this.#free -= 1
      entry.acknowledged = true
    }
    if (from <= this.#next) this.#next = Math.max(this.#next, to)
    this.#trim()
  }

  /** The log begins at `start` now: what was below is nobody's any more. */
  dropBelow(start: number): void {
    if (this.#closed || start <= this.base) return
    for (const entry of this.#entries) {
      if (entry.offset >= start) break
      this.#let(entry)
      entry.acknowledged = true
    }
    this.#next = Math.max(this.#next, start)
    this.#trim()
  }

  /** Answers why not, or undefined, also when it was acknowledged by this receipt before: who has lost the answer says it again. */
  acknowledge(offset: number, deliveries: number, holder: Holder): string | undefined {
    const known = this.#entry(offset)
    const said = known?.acknowledged === true && known.deliveries === deliveries
    const last = this.#redelivered.get(offset) ?? deliveries
    if (said || (!this.#closed && offset < this.base && last === deliveries)) return undefined
    const entry = this.#mine(offset, deliveries, holder)
    if (typeof entry === 'string') return entry
    this.#let(entry)
    entry.acknowledged = true
    this.#trim()
    return undefined
  }

  /** It is free at once. */
  release(offset: number, deliveries: number, holder: Holder): string | undefined {
    const entry = this.#mine(offset, deliveries, holder)
    if (typeof entry === 'string') return entry
    this.#setFree(entry)
    return undefined
  }

  /** It stays with its holder until then. */
  extend(offset: number, deliveries: number, holder: Holder, untilMs: number): string | undefined {
    const entry = this.#mine(offset, deliveries, holder)
    if (typeof entry === 'string') return entry
    entry.untilMs = untilMs
    this.#dueMs = Math.min(this.#dueMs, untilMs)
    return undefined
  }

  /** Takes records back whose holders had them too long; answers whether there were any. */
  expire(nowMs: number): boolean {
    if (nowMs < this.#dueMs) return false
    this.#dueMs = Infinity
    const free = this.#free
    for (const entry of this.#entries) {
      if (entry.holder === undefined) continue
      if (entry.untilMs <= nowMs) this.#setFree(entry)
      else this.#dueMs = Math.min(this.#dueMs, entry.untilMs)
    }
    return this.#free > free
  }

  /** The holder is gone. */
  releaseAllOf(holder: Holder): void {
    for (const entry of this.#entries) {
      if (holder.unacknowledged === 0) return
      if (entry.holder === holder) this.#setFree(entry)
    }
  }

  *heldBy(holder: Holder): Generator<Held, void> {
    for (const entry of this.#entries) if (entry.holder === holder) yield entry
  }

  /** How many are with somebody. */
  get held(): number {
    let held = 0
    for (const { holder } of this.#entries) if (holder !== undefined) held += 1
    return held
  }

  close(): void {
    this.#closed = true
    for (const entry of this.#entries) this.#let(entry)
    const { length } = this.#entries
    this.#entries = []
    this.#free = 0
    this.#dueMs = Infinity
    this.#room.give(length)
  }

  #hasRoom(): boolean {
    const { length } = this.#entries
    return length < ownRecords || (length < windowRecordsMax && this.#room.left > 0)
  }

  #mine(offset: number, deliveries: number, holder: Holder): Entry | string {
    const what = `record ${offset} of ${this.topic}-${this.partition}`
    if (this.#closed) return `this broker no longer hands out ${this.topic}-${this.partition}`
    const entry = this.#entry(offset)
    if (offset < this.base || entry?.acknowledged === true) return `${what} is acknowledged already`
    if (entry?.holder === undefined) return `the time for ${what} is over: it goes to who asks next`
    const known = entry.holder === holder && entry.deliveries === deliveries
    return known ? entry : `${what} was handed out again since`
  }

  #setFree(entry: Entry): void {
    this.#let(entry)
    this.#free += 1
  }

  /** Its holder has it no more. */
  #let(entry: Entry): void {
    if (entry.holder !== undefined) entry.holder.unacknowledged -= 1
    else if (!entry.acknowledged) this.#free -= 1
    entry.holder = undefined
  }

  #trim(): void {
    let done = 0
    while (this.#entries[done]?.acknowledged === true) done += 1
    if (done === 0) return
    for (const { offset, deliveries } of this.#entries.splice(0, done))
      if (deliveries > 1) this.#redelivered.set(offset, deliveries)
    for (const offset of this.#redelivered.keys()) {
      if (this.#redelivered.size <= redeliveredMax) break
      this.#redelivered.delete(offset)
    }
    this.#room.give(done)
  }

  #entry(offset: number): Entry | undefined {
    const entry = this.#entries[this.#indexOf(offset)]
    return entry?.offset === offset ? entry : undefined
  }

  /** Where the first entry at or above `offset` stands. */
  #indexOf(offset: number): number {
    let [low, high] = [0, this.#entries.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle]?.offset ?? Infinity) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

const isFree = ({ holder, acknowledged }: Entry): boolean => holder === undefined && !acknowledged
