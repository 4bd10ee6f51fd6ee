/**
 * A compacted topic of one tablet on the simulated world, and what the outside world knows of it: what it sent and what it was told. Whoever reads
 * it from the start must always see the newest value of every key, at the offset where it was written.
 */
import { expect } from 'vitest'
import { pino } from 'pino'
import { offset } from '../../base/quantities.ts'
import { LocalCleaner } from '../../broker/log/compaction/cleaner.ts'
import type { PassLimits } from '../../broker/log/compaction/compaction.ts'
import { Compactions } from '../../broker/tablet/compactions.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import {
  baseOffsetOf,
  batchBytesOf,
  checkBatch,
  codecs,
  lastOffsetOf,
} from '../../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords, type NewRecord } from '../../protocol/kafka/records.ts'
import { append, startSimBroker, type SimBroker } from './broker.ts'
import { simWorld, type SimWorld } from './world.ts'

export type Stored = { readonly key: string; readonly value: string | null; readonly timestamp: number }

export const deleteRetentionMs = 60_000
const producer = { id: 4711, epoch: 3 }

export class CompactedTopic {
  readonly sim: SimWorld
  broker!: SimBroker
  compactions!: Compactions
  /** Every record that is in the log or was, by offset. */
  readonly written = new Map<number, Stored>()
  /** Behind the last record that was acknowledged. */
  acknowledged = 0
  sequence = 0
  limits: PassLimits = { mapBytesMax: 2 ** 20, bytesPerSecond: 500_000, timeShare: 0.25 }
  readonly #keys: number
  readonly #settings: Record<string, string>
  #pending: { readonly batch: Buffer; readonly records: NewRecord[] } | undefined
  #sent = 0

  constructor(seed: number, keys: number, settings: Record<string, string> = {}) {
    this.sim = simWorld({ seed })
    this.#keys = keys
    this.#settings = {
      'cleanup.policy': 'compact',
      'segment.bytes': '1500',
      'index.interval.bytes': '200',
      'min.cleanable.dirty.ratio': '0',
      'delete.retention.ms': String(deleteRetentionMs),
      'file.delete.delay.ms': '1000',
      ...settings,
    }
  }

  get tablet(): Tablet {
    const tablet = this.broker.tablets.find('t', 0)
    if (tablet === undefined) throw new Error('the tablet is gone')
    return tablet
  }

  get directory(): string {
    return this.tablet.identity.directory
  }

  /** Starts the next run of the broker; what its log holds beyond what was acknowledged must be what was being sent, unless others send too. */
  async start(alone = true): Promise<void> {
    const { clock } = this.sim
    this.broker = await clock.finish(startSimBroker(this.sim))
    if (!this.broker.store.topics().has('t')) {
      const topic = { name: 't', settings: this.#settings, tablets: 1, replication: 1 }
      await clock.finish(this.broker.store.createTopics([topic]))
      await clock.finish(this.broker.tablets.settled())
    }
    this.compactions = new Compactions({
      world: this.sim.world,
      log: pino({ level: 'silent' }),
      cleaner: new LocalCleaner(this.sim.world),
      tablets: this.broker.tablets,
      limits: this.limits,
      backoffMs: 1000,
    })
    expect(this.tablet.role, this.tablet.offlineReason).toBe('leader')
    if (alone) await this.#adoptPending()
  }

  /** One batch; a few records of a few keys, now and then a tombstone. The same again when its answer never came. */
  async send(): Promise<void> {
    await this.sim.clock.finish(this.beginToSend())
  }

  async beginToSend(): Promise<void> {
    this.#pending ??= this.#next()
    const { batch, records } = this.#pending
    const answer = await append(this.tablet, Buffer.from(batch), -1)
    if (!('baseOffset' in answer)) throw answer.refusal
    this.#pending = undefined
    this.#store(answer.baseOffset, records)
  }

  /** Compacts all that is due. */
  async compact(): Promise<void> {
    await this.sim.clock.finish(this.tablet.checkpoint())
    await this.sim.clock.finish(this.compactions.round())
  }

  /** What a reader sees who begins at `from`. */
  async readFrom(from: number): Promise<Map<number, Stored>> {
    const { tablet } = this
    const seen = new Map<number, Stored>()
    let next = from
    while (next < tablet.highWatermark) {
      const bytesMax = 1 + this.sim.random.below(1500)
      const batches = await Promise.resolve(tablet.read(offset(next), bytesMax, true))
      expect(batches.bytes).toBeGreaterThan(0)
      let before = -1
      for (const piece of batches.pieces) {
        for (let at = 0; at < piece.length; at += batchBytesOf(piece, at)) {
          expect(checkBatch(piece, at, piece.length)).toBeUndefined()
          expect(baseOffsetOf(piece, at)).toBeGreaterThan(before)
          before = lastOffsetOf(piece, at)
          expect(before).toBeGreaterThanOrEqual(next)
          for (const { offset, key, value, timestamp } of readRecords(piece, at, 100_000)) {
            if (offset >= next)
              seen.set(offset, { key: String(key), value: value && String(value), timestamp })
          }
          next = before + 1
        }
      }
      batches.release()
    }
    return seen
  }

  /** Reads everything and compares it with what is known. */
  async check(): Promise<Map<number, Stored>> {
    const { tablet, sim } = this
    const end = tablet.highWatermark
    expect(end).toBeGreaterThanOrEqual(this.acknowledged)
    const seen = await sim.clock.finish(this.readFrom(0))
    for (const [at, record] of seen) expect(record, `the record at ${at}`).toEqual(this.written.get(at))
    expect(viewOf(seen)).toEqual(viewOf(this.written))
    this.#checkTombstones(seen)
    return seen
  }

  /** Every tablet's file that is there for a while only. */
  leftovers(): string[] {
    return this.sim.world.disk.list(this.directory).filter(name => /\.(swap|cleaned|tmp)$/.test(name))
  }

  /** A tombstone that is the newest of its key stays for its time, however long ago it was written. */
  #checkTombstones(seen: ReadonlyMap<number, Stored>): void {
    const nowMs = this.sim.clock.nowMs()
    for (const [key, at] of newest(this.written)) {
      const record = this.written.get(at)
      if (record?.value !== null || nowMs - record.timestamp >= deleteRetentionMs) continue
      expect(seen.has(at), `the tombstone of ${key} at ${at}`).toBe(true)
    }
  }

  async #adoptPending(): Promise<void> {
    const { tablet, sim } = this
    if (this.#pending === undefined || tablet.highWatermark === this.acknowledged) return
    const { records } = this.#pending
    expect(tablet.highWatermark).toBe(this.acknowledged + records.length)
    const seen = await sim.clock.finish(this.readFrom(this.acknowledged))
    const values = records.map(({ value }) => value && String(value))
    expect([...seen.values()].map(({ value }) => value)).toEqual(values)
    this.#pending = undefined
    this.#store(this.acknowledged, records)
  }

  #next(): { batch: Buffer; records: NewRecord[] } {
    const { random, clock } = this.sim
    const records = Array.from({ length: 1 + random.below(4) }, () => ({
      key: Buffer.from(`key-${random.below(this.#keys)}`),
      value: random.chance(0.2) ? null : Buffer.from(`v${this.#sent++}`.padEnd(random.below(80), '.')),
      headers: random.chance(0.1) ? [['h', Buffer.from('x')] as const] : [],
      timestamp: clock.nowMs(),
    }))
    const codec = random.pick([...codecs])
    return {
      batch: buildBatch(records, { codec, producer: { ...producer, baseSequence: this.sequence } }),
      records,
    }
  }

  #store(baseOffset: number, records: readonly NewRecord[]): void {
    for (const [i, { key, value, timestamp }] of records.entries())
      this.written.set(baseOffset + i, { key: String(key), value: value && String(value), timestamp })
    this.acknowledged = baseOffset + records.length
    this.sequence += records.length
  }
}

/** The newest value of every key that has one. */
export function viewOf(records: ReadonlyMap<number, Stored>): Record<string, string> {
  const view = new Map<string, string>()
  for (const at of [...records.keys()].sort((a, b) => a - b)) {
    const record = records.get(at)
    if (record === undefined) continue
    if (record.value === null) view.delete(record.key)
    else view.set(record.key, record.value)
  }
  return Object.fromEntries([...view].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The offset of the newest record of every key. */
export function newest(records: ReadonlyMap<number, Stored>): Map<string, number> {
  const offsets = new Map<string, number>()
  for (const [at, { key }] of records) offsets.set(key, Math.max(at, offsets.get(key) ?? -1))
  return offsets
}
