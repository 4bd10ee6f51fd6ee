/** Reads of a tablet's log: batches and timestamps go out; what the disk says when it fails becomes what a reader is told, and is counted and logged. */
import { InvariantViolation } from '../../base/assert.ts'
import type { LimitedLog } from '../../base/limited-log.ts'
import { offset, type Offset } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Log, LogPosition } from '../log/log.ts'
import { endOfEmpty, StoredBatchDamaged, type Batches } from '../log/read.ts'
import type { Mending } from './mending.ts'
import { findTimestamp, type TimestampedOffset } from './timestamps.ts'

/** The tablet, as its reads see it. */
type ReadingOwner = {
  readonly topic: string
  readonly partition: number
  readonly logStart: Offset
  readonly highWatermark: Offset
  readonly counters: { bytesOut: number; damagedReads: number }
  readonly mending: Pick<Mending, 'found'> | undefined
  /** Another leads, or is about to because this log is damaged. */
  readonly goesElsewhere: boolean
} & Reads

type Reads = { read(from: Offset, bytesMax: number, atLeastOne: boolean): Batches | Promise<Batches> }

export class Reading {
  readonly #owner: ReadingOwner
  readonly #troubles: LimitedLog

  constructor(owner: ReadingOwner, troubles: LimitedLog) {
    this.#owner = owner
    this.#troubles = troubles
  }

  /** `Tablet.read`, once it is clear that there is something between `from` and `to`; `further` reads on. */
  read(
    log: Log,
    from: Offset,
    to: LogPosition,
    bytesMax: number,
    atLeastOne: boolean,
    further: Reads = this.#owner,
  ): Batches | Promise<Batches> {
    try {
      const batches = log.read(from, to, bytesMax, atLeastOne)
      if (!(batches instanceof Promise)) return this.#counted(batches)
      return batches.then(
        read => this.#pastEmpty(read, bytesMax, atLeastOne, further),
        (error: unknown) => {
          throw this.readFailure(error)
        },
      )
    } catch (error) {
      throw this.readFailure(error)
    }
  }

  async offsetForTimestamp(log: Log, timestampMs: number): Promise<TimestampedOffset | undefined> {
    try {
      const from = await log.lookUps.searchFrom(timestampMs)
      if (from === undefined) return undefined
      return await this.#findTimestamp(from, timestampMs)
    } catch (error) {
      throw this.failure(error, 'could not be read')
    }
  }

  async maxTimestamp(log: Log): Promise<TimestampedOffset | undefined> {
    try {
      const max = await log.lookUps.maxTimestamp()
      if (max === undefined || max.ms < 0) return undefined
      return await this.#findTimestamp(max.offset, max.ms)
    } catch (error) {
      throw this.failure(error, 'could not be read')
    }
  }

  /** What a disk's error means to who asked; anything else is a refusal already, or a bug. */
  failure(error: unknown, what: string): unknown {
    if (error instanceof Refusal || error instanceof InvariantViolation) return error
    const { code, message } = error as NodeJS.ErrnoException
    if (code === undefined) return error
    this.#troubles.error({ code, error: message }, `tablet ${what}`)
    const { topic, partition } = this.#owner
    return new Refusal('KAFKA_STORAGE_ERROR', `${topic}-${partition} ${what}: ${code}`)
  }

  /** Compaction leaves batches without records; some clients go through their offsets one by one, so those that follow are answered instead. */
  async #pastEmpty(read: Batches, bytesMax: number, atLeastOne: boolean, behind: Reads): Promise<Batches> {
    const next = endOfEmpty(read)
    if (next === undefined || next >= this.#owner.highWatermark) return this.#counted(read)
    try {
      const further = await behind.read(next, bytesMax, atLeastOne)
      if (further.bytes === 0) return this.#counted(read)
      read.release()
      return further
    } catch (error) {
      read.release()
      throw error
    }
  }

  #counted(batches: Batches): Batches {
    this.#owner.counters.bytesOut += batches.bytes
    return batches
  }

  /** The same for a read of batches, where damage is counted. */
  readFailure(error: unknown): unknown {
    if (error instanceof StoredBatchDamaged) {
      this.#owner.counters.damagedReads++
      this.#troubles.error({ path: error.path, position: error.position }, error.message)
      const { mending, topic, partition } = this.#owner
      mending?.found(error.wanted)
      if (this.#owner.goesElsewhere)
        return new Refusal(
          'NOT_LEADER_OR_FOLLOWER',
          `${topic}-${partition} is damaged here, and goes to another broker`,
        )
      return error
    }
    return this.failure(error, 'could not be read')
  }

  #findTimestamp(from: Offset, timestampMs: number): Promise<TimestampedOffset | undefined> {
    const lowest = this.#owner.logStart
    return findTimestamp(this.#owner, offset(Math.max(from, lowest)), lowest, timestampMs)
  }
}
