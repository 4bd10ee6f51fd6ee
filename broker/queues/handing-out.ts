/**
 * From windows to consumers: reads what is to be handed out and marks it as handed out in the same moment. In comes what a consumer can take;
 * out go records. Always holds: one reads a partition at a time, so that nobody is handed what somebody else has just been.
 */
import type { Logger } from 'pino'
import { LimitedLog } from '../../base/limited-log.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Clock } from '../../base/world.ts'
import type { StoredRecord } from '../../protocol/kafka/records.ts'
import type { Router } from '../router/router.ts'
import type { Tablet } from '../tablet/tablet.ts'
import type { Consumer } from './consumer.ts'
import type { Partition, Partitions } from './partitions.ts'
import { receiptOf } from './receipts.ts'
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
  tablet: Tablet,
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
  readonly router: Router
  readonly log: Logger
  readonly partitions: Partitions
  readonly waiting: Waiting
  /** Whether it is known whose the partitions are. */
  readonly isSettled: () => boolean
}

/** A partition whose records cannot be read is tried again after so long. */
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
    const { partitions } = this.#options
    const batch = new Batch(consumer, wish)
    const all = [...partitions.all()].filter(({ window }) => consumer.topics.includes(window.topic))
    const first = this.#turn++
    for (const i of all.keys()) {
      const partition = all[(first + i) % all.length]
      if (partition !== undefined && !batch.isFull) await this.#readOne(partition, batch)
    }
    if (batch.size > 0) partitions.watchTimes()
    return batch.size
  }

  async #readOne(partition: Partition, batch: Batch): Promise<void> {
    // Looked at in this very moment: to find out by reading would wake others who would do the same.
    if (this.#wanted(partition.window) === undefined) return
    if (partition.againMs > this.#options.clock.monotonicMs()) return
    if (partition.reading) {
      partition.passedBy = true
      return
    }
    partition.reading = true
    try {
      while (!batch.isFull && (await this.#readStretch(partition.window, batch)));
      partition.trouble = undefined
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#unreadable(partition, error)
    }
    partition.reading = false
    if (partition.passedBy) this.#options.waiting.wake()
    partition.passedBy = false
  }

  /** Answers whether it got on. */
  async #readStretch(window: Window, batch: Batch): Promise<boolean> {
    const tablet = this.#options.router.leading(window.topic, window.partition)
    window.dropBelow(tablet.logStart)
    const from = this.#wanted(window)
    if (from === undefined) return false
    let seen = from
    const to = await batch.wish.read(tablet, {
      from,
      take: record => {
        if (!this.#mayHandOut(window)) return false
        window.hasNone(seen, record.offset)
        const verdict = window.verdict(record.offset)
        if (verdict === 'stop') return false
        if (verdict === 'hand out' && !this.#handOutOne(window, record, batch)) return false
        seen = record.offset + 1
        return true
      },
    })
    if (to > seen) window.hasNone(seen, to)
    return Math.max(seen, to) > from
  }

  #wanted(window: Window): number | undefined {
    const tablet = this.#options.router.find(window.topic, window.partition)
    return this.#mayHandOut(window) ? window.wanted(0, tablet?.highWatermark ?? 0) : undefined
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

  #unreadable(partition: Partition, error: Refusal): void {
    // The log begins elsewhere since: the next look finds out where.
    if (error.code === 'OFFSET_OUT_OF_RANGE') return
    partition.trouble = error
    partition.againMs = this.#options.clock.monotonicMs() + troubleMs
    this.#troubles.warn(
      { topic: partition.window.topic, partition: partition.window.partition, reason: error.message },
      'records of a queue cannot be read: nothing more of the partition is handed out',
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
    const { gone, unacknowledged, maxUnacknowledged } = this.consumer
    return this.#full || this.size >= this.wish.recordsMax || gone || unacknowledged >= maxUnacknowledged
  }

  takes(record: StoredRecord, delivery: Delivery): boolean {
    if (this.isFull) return false
    this.#full = !this.wish.take(record, delivery)
    if (!this.#full) this.size += 1
    return !this.#full
  }
}
