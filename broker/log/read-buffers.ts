/** Buffers for reading segments, in a few sizes, so that one that was given back fits the next read. */
import { BufferPool } from '../../base/buffer-pool.ts'
import { KIB, MIB } from '../../base/quantities.ts'

const sizes = [32 * KIB, 128 * KIB, 320 * KIB, 1152 * KIB] as const
const keptBytesMax = 48 * MIB

export class ReadBuffers {
  readonly #pool = new BufferPool(() => keptBytesMax)

  /** At least `bytes` bytes. */
  take(bytes: number): Buffer {
    return this.#pool.take(sizes.find(size => size >= bytes) ?? bytes)
  }

  /** Only what `take` gave, and only once. */
  give(buffer: Buffer): void {
    this.#pool.give(buffer)
  }
}
