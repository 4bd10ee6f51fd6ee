/**
 * Enters: the wish of a connection to hold bytes that it cannot handle yet. Leaves: buffers, within one budget for the door.
 * Always holds: what is held stays below twice the budget, but for one frame; who waits is served first come, first served;
 * and as long as anybody waits, somebody who holds memory gets on without more of it.
 */
import { assert } from '../../../base/assert.ts'
import { BufferPool } from '../../../base/buffer-pool.ts'
import { KIB } from '../../../base/quantities.ts'

const smallestBytes = 4 * KIB
const stepBytes = 256 * KIB

/** A connection that holds a buffer and needs a larger one. */
export type Waiting = {
  readonly bytes: number
  granted(buffer: Buffer): void
}

export class FrameMemory {
  readonly #budgetBytes: () => number
  readonly #pool: BufferPool
  readonly #waiting = new Set<Waiting>()
  #handedOut = 0

  /** `budgetBytes` is asked each time: it may change while the door is open. */
  constructor(budgetBytes: () => number) {
    this.#budgetBytes = budgetBytes
    this.#pool = new BufferPool(budgetBytes)
  }

  get usedBytes(): number {
    return this.#pool.lentBytes
  }

  /** How many connections wait for memory. */
  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * A buffer of at least `bytes`, or undefined when the caller has to wait. `holding` says that the caller holds a buffer
   * already, which it gives back when it gets this one.
   */
  take(bytes: number, holding: boolean): Buffer | undefined {
    const size = sizeFor(bytes)
    const others = this.#handedOut - (holding ? 1 : 0)
    return this.#waiting.size === 0 && (this.#fits(size) || others === 0) ? this.#hand(size) : undefined
  }

  /** A buffer for bytes that are here already: beyond the budget when it must be, but undefined beyond twice the budget. */
  takeAnyway(bytes: number): Buffer | undefined {
    const size = sizeFor(bytes)
    return this.usedBytes + size <= 2 * this.#budgetBytes() ? this.#hand(size) : undefined
  }

  /** Queues up; the larger buffer may be granted before this returns. Answers the function that ends the waiting. */
  wait(waiting: Waiting): () => void {
    this.#waiting.add(waiting)
    this.#serve()
    return () => {
      if (this.#waiting.delete(waiting)) this.#serve()
    }
  }

  release(buffer: Buffer): void {
    this.#pool.give(buffer)
    this.#handedOut -= 1
    assert(this.#handedOut >= 0, 'only what was taken is released')
    if (this.#waiting.size > 0) this.#serve()
  }

  /** Beyond the budget goes only the first of those who wait, and only when all who hold memory wait. */
  #serve(): void {
    for (const first of this.#waiting) {
      const size = sizeFor(first.bytes)
      if (!this.#fits(size) && this.#handedOut > this.#waiting.size) return
      this.#waiting.delete(first)
      first.granted(this.#hand(size))
    }
  }

  #fits(size: number): boolean {
    return this.usedBytes + size <= this.#budgetBytes()
  }

  #hand(size: number): Buffer {
    this.#handedOut += 1
    return this.#pool.take(size)
  }
}

/** Few different sizes, so that freed buffers fit again: powers of two from 4 KiB, from 256 KiB on multiples of that. */
function sizeFor(bytes: number): number {
  if (bytes > stepBytes) return Math.ceil(bytes / stepBytes) * stepBytes
  let size = smallestBytes
  while (size < bytes) size *= 2
  return size
}
