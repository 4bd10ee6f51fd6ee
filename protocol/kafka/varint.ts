// Enters: signed numbers. Leaves: Kafka's zigzag varints, as records use them; and back.
// Always holds: a varint is read from at most ten bytes before `end`, or refused.
import { MalformedRecords } from './malformed.ts'

const twoTo28 = 0x1000_0000

/** A position in the records of one batch. */
export class VarintReader {
  readonly bytes: Buffer
  at = 0
  /** Nothing behind this is read; moves with the record. */
  end: number

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.end = bytes.length
  }

  byte(): number {
    if (this.at >= this.end) this.fail('the bytes end within a record')
    return this.bytes[this.at++] ?? 0
  }

  /** A zigzag number of up to 64 bits; exact below 2^53. */
  varint(): number {
    let low = 0
    let shift = 0
    let byte = this.byte()
    while (byte > 0x7f && shift < 21) {
      low |= (byte & 0x7f) << shift
      shift += 7
      byte = this.byte()
    }
    low |= (byte & 0x7f) << shift
    const raw = byte > 0x7f ? low + this.#high() * twoTo28 : low
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
  }

  /** A length: -1 for null, or the number of bytes that follow within `end`. */
  length(): number {
    const length = this.varint()
    if (length < -1 || length > this.end - this.at)
      this.fail(`a length of ${length}, ${this.end - this.at} bytes left`)
    return length
  }

  /** A view of the bytes behind a length, or null. */
  nullableBytes(): Buffer | null {
    const length = this.length()
    if (length < 0) return null
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  fail(reason: string): never {
    throw new MalformedRecords(reason, this.at)
  }

  /** What stands above the lowest 28 bits. */
  #high(): number {
    let high = 0
    for (let scale = 1; scale < 2 ** 36; scale *= 128) {
      const byte = this.byte()
      high += (byte & 0x7f) * scale
      if (byte <= 0x7f) return high
    }
    return this.fail('a varint of more than ten bytes')
  }
}

/** How many bytes `writeVarint` takes. */
export function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = zigzag(value); rest > 0x7f; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

/** Writes a whole number, exact below 2^52, and answers the position behind it. */
export function writeVarint(into: Buffer, value: number, at: number): number {
  let rest = zigzag(value)
  while (rest > 0x7f) {
    into[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  into[at++] = rest
  return at
}

const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value)
