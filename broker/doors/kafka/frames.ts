/**
 * Enters: the bytes of one connection as they come. Leaves: whole frames, one after the other, without their length.
 * Always holds: a frame that came whole is handed on where the system has put it; only what is left behind at the end of a
 * read is copied, and the rest of a large frame is read right behind it. Nothing is reserved for bytes that a length only promises.
 *
 *   frame   length i32 | length bytes
 */
import { assert } from '../../../base/assert.ts'
import { KIB } from '../../../base/quantities.ts'
import type { FrameMemory } from './frame-memory.ts'
import type { Receiver } from './receive.ts'

const lengthBytes = 4
/** As much is read of a connection whose requests wait: enough to see it close, not enough to fill the memory. */
const glanceBytes = 4 * KIB

const outOfMemory = 'no memory for its requests: queued.max.request.bytes is used up'

/** Who gets the frames. */
export type FrameTaker = {
  /** Whether the next frame may come. */
  readonly ready: boolean
  /** The frame stands in `buffer` from `start` to `end`, until this returns. */
  frame(buffer: Buffer, start: number, end: number): void
  /** No frame will come any more; `reason` is half a sentence. */
  broken(reason: string): void
  /** Memory that was waited for is there: `proceed` is to be called, but not before this returns, and reading may go on. */
  roomAgain(): void
}

export class Frames implements Receiver {
  readonly #memory: FrameMemory
  /** One for all connections of the loop: bytes stay in it only until `arrived` returns. */
  readonly #shared: Buffer
  readonly #frameBytesMax: () => number
  readonly #taker: FrameTaker
  #own: Buffer | undefined
  #from = 0
  #to = 0
  /** The system reads into the free part of `#own`. */
  #direct = false
  #stopWaiting: (() => void) | undefined

  constructor(memory: FrameMemory, shared: Buffer, frameBytesMax: () => number, taker: FrameTaker) {
    this.#memory = memory
    this.#shared = shared
    this.#frameBytesMax = frameBytesMax
    this.#taker = taker
  }

  /** Bytes that are here and not handed on: a part of a frame, or frames that must wait. */
  get heldBytes(): number {
    return this.#to - this.#from
  }

  /** Whether no more bytes can be held until others give memory back. */
  get waitsForMemory(): boolean {
    return this.#stopWaiting !== undefined
  }

  target(): Buffer {
    const own = this.#own
    if (!this.#taker.ready || this.waitsForMemory) return this.#shared.subarray(0, glanceBytes)
    if (own === undefined || own.length === this.#to) return this.#shared
    this.#direct = true
    return own.subarray(this.#to, Math.max(this.#to + 1, Math.min(own.length, this.#from + this.#expected())))
  }

  arrived(buffer: Buffer, bytes: number): void {
    if (this.#direct) {
      this.#direct = false
      this.#to += bytes
      this.proceed()
      return
    }
    const at = this.#complete(buffer, bytes)
    if (at === bytes) return
    if (this.#own !== undefined) return this.#hold(buffer, at, bytes)
    const rest = this.#handOn(buffer, at, bytes)
    if (rest < bytes) this.#keep(buffer, rest, bytes)
  }

  /** Hands on what is held, as far as the taker is ready. */
  proceed(): void {
    const own = this.#own
    if (own === undefined) return
    this.#from = this.#handOn(own, this.#from, this.#to)
    if (this.#from === this.#to) this.drop()
    else if (this.#taker.ready) this.#makeRoom(own)
  }

  /** Forgets what is held and gives its memory back. */
  drop(): void {
    this.#stopWaiting?.()
    this.#stopWaiting = undefined
    if (this.#own !== undefined) this.#memory.release(this.#own)
    this.#own = undefined
    this.#direct = false
    this.#from = 0
    this.#to = 0
  }

  /** Answers how far it got. */
  #handOn(buffer: Buffer, from: number, to: number): number {
    let at = from
    while (this.#taker.ready && to - at >= lengthBytes) {
      const length = buffer.readInt32BE(at)
      if (length < 0 || length > this.#frameBytesMax()) {
        this.#taker.broken(`a frame of ${length} bytes; socket.request.max.bytes is ${this.#frameBytesMax()}`)
        return to
      }
      const end = at + lengthBytes + length
      if (end > to) break
      this.#taker.frame(buffer, at + lengthBytes, end)
      at = end
    }
    return at
  }

  /** Bytes of the frame that begins at `#from`, with its length; at least the length itself. */
  #expected(): number {
    const own = this.#own
    if (own === undefined || this.heldBytes < lengthBytes) return lengthBytes
    return lengthBytes + own.readInt32BE(this.#from)
  }

  #keep(buffer: Buffer, from: number, to: number): void {
    const bytes = to - from
    const frameBytes = bytes < lengthBytes ? lengthBytes : lengthBytes + buffer.readInt32BE(from)
    const wanted = this.#taker.ready ? this.#memory.take(capacity(frameBytes, bytes), false) : undefined
    const own = wanted ?? this.#memory.takeAnyway(bytes)
    if (own === undefined) return this.#taker.broken(outOfMemory)
    buffer.copy(own, 0, from, to)
    this.#own = own
    this.#to = bytes
    if (this.#taker.ready) this.#makeRoom(own)
  }

  /** Bytes for the frame that is held in part, which have come elsewhere. Answers how many of them it took. */
  #complete(buffer: Buffer, bytes: number): number {
    let at = 0
    while (this.#own !== undefined && this.#taker.ready && !this.waitsForMemory && at < bytes) {
      const missing = this.#from + this.#expected() - this.#to
      const count = Math.min(bytes - at, this.#own.length - this.#to, missing)
      assert(count > 0, 'a frame held in part has room and misses something')
      buffer.copy(this.#own, this.#to, at, at + count)
      this.#to += count
      at += count
      this.proceed()
    }
    return at
  }

  /** Bytes that must wait behind those that are held. */
  #hold(buffer: Buffer, from: number, to: number): void {
    const bytes = this.heldBytes + to - from
    if (this.#own === undefined || this.#own.length - this.#to < to - from) {
      const larger = this.#memory.takeAnyway(bytes)
      if (larger === undefined) return this.#taker.broken(outOfMemory)
      this.#moveTo(larger)
    }
    if (this.#own !== undefined) buffer.copy(this.#own, this.#to, from, to)
    this.#to += to - from
  }

  /** Part of a frame is held: sees to it that its next bytes have a place, or waits for one. */
  #makeRoom(own: Buffer): void {
    if (this.#direct || this.waitsForMemory) return
    if (this.#from > 0) {
      own.copyWithin(0, this.#from, this.#to)
      this.#to -= this.#from
      this.#from = 0
    }
    if (own.length > this.#to) return
    const wanted = capacity(this.#expected(), this.#to)
    const larger = this.#memory.take(wanted, true)
    if (larger === undefined) this.#wait(wanted)
    else this.#moveTo(larger)
  }

  #wait(bytes: number): void {
    let granted = false
    const stop = this.#memory.wait({
      bytes,
      granted: buffer => {
        granted = true
        this.#stopWaiting = undefined
        // What came while it waited may have needed a larger one.
        if (buffer.length > (this.#own?.length ?? 0)) this.#moveTo(buffer)
        else this.#memory.release(buffer)
        this.#taker.roomAgain()
      },
    })
    if (!granted) this.#stopWaiting = stop
  }

  #moveTo(larger: Buffer): void {
    assert(!this.#direct, 'the system does not read into memory that is given back')
    const own = this.#own
    assert(own !== undefined, 'there is something to move')
    own.copy(larger, 0, this.#from, this.#to)
    this.#to -= this.#from
    this.#from = 0
    this.#own = larger
    this.#memory.release(own)
  }
}

/** The whole frame once an eighth of it is here; before, it grows with what has come. */
const capacity = (frameBytes: number, heldBytes: number): number =>
  Math.max(lengthBytes, frameBytes <= 8 * heldBytes ? frameBytes : 4 * heldBytes)
