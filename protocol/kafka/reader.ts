// Enters: a buffer and the part of it that is one message. Leaves: the values of Kafka's primitive types, one by one.
// Always holds: `start <= at <= end`, nothing behind `end` is looked at, and no memory is reserved for a length or a count
// that the remaining bytes cannot hold.
import { readInt64 } from '../../base/int64.ts'
import { MalformedRequest } from './malformed.ts'

/** More elements than any sound message has; keeps the objects made from a hostile frame near the frame's own size. */
const elementsMax = 1_000_000

/** What Kafka takes for a string, in any version: 32,767 bytes. */
export const stringBytesMax = 0x7fff

const nothing = Buffer.alloc(0)

/** Reads one message; `reset` makes it read another. Every method throws `MalformedRequest` when the bytes do not fit. */
export class Reader {
  buffer: Buffer
  at: number
  end: number
  #elementsLeft = elementsMax

  constructor(buffer: Buffer = nothing, at = 0, end = buffer.length) {
    this.buffer = buffer
    this.at = at
    this.end = end
  }

  reset(buffer: Buffer, at: number, end: number): void {
    this.buffer = buffer
    this.at = at
    this.end = end
    this.#elementsLeft = elementsMax
  }

  remaining(): number {
    return this.end - this.at
  }

  int8(): number {
    return this.buffer.readInt8(this.#take(1))
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#take(2))
  }

  uint16(): number {
    return this.buffer.readUInt16BE(this.#take(2))
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#take(4))
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.#take(4))
  }

  int64(): number {
    return readInt64(this.buffer, this.#take(8))
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.#take(8))
  }

  bool(): boolean {
    return this.buffer.readInt8(this.#take(1)) !== 0
  }

  /** 16 bytes as 22 characters of base64url, as Kafka prints them. */
  uuid(): string {
    const at = this.#take(16)
    return this.buffer.toString('base64url', at, at + 16)
  }

  /** A base-128 number of at most five bytes, low bits first: 0 to 2^32 - 1. */
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer.readUInt8(this.#take(1))
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (shift === 28 && byte > 0x0f) this.fail('a varint of more than 32 bits')
        return value >>> 0
      }
    }
    return this.fail('a varint of more than five bytes')
  }

  /** The length of a string, or -1 for null. Kafka's limit holds for compact strings too. */
  stringLength(compact: boolean): number {
    const length = this.#length(compact ? this.uvarint() - 1 : this.int16())
    if (length > stringBytesMax) this.fail(`a string of ${length} bytes`)
    return length
  }

  /** The length of bytes or records, or -1 for null. */
  bytesLength(compact: boolean): number {
    return this.#length(compact ? this.uvarint() - 1 : this.int32())
  }

  /** The element count of an array whose elements take at least `elementBytesMin` bytes each, or -1 for null. */
  count(compact: boolean, elementBytesMin: number): number {
    const count = compact ? this.uvarint() - 1 : this.int32()
    if (count < -1 || count > this.remaining() / elementBytesMin) {
      this.fail(`an array of ${count} elements in ${this.remaining()} bytes`)
    }
    this.#elementsLeft -= Math.max(0, count)
    if (this.#elementsLeft < 0) this.fail(`more than ${elementsMax} elements`)
    return count
  }

  /** `length` bytes of UTF-8; invalid sequences become U+FFFD, as in Java. */
  text(length: number): string {
    const at = this.#take(length)
    return length === 0 ? '' : this.buffer.toString('utf8', at, at + length)
  }

  /** A view of the next `length` bytes: no copy, so it lives and changes with the frame's buffer. */
  view(length: number): Buffer {
    const at = this.#take(length)
    return this.buffer.subarray(at, at + length)
  }

  /** Passes `length` bytes and answers where they begin. */
  skip(length: number): number {
    return this.#take(length)
  }

  /** Passes a tagged-fields section (KIP-482) none of whose tags we know. */
  skipTags(): void {
    for (let left = this.tagCount(); left > 0; left--) {
      this.uvarint()
      this.skip(this.uvarint())
    }
  }

  /** How many tagged fields follow; each takes at least two bytes. */
  tagCount(): number {
    const count = this.uvarint()
    if (count > this.remaining() / 2) this.fail(`${count} tagged fields in ${this.remaining()} bytes`)
    return count
  }

  fail(reason: string): never {
    throw new MalformedRequest(reason, this.at)
  }

  #length(length: number): number {
    if (length < -1 || length > this.remaining()) {
      this.fail(`a length of ${length} with ${this.remaining()} bytes left`)
    }
    return length
  }

  #take(bytes: number): number {
    const at = this.at
    if (bytes > this.end - at) this.fail(`${bytes} bytes wanted, ${this.end - at} left`)
    this.at = at + bytes
    return at
  }
}
