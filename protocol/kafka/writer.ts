// Enters: values of Kafka's primitive types, one by one. Leaves: their bytes, in views of large chunks of memory.
// Always holds: bytes that were taken are never written again; a value is written whole or not at all.
import { assert } from '../../base/assert.ts'
import { writeInt64 } from '../../base/int64.ts'
import { stringBytesMax } from './reader.ts'

/**
 * Writes behind the last value, growing as needed. `take` hands out what was written since the last `take` and goes on in
 * the rest of the chunk; `reset` forgets everything and uses the chunk again, for who knows that nobody reads it any more.
 */
export class Writer {
  buffer: Buffer
  at = 0
  /** Where the bytes begin that were not taken yet. Positions kept across a `reserve` are valid relative to it. */
  start = 0
  readonly #chunkBytes: number

  constructor(chunkBytes = 65_536) {
    this.#chunkBytes = chunkBytes
    this.buffer = Buffer.allocUnsafeSlow(chunkBytes)
  }

  /** Bytes written and not taken. */
  get length(): number {
    return this.at - this.start
  }

  reset(): void {
    this.at = 0
    this.start = 0
  }

  /** What was written since the last `take` or `reset`. */
  take(): Buffer {
    const taken = this.buffer.subarray(this.start, this.at)
    this.start = this.at
    return taken
  }

  /** Makes room for `bytes` more. May move what is not taken yet to another buffer. */
  reserve(bytes: number): void {
    if (this.at + bytes > this.buffer.length) this.#grow(bytes)
  }

  int8(value: number): void {
    this.reserve(1)
    this.at = this.buffer.writeInt8(value, this.at)
  }

  int16(value: number): void {
    this.reserve(2)
    this.at = this.buffer.writeInt16BE(value, this.at)
  }

  uint16(value: number): void {
    this.reserve(2)
    this.at = this.buffer.writeUInt16BE(value, this.at)
  }

  int32(value: number): void {
    this.reserve(4)
    this.at = this.buffer.writeInt32BE(value, this.at)
  }

  uint32(value: number): void {
    this.reserve(4)
    this.at = this.buffer.writeUInt32BE(value, this.at)
  }

  int64(value: number): void {
    this.reserve(8)
    writeInt64(this.buffer, value, this.at)
    this.at += 8
  }

  float64(value: number): void {
    this.reserve(8)
    this.at = this.buffer.writeDoubleBE(value, this.at)
  }

  bool(value: boolean): void {
    this.int8(value ? 1 : 0)
  }

  /** 22 characters of base64url. */
  uuid(text: string): void {
    this.reserve(16)
    const written = this.buffer.write(text, this.at, 16, 'base64url')
    assert(written === 16 && text.length === 22, 'a uuid is 16 bytes in 22 characters')
    this.at += 16
  }

  /** 0 to 2^32 - 1, low bits first, seven a byte. */
  uvarint(value: number): void {
    this.reserve(5)
    let rest = value >>> 0
    while (rest > 0x7f) {
      this.buffer[this.at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.buffer[this.at++] = rest
  }

  /** The length of a string; -1 is null. */
  stringLength(length: number, compact: boolean): void {
    if (compact) this.uvarint(length + 1)
    else this.int16(length)
  }

  /** The length of bytes or records, or the count of an array; -1 is null. */
  count(count: number, compact: boolean): void {
    if (compact) this.uvarint(count + 1)
    else this.int32(count)
  }

  /**
   * What is longer than Kafka's 32,767 bytes is cut there: a message that repeats a client's own words can be, and a name
   * that was no UTF-8 grows when it is given back.
   */
  string(value: string, compact: boolean): void {
    if (value.length <= shortBytesMax && this.#shortAscii(value, compact)) return
    const bytes = Math.min(Buffer.byteLength(value), stringBytesMax)
    this.reserve(bytes + 5)
    // Writing stops in front of a character that does not fit whole, so the length is known only behind it.
    const lengthBytes = !compact ? 2 : bytes < 0x7f ? 1 : bytes < 0x3fff ? 2 : 3
    const written = this.buffer.write(value, this.at + lengthBytes, bytes, 'utf8')
    this.stringLength(written, compact)
    this.at += written
  }

  bytes(value: Buffer): void {
    this.reserve(value.length)
    value.copy(this.buffer, this.at)
    this.at += value.length
  }

  /** Most names are short and ASCII: for them a loop is faster than a call into the runtime. */
  #shortAscii(value: string, compact: boolean): boolean {
    const before = this.length
    this.stringLength(value.length, compact)
    this.reserve(value.length)
    const { buffer, at } = this
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) {
        this.at = this.start + before
        return false
      }
      buffer[at + i] = code
    }
    this.at = at + value.length
    return true
  }

  #grow(bytes: number): void {
    const kept = this.at - this.start
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#chunkBytes, 2 * kept, kept + bytes))
    this.buffer.copy(grown, 0, this.start, this.at)
    this.buffer = grown
    this.start = 0
    this.at = kept
  }
}

/** With a compact length of one byte; longer strings are left to the runtime. */
const shortBytesMax = 126
