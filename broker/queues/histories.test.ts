/** Random histories of two brokers' queues in one group, with crashes of everything, on simulated time from a seed. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readReceipt } from './receipts.ts'
import { SimQueues, type Got } from './queues.fixture.ts'
import type { QueuedConsumer } from './queues.ts'

const partitions = 2

type HandedOut = { readonly by: QueuedConsumer; times: number; free: boolean; untilMs: number }

class History {
  readonly all: SimQueues
  readonly consumers: QueuedConsumer[] = []
  readonly held: { readonly by: QueuedConsumer; readonly got: Got }[] = []
  readonly written = new Set<string>()
  readonly acknowledged = new Set<string>()
  /** By window and offset: who had it last, and how often it was handed out. */
  readonly handedOut = new Map<string, HandedOut>()
  /** By window and offset, what was answered as acknowledged. */
  readonly done = new Set<string>()
  readonly seen = {
    handedOut: 0,
    again: 0,
    acknowledged: 0,
    refused: 0,
    restarts: 0,
    deletions: 0,
    fromOther: 0,
  }
  #value = 0

  constructor(all: SimQueues) {
    this.all = all
  }

  get random() {
    return this.all.sim.random
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) await this.#step()
  }

  async #step(): Promise<void> {
    const { all, random } = this
    if (all.isSpread && random.below(15) === 0) this.#trouble()
    const dice = random.below(100)
    if (dice < 20) await this.#write()
    else if (dice < 45) await this.#receive(random.below(5), random.below(2_000))
    else if (dice < 65) await this.#acknowledge(random.below(8) + 1)
    else if (dice < 72) this.#release()
    else if (dice < 76) this.#extend()
    else if (dice < 86) await all.sim.clock.runFor(random.below(6_000))
    else if (dice < 93) await this.#join()
    else if (dice < 96) this.#leave()
    else if (dice < 98) await this.#makeAnew(random.below(2) * random.below(1_500))
    else await this.#restart()
  }

  async #write(): Promise<void> {
    const values = Array.from({ length: this.random.below(6) + 1 }, () => `v${this.#value++}`)
    await this.all.write(this.random.below(partitions), values)
    for (const value of values) this.written.add(value)
  }

  async #join(): Promise<void> {
    const queues = this.random.below(2) === 0 ? this.all.queues : this.all.others
    const visibilityTimeoutMs = 1_000 + this.random.below(10_000)
    this.consumers.push(await this.all.consumer('g', { visibilityTimeoutMs, maxUnacknowledged: 10 }, queues))
  }

  /** Another broker leads a partition, or the two cannot reach each other for a while. */
  #trouble(): void {
    const { random } = this
    const { spread } = this.all
    const kind = random.below(4)
    if (kind === 0) spread.cut = !spread.cut
    else if (kind === 1) spread.lossPercent = random.below(2) * random.below(40)
    else {
      const partition = random.below(partitions)
      const heardMs = [random.below(2_000), random.below(2_000)] as const
      if (spread.leaderOf(partition) !== undefined)
        spread.move(partition, random.below(2) === 0 ? 0 : 1, random.below(3_000), heardMs)
    }
  }

  #leave(): void {
    const [one] = this.consumers.splice(this.random.below(this.consumers.length), 1)
    if (one === undefined) return
    this.#forget(one)
    one.queue.remove(one.consumer)
  }

  #forget(one: QueuedConsumer): void {
    for (const handed of this.handedOut.values()) if (handed.by === one) handed.free = true
  }

  async #restart(): Promise<void> {
    this.seen.restarts += 1
    await this.all.restart(this.random.pick(['kill', 'crash', 'stop'] as const))
    this.consumers.length = 0
  }

  /** The topic is deleted and made anew: whatever was written to it before is gone. */
  async #makeAnew(afterMs: number): Promise<void> {
    const { all } = this
    const asked = this.consumers.map(one =>
      all.receiving(one, 3, 3_000, undefined, got => this.#handed(one, got)),
    )
    const acknowledging = this.#acknowledge(8)
    const deleted = all.deleteTopic()
    this.written.clear()
    await Promise.all([deleted, acknowledging])
    this.acknowledged.clear()
    this.seen.deletions += 1
    await all.sim.clock.runFor(afterMs)
    await all.makeTopic('t', partitions)
    await this.#write()
    await all.done(Promise.allSettled(asked))
  }

  async #receive(recordsMax: number, waitMs: number): Promise<void> {
    const { consumers, random, all } = this
    const by = consumers[random.below(consumers.length)]
    if (by === undefined) return
    const others = consumers[random.below(consumers.length)] ?? by
    const receiving = [by, others].map(one =>
      all.receiving(one, recordsMax + 1, waitMs, undefined, got => this.#handed(one, got)),
    )
    await all.done(Promise.allSettled(receiving))
  }

  /** Every rule about what may be handed out, to whom, when. */
  #handed(by: QueuedConsumer, got: Got): void {
    const nowMs = this.all.sim.clock.monotonicMs()
    const place = placeOf(got)
    const before = this.handedOut.get(place)
    expect(got.offset).toBeGreaterThanOrEqual(this.all.committed()[got.partition] ?? Infinity)
    expect([place, this.done.has(place)]).toEqual([place, false])
    expect(got.deliveries).toBe((before?.times ?? 0) + 1)
    if (before !== undefined) expect(before.free || before.untilMs <= nowMs).toBe(true)
    const untilMs = nowMs + by.consumer.visibilityTimeoutMs
    this.handedOut.set(place, { by, times: got.deliveries, free: false, untilMs })
    this.held.push({ by, got })
    this.seen.handedOut += 1
    if (got.deliveries > 1) this.seen.again += 1
    if (readReceipt(got.receipt) !== undefined && by.queue === this.all.others.of('g'))
      this.seen.fromOther += 1
  }

  /** Some of what was ever handed out, whatever became of it. */
  #some(count: number) {
    const first = this.held[Math.max(0, this.held.length - 1 - this.random.below(30))]
    if (first === undefined) return undefined
    const got = this.held.filter(({ by }) => by === first.by).map(one => one.got)
    return { by: first.by, got: got.slice(-count) }
  }

  async #acknowledge(count: number): Promise<void> {
    const some = this.#some(count)
    if (some === undefined || !this.consumers.includes(some.by)) return
    const answers = await this.all.acknowledge(some.by, some.got)
    for (const [index, answer] of answers.entries()) {
      const got = some.got[index]
      if (got === undefined) continue
      if (answer !== '') this.seen.refused += 1
      else this.#wasAcknowledged(got)
    }
  }

  #wasAcknowledged(got: Got): void {
    this.done.add(placeOf(got))
    this.acknowledged.add(got.value)
    this.seen.acknowledged += 1
  }

  #release(): void {
    const some = this.#some(3)
    if (some === undefined || !this.consumers.includes(some.by)) return
    const answers = some.by.queue.release(some.by.consumer, receiptsOf(some.got))
    for (const [index, answer] of answers.entries()) {
      const handed = this.handedOut.get(placeOf(some.got[index]))
      if (answer === undefined && handed !== undefined) handed.free = true
    }
  }

  #extend(): void {
    const some = this.#some(3)
    if (some === undefined || !this.consumers.includes(some.by)) return
    const forMs = this.random.below(20_000)
    const answers = some.by.queue.extend(some.by.consumer, receiptsOf(some.got), forMs)
    for (const [index, answer] of answers.entries()) {
      const handed = this.handedOut.get(placeOf(some.got[index]))
      if (answer === undefined && handed !== undefined)
        handed.untilMs = this.all.sim.clock.monotonicMs() + forMs
    }
  }

  /** In the end everything that was written has been acknowledged by somebody, and the committed offsets stand at the ends. */
  async settle(): Promise<void> {
    const { all } = this
    all.spread.cut = false
    all.spread.lossPercent = 0
    for (const one of this.consumers.splice(0)) {
      this.#forget(one)
      one.queue.remove(one.consumer)
    }
    await this.#join()
    const [one] = this.consumers
    if (one === undefined) throw new Error('one is there')
    const leading = (partition: number) => all.broker.router.leading('t', partition)
    const isDone = () =>
      Array.from({ length: partitions }, (_, n) => all.committed()[n] === leading(n).logEnd).every(Boolean)
    for (let rounds = 0; !isDone(); rounds++) {
      expect(rounds).toBeLessThan(1_000)
      const got = await all.receive(one, 100, 60_000, undefined, each => this.#handed(one, each))
      const answers = await all.acknowledge(one, got)
      for (const [index, each] of got.entries()) if (answers[index] === '') this.#wasAcknowledged(each)
    }
    expect(this.acknowledged).toEqual(this.written)
    expect(await all.receive(one, 100, 60_000)).toEqual([])
  }
}

const placeOf = (got: Got | undefined): string => `${readReceipt(got?.receipt ?? '')?.window}.${got?.offset}`
const receiptsOf = (got: readonly Got[]): string[] => got.map(({ receipt }) => receipt)

test.each([
  { spread: false, numRuns: 60 },
  { spread: true, numRuns: 100 },
])(
  'whatever happens, every record is handed out until it is acknowledged, and none that is committed comes again; led by both: $spread',
  async ({ spread, numRuns }) => {
    const sum = {
      handedOut: 0,
      again: 0,
      acknowledged: 0,
      refused: 0,
      restarts: 0,
      deletions: 0,
      fromOther: 0,
    }
    const asked = { ends: 0, batches: 0, lost: 0, moves: 0 }
    await fc.assert(
      fc.asyncProperty(fc.nat(), async seed => {
        const history = new History(await SimQueues.start({ seed, partitions, spread }))
        await history.run(80)
        await history.settle()
        for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += history.seen[name]
        for (const name of Object.keys(asked) as (keyof typeof asked)[])
          asked[name] += history.all.spread.asked[name]
      }),
      { numRuns },
    )
    expect(sum.again).toBeGreaterThan(200)
    expect(sum.refused).toBeGreaterThan(50)
    expect(sum.restarts).toBeGreaterThan(50)
    expect(sum.deletions).toBeGreaterThan(50)
    expect(sum.fromOther).toBeGreaterThan(200)
    expect(sum.acknowledged).toBeGreaterThan(2_000)
    if (!spread) return expect(asked).toEqual({ ends: 0, batches: 0, lost: 0, moves: 0 })
    expect(asked.ends).toBeGreaterThan(1_000)
    expect(asked.batches).toBeGreaterThan(500)
    expect(asked.lost).toBeGreaterThan(100)
    expect(asked.moves).toBeGreaterThan(50)
  },
  120_000,
)
