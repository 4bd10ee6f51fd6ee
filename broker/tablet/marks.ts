/** How far a replica's log has come: written, on the disk, readable. The high watermark never goes back, unless what was readable is cut off. */
import { offset, type Offset } from '../../base/quantities.ts'
import type { LogPosition } from '../log/log.ts'
import { Ends } from './ends.ts'

const nowhere: LogPosition = { offset: offset(0), segment: offset(0), position: 0 }

export class Marks {
  /** Consumers read up to here. */
  highWatermark = nowhere
  /** Up to here it is on the disk. */
  synced = nowhere
  /** Bytes that this run has written, and those of them that the high watermark has passed; only differences mean something. */
  writtenBytes = 0
  readableBytes = 0
  /** The leader's high watermark, as a follower was last told. */
  leaderMark = offset(0)
  readonly #ends = new Ends()

  opened(end: LogPosition, highWatermark: LogPosition): void {
    this.highWatermark = highWatermark
    this.synced = end
    this.#ends.push(end, 0)
  }

  /** For a tablet with other replicas: the log ends at `end` now. */
  grown(end: LogPosition): void {
    this.#ends.push(end, this.writtenBytes)
  }

  /** The high watermark goes to `position`, which is not behind it. Answers whether it moved. */
  advance(position: LogPosition, writtenBytes: number): boolean {
    if (position.offset < this.highWatermark.offset) return false
    const moved = position.offset > this.highWatermark.offset
    this.highWatermark = position
    this.readableBytes = writtenBytes
    return moved
  }

  /** The high watermark goes to the last end that is known up to `mark`. Answers whether it moved. */
  advanceTo(mark: Offset): boolean {
    const end = this.#ends.upTo(mark)
    return end !== undefined && this.advance(end.position, end.writtenBytes)
  }

  /** The leader has told its high watermark. Answers whether this one moved. */
  learned(highWatermark: Offset): boolean {
    this.leaderMark = offset(Math.max(this.leaderMark, highWatermark))
    return this.advanceTo(this.leaderMark)
  }

  /** The log was cut back to `end`, or begins anew there, and all of it is on the disk. Answers whether something readable is gone. */
  cutTo(end: LogPosition, logStart: Offset): boolean {
    this.synced = end
    this.#ends.cutTo(end, this.writtenBytes)
    const lost = end.offset < this.highWatermark.offset
    // What the leader has not told since then is not readable again because the log grows.
    if (lost) this.leaderMark = offset(Math.min(this.leaderMark, end.offset))
    if (lost || logStart > this.highWatermark.offset) this.highWatermark = end
    return lost
  }
}
