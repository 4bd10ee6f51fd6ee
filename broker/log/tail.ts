/**
 * The newest bytes of one active segment, in memory. Batches are copied in once, written to the file from here in one piece a turn,
 * and sent to consumers from here. Only what `written` has confirmed is ever handed out; a batch never spans two chunks.
 */
import { assert, InvariantViolation } from '../../base/assert.ts'
import type { Offset } from '../../base/quantities.ts'
import { baseOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { chunkBytesMax, chunkBytesMin, type Chunk, type ChunkHolder, type TailMemory } from './tail-memory.ts'

/** A chunk's place in the segment file: its first byte stands at `position`, and it is filled up to `filledBytes`. */
type Stretch = { readonly chunk: Chunk; readonly position: number; filledBytes: number }

export type TailSlice = { readonly pieces: Buffer[]; readonly bytes: number; release(): void }

const stretchesMax = 8

export class Tail implements ChunkHolder {
  readonly #memory: TailMemory
  #stretches: Stretch[] = []
  /** Segment position up to which bytes stand in the file. */
  #writtenTo: number

  constructor(memory: TailMemory, position: number) {
    this.#memory = memory
    this.#writtenTo = position
  }

  /** Segment position of the oldest byte held. */
  get from(): number {
    return this.#stretches[0]?.position ?? this.#writtenTo
  }

  get writtenTo(): number {
    return this.#writtenTo
  }

  /** Whether the batch with this offset is held, if the log holds it at all: the bytes held begin with a batch. */
  reachesBackTo(offset: Offset): boolean {
    const [oldest] = this.#stretches
    return (
      oldest !== undefined &&
      oldest.position < this.#writtenTo &&
      baseOffsetOf(oldest.chunk.bytes, 0) <= offset
    )
  }

  /** Copies a batch in; it ends at segment position `position + (end - start)`. At most chunkBytesMax bytes. */
  add(bytes: Buffer, start: number, end: number, position: number): Buffer {
    const length = end - start
    const stretch = this.#room(length, position)
    const at = stretch.filledBytes
    assert(stretch.position + at === position, 'the tail has no gap')
    bytes.copy(stretch.chunk.bytes, at, start, end)
    stretch.filledBytes += length
    return stretch.chunk.bytes
  }

  /** What still has to be written to the file, in order. */
  unwritten(): Buffer[] {
    const pieces: Buffer[] = []
    for (const { chunk, position, filledBytes } of this.#stretches) {
      const from = Math.max(0, this.#writtenTo - position)
      if (from < filledBytes) pieces.push(chunk.bytes.subarray(from, filledBytes))
    }
    return pieces
  }

  /** The file holds everything up to `position`. */
  written(position: number): void {
    this.#writtenTo = position
  }

  /** Forgets what was not written, after a write that failed. */
  discardUnwritten(): void {
    while (true) {
      const newest = this.#stretches.at(-1)
      if (newest === undefined || newest.position + newest.filledBytes <= this.#writtenTo) return
      if (newest.position < this.#writtenTo) {
        newest.filledBytes = this.#writtenTo - newest.position
        return
      }
      this.#stretches.pop()
      this.#memory.release(newest.chunk)
    }
  }

  /** The stretch that holds segment position `position`, which must be held and written. */
  stretchAt(position: number): Readonly<Stretch> {
    assert(position < this.#writtenTo, 'the tail serves only written bytes it holds')
    for (let i = this.#stretches.length - 1; i >= 0; i--) {
      const stretch = this.#stretches[i]
      if (stretch !== undefined && stretch.position <= position) return stretch
    }
    throw new InvariantViolation('this must hold: the tail is asked only for bytes it holds')
  }

  /** The bytes [from, to) of the segment, in place, which must all be held and written; pinned until `release`. */
  slice(from: number, to: number): TailSlice {
    assert(from >= this.from && to <= this.#writtenTo, 'the tail serves only written bytes it holds')
    const pieces: Buffer[] = []
    const chunks: Chunk[] = []
    for (const { chunk, position, filledBytes } of this.#stretches) {
      const start = Math.max(from - position, 0)
      const end = Math.min(to - position, filledBytes)
      if (start >= end) continue
      chunk.pins++
      chunks.push(chunk)
      pieces.push(chunk.bytes.subarray(start, end))
    }
    return { pieces, bytes: to - from, release: () => chunks.forEach(chunk => this.#memory.unpin(chunk)) }
  }

  /** Gives back all memory and starts again behind segment position `position`; everything must have been written. */
  restart(position: number): void {
    for (const { chunk } of this.#stretches) this.#memory.release(chunk)
    this.#stretches = []
    this.#writtenTo = position
  }

  close(): void {
    this.restart(this.#writtenTo)
    this.#memory.forget(this)
  }

  giveUpOldest(): boolean {
    const oldest = this.#stretches[0]
    if (oldest === undefined || oldest.position + oldest.filledBytes > this.#writtenTo) return false
    this.#stretches.shift()
    this.#memory.release(oldest.chunk)
    return true
  }

  /** The newest stretch with room for `length` more bytes; small at first, twice as large with each one that fills up. */
  #room(length: number, position: number): Stretch {
    assert(length <= chunkBytesMax, 'larger batches go past the tail')
    const newest = this.#stretches.at(-1)
    if (newest !== undefined && newest.filledBytes + length <= newest.chunk.bytes.length) return newest
    let bytes = newest === undefined ? chunkBytesMin : Math.min(newest.chunk.bytes.length * 2, chunkBytesMax)
    while (bytes < length) bytes *= 2
    if (this.#stretches.length >= stretchesMax) this.giveUpOldest()
    const stretch = { chunk: this.#memory.take(bytes, this), position, filledBytes: 0 }
    this.#stretches.push(stretch)
    return stretch
  }
}
