/** The segments of one log in rising order, the last one active: found by offset. There is always one. */
import { assert } from '../../base/assert.ts'
import type { Offset } from '../../base/quantities.ts'
import type { Segment } from './segment.ts'

export class SegmentRow {
  readonly list: Segment[]

  constructor(segments: Segment[]) {
    this.list = segments
  }

  get active(): Segment {
    return this.at(this.list.length - 1)
  }

  /** Bytes of all but the active one. */
  get sealedBytes(): number {
    return this.list.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) - this.active.sizeBytes
  }

  at(i: number): Segment {
    const segment = this.list[i]
    assert(segment !== undefined, 'a log always has an active segment')
    return segment
  }

  /** Binary search over base offsets: the number of the last segment that begins at or before `at`. */
  numberOf(at: Offset): number {
    let low = 0
    let high = this.list.length - 1
    if (at >= this.active.baseOffset) return high
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.at(middle).baseOffset <= at) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Bytes behind `at` in a log that ends at `end`; those of the segment that holds it by its share of the offsets. */
  bytesFrom(at: Offset, end: Offset): number {
    if (at >= end) return 0
    const i = this.numberOf(at)
    const { baseOffset, sizeBytes } = this.at(i)
    const next = this.list[i + 1]?.baseOffset ?? end
    const share = (next - Math.max(at, baseOffset)) / Math.max(1, next - baseOffset)
    return this.list
      .slice(i + 1)
      .reduce((sum, { sizeBytes: more }) => sum + more, Math.round(share * sizeBytes))
  }

  /** Whether exactly these segments, which are sealed, still make up [from, to). */
  consistsOf(from: Offset, to: Offset, segments: readonly Segment[]): boolean {
    const at = this.numberOf(from)
    return (
      segments[0]?.baseOffset === from &&
      segments.every((segment, i) => this.list[at + i] === segment) &&
      this.list[at + segments.length]?.baseOffset === to
    )
  }
}
