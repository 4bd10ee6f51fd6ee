import type { Clock } from '../../../base/world.ts'

/**
 * How much of one kind of work is done in a turn of the event loop, over all connections. Who wants more waits in line for the
 * next turns, so that other requests are served in between.
 */
export class TurnShare {
  readonly #clock: Clock
  readonly #unitsMax: number
  #left: number
  readonly #waiting: (() => void)[] = []
  #refillPlanned = false

  constructor(clock: Clock, unitsMax: number) {
    this.#clock = clock
    this.#unitsMax = unitsMax
    this.#left = unitsMax
  }

  /** Takes one unit, or answers false when this turn has none left: then call `wait`. */
  take(): boolean {
    if (this.#left === 0) return false
    this.#left -= 1
    this.#planRefill()
    return true
  }

  /** Calls `act` in a later turn, when it is its turn in the line. */
  wait(act: () => void): void {
    this.#waiting.push(act)
    this.#planRefill()
  }

  #planRefill(): void {
    if (this.#refillPlanned) return
    this.#refillPlanned = true
    // What is added at the end of a turn is part of it; a microtask comes behind it.
    this.#clock.endOfTurn(() => queueMicrotask(() => this.#refill()))
  }

  #refill(): void {
    this.#refillPlanned = false
    this.#left = this.#unitsMax
    for (let acts = this.#waiting.length; acts > 0 && this.#left > 0; acts--) this.#waiting.shift()?.()
    if (this.#waiting.length > 0) this.#planRefill()
  }
}
