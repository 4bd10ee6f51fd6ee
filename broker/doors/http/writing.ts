import { assert } from '../../../base/assert.ts'
import { Refusal } from '../../../base/refusals.ts'
import { MIB } from '../../../base/quantities.ts'
import type { Clock } from '../../../base/world.ts'
import { batchHeaderBytes } from '../../../protocol/kafka/record-batch.ts'
import { buildBatch, type NewRecord } from '../../../protocol/kafka/records.ts'
import { partitionForKey } from '../../../protocol/kafka/murmur2.ts'
import { isInternal } from '../../../control/model.ts'
import type { TopicSettings } from '../../settings/resolve.ts'
import type { Router } from '../../router/router.ts'
import type { Acks, Appending } from '../../tablet/appending.ts'
import type { Forwarding } from './forwarding.ts'
import type { WantedRecord } from './record-in.ts'
import { RemoteAppends } from './remote-appends.ts'

/** A batch is not made larger than this, unless a single record is. */
const batchBytesMax = MIB
const appendMsMax = 30_000

/** A batch that is gathered, then on its way to its tablet, then settled: there, or refused. */
export type Sent = {
  readonly partition: number
  settled: boolean
  refusal: Refusal | undefined
  /** The offset of its first record. */
  baseOffset: number
  /** The time of all its records when the topic stamps them, otherwise -1. */
  logAppendTimeMs: number
}

/** Where a record went: its offset is `sent.baseOffset + index` once the batch is settled and not refused. */
export type Placed = { readonly sent: Sent; readonly index: number; readonly timestampMs: number }

type Gathered = { sent: Sent; records: NewRecord[]; bytes: number; readonly bytesMax: number }

export type Target = {
  readonly router: Router
  readonly clock: Clock
  readonly topic: string
  readonly acks: Acks
  /** Picks the partition of the next keyless records. */
  readonly spread: Spread
  /** To tablets that other brokers lead. */
  readonly forwarding: Forwarding
}

/**
 * The records of one request on their way into a topic: gathered by partition, sent as one batch each, or several where
 * they would be too large. A record is settled with its batch.
 */
export class Writing implements Appending {
  readonly #target: Target
  readonly #progress: () => void
  readonly #gathered = new Map<number, Gathered>()
  readonly #sent = new Map<number, { sent: Sent; bytes: number }>()
  readonly #elsewhere: RemoteAppends
  #settings: TopicSettings | undefined
  #slots = 0
  #keyless: number | undefined
  #nowMs: number | undefined
  #bytes = 0

  /** `progress` is called whenever batches were settled, possibly from within `send`. */
  constructor(target: Target, progress: () => void) {
    this.#target = target
    this.#progress = progress
    this.#elsewhere = new RemoteAppends(target)
  }

  /** Bytes of records that are not settled, about. */
  get bytesInFlight(): number {
    return this.#bytes
  }

  get settled(): boolean {
    return this.#bytes === 0
  }

  add(record: WantedRecord): Placed {
    const timestampMs = record.timestampMs ?? this.#now()
    const partition = this.#partitionFor(record)
    const refusal = partition instanceof Refusal ? partition : this.#untimely(record, partition)
    if (partition instanceof Refusal || refusal !== undefined) {
      return { sent: refusedAtOnce(refusal), index: 0, timestampMs }
    }
    const bytes = bytesAtMost(record)
    const gathered = this.#room(partition, bytes)
    gathered.bytes += bytes
    this.#bytes += bytes
    const { key, value, headers } = record
    gathered.records.push({ key, value, headers, timestamp: timestampMs })
    return { sent: gathered.sent, index: gathered.records.length - 1, timestampMs }
  }

  /** Sends what was gathered. Keyless records that follow go to another partition. */
  send(): void {
    for (const gathered of this.#gathered.values()) this.#offer(gathered)
    this.#gathered.clear()
    this.#keyless = undefined
    this.#nowMs = undefined
  }

  appended(slot: number, baseOffset: number, logAppendTimeMs: number): void {
    const sent = this.#settle(slot)
    sent.baseOffset = baseOffset
    sent.logAppendTimeMs = logAppendTimeMs
    this.#progress()
  }

  refused(slot: number, refusal: Refusal): void {
    this.#settle(slot).refusal = refusal
    this.#progress()
  }

  #settle(slot: number): Sent {
    const found = this.#sent.get(slot)
    assert(found !== undefined, 'an append is answered once')
    this.#sent.delete(slot)
    this.#bytes -= found.bytes
    found.sent.settled = true
    return found.sent
  }

  #partitionFor(record: WantedRecord): number | Refusal {
    const { router, topic, spread } = this.#target
    const count = router.topics().get(topic)?.tablets.length ?? 0
    const { partition, key } = record
    if (count === 0) return new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `There is no topic ${topic}`)
    if (partition !== undefined) {
      if (partition < count) return partition
      return new Refusal(
        'UNKNOWN_TOPIC_OR_PARTITION',
        `Topic ${topic} has ${count} partitions, and none is ${partition}`,
      )
    }
    if (key !== null) return partitionForKey(key, count)
    this.#keyless ??= spread.next(count)
    return this.#keyless
  }

  /** The time of all records that are sent together. */
  #now(): number {
    this.#nowMs ??= this.#target.clock.nowMs()
    return this.#nowMs
  }

  /** A tablet refuses a whole batch for one record's time: such a record is kept out of it. */
  #untimely({ timestampMs }: WantedRecord, partition: number): Refusal | undefined {
    if (timestampMs === undefined) return undefined
    const { clock, topic } = this.#target
    const settings = this.#settingsOf(partition)
    if (settings === undefined || settings.messageTimestampType === 'LogAppendTime') return undefined
    const aheadMs = timestampMs - clock.nowMs()
    if (aheadMs <= settings.messageTimestampAfterMaxMs && -aheadMs <= settings.messageTimestampBeforeMaxMs) {
      return undefined
    }
    const distance = `${Math.abs(aheadMs)} ms in the ${aheadMs > 0 ? 'future' : 'past'}`
    return new Refusal(
      'INVALID_TIMESTAMP',
      `The timestamp ${timestampMs} is ${distance}, more than ${topic} allows`,
    )
  }

  /** The batch being gathered for `partition`, with room for `bytes` more. */
  #room(partition: number, bytes: number): Gathered {
    const begun = this.#gathered.get(partition)
    if (begun !== undefined) {
      if (begun.bytes + bytes <= begun.bytesMax) return begun
      this.#offer(begun)
    }
    const settings = this.#settingsOf(partition)
    const limit = Math.min(settings?.maxMessageBytes ?? Infinity, settings?.segmentBytes ?? Infinity)
    const fresh = {
      sent: { partition, settled: false, refusal: undefined, baseOffset: -1, logAppendTimeMs: -1 },
      records: [],
      bytes: batchHeaderBytes,
      bytesMax: Math.min(limit, batchBytesMax),
    }
    this.#bytes += fresh.bytes
    this.#gathered.set(partition, fresh)
    return fresh
  }

  /** Also of tablets that are not here. */
  #settingsOf(partition: number): TopicSettings | undefined {
    const { router, topic } = this.#target
    const tablet = router.find(topic, partition)
    if (tablet !== undefined) return tablet.settings
    const known = router.topics().get(topic)
    this.#settings ??= known && router.topicSettings(known)
    return this.#settings
  }

  #offer(gathered: Gathered): void {
    const { router, topic, acks, clock } = this.#target
    const leader = router.leaderOf(topic, gathered.sent.partition)?.id
    const slot = this.#slots++
    const { sent, records, bytes } = gathered
    this.#sent.set(slot, { sent, bytes })
    try {
      const batch = buildBatch(records)
      if (leader !== undefined && leader !== router.self && !isInternal(topic))
        return this.#elsewhere.append(sent.partition, batch, this, slot)
      const tablet = router.forClients(topic, sent.partition)
      tablet.append(batch, 0, batch.length, acks, clock.monotonicMs() + appendMsMax, this, slot)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.refused(slot, error)
    }
  }
}

const refusedAtOnce = (refusal: Refusal | undefined): Sent => ({
  partition: -1,
  settled: true,
  refusal,
  baseOffset: -1,
  logAppendTimeMs: -1,
})

/** No record takes more: its lengths and deltas are varints of at most five and ten bytes. */
function bytesAtMost({ key, value, headers }: WantedRecord): number {
  let bytes = 36 + (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, text] of headers) bytes += 10 + 3 * name.length + (text?.length ?? 0)
  return bytes
}

/** Goes round the partitions with keyless records: one partition a request, or a piece of a stream. */
export class Spread {
  #next = 0

  next(count: number): number {
    this.#next = (this.#next + 1) % count
    return this.#next
  }
}
