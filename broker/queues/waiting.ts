import type { Clock } from '../../base/world.ts'
import { isFull, type Consumer } from './consumer.ts'

type Waiter = { readonly consumer: Consumer; readonly seen: number; readonly act: () => void }

/**
 * Those who wait for something to change, without polling. A change wakes the one who has waited longest; who has looked and left something
 * passes it on, so that one record does not wake everybody.
 */
export class Waiting {
  readonly #clock: Clock
  /** The one who came first is first, and none has seen more changes than those behind. */
  readonly #waiters = new Set<Waiter>()
  /** Grows with every change: who has seen it before he looked misses none. */
  changes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** There may be something to be had. */
  wake(): void {
    this.changes += 1
    this.passOn()
  }

  /** There may be something left: the next who has not looked since the last change, and could take it, looks. */
  passOn(): void {
    for (const { consumer, seen, act } of this.#waiters) {
      if (seen === this.changes) return
      if (!isFull(consumer)) return act()
    }
  }

  /** The consumer may take more now, or is gone. */
  wakeAllOf(consumer: Consumer): void {
    this.changes += 1
    for (const waiter of this.#waiters) if (waiter.consumer === consumer) waiter.act()
  }

  wakeAll(): void {
    this.changes += 1
    for (const { act } of this.#waiters) act()
  }

  /** Resolves when something may have changed for the consumer since `seen`, `ms` are over, or `signal` is aborted. */
  async change(consumer: Consumer, seen: number, ms: number, signal: AbortSignal): Promise<void> {
    if (seen !== this.changes || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const act = (): void => {
      this.#waiters.delete(waiter)
      resolve()
    }
    const waiter: Waiter = { consumer, seen, act }
    const timer = this.#clock.after(ms, act)
    this.#waiters.add(waiter)
    signal.addEventListener('abort', act)
    await promise
    timer.cancel()
    signal.removeEventListener('abort', act)
  }
}
