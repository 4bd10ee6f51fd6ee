/**
 * Enters: how many bytes fetches read for answers that were not sent yet. Leaves: how many more may be read now.
 * Always holds: a fetch that finds nothing left waits for its turn; the one that goes on last oversteps by one batch at most.
 */
export class FetchBudget {
  readonly #bytesMax: number
  readonly #waiting = new Set<() => void>()
  #usedBytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get leftBytes(): number {
    return this.#bytesMax - this.#usedBytes
  }

  /** How many fetches wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  use(bytes: number): void {
    this.#usedBytes += bytes
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes
    for (const goOn of this.#waiting) {
      if (this.leftBytes <= 0) return
      this.#waiting.delete(goOn)
      goOn()
    }
  }

  /** Calls `goOn` once there is something left, first come, first served. Answers how to stop waiting. */
  wait(goOn: () => void): () => void {
    this.#waiting.add(goOn)
    return () => this.#waiting.delete(goOn)
  }
}
