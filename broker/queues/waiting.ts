import type { Clock } from '../../base/world.ts'

/** Those who wait for something to change, without polling. Each change wakes all of them. */
export class Waiting {
  readonly #clock: Clock
  readonly #acts = new Set<() => void>()
  /** Grows with every change: who has seen it before he looked misses none. */
  changes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  wake(): void {
    this.changes += 1
    for (const act of this.#acts) act()
  }

  /** Resolves when something may have changed since `seen`, `ms` are over, or `signal` is aborted. */
  async change(seen: number, ms: number, signal: AbortSignal): Promise<void> {
    if (seen !== this.changes || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const act = (): void => resolve()
    const timer = this.#clock.after(ms, act)
    this.#acts.add(act)
    signal.addEventListener('abort', act)
    await promise
    timer.cancel()
    this.#acts.delete(act)
    signal.removeEventListener('abort', act)
  }
}
