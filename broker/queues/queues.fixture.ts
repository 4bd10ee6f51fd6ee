import { pino } from 'pino'
import { offset } from '../../base/quantities.ts'
import { Refusal, type RefusalCode } from '../../base/refusals.ts'
import { batchBytesOf } from '../../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords, type StoredRecord } from '../../protocol/kafka/records.ts'
import {
  append,
  makeTopic,
  groupsLoaded,
  startSimBroker,
  tabletOf,
  type SimBroker,
} from '../../test/sim/broker.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import type { JoinRequest } from '../groups/group-messages.ts'
import type { ConsumerWish } from './consumer.ts'
import type { Delivery, ReadRecords } from './handing-out.ts'
import { Queues, type QueuedConsumer } from './queues.ts'
import { RemoteTablets } from './remote-tablets.ts'
import { Spread } from './spread.fixture.ts'

export type Got = Delivery & { readonly offset: number; readonly value: string }

/** Reads as the HTTP door does: one stretch of the log. What lies at `brokenAt` or behind cannot be read. */
const reader =
  (brokenAt: number): ReadRecords =>
  async (tablet, { from, take }) => {
    const batches = await tablet.read(offset(from), 1024, true)
    const bytes = Buffer.concat(batches.pieces)
    batches.release()
    let next = from
    for (let at = 0; at < bytes.length; at += batchBytesOf(bytes, at)) {
      for (const record of readRecords(bytes, at, 1024 * 1024)) {
        if (record.offset < from) continue
        if (record.offset >= brokenAt) {
          if (next > from) return next
          throw new Refusal('CORRUPT_MESSAGE', `nobody can read offset ${record.offset}`)
        }
        if (!take(record)) return next
        next = record.offset + 1
      }
    }
    return next
  }

type Options = { spread?: boolean; seed?: number; recordsMax?: number; settings?: Record<string, string> }
type Start = Options & { partitions?: number; fresh?: boolean }

/**
 * The queues of two brokers on the simulated world, with a topic `t`: its partitions are led by the one that is asked, or each by one of
 * them with `spread`. Both find the groups.
 */
export class SimQueues {
  readonly sim: SimWorld
  readonly lines: { readonly level: number; readonly msg: string }[] = []
  /** Records from this offset on cannot be read. */
  brokenAt = Infinity
  readonly #options: Options
  broker!: SimBroker
  /** Who leads what. */
  spread!: Spread
  queues!: Queues
  /** Those of the other broker. */
  others!: Queues

  private constructor(options: Options) {
    this.#options = options
    this.sim = simWorld({ seed: options.seed ?? 1 })
  }

  /** `fresh`: no group was ever asked for. */
  static async start({ partitions = 2, fresh = false, ...options }: Start = {}) {
    const all = new SimQueues(options)
    await all.boot()
    await all.done(makeTopic(all.broker, 't', {}, partitions))
    if (!fresh) {
      await all.done(all.broker.router.groups.ensureTopic())
      await all.loaded()
    }
    return all
  }

  /** Whether the two lead different partitions. */
  get isSpread(): boolean {
    return this.#options.spread === true
  }

  done<T>(promise: Promise<T>): Promise<T> {
    return this.sim.clock.finish(promise)
  }

  /** The code that it is refused with. */
  async refused(promise: Promise<unknown>): Promise<RefusalCode | undefined> {
    try {
      await this.done(promise)
      return undefined
    } catch (error) {
      if (error instanceof Refusal) return error.code
      throw error
    }
  }

  async boot(): Promise<void> {
    const { recordsMax, settings: more } = this.#options
    const settings = {
      'offsets.topic.num.partitions': '2',
      'group.initial.rebalance.delay.ms': '0',
      ...more,
    }
    this.broker = await this.done(startSimBroker(this.sim, settings))
    const log = pino({ level: 'info' }, { write: (line: string) => void this.lines.push(JSON.parse(line)) })
    const { world } = this.sim
    this.spread = new Spread(this.sim, this.broker.router, this.isSpread, this.spread)
    const queuesOf = (self: 0 | 1): Queues => {
      const router = this.spread.routerOf(self)
      const leaders = this.spread.leadersFor(self)
      const elsewhere = new RemoteTablets({ router, clock: world.clock, log, leaders })
      return new Queues({
        world,
        router,
        elsewhere,
        log,
        ...(recordsMax === undefined ? {} : { recordsMax }),
      })
    }
    this.queues = queuesOf(0)
    this.others = queuesOf(1)
  }

  async restart(how: 'kill' | 'crash' | 'stop'): Promise<void> {
    if (how === 'stop') {
      await this.done(Promise.all([this.queues.end(), this.others.end()]))
      await this.done(this.broker.stop())
    } else this.sim[how]()
    await this.boot()
    await this.loaded()
  }

  loaded(): Promise<void> {
    return groupsLoaded(this.sim, this.broker)
  }

  /** Writes values into one partition, in one batch. */
  async write(partition: number, values: readonly string[], topic = 't'): Promise<void> {
    const records = values.map(value => ({ key: null, value: Buffer.from(value), headers: [], timestamp: 1 }))
    const appended = await this.done(append(tabletOf(this.broker, topic, partition), buildBatch(records), -1))
    if ('refusal' in appended) throw appended.refusal
  }

  async deleteTopic(name = 't'): Promise<void> {
    const { id = '' } = this.broker.router.topics().get(name) ?? {}
    await this.done(this.broker.router.deleteTopic(name, id))
  }

  async makeTopic(name = 't', partitions = 1): Promise<void> {
    await this.done(makeTopic(this.broker, name, {}, partitions))
  }

  consumer(
    group = 'g',
    wish: Partial<ConsumerWish> = {},
    queues: Queues = this.queues,
  ): Promise<QueuedConsumer> {
    return this.done(
      queues.add(group, {
        topics: ['t'],
        visibilityTimeoutMs: 30_000,
        maxUnacknowledged: 1_000,
        offsetReset: 'earliest',
        ...wish,
      }),
    )
  }

  receiving(
    { queue, consumer }: QueuedConsumer,
    recordsMax = 100,
    waitMs = 10_000,
    signal: AbortSignal = new AbortController().signal,
    seen: (got: Got) => void = () => undefined,
  ): Promise<Got[]> {
    const got: Got[] = []
    const take = (record: StoredRecord, delivery: Delivery): boolean => {
      const one = { ...delivery, offset: record.offset, value: String(record.value) }
      seen(one)
      got.push(one)
      return true
    }
    const read: ReadRecords = (...asked) => reader(this.brokenAt)(...asked)
    return queue.receive(consumer, { recordsMax, waitMs, read, signal, take }).then(() => got)
  }

  receive(...asked: Parameters<SimQueues['receiving']>): Promise<Got[]> {
    return this.done(this.receiving(...asked))
  }

  /** Answers the codes of those that were refused, in order; '' for the others. */
  async acknowledge({ queue, consumer }: QueuedConsumer, got: readonly Got[]): Promise<string[]> {
    const answers = await this.done(
      queue.acknowledge(
        consumer,
        got.map(({ receipt }) => receipt),
      ),
    )
    return answers.map(answer => answer?.code ?? '')
  }

  /** What the group has committed, by partition of `t`. */
  committed(group = 'g'): Record<number, number> {
    const offsets = this.broker.router.groups.of(group).find(group)?.offsets ?? []
    return Object.fromEntries([...offsets].map(({ partition, value }) => [partition, value.offset]))
  }

  join(group: string, asked: Partial<JoinRequest>) {
    return this.broker.router.groups.of(group).join(group, {
      memberId: '',
      instanceId: null,
      clientId: 'kafka',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 60_000,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('00000000000100017400000000', 'hex') }],
      idFirst: false,
      maySkipAssignment: false,
      ...asked,
    })
  }
}

export const values = (got: readonly Got[]): string[] => got.map(({ value }) => value)
