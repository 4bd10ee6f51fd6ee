/**
 * Looks in the background whether what is stored is still what was written, so that damage is found and mended before it is needed. In come the tablets of this
 * broker; every batch of theirs is read now and then, slowly, and a tablet is told what of it is damaged, or differs from what its leader has.
 */
import type { Logger } from 'pino'
import { InvariantViolation } from '../../base/assert.ts'
import { MIB, type Offset } from '../../base/quantities.ts'
import type { Clock } from '../../base/world.ts'
import { Pace } from '../log/compaction/pace.ts'
import type { Compared } from './mending.ts'
import type { Tablet } from './tablet.ts'

export type ChecksOptions = {
  readonly clock: Clock
  readonly log: Logger
  readonly tablets: { all(): Iterable<Tablet> }
  /** Before the first round, and from the end of one to the next. */
  readonly restMs?: Rests
}

/** A terabyte takes three days. */
const slowly = { bytesPerSecond: 4 * MIB, timeShare: 0.2 }
type Rests = { readonly first: number; readonly next: number }
/** A broker that was just started has other things to do. */
const rests: Rests = { first: 600_000, next: 86_400_000 }

export class Checks {
  readonly #options: ChecksOptions
  readonly #pace: Pace
  #stopped = false

  constructor(options: ChecksOptions) {
    this.#options = options
    this.#pace = new Pace(options.clock, slowly)
  }

  /** Round after round until `stop`. */
  start(): void {
    const { first, next } = this.#options.restMs ?? rests
    this.#after(first, next)
  }

  #after(restMs: number, nextMs: number): void {
    this.#options.clock.after(restMs, () => {
      if (!this.#stopped) void this.#round().then(() => this.#after(nextMs, nextMs))
    })
  }

  stop(): void {
    this.#stopped = true
  }

  async #round(): Promise<void> {
    // Tablets come and go meanwhile.
    const tablets = [...this.#options.tablets.all()]
    for (const tablet of tablets) {
      let next: Offset | undefined = tablet.logStart
      while (next !== undefined && !this.#stopped) {
        await this.#pace.rest()
        next = await this.#check(tablet, next)
      }
    }
  }

  /** Answers where to go on; undefined when there is nothing to check any more, or a disk failed. */
  async #check(tablet: Tablet, from: Offset): Promise<Offset | undefined> {
    try {
      return tablet.isOpen && !this.#stopped
        ? await tablet.mending?.check(from, this.#pace, comparedWith(tablet))
        : undefined
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      const { topic, partition } = tablet
      if (tablet.isOpen && !this.#stopped)
        this.#options.log.warn({ topic, partition, error }, 'a segment could not be checked')
      return undefined
    }
  }
}

/** Once the leader has said so in its epoch the log of a follower is a part of its own. Compaction leaves other bytes on each replica. */
function comparedWith(tablet: Tablet): Compared | undefined {
  const { followed, settings } = tablet
  if (followed?.isPart !== true || settings.cleanupPolicy.has('compact')) return undefined
  const counts = (): boolean => tablet.followed === followed
  return { digest: (from, to) => followed.leaderDigest(from, to), counts }
}
