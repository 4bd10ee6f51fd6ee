import type { Clock } from '../../base/world.ts'

/** Spreads what is copied over time: in come bytes that were copied, out comes how long to wait before more are asked for. */
export class CopyRate {
  readonly #clock: Clock
  readonly #bytesPerSecond: () => number
  /** When what was copied until now would have been copied at the allowed rate. */
  #freeMs = -Infinity

  /** `bytesPerSecond` is asked again each time; Infinity for no limit. */
  constructor(clock: Clock, bytesPerSecond: () => number) {
    this.#clock = clock
    this.#bytesPerSecond = bytesPerSecond
  }

  /** `bytes` were copied. Answers for how many milliseconds nothing more shall be asked for. */
  took(bytes: number): number {
    const nowMs = this.#clock.monotonicMs()
    this.#freeMs = Math.max(this.#freeMs, nowMs) + (bytes / this.#bytesPerSecond()) * 1_000
    return this.#freeMs - nowMs
  }
}
