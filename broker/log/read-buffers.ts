/** Buffers for reading segments: recycled in a few sizes, because memory for a megabyte costs more to get than to fill. */
import { KIB } from '../../base/quantities.ts'

const sizes = [32 * KIB, 128 * KIB, 320 * KIB, 1152 * KIB] as const
const freeMax = 8

export class ReadBuffers {
  readonly #free = new Map<number, Buffer[]>(sizes.map(size => [size, []]))

  /** At least `bytes` bytes. */
  take(bytes: number): Buffer {
    const size = sizes.find(size => size >= bytes)
    return (
      (size === undefined ? undefined : this.#free.get(size)?.pop()) ?? Buffer.allocUnsafeSlow(size ?? bytes)
    )
  }

  /** Only what `take` gave, and only once. */
  give(buffer: Buffer): void {
    const free = this.#free.get(buffer.length)
    if (free !== undefined && free.length < freeMax) free.push(buffer)
  }
}
