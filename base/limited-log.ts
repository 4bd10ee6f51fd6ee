import type { Clock } from './world.ts'

const periodMs = 10_000

type Level = 'info' | 'warn' | 'error'
type Fields = Readonly<Record<string, unknown>>
type Log = Record<Level, (fields: Fields, message: string) => void>

/** Lines that strangers, or a disk that goes on failing, can cause: at most `linesMax` in ten seconds; the next says how many were left out. */
export class LimitedLog {
  readonly #log: Log
  readonly #clock: Clock
  readonly #linesMax: number
  #periodEndMs = -Infinity
  #lines = 0
  #leftOut = 0

  constructor(log: Log, clock: Clock, linesMax: number) {
    this.#log = log
    this.#clock = clock
    this.#linesMax = linesMax
  }

  info(fields: Fields, message: string): void {
    this.#write('info', fields, message)
  }

  warn(fields: Fields, message: string): void {
    this.#write('warn', fields, message)
  }

  error(fields: Fields, message: string): void {
    this.#write('error', fields, message)
  }

  #write(level: Level, fields: Fields, message: string): void {
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
    this.#log[level](this.#leftOut === 0 ? fields : { ...fields, leftOut: this.#leftOut }, message)
    this.#leftOut = 0
  }
}
