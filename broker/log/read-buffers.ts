/** Buffers for reading segments, in a few sizes, so that one that was given back fits the next read. */
import { BufferPool } from '../../base/buffer-pool.ts'
import { KIB, MIB } from '../../base/quantities.ts'

/** What readers mostly ask for, and as much again as a read begins too early. */
const sizes = [32, 64, 128, 256, 1024].map(askedKib => (askedKib + 8) * KIB)
/** A little more than the doors read for answers at a time. */
const keptBytesMax = 52 * MIB

export class ReadBuffers {
  readonly #pool = new BufferPool(() => keptBytesMax)

  /** What was taken and not given back. */
  get lentBytes(): number {
    return this.#pool.lentBytes
  }

  /** At least `bytes` bytes. */
  take(bytes: number): Buffer {
    return this.#pool.take(sizes.find(size => size >= bytes) ?? bytes)
  }

  /** Only what `take` gave, and only once. */
  give(buffer: Buffer): void {
    this.#pool.give(buffer)
  }
}
