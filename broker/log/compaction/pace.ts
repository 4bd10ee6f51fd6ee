import type { Clock } from '../../../base/world.ts'

/** A shorter rest is not worth a timer. */
const restMsMin = 2

/** Holds reading and writing together at so many bytes a second. */
export class Pace {
  readonly #clock: Clock
  readonly #bytesPerSecond: number
  /** How far what was done is ahead of what should have been done by `#atMs`. */
  #aheadMs = 0
  #atMs: number

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#bytesPerSecond = bytesPerSecond
    this.#atMs = clock.monotonicMs()
  }

  /** `bytes` were read or written. */
  did(bytes: number): void {
    this.#aheadMs += (bytes / this.#bytesPerSecond) * 1000
  }

  /** Resolves when it is time to go on, in another turn of the event loop at the earliest. */
  async rest(): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    this.#aheadMs = Math.max(0, this.#aheadMs - (nowMs - this.#atMs))
    this.#atMs = nowMs
    await new Promise<void>(resolve => {
      if (this.#aheadMs < restMsMin) this.#clock.endOfTurn(resolve)
      else this.#clock.after(this.#aheadMs, resolve)
    })
  }
}
