/**
 * From windows to consumers: reads what is to be handed out and marks it as handed out in the same moment. In comes what a consumer can take;
 * out go records. Always holds: one reads a partition at a time, so that nobody is handed what somebody else has just been.
 */
import type { Logger } from 'pino'
import { LimitedLog } from '../../base/limited-log.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Clock } from '../../base/world.ts'
import type { StoredRecord } from '../../protocol/kafka/records.ts'
import { isFull, type Consumer } from './consumer.ts'
import type { Partition, Partitions } from './partitions.ts'
import { receiptOf } from './receipts.ts'
import type { Source } from './source.ts'
import type { Waiting } from './waiting.ts'
import type { Window } from './window.ts'

/** Where a record that is handed out comes from, and how to speak about it. */
export type Delivery = {
  readonly topic: string
  readonly partition: number
  /** 1 the first time. */
  readonly deliveries: number
  readonly receipt: string
}

/**
 * Reads records of a tablet from an offset on and hands them over until `take` answers false or one stretch of the log is read; answers the
 * offset to read on from. Rejects with a Refusal.
 */
export type ReadRecords = (
  tablet: Source,
  wanted: { readonly from: number; readonly take: (record: StoredRecord) => boolean },
) => Promise<number>

export type Wish = {
  readonly recordsMax: number
  readonly read: ReadRecords
  /** Answers false when it has no room for the record. The record's buffers are valid only during the call. */
  readonly take: (record: StoredRecord, delivery: Delivery) => boolean
}

export type HandingOutOptions = {
  readonly clock: Clock
  readonly log: Logger
  readonly partitions: Partitions
  readonly waiting: Waiting
  /** Whether it is known whose the partitions are. */
  readonly isSettled: () => boolean
}

/** Records that cannot be read are tried again after so long. */
const troubleMs = 5_000

export class HandingOut {
  readonly #options: HandingOutOptions
  readonly #troubles: LimitedLog
  #turn = 0
  /** How often a record was handed out that had been before. */
  redeliveries = 0

  constructor(options: HandingOutOptions) {
    this.#options = options
    this.#troubles = new LimitedLog(options.log, options.clock, 10)
  }

  /** Hands out what there is now, and answers how many records that were. */
  async handOut(consumer: Consumer, wish: Wish): Promise<number> {
    const { partitions, waiting } = this.#options
    const batch = new Batch(consumer, wish)
    try {
      if (!batch.isFull) await this.#readAll(batch)
    } finally {
      if (batch.size > 0) partitions.watchTimes()
      if (partitions.stirred().size > 0) waiting.passOn()
    }
    return batch.size
  }

  async #readAll(batch: Batch): Promise<void> {
    const { topics } = batch.consumer
    const some = [...this.#options.partitions.stirred()].filter(({ window }) => topics.includes(window.topic))
    const first = this.#turn++
    for (const i of some.keys()) {
      const partition = some[(first + i) % some.length]
      if (partition !== undefined && !batch.isFull) await this.#readOne(partition, batch)
    }
  }

  async #readOne(partition: Partition, batch: Batch): Promise<void> {
    // Looked at in this very moment: to find out by reading would wake others who would do the same.
    if (!this.#isWanted(partition)) return
    if (partition.reading) {
      partition.passedBy = true
      return
    }
    partition.reading = true
    try {
      while (!batch.isFull && (await this.#readStretch(partition, batch)));
    } finally {
      partition.reading = false
      if (this.#isWanted(partition) && partition.passedBy) this.#options.waiting.wake()
      partition.passedBy = false
    }
  }

  /** Answers whether it got on. */
  async #readStretch(partition: Partition, batch: Batch): Promise<boolean> {
    const { window, source } = partition
    let end = this.#endOf(partition)
    const heldBack = end === partition.trouble?.from
    let seen = 0
    try {
      this.#dropBelow(window, source.logStart)
      const from = this.#wanted(partition)
      if (from === undefined) {
        if (!heldBack) partition.trouble = undefined
        return false
      }
      seen = from
      const to = await batch.wish.read(source, {
        from,
        take: record => {
          // To read may be to learn that there is more.
          if (record.offset >= end) end = this.#endOf(partition)
          if (record.offset >= end || !this.#mayHandOut(window)) return false
          window.hasNone(seen, record.offset)
          const verdict = window.verdict(record.offset)
          if (verdict === 'stop') return false
          if (verdict === 'hand out' && !this.#handOutOne(window, record, batch)) return false
          seen = record.offset + 1
          return true
        },
      })
      if (to > seen) window.hasNone(seen, to)
      if (!heldBack) partition.trouble = undefined
      return Math.max(seen, to) > from
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#unreadable(partition, seen, error)
      return false
    }
  }

  #isWanted(partition: Partition): boolean {
    if (this.#wanted(partition) !== undefined) return true
    this.#options.partitions.unmark(partition)
    return false
  }

  #wanted(partition: Partition): number | undefined {
    const { window } = partition
    return this.#mayHandOut(window) ? window.wanted(0, this.#endOf(partition)) : undefined
  }

  /** Records below it may be read now. */
  #endOf({ window, source, trouble }: Partition): number {
    const { partitions, clock } = this.#options
    if (!source.serves || !partitions.serves(window)) return 0
    const isHeldBack = trouble !== undefined && trouble.againMs > clock.monotonicMs()
    return isHeldBack ? Math.min(source.highWatermark, trouble.from) : source.highWatermark
  }

  #dropBelow(window: Window, logStart: number): void {
    const { base } = window
    window.dropBelow(logStart)
    // Those who held what is gone may take more.
    if (window.base !== base) this.#options.waiting.wake()
  }

  #handOutOne(window: Window, record: StoredRecord, batch: Batch): boolean {
    const { topic, partition, id } = window
    const deliveries = window.deliveriesOf(record.offset) + 1
    const receipt = receiptOf(id, record.offset, deliveries)
    if (!batch.takes(record, { topic, partition, deliveries, receipt })) return false
    const { consumer } = batch
    const untilMs = this.#options.clock.monotonicMs() + consumer.visibilityTimeoutMs
    window.handOut(record.offset, consumer, untilMs)
    if (deliveries > 1) this.redeliveries += 1
    return true
  }

  /** Between two generations nobody knows whose the partition will be; and before its first commit it could begin elsewhere next time. */
  #mayHandOut(window: Window): boolean {
    return !window.closed && window.durable >= 0 && this.#options.isSettled()
  }

  #unreadable(partition: Partition, from: number, error: Refusal): void {
    // The log begins elsewhere since: the next look finds out where. Who leads it says when it does again.
    if (error.code === 'OFFSET_OUT_OF_RANGE' || !partition.source.serves) return
    partition.trouble = { why: error, from, againMs: this.#options.clock.monotonicMs() + troubleMs }
    this.#troubles.warn(
      { topic: partition.window.topic, partition: partition.window.partition, from, reason: error.message },
      'records of a queue cannot be read: nothing behind them is handed out',
    )
  }
}

/** What one consumer gets at once. */
class Batch {
  readonly consumer: Consumer
  readonly wish: Wish
  size = 0
  #full = false

  constructor(consumer: Consumer, wish: Wish) {
    this.consumer = consumer
    this.wish = wish
  }

  get isFull(): boolean {
    return this.#full || this.size >= this.wish.recordsMax || isFull(this.consumer)
  }

  takes(record: StoredRecord, delivery: Delivery): boolean {
    if (this.isFull) return false
    this.#full = !this.wish.take(record, delivery)
    if (!this.#full) this.size += 1
    return !this.#full
  }
}
