/**
 * What a leader says of its log to followers that compare theirs with it: in come stretches of offsets, out come digests. One stretch at a time for all followers,
 * and slowly: nobody waits for it.
 */
import { InvariantViolation } from '../../base/assert.ts'
import { KIB, MIB, offset, type Offset } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Clock } from '../../base/world.ts'
import { baseOffsetOf, batchBytesOf, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { Pace } from '../log/compaction/pace.ts'
import type { Batches } from '../log/read.ts'
import { Digest, isAsWritten } from '../log/stretches.ts'
import type { Led } from './replica.ts'

/** As slowly as followers read what they compare. */
const slowly = { bytesPerSecond: 4 * MIB, timeShare: 0.2 }
const pieceBytes = 256 * KIB

export class Comparing {
  readonly #pace: Pace
  #before: Promise<unknown> = Promise.resolve()

  constructor(clock: Clock) {
    this.#pace = new Pace(clock, slowly)
  }

  /**
   * The digest of what `led` has in [from, to); undefined when that cannot be told: it is not all there and below the high watermark, it is damaged, compaction
   * has touched it, or `isLed` says no more that anybody wants it of this leader.
   */
  digest(led: Led, from: Offset, to: Offset, isLed: () => boolean): Promise<string | undefined> {
    const run = this.#before.then(() => (isLed() ? this.#digest(led, from, to, isLed) : undefined))
    this.#before = run.catch(() => undefined)
    return run
  }

  async #digest(led: Led, from: Offset, to: Offset, isLed: () => boolean): Promise<string | undefined> {
    const digest = new Digest()
    let next = from
    while (next < to) {
      await this.#pace.rest()
      // Who leads no more may cut its log, and what is below the log start may go at any time.
      if (!isLed() || led.isStale || next < led.logStart || to > led.highWatermark) return undefined
      const batches = await readSound(led, next)
      const behind = batches && taken(batches, next, to, digest)
      batches?.release()
      if (batches === undefined || behind === undefined) return undefined
      this.#pace.did(batches.bytes)
      next = behind
    }
    return isLed() ? digest.toString() : undefined
  }
}

async function readSound(led: Led, from: Offset): Promise<Batches | undefined> {
  try {
    return await led.read(from, pieceBytes, true)
  } catch (error) {
    if (error instanceof InvariantViolation || !(error instanceof Refusal)) throw error
    return undefined
  }
}

/** Adds those below `to` to the digest; answers where to go on, or undefined when they are not as they were written. */
function taken(batches: Batches, from: Offset, to: Offset, digest: Digest): Offset | undefined {
  let next = from
  for (const piece of batches.pieces) {
    for (let at = 0; at < piece.length && baseOffsetOf(piece, at) < to; at += batchBytesOf(piece, at)) {
      if (!isAsWritten(piece, at)) return undefined
      digest.add(piece, at)
      next = offset(lastOffsetOf(piece, at) + 1)
    }
  }
  return next > from ? next : undefined
}
