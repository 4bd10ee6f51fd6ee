/** Appends that wait for the high watermark, in the order of their offsets; each has a deadline. */
import { Refusal } from '../../base/refusals.ts'
import type { Clock } from '../../base/world.ts'
import type { Acks, Appending } from './appending.ts'

export type Append = {
  readonly appending: Appending
  readonly slot: number
  readonly acks: Acks
  readonly baseOffset: number
  /** Behind its last record. */
  readonly endOffset: number
  readonly logAppendTimeMs: number
  /** Monotonic. */
  readonly deadlineMs: number
}

const sweepMs = 250

export class Unanswered {
  readonly #clock: Clock
  #appends: Append[] = []
  #first = 0
  #sweeping = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get count(): number {
    return this.#appends.length - this.#first
  }

  add(append: Append): void {
    this.#appends.push(append)
    if (!this.#sweeping) this.#sweepLater()
  }

  /** The high watermark is at `offset`: everything below is answered. */
  reached(offset: number, logStart: number): void {
    while (true) {
      const append = this.#appends[this.#first]
      if (append === undefined || append.endOffset > offset) break
      this.#first++
      append.appending.appended(append.slot, append.baseOffset, append.logAppendTimeMs, logStart)
    }
    if (this.#first > 1024 || this.#first === this.#appends.length) {
      this.#appends.splice(0, this.#first)
      this.#first = 0
    }
  }

  refuseAll(refusal: Refusal): void {
    const all = this.#appends.slice(this.#first)
    this.#appends = []
    this.#first = 0
    for (const append of all) append.appending.refused(append.slot, refusal)
  }

  #sweepLater(): void {
    this.#sweeping = true
    this.#clock.after(sweepMs, () => this.#sweep())
  }

  #sweep(): void {
    this.#sweeping = false
    const nowMs = this.#clock.monotonicMs()
    const waiting = this.#appends.slice(this.#first)
    const late = waiting.filter(append => append.deadlineMs <= nowMs)
    if (late.length > 0) {
      this.#appends = waiting.filter(append => append.deadlineMs > nowMs)
      this.#first = 0
      const refusal = new Refusal(
        'REQUEST_TIMED_OUT',
        'the write was not durable on all in-sync replicas in time',
      )
      for (const append of late) append.appending.refused(append.slot, refusal)
    }
    if (this.count > 0 && !this.#sweeping) this.#sweepLater()
  }
}
