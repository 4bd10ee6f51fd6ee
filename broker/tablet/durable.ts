/** What is on the disk, and who waits for an offset to be. */
import { InvariantViolation } from '../../base/assert.ts'
import type { Offset } from '../../base/quantities.ts'
import type { Log, LogPosition } from '../log/log.ts'
import { isOutOfDescriptors } from './group-commit.ts'

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

/** Answers up to where the log is on the disk now; what the disk said when it failed; or 'later' when nothing could be asked of it, because no file could be opened. */
export async function synced(log: Log): Promise<LogPosition | Error | 'later'> {
  try {
    return await log.sync()
  } catch (error) {
    if (error instanceof InvariantViolation) throw error
    return isOutOfDescriptors(error) ? 'later' : (error as Error)
  }
}
