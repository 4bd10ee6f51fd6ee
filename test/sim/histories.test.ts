/** Random histories of one tablet under kills, power cuts and failing disks, each checked against what its callers were told. */
import { expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { baseOffsetOf, batchBytesOf, checkBatch, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords } from '../../protocol/kafka/records.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { append, startSimBroker, type SimBroker } from './broker.ts'
import { simWorld, type SimWorld } from './world.ts'

type Sent = { readonly value: string; readonly sequence: number; readonly count: number }
type Acknowledged = Sent & { readonly baseOffset: number; readonly durable: boolean }

const settings = { 'log.segment.bytes': '2000', 'log.index.interval.bytes': '300' }
const producer = { id: 77, epoch: 0 }

/** What the outside world knows: what it sent, what it was told, what it saw. */
class History {
  readonly sim: SimWorld
  broker!: SimBroker
  sequence = 0
  written = 0
  retry: { batch: Buffer; sent: Sent } | undefined
  acknowledged: Acknowledged[] = []
  logStart = 0
  highestSeen = 0

  constructor(seed: number) {
    this.sim = simWorld({ seed })
  }

  get tablet(): Tablet {
    const tablet = this.broker.tablets.find('t', 0)
    if (tablet === undefined) throw new Error('the tablet is gone')
    return tablet
  }

  async start(): Promise<void> {
    this.broker = await this.sim.clock.finish(startSimBroker(this.sim, settings))
    if (this.broker.store.topics().has('t')) return
    await this.sim.clock.finish(
      this.broker.store.createTopics([{ name: 't', settings: {}, tablets: 1, replication: 1 }]),
    )
    await this.sim.clock.finish(this.broker.tablets.settled())
  }

  /** Sends one batch, the one before again when its answer never came; the answer may be cut off by `trouble`. */
  async send(acks: 1 | -1, trouble: (() => void) | undefined): Promise<'answered' | 'cut off'> {
    const { batch, sent } = this.retry ?? this.next()
    this.retry = { batch, sent }
    const tablet = this.tablet
    let outcome: Awaited<ReturnType<typeof append>> | undefined
    void append(tablet, Buffer.from(batch), acks).then(answer => (outcome = answer))
    if (trouble !== undefined) {
      await this.sim.clock.runFor(this.sim.random.below(4))
      trouble()
    } else await this.sim.clock.runUntil(() => outcome !== undefined)
    if (outcome === undefined) return 'cut off'
    if ('baseOffset' in outcome) {
      this.acknowledged.push({ ...sent, baseOffset: outcome.baseOffset, durable: acks === -1 })
      this.retry = undefined
      this.sequence += sent.count
    } else if (outcome.refusal.code === 'OUT_OF_ORDER_SEQUENCE_NUMBER') {
      throw new Error(
        `sequence ${sent.sequence} was refused after ${JSON.stringify(this.acknowledged.at(-1))}`,
      )
    }
    return 'answered'
  }

  next(): { batch: Buffer; sent: Sent } {
    const count = 1 + this.sim.random.below(3)
    const value = `v${this.written++}`.padEnd(1 + this.sim.random.below(300), '.')
    const timestamp = this.sim.clock.nowMs()
    const records = Array.from({ length: count }, (_, i) => {
      return { key: null, value: Buffer.from(`${value}#${i}`), headers: [], timestamp }
    })
    const batch = buildBatch(records, { producer: { ...producer, baseSequence: this.sequence } })
    return { batch, sent: { value, sequence: this.sequence, count } }
  }

  /** Reads everything below the high watermark; whole sound batches with rising offsets and no gap. */
  async readAll(): Promise<Map<number, string>> {
    const { tablet } = this
    const records = new Map<number, string>()
    let next = tablet.logStart as number
    while (next < tablet.highWatermark) {
      const reading = Promise.resolve(tablet.read(offset(next), 1 + this.sim.random.below(1500), true))
      const batches = await this.sim.clock.finish(reading)
      expect(batches.bytes).toBeGreaterThan(0)
      for (const piece of batches.pieces) {
        for (let at = 0; at < piece.length; at += batchBytesOf(piece, at)) {
          expect(checkBatch(piece, at, piece.length)).toBeUndefined()
          expect(baseOffsetOf(piece, at)).toBeLessThanOrEqual(next)
          for (const record of readRecords(piece, at, 10_000)) {
            if (record.offset >= next) records.set(record.offset, String(record.value))
          }
          expect(lastOffsetOf(piece, at)).toBeGreaterThanOrEqual(next)
          next = lastOffsetOf(piece, at) + 1
        }
      }
      batches.release()
    }
    return records
  }

  /** What was acknowledged is there, once, where it was said to be. `powerLost`: only durable answers count. */
  async check(powerLost: boolean): Promise<void> {
    const { tablet } = this
    expect(tablet.role, tablet.offlineReason).toBe('leader')
    expect(tablet.logStart).toBeGreaterThanOrEqual(this.logStart)
    await this.sim.clock.runUntil(() => tablet.highWatermark === tablet.logEnd)
    const records = await this.readAll()
    if (powerLost) this.forgetLost(tablet.highWatermark)
    for (const { value, baseOffset, count } of this.acknowledged) {
      for (let at = Math.max(baseOffset, tablet.logStart); at < baseOffset + count; at++)
        expect(records.get(at)).toBe(`${value}#${at - baseOffset}`)
    }
    expect(new Set(records.values()).size, 'no record is there twice').toBe(records.size)
  }

  /** After a power cut, answers to acks=1 that were not yet durable may be gone, from some point on all of them. */
  forgetLost(end: number): void {
    const lost = this.acknowledged.filter(({ baseOffset }) => baseOffset >= end)
    for (const { durable, baseOffset } of lost)
      expect(durable, `acks=all at ${baseOffset}, log end ${end}`).toBe(false)
    this.acknowledged = this.acknowledged.filter(({ baseOffset }) => baseOffset < end)
    const last = this.acknowledged.at(-1)
    if (lost.length === 0) return
    this.sequence = last === undefined ? 0 : last.sequence + last.count
    this.retry = undefined
  }
}

async function step(history: History): Promise<void> {
  const { sim } = history
  const acks = sim.random.below(2) === 0 ? 1 : -1
  switch (sim.random.below(12)) {
    case 0: {
      const kind = sim.random.below(2)
      await history.send(acks, () => (kind === 0 ? sim.kill() : sim.crash()))
      if (history.sim.disk !== sim.disk) throw new Error('the disk stays')
      await history.start()
      return history.check(kind === 1)
    }
    case 1: {
      sim.disk.failNext('write', sim.random.below(2) === 0 ? 'ENOSPC' : 'EIO', /\.log$/)
      await history.send(acks, undefined)
      return sim.disk.heal()
    }
    case 2:
      await sim.clock.finish(history.tablet.checkpoint())
      return
    case 3: {
      const clean = await sim.clock.finish(history.broker.stop())
      expect(clean).toBe(true)
      sim.kill()
      await history.start()
      return history.check(false)
    }
    case 4: {
      const before =
        history.tablet.logStart + sim.random.below(history.tablet.highWatermark - history.tablet.logStart + 1)
      history.logStart = await sim.clock.finish(history.tablet.deleteRecordsBefore(offset(before)))
      return
    }
    default:
      await history.send(acks, undefined)
  }
}

const histories = Number(process.env['STELE_HISTORIES'] ?? 150)
const firstSeed = Number(process.env['STELE_SEED'] ?? 1)

test(
  `${histories} histories of one tablet lose nothing that was acknowledged`,
  { timeout: 300_000 },
  async () => {
    for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
      const history = new History(seed)
      try {
        await history.start()
        for (let i = 0; i < 60; i++) await step(history)
        await history.check(false)
      } catch (error) {
        throw new Error(
          `repeat with: STELE_SEED=${seed} STELE_HISTORIES=1 npx vitest run test/sim/histories.test.ts`,
          {
            cause: error,
          },
        )
      }
    }
  },
)
