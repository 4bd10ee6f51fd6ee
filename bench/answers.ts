/** Takes answers apart: hands on the first bytes of each frame and passes over the rest, without keeping it. */
export class Answers {
  readonly #head: Buffer
  readonly #answered: (head: Buffer, frameBytes: number) => void
  /** Of the frame that is coming in. */
  #seenBytes = 0

  /** `headBytes`: how much of a frame `answered` gets to see. Lengths are counted with the four bytes that say them. */
  constructor(headBytes: number, answered: (head: Buffer, frameBytes: number) => void) {
    this.#head = Buffer.alloc(headBytes)
    this.#answered = answered
  }

  take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const frameBytes = this.#seenBytes < 4 ? 4 : 4 + this.#head.readInt32BE(0)
      const inHead = this.#seenBytes < this.#head.length
      const part = Math.min(
        (inHead ? Math.min(this.#head.length, frameBytes) : frameBytes) - this.#seenBytes,
        bytes.length - at,
      )
      if (inHead) bytes.copy(this.#head, this.#seenBytes, at, at + part)
      at += part
      this.#seenBytes += part
      if (frameBytes > 4 && this.#seenBytes === frameBytes) {
        this.#seenBytes = 0
        this.#answered(this.#head, frameBytes)
      }
    }
  }
}
