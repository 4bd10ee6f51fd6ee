import type { ErrorBody } from '../broker-http.ts'
import { linesOf } from './lines.ts'

/** Counts the answers to an NDJSON produce; they come a line each, in the order of the input. */
export class Results {
  written = 0
  refused = 0
  readonly #onRefusal: (line: number, error: ErrorBody) => void

  /** `onRefusal` hears of each record that was not written, with its line number in the input, from 1. */
  constructor(onRefusal: (line: number, error: ErrorBody) => void) {
    this.#onRefusal = onRefusal
  }

  get answered(): number {
    return this.written + this.refused
  }

  /** Takes a block of whole result lines. */
  take(block: Buffer): void {
    const refusals = block.includes('"error"')
    for (const line of linesOf(block)) {
      if (refusals && line.includes('"error"')) this.#refuse(line)
      else this.written += 1
    }
  }

  #refuse(line: Buffer): void {
    this.refused += 1
    const { error } = JSON.parse(line.toString()) as { error: ErrorBody }
    this.#onRefusal(this.answered, error)
  }
}
