import type { Clock } from '../../../base/world.ts'

/** A timer is no finer. */
const restMsMin = 1
/** A piece of work takes a millisecond, and a sync some more. What takes longer has waited for a core that others had, and owes them nothing. */
const pieceMsMax = 25

export type PaceLimits = {
  /** Read and written together. */
  readonly bytesPerSecond: number
  /** The part of the time that is work, above 0 and up to 1: for as long as each piece of work takes, others wait for a core or the disk. */
  readonly timeShare: number
}

/** Holds reading and writing to so many bytes a second, and work to a part of the time. */
export class Pace {
  readonly #clock: Clock
  readonly #limits: PaceLimits
  /** How far what was done is ahead of what should have been done by `#atMs`. */
  #aheadMs = 0
  /** How long to rest for the work that was done by `#atMs`. */
  #owedMs = 0
  #atMs: number

  constructor(clock: Clock, limits: PaceLimits) {
    this.#clock = clock
    this.#limits = limits
    this.#atMs = clock.monotonicMs()
  }

  /** `bytes` were read or written. */
  did(bytes: number): void {
    this.#aheadMs += (bytes / this.#limits.bytesPerSecond) * 1000
  }

  /** Resolves when it is time to go on, in another turn of the event loop at the earliest. Everything since the last rest was work. */
  async rest(): Promise<void> {
    const workedMs = Math.min(this.#pass(), pieceMsMax)
    this.#owedMs += workedMs * (1 / this.#limits.timeShare - 1)
    const restMs = Math.max(this.#aheadMs, this.#owedMs)
    await new Promise<void>(resolve => {
      if (restMs < restMsMin) this.#clock.endOfTurn(resolve)
      else this.#clock.after(restMs, resolve)
    })
    this.#owedMs = Math.max(0, this.#owedMs - this.#pass())
  }

  /** Answers how much time has passed. */
  #pass(): number {
    const nowMs = this.#clock.monotonicMs()
    const passedMs = nowMs - this.#atMs
    this.#atMs = nowMs
    this.#aheadMs = Math.max(0, this.#aheadMs - passedMs)
    return passedMs
  }
}
