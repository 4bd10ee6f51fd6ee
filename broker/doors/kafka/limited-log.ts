import type { Logger } from 'pino'
import type { Clock } from '../../../base/world.ts'

const periodMs = 10_000

/** Warnings that strangers cause: at most `linesMax` in ten seconds; the next line says how many were left out. */
export class LimitedLog {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #linesMax: number
  #periodEndMs = -Infinity
  #lines = 0
  #leftOut = 0

  constructor(log: Logger, clock: Clock, linesMax: number) {
    this.#log = log
    this.#clock = clock
    this.#linesMax = linesMax
  }

  warn(fields: Readonly<Record<string, unknown>>, message: string): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs >= this.#periodEndMs) {
      this.#periodEndMs = nowMs + periodMs
      this.#lines = 0
    }
    if (this.#lines === this.#linesMax) {
      this.#leftOut += 1
      return
    }
    this.#lines += 1
    this.#log.warn(this.#leftOut === 0 ? fields : { ...fields, leftOut: this.#leftOut }, message)
    this.#leftOut = 0
  }
}
