/** Where the log ended, write by write, above the high watermark: from an offset that all have to the place where it stands. */
import type { Offset } from '../../base/quantities.ts'
import type { LogPosition } from '../log/log.ts'

/** `writtenBytes` is what this run had written by then. */
export type End = { readonly position: LogPosition; readonly writtenBytes: number }

/** With more than these, every second one is forgotten: the high watermark then moves in larger steps. */
const endsMax = 1024

export class Ends {
  #ends: End[] = []

  push(position: LogPosition, writtenBytes: number): void {
    const last = this.#ends.at(-1)?.position
    if (last !== undefined && last.offset === position.offset) this.#ends.pop()
    this.#ends.push({ position, writtenBytes })
    if (this.#ends.length > endsMax) this.#ends = this.#ends.filter((_, i) => i % 2 === 1 || i === endsMax)
  }

  /** The last one at or below `offset`, which is then asked for no lower one any more; undefined when there is none. */
  upTo(offset: Offset): End | undefined {
    let count = 0
    while ((this.#ends[count]?.position.offset ?? Infinity) <= offset) count++
    return count === 0 ? undefined : this.#ends.splice(0, count).at(-1)
  }

  /** The log was cut back to `end`. */
  cutTo(end: LogPosition, writtenBytes: number): void {
    this.#ends = this.#ends.filter(({ position }) => position.offset < end.offset)
    this.push(end, writtenBytes)
  }
}
