/** Random histories of several tablets under kills, power cuts, full and failing disks, each checked against what its callers were told. */
import { expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { baseOffsetOf, batchBytesOf, checkBatch, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords } from '../../protocol/kafka/records.ts'
import { append, makeTopic, startSimBroker, tabletOf, type Appended, type SimBroker } from './broker.ts'
import { simWorld, type SimWorld } from './world.ts'

type Sent = {
  readonly value: string
  readonly sequence: number
  readonly count: number
  readonly timestamp: number
}
type Acknowledged = Sent & { readonly baseOffset: number; readonly durable: boolean }

const settings = { 'log.segment.bytes': '2000', 'log.index.interval.bytes': '300' }
const retentionMs = 3_600_000
const retentionBytes = 6000
const topics = [
  { name: 'synced', tablets: 2, settings: { 'retention.ms': String(retentionMs) } },
  {
    name: 'cached',
    tablets: 1,
    settings: { 'stele.flush': 'os', 'retention.bytes': String(retentionBytes) },
  },
  { name: 'coming-and-going', tablets: 1, settings: { 'file.delete.delay.ms': '100' } },
]

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

/** What the outside world knows of one tablet: what it sent, what it was told, what it saw. */
class Told {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** Its topic leaves syncs to the operating system: a power cut may take what was acknowledged. */
  readonly cached: boolean
  sequence = 0
  retry: { readonly batch: Buffer; readonly sent: Sent } | undefined
  acknowledged: Acknowledged[] = []
  /** Every record that was ever read. */
  seen = new Map<number, string>()
  logStart = 0

  constructor(topic: string, topicId: string, partition: number) {
    this.topic = topic
    this.topicId = topicId
    this.partition = partition
    this.cached = topic === 'cached'
  }

  get name(): string {
    return `${this.topic}-${this.partition}`
  }

  /** The batch before again when nobody said that it was written. */
  next(sim: SimWorld, number: number): { readonly batch: Buffer; readonly sent: Sent } {
    if (this.retry !== undefined) return this.retry
    const count = 1 + sim.random.below(3)
    const value = `${this.name} ${number}`.padEnd(1 + sim.random.below(300), '.')
    const timestamp = sim.clock.nowMs()
    const records = Array.from({ length: count }, (_, i) => {
      return { key: null, value: Buffer.from(`${value}#${i}`), headers: [], timestamp }
    })
    const batch = buildBatch(records, { producer: { id: 77, epoch: 0, baseSequence: this.sequence } })
    this.retry = { batch, sent: { value, sequence: this.sequence, count, timestamp } }
    return this.retry
  }

  answered(sent: Sent, durable: boolean, answer: Appended): void {
    if ('baseOffset' in answer) {
      this.acknowledged.push({ ...sent, baseOffset: answer.baseOffset, durable })
      this.retry = undefined
      this.sequence = sent.sequence + sent.count
    } else if (
      answer.refusal.code !== 'KAFKA_STORAGE_ERROR' &&
      answer.refusal.code !== 'UNKNOWN_TOPIC_OR_PARTITION'
    ) {
      throw new Error(`${this.name}: sequence ${sent.sequence} was refused: ${answer.refusal.message}`)
    }
  }

  /** After a power cut what was not durable may be gone, from some point on all of it. */
  forgetLost(end: number): void {
    const lost = this.acknowledged.filter(({ baseOffset }) => baseOffset >= end)
    for (const { durable, baseOffset } of lost)
      must(!durable, `${this.name} lost acks=all at ${baseOffset}: it ends at ${end}`)
    for (const at of this.seen.keys()) {
      if (at < end) continue
      must(this.cached, `${this.name} lost offset ${at}, which was seen: it ends at ${end}`)
      this.seen.delete(at)
    }
    this.acknowledged = this.acknowledged.filter(({ baseOffset }) => baseOffset < end)
    if (lost.length === 0) return
    const last = this.acknowledged.at(-1)
    this.sequence = last === undefined ? 0 : last.sequence + last.count
    this.retry = undefined
  }
}

class History {
  readonly sim: SimWorld
  broker!: SimBroker
  all: Told[] = []
  written = 0

  constructor(seed: number) {
    this.sim = simWorld({ seed })
  }

  finish<Result>(promise: Promise<Result>): Promise<Result> {
    return this.sim.clock.finish(promise)
  }

  async start(): Promise<void> {
    this.broker = await this.finish(startSimBroker(this.sim, settings, { tailBytes: 40_000 }))
    for (const { name, tablets, settings } of topics) {
      const topic =
        this.broker.router.topics().get(name) ??
        (await this.finish(makeTopic(this.broker, name, settings, tablets)))
      this.all = this.all.filter(told => told.topic !== name || told.topicId === topic.id)
      for (let n = 0; n < tablets; n++) {
        if (!this.all.some(told => told.topic === name && told.partition === n))
          this.all.push(new Told(name, topic.id, n))
      }
    }
  }

  tablet({ topic, partition }: Told): Tablet {
    return tabletOf(this.broker, topic, partition)
  }

  any(): Told {
    const [first, ...rest] = this.all
    if (first === undefined) throw new Error('there are topics')
    return this.sim.random.pick([first, ...rest])
  }

  /** One batch to each of some tablets, all at once; `trouble` comes before all are answered. */
  async send(targets: Iterable<Told>, trouble?: () => void): Promise<void> {
    const open = new Set<Told>()
    for (const told of new Set(targets)) {
      const { batch, sent } = told.next(this.sim, this.written++)
      const acks = this.sim.random.chance(0.5) ? 1 : -1
      open.add(told)
      void append(this.tablet(told), Buffer.from(batch), acks).then(answer => {
        told.answered(sent, acks === -1 && !told.cached, answer)
        open.delete(told)
      })
    }
    if (trouble === undefined) return this.sim.clock.runUntil(() => open.size === 0)
    await this.sim.clock.runFor(this.sim.random.between(0, 4))
    trouble()
    await this.sim.clock.settle()
  }

  /** Reads everything below the high watermark; whole sound batches with rising offsets and no gap. */
  async readAll(tablet: Tablet): Promise<Map<number, string>> {
    const records = new Map<number, string>()
    let next: number = tablet.logStart
    while (next < tablet.highWatermark) {
      const reading = Promise.resolve(tablet.read(offset(next), 1 + this.sim.random.below(1500), true))
      const batches = await this.finish(reading)
      must(batches.bytes > 0, `nothing at ${next} of ${tablet.identity.name}`)
      for (const piece of batches.pieces) {
        for (let at = 0; at < piece.length; at += batchBytesOf(piece, at)) {
          must(checkBatch(piece, at, piece.length) === undefined, `a bad batch at ${next}`)
          must(baseOffsetOf(piece, at) <= next && lastOffsetOf(piece, at) >= next, `a gap at ${next}`)
          for (const record of readRecords(piece, at, 10_000))
            if (record.offset >= next) records.set(record.offset, String(record.value))
          next = lastOffsetOf(piece, at) + 1
        }
      }
      batches.release()
    }
    return records
  }

  /** What was acknowledged is there, once, where it was said to be, and what was seen is as it was. */
  async check(told: Told, powerLost: boolean): Promise<void> {
    const tablet = this.tablet(told)
    must(tablet.role === 'leader', `${told.name} is ${tablet.role}: ${tablet.offlineReason}`)
    must(tablet.logStart >= told.logStart, `${told.name} begins at ${tablet.logStart} again`)
    told.logStart = tablet.logStart
    await this.sim.clock.runUntil(() => tablet.highWatermark === tablet.logEnd)
    const records = await this.readAll(tablet)
    if (powerLost) told.forgetLost(tablet.highWatermark)
    for (const { value, baseOffset, count } of told.acknowledged) {
      for (let at = Math.max(baseOffset, tablet.logStart); at < baseOffset + count; at++)
        must(
          records.get(at) === `${value}#${at - baseOffset}`,
          `offset ${at} of ${told.name} is ${records.get(at)}`,
        )
    }
    for (const [at, value] of told.seen)
      must(at < tablet.logStart || records.get(at) === value, `offset ${at} of ${told.name} has changed`)
    must(new Set(records.values()).size === records.size, `a record of ${told.name} is there twice`)
    told.seen = records
  }

  async checkAll(powerLost: boolean): Promise<void> {
    for (const told of this.all) await this.check(told, powerLost)
  }

  /** The process or the power goes, and the next run starts. */
  async end(powerLost: boolean): Promise<void> {
    if (powerLost) this.sim.crash(this.sim.random.pick(['tear', 'tear', 'lose', 'keep']))
    else this.sim.kill()
    this.sim.disk.heal()
    await this.start()
    await this.checkAll(powerLost)
  }
}

/** Something that a broker does besides appending, and that may be cut off. */
function work(history: History, told: Told): Promise<unknown> {
  const { sim } = history
  const tablet = history.tablet(told)
  const draw = sim.random.below(4)
  if (draw === 0) return tablet.checkpoint()
  if (draw === 1) return tablet.applyRetention(Infinity)
  if (draw === 2 && told.topic === 'coming-and-going')
    return history.broker.router.deleteTopic(told.topic, told.topicId)
  const before = tablet.logStart + sim.random.below(tablet.highWatermark - tablet.logStart + 1)
  return tablet.deleteRecordsBefore(offset(before))
}

const steps: readonly ((history: History) => Promise<void>)[] = [
  async function cutOff(history) {
    const { sim } = history
    const powerLost = sim.random.chance(0.5)
    for (const told of history.all)
      if (sim.random.chance(0.3)) void work(history, told).catch(() => undefined)
    const targets = history.all.filter(
      told => history.broker.tablets.find(told.topic, told.partition) !== undefined,
    )
    await history.send(
      targets.filter(() => sim.random.chance(0.6)),
      () => (powerLost ? sim.crash() : sim.kill()),
    )
    await history.end(powerLost)
  },

  async function failingWrite(history) {
    const { sim } = history
    sim.disk.failNext('write', sim.random.pick(['ENOSPC', 'EIO']), /\.log$/)
    await history.send([history.any(), history.any()])
    sim.disk.heal()
  },

  async function failingIndexes(history) {
    const { sim } = history
    sim.disk.failShare('write', 0.5, 'ENOSPC', /index$/)
    for (let i = 0; i < 5; i++) await history.send([history.any(), history.any()])
    for (const told of history.all)
      await history.finish(
        history
          .tablet(told)
          .checkpoint()
          .catch(() => undefined),
      )
    sim.disk.heal()
  },

  async function fullDisk(history) {
    const { sim } = history
    sim.disk.capacityBytes = 2 ** 40 - 1
    const { freeBytes, totalBytes } = sim.world.disk.space('/data')
    sim.disk.capacityBytes = totalBytes - freeBytes + sim.random.below(2500)
    for (let i = 0; i < 8; i++) {
      await history.send([history.any(), history.any()])
      if (sim.random.chance(0.3))
        await history.finish(work(history, history.all[0] ?? history.any()).catch(() => undefined))
    }
    await history.checkAll(false)
    sim.disk.capacityBytes = 2 ** 40
    if (sim.random.chance(0.3)) await history.end(sim.random.chance(0.5))
    for (const told of history.all) {
      await history.send([told])
      must(told.retry === undefined, `${told.name} takes no writes again`)
    }
  },

  async function failingSync(history) {
    const { sim } = history
    const told = history.any()
    const tablet = history.tablet(told)
    sim.disk.failNext('sync', 'EIO', new RegExp(`${tablet.identity.name}/\\d+\\.log$`))
    await history.send([told, history.any()])
    await history.finish(tablet.checkpoint().catch(() => undefined))
    await sim.clock.runFor(50)
    if (tablet.role === 'leader') {
      must(tablet.keeping?.isCheckpointed === true, `${told.name} leads on after a failed sync`)
      return sim.disk.heal()
    }
    for (const other of history.all) if (other !== told) await history.check(other, false)
    await history.end(sim.random.chance(0.4))
  },

  async function checkpoint(history) {
    await history.finish(history.tablet(history.any()).checkpoint())
  },

  async function cleanStop(history) {
    const { sim } = history
    must(await history.finish(history.broker.stop()), 'the stop was no clean one')
    if (sim.random.chance(0.5)) {
      const { directory } = history.tablet(history.any()).identity
      for (const name of sim.world.disk.list(directory))
        if (name.endsWith('index') && sim.random.chance(0.5))
          await history.finish(sim.world.disk.remove(`${directory}/${name}`))
    }
    if (sim.random.chance(0.5)) sim.crash()
    await history.end(false)
  },

  async function deleteRecords(history) {
    const told = history.any()
    const tablet = history.tablet(told)
    const before = tablet.logStart + history.sim.random.below(tablet.highWatermark - tablet.logStart + 1)
    const start = await history.finish(tablet.deleteRecordsBefore(offset(before)))
    must(start >= before, `records were deleted below ${before}, and it begins at ${start}`)
    told.logStart = start
  },

  async function retention(history) {
    const { sim } = history
    await sim.clock.runFor(sim.random.below(retentionMs / 2))
    for (const told of history.all) {
      const tablet = history.tablet(told)
      const { logStart } = tablet
      const newest = told.acknowledged.filter(({ timestamp }) => sim.clock.nowMs() - timestamp <= retentionMs)
      await history.finish(tablet.applyRetention(Infinity))
      const tooMuch = told.cached && tablet.logStart > logStart && tablet.sizeBytes < retentionBytes
      must(!tooMuch, `retention leaves ${tablet.sizeBytes} bytes of ${told.name}`)
      for (const { baseOffset } of told.cached ? [] : newest)
        must(
          Math.max(logStart, baseOffset) >= tablet.logStart,
          `offset ${baseOffset} of ${told.name} went too early`,
        )
    }
  },

  async function deleteTopic(history) {
    const told = history.all.find(({ topic }) => topic === 'coming-and-going')
    if (told === undefined) return
    await history.finish(history.broker.router.deleteTopic(told.topic, told.topicId))
    const [, , description] = topics
    if (description === undefined) return
    const topic = await history.finish(makeTopic(history.broker, description.name, description.settings))
    history.all = history.all.filter(one => one !== told)
    history.all.push(new Told(topic.name, topic.id, 0))
  },
]

async function step(history: History): Promise<void> {
  const act = steps[history.sim.random.below(2 * steps.length + 4)]
  if (act !== undefined) return act(history)
  await history.send([history.any(), history.any(), history.any()])
}

/** Answers how many batches were acknowledged. */
async function live(seed: number): Promise<number> {
  const history = new History(seed)
  try {
    await history.start()
    for (let i = 0; i < 50; i++) await step(history)
    await history.checkAll(false)
    return history.all.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)
  } catch (error) {
    throw new Error(
      `repeat with: STELE_SEED=${seed} STELE_HISTORIES=1 npx vitest run --project unit test/sim/histories.test.ts`,
      { cause: error },
    )
  }
}

const histories = Number(process.env['STELE_HISTORIES'] ?? 50)
const firstSeed = Number(process.env['STELE_SEED'] ?? 1)

test(`${histories} histories lose nothing that was acknowledged`, { timeout: 3_600_000 }, async () => {
  let acknowledged = 0
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) acknowledged += await live(seed)
  expect(acknowledged).toBeGreaterThan(histories * 10)
})
