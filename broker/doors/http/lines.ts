const newline = 0x0a
const carriageReturn = 0x0d

const nothing: Buffer = Buffer.alloc(0)

/** A line that was longer than allowed; its bytes are gone. */
export const tooLong = Symbol('a line that was too long')

/**
 * Cuts a stream of bytes into lines. It holds at most one line of `lineBytesMax` besides the chunk it is given, whatever
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

  /**
   * The next line without its end (LF or CR LF), or `tooLong`, or undefined when the bytes given hold no more whole lines.
   * A line is valid until the next call of `give`.
   */
  next(): Buffer | typeof tooLong | undefined {
    const chunk = this.#chunk
    const end = chunk.indexOf(newline, this.#at)
    if (end < 0) {
      this.#keep(chunk.subarray(this.#at))
      this.#chunk = nothing
      this.#at = 0
      return undefined
    }
    const piece = chunk.subarray(this.#at, end)
    this.#at = end + 1
    return this.#begunBytes === 0 && !this.#passingOver ? this.#bounded(piece) : this.#joined(piece)
  }

  /** What stood behind the last line's end, as a line: for the end of the stream. Undefined when there is nothing. */
  rest(): Buffer | typeof tooLong | undefined {
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

  #joined(piece: Buffer): Buffer | typeof tooLong {
    const passedOver = this.#passingOver
    const line = passedOver ? nothing : Buffer.concat([this.#begun.subarray(0, this.#begunBytes), piece])
    this.#passingOver = false
    this.#begun = nothing
    this.#begunBytes = 0
    return passedOver ? tooLong : this.#bounded(line)
  }

  #bounded(line: Buffer): Buffer | typeof tooLong {
    const plain = line.at(-1) === carriageReturn ? line.subarray(0, -1) : line
    return plain.length > this.#lineBytesMax ? tooLong : plain
  }
}
