/**
 * How far copies are that are not in sync yet. In come led tablets with what their followers lack, looked at now and then; out comes, by broker that copies, how
 * much is done and to do, and how fast. What is copied once more within a short time belongs to the same work: so a move of many tablets, a few at a time, is one.
 */
import type { BrokerId } from '../../base/quantities.ts'
import type { CopyReport } from '../../control/model.ts'

/** A follower that is there and is not in sync. */
export type Copying = {
  readonly broker: BrokerId
  /** Of the leader's log: what it lacks, and what it has. */
  readonly bytesLeft: number
  readonly bytesHeld: number
  /** It is new, and has copied all that it has. */
  readonly isAdded: boolean
}

/** A tablet that is led here. */
export type Copied = {
  readonly inSync: readonly BrokerId[]
  readonly copying: readonly Copying[]
}

type Copy = { bytesLeft: number; bytesDone: number }
type Work = {
  readonly sinceMs: number
  readonly copies: Map<string, Copy>
  endedTablets: number
  endedBytes: number
  bytesPerSecond: number | undefined
  /** When something was last being copied. */
  copiedMs: number
}

/** What is soon over is not worth telling. */
const shownAfterMs = 5_000
const pauseMsMax = 10_000
/** The speed is that of about so long. */
const speedMs = 10_000

export class Copies {
  readonly #works = new Map<BrokerId, Work>()
  #lookedMs: number | undefined

  /** `led`: all tablets that are led here, by their keys. */
  look(led: ReadonlyMap<string, Copied>, nowMs: number): void {
    const sinceMs = nowMs - (this.#lookedMs ?? nowMs)
    this.#lookedMs = nowMs
    const copied = new Map<BrokerId, number>()
    const add = (broker: BrokerId, bytes: number): void =>
      void copied.set(broker, (copied.get(broker) ?? 0) + bytes)
    for (const [broker, work] of this.#works) {
      for (const [key, copy] of work.copies) {
        const now = led.get(key)
        if (now?.copying.some(one => one.broker === broker) === true) continue
        work.copies.delete(key)
        // Another leader tells of it, or it went away.
        if (now?.inSync.includes(broker) !== true) continue
        work.endedTablets++
        work.endedBytes += copy.bytesDone + copy.bytesLeft
        add(broker, copy.bytesLeft)
      }
    }
    for (const [key, { copying }] of led) {
      for (const { broker, bytesLeft, bytesHeld, isAdded } of copying) {
        const { copies } = this.#workOf(broker, nowMs)
        const copy = copies.get(key)
        if (copy === undefined) {
          copies.set(key, { bytesLeft, bytesDone: isAdded ? bytesHeld : 0 })
          continue
        }
        const bytes = Math.max(0, copy.bytesLeft - bytesLeft)
        copy.bytesDone += bytes
        copy.bytesLeft = bytesLeft
        add(broker, bytes)
      }
    }
    for (const [broker, work] of this.#works) this.#age(broker, work, copied.get(broker) ?? 0, sinceMs, nowMs)
  }

  /** The most that is left first. */
  report(nowMs: number): CopyReport[] {
    const reports = [...this.#works].flatMap(([broker, work]): CopyReport[] => {
      if (nowMs - work.sinceMs < shownAfterMs) return []
      const copies = [...work.copies.values()]
      const left = copies.reduce((sum, { bytesLeft }) => sum + bytesLeft, 0)
      const done = copies.reduce((sum, { bytesDone }) => sum + bytesDone, work.endedBytes)
      return [
        {
          broker,
          tablets: copies.length,
          tabletsDone: work.endedTablets,
          bytes: done + left,
          bytesLeft: left,
          bytesPerSecond: Math.round(work.bytesPerSecond ?? 0),
        },
      ]
    })
    return reports.toSorted((a, b) => b.bytesLeft - a.bytesLeft || a.broker - b.broker)
  }

  #workOf(broker: BrokerId, nowMs: number): Work {
    let work = this.#works.get(broker)
    if (work === undefined) {
      work = {
        sinceMs: nowMs,
        copies: new Map(),
        endedTablets: 0,
        endedBytes: 0,
        bytesPerSecond: undefined,
        copiedMs: nowMs,
      }
      this.#works.set(broker, work)
    }
    return work
  }

  #age(broker: BrokerId, work: Work, bytes: number, sinceMs: number, nowMs: number): void {
    if (work.copies.size > 0) work.copiedMs = nowMs
    else if (nowMs - work.copiedMs >= pauseMsMax) this.#works.delete(broker)
    if (sinceMs <= 0 || work.sinceMs === nowMs) return
    const now = (bytes / sinceMs) * 1_000
    const before = work.bytesPerSecond ?? now
    work.bytesPerSecond = now + (before - now) * Math.exp(-sinceMs / speedMs)
  }
}
