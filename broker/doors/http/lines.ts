import { isUtf8 } from 'node:buffer'

const newline = 0x0a
const carriageReturn = 0x0d

const nothing: Buffer = Buffer.alloc(0)

/** A line that was longer than allowed; its bytes are gone. */
export const tooLong = Symbol('a line that was too long')
/** A line whose bytes are no UTF-8. */
export const notText = Symbol('a line that is not UTF-8')

export type Line = string | typeof tooLong | typeof notText

/**
 * Cuts a stream of UTF-8 into lines. It holds at most one line of `lineBytesMax` besides the chunk it is given, whatever
 * comes: a longer line is passed over up to its end.
 */
export class Lines {
  readonly #lineBytesMax: number
  #chunk = nothing
  #at = 0
  /** In its first `#begunBytes`: what earlier chunks held of the line whose end has not come yet. */
  #begun = nothing
  #begunBytes = 0
  #passingOver = false

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax
  }

  /** Bytes kept of a line whose end has not come. */
  get begunBytes(): number {
    return this.#begunBytes
  }

  /** Gives the next bytes; only when `next` has answered undefined. */
  give(chunk: Buffer): void {
    this.#chunk = chunk
    this.#at = 0
  }

  /** The next line without its end (LF or CR LF), or undefined when the bytes given hold no more whole lines. */
  next(): Line | undefined {
    const chunk = this.#chunk
    const from = this.#at
    const end = chunk.indexOf(newline, from)
    if (end < 0) {
      this.#keep(chunk.subarray(from))
      this.#chunk = nothing
      this.#at = 0
      return undefined
    }
    this.#at = end + 1
    if (this.#begunBytes > 0 || this.#passingOver) return this.#joined(chunk.subarray(from, end))
    return this.#text(chunk, from, end)
  }

  /** What stood behind the last line's end, as a line: for the end of the stream. Undefined when there is nothing. */
  rest(): Line | undefined {
    return this.#begunBytes === 0 && !this.#passingOver ? undefined : this.#joined(nothing)
  }

  #keep(piece: Buffer): void {
    if (this.#passingOver || piece.length === 0) return
    const bytes = this.#begunBytes + piece.length
    if (bytes > this.#lineBytesMax + 1) {
      this.#begun = nothing
      this.#begunBytes = 0
      this.#passingOver = true
      return
    }
    if (bytes > this.#begun.length) {
      // Doubled, because a hostile line comes byte by byte.
      const grown = Buffer.allocUnsafe(Math.min(2 * bytes, this.#lineBytesMax + 1))
      this.#begun.copy(grown, 0, 0, this.#begunBytes)
      this.#begun = grown
    }
    piece.copy(this.#begun, this.#begunBytes)
    this.#begunBytes = bytes
  }

  #joined(piece: Buffer): Line {
    const passedOver = this.#passingOver
    const line = passedOver ? nothing : Buffer.concat([this.#begun.subarray(0, this.#begunBytes), piece])
    this.#passingOver = false
    this.#begun = nothing
    this.#begunBytes = 0
    return passedOver ? tooLong : this.#text(line, 0, line.length)
  }

  #text(bytes: Buffer, from: number, to: number): Line {
    const end = to > from && bytes[to - 1] === carriageReturn ? to - 1 : to
    if (end - from > this.#lineBytesMax) return tooLong
    const text = bytes.toString('utf8', from, end)
    // Decoding puts this character where bytes are wrong; it is rare enough to look only then.
    return text.includes('\ufffd') && !isUtf8(bytes.subarray(from, end)) ? notText : text
  }
}
