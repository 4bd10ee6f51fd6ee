/** Who waits for an offset to be on the disk. */
import type { Offset } from '../../base/quantities.ts'

type Waiter = {
  readonly offset: Offset
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class Durable {
  #waiters: Waiter[] = []

  /** Resolves when everything below `end` is on the disk. */
  wait(end: Offset): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ offset: end, resolve, reject }))
  }

  reached(end: Offset): void {
    this.#waiters = this.#waiters.filter(waiter => {
      if (waiter.offset > end) return true
      waiter.resolve()
      return false
    })
  }

  refuseAll(error: Error): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(error)
  }
}
