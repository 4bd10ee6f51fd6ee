/**
 * Buffers that are used again: memory fresh from the system costs more than filling it, and what is thrown away stays until the
 * garbage collector comes by, which under load was a hundred megabytes. Always holds: what is lent and what is kept for later
 * stay within one bound together, unless more than that is lent.
 */
import { assert } from './assert.ts'

export class BufferPool {
  readonly #bytesMax: () => number
  readonly #kept = new Map<number, Buffer[]>()
  #keptBytes = 0
  #lentBytes = 0

  /** `bytesMax` is asked each time: it may change. It bounds what is kept; lending is for the caller to bound. */
  constructor(bytesMax: () => number) {
    this.#bytesMax = bytesMax
  }

  get lentBytes(): number {
    return this.#lentBytes
  }

  get keptBytes(): number {
    return this.#keptBytes
  }

  /** A buffer of exactly `bytes` bytes, with whatever was in it; callers use few different sizes. */
  take(bytes: number): Buffer {
    this.#lentBytes += bytes
    const kept = this.#kept.get(bytes)?.pop()
    if (kept === undefined) {
      this.#makeRoom()
      return Buffer.allocUnsafeSlow(bytes)
    }
    this.#keptBytes -= bytes
    return kept
  }

  /** Only what `take` gave, and only once. */
  give(buffer: Buffer): void {
    const bytes = buffer.length
    this.#lentBytes -= bytes
    assert(this.#lentBytes >= 0, 'only what was taken is given back')
    if (this.#lentBytes + this.#keptBytes + bytes > this.#bytesMax()) return
    this.#keptBytes += bytes
    const kept = this.#kept.get(bytes)
    if (kept === undefined) this.#kept.set(bytes, [buffer])
    else kept.push(buffer)
  }

  /** The size that was just missing goes before sizes that nobody asks for any more; those are forgotten. */
  #makeRoom(): void {
    const bytesMax = this.#bytesMax()
    for (const [bytes, kept] of this.#kept) {
      while (this.#lentBytes + this.#keptBytes > bytesMax && kept.pop() !== undefined)
        this.#keptBytes -= bytes
      if (kept.length === 0) this.#kept.delete(bytes)
    }
  }
}
