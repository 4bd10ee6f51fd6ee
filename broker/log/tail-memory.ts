/**
 * The memory of all tails of a broker: chunks are taken, given back, and recycled; the sum is bounded. When the bound is reached
 * the tail that was appended to longest ago gives up its oldest chunks, so memory stays with the tablets in use.
 */
import { assert } from '../../base/assert.ts'
import { BufferPool } from '../../base/buffer-pool.ts'
import { KIB } from '../../base/quantities.ts'

export const chunkBytesMin = 16 * KIB
export const chunkBytesMax = 256 * KIB

/** A stretch of memory that holds whole batches. `pins` counts answers that are being sent from it. */
export type Chunk = { readonly bytes: Buffer; pins: number; released: boolean }

/** Who holds chunks: gives up the oldest one and answers true, or false when it holds none it can spare. */
export type ChunkHolder = { giveUpOldest(): boolean }

export class TailMemory {
  readonly #bytesMax: number
  readonly #pool: BufferPool
  readonly #holders = new Set<ChunkHolder>()
  #bytesHeld = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#pool = new BufferPool(() => bytesMax)
  }

  /** Memory in chunks that tails hold, in bytes. */
  get bytesHeld(): number {
    return this.#bytesHeld
  }

  /** A chunk of `bytes` (a power of two between chunkBytesMin and chunkBytesMax) for `holder`, which thereby is the most recently used. */
  take(bytes: number, holder: ChunkHolder): Chunk {
    this.#holders.delete(holder)
    this.#holders.add(holder)
    this.#bytesHeld += bytes
    this.#shrink()
    return { bytes: this.#pool.take(bytes), pins: 0, released: false }
  }

  /** The holder needs the chunk no more; its memory is used again once nothing is sent from it. */
  release(chunk: Chunk): void {
    assert(!chunk.released, 'a chunk is released once')
    chunk.released = true
    this.#bytesHeld -= chunk.bytes.length
    if (chunk.pins === 0) this.#pool.give(chunk.bytes)
  }

  unpin(chunk: Chunk): void {
    assert(chunk.pins > 0, 'only what was pinned is unpinned')
    chunk.pins--
    if (chunk.pins === 0 && chunk.released) this.#pool.give(chunk.bytes)
  }

  forget(holder: ChunkHolder): void {
    this.#holders.delete(holder)
  }

  #shrink(): void {
    for (const holder of this.#holders) {
      while (this.#bytesHeld > this.#bytesMax && holder.giveUpOldest());
      if (this.#bytesHeld <= this.#bytesMax) return
    }
  }
}
