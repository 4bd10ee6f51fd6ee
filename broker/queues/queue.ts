/**
 * The queue of one group: its HTTP consumers compete for the records of the partitions that this broker's member of the group was given. In
 * come requests to receive, acknowledge, release and extend; out go records and commits. Always holds: a record goes to somebody
 * again until it is acknowledged, and what was answered as acknowledged and has no hole below it is committed.
 */
import type { Logger } from 'pino'
import { Refusal, type RefusalCode } from '../../base/refusals.ts'
import type { Timer, World } from '../../base/world.ts'
import type { AssignedTopic } from '../../protocol/kafka/consumer-protocol.ts'
import type { Router } from '../router/router.ts'
import { Commits } from './commits.ts'
import { silenceMsMax, type Consumer, type ConsumerWish } from './consumer.ts'
import { HandingOut, type Wish } from './handing-out.ts'
import { Membership } from './membership.ts'
import { Partitions } from './partitions.ts'
import { Waiting } from './waiting.ts'
import type { Room } from './room.ts'
import type { Elsewhere } from './source.ts'
import type { Window } from './window.ts'

export type QueueOptions = {
  readonly group: string
  readonly world: World
  readonly router: Router
  readonly elsewhere: Elsewhere
  readonly log: Logger
  readonly room: Room
  /** A consumer is gone. */
  readonly removed: (id: string) => void
  /** The last consumer is gone. */
  readonly emptied: () => void
}

export type ReceiveWish = Wish & {
  readonly waitMs: number
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

/** What a consumer holds. */
export type HeldRecord = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly deliveries: number
  readonly leftMs: number
}

const sweepMs = 1_000
/** So long a last commit is waited for. */
const endMsMax = 2_000
/** Before a short wait is answered with nothing, other brokers are asked, and waited for so long. */
const lookMsMax = 1_000

export class Queue {
  readonly group: string
  readonly #options: QueueOptions
  readonly #log: Logger
  readonly #waiting: Waiting
  readonly #membership: Membership
  readonly #partitions: Partitions
  readonly #commits: Commits
  readonly #handingOut: HandingOut
  readonly #consumers = new Map<string, Consumer>()
  readonly #unwatch: () => void
  /** A commit is under way that nobody waits for. */
  #committing = false
  /** Why the last one of those could not be. */
  #uncommitted: Refusal | undefined
  #ended = false
  #sweep: Timer | undefined

  constructor(options: QueueOptions) {
    const { group, world, router, elsewhere, room, log } = options
    const { clock } = world
    this.group = group
    this.#options = options
    this.#log = log.child({ group })
    this.#waiting = new Waiting(clock)
    this.#membership = new Membership({
      group,
      router,
      clock,
      log: this.#log,
      topics: () => this.#topics(),
      given: share => this.#given(share),
      lost: () => {
        this.#given([])
        // Each is told, and asks elsewhere.
        if (this.#membership.isElsewhere) this.#waiting.wakeAll()
      },
      beat: () => this.#beat(),
    })
    this.#partitions = new Partitions({
      group,
      world,
      router,
      elsewhere,
      room,
      log: this.#log,
      waiting: this.#waiting,
      consumers: () => this.consumers(),
    })
    this.#commits = new Commits({
      group,
      router,
      clock,
      moved: () => this.#partitions.moved(),
      speaker: () => this.#membership.speaker,
    })
    this.#handingOut = new HandingOut({
      clock,
      log: this.#log,
      waiting: this.#waiting,
      partitions: this.#partitions,
      isSettled: () => !this.#ended && this.#membership.speaker !== undefined,
    })
    this.#unwatch = router.watchTopics(topic => {
      this.#partitions.topicChanged(topic)
      this.#commits.again()
      this.#commitMoved()
    })
    this.#sweepLater()
  }

  get size(): number {
    return this.#consumers.size
  }

  /** Records that are with somebody. */
  get unacknowledged(): number {
    let sum = 0
    for (const { unacknowledged } of this.#consumers.values()) sum += unacknowledged
    return sum
  }

  /** How often a record was handed out that had been before. */
  get redeliveries(): number {
    return this.#handingOut.redeliveries
  }

  /** The partitions that this broker's member of the group was given. */
  get share(): readonly AssignedTopic[] {
    return this.#partitions.share
  }

  /** The oldest one first. */
  consumers(): Iterable<Consumer> {
    return this.#consumers.values()
  }

  find(id: string): Consumer | undefined {
    return this.#consumers.get(id)
  }

  add(id: string, wish: ConsumerWish): Consumer {
    const consumer: Consumer = { ...wish, id, unacknowledged: 0, untilMs: 0, gone: false }
    this.#consumers.set(id, consumer)
    this.#heard(consumer)
    this.#membership.lookAgain()
    return consumer
  }

  /** The group was coordinated elsewhere before: what the HTTP consumers there were given is these consumers' now. */
  takeOver(): void {
    this.#membership.takeOver()
  }

  /** What it held is visible again at once. */
  remove(consumer: Consumer): void {
    if (!this.#consumers.delete(consumer.id)) return
    consumer.gone = true
    this.#options.removed(consumer.id)
    if (consumer.unacknowledged > 0) {
      for (const window of this.#partitions.windows()) window.releaseAllOf(consumer)
      this.stir()
    }
    this.#waiting.wakeAllOf(consumer)
    if (this.#consumers.size === 0) this.#options.emptied()
    else this.#membership.lookAgain()
  }

  /** There may be something to hand out: room, say. */
  stir(): void {
    this.#partitions.stir()
  }

  /**
   * Hands out records: at once when there are any, otherwise as soon as there are, or none after `waitMs`. Answers how many.
   * Rejects with UNKNOWN_CONSUMER when the consumer is removed meanwhile, and with why nothing can be had when nothing can.
   */
  async receive(consumer: Consumer, wish: ReceiveWish): Promise<number> {
    const answered = this.#partitions.ask()
    try {
      return await this.#receive(consumer, wish)
    } finally {
      answered()
    }
  }

  async #receive(consumer: Consumer, wish: ReceiveWish): Promise<number> {
    const { clock } = this.#options.world
    const deadlineMs = clock.monotonicMs() + wish.waitMs
    // Who waits for long hears of it.
    let looks = wish.waitMs < lookMsMax
    for (;;) {
      this.#heard(consumer)
      const seen = this.#waiting.changes
      const handed = await this.#handingOut.handOut(consumer, wish)
      this.#commitMoved()
      if (consumer.gone) throw goneBy(consumer)
      const leftMs = deadlineMs - clock.monotonicMs()
      if (handed > 0 || this.#ended || wish.signal.aborted) return handed
      if (this.#membership.isElsewhere) return this.#nothingFor(consumer)
      if (leftMs > 0) await this.#waiting.change(consumer, seen, leftMs, wish.signal)
      else {
        const looking = looks ? this.#partitions.look(consumer.topics) : undefined
        if (looking === undefined) return this.#nothingFor(consumer)
        looks = false
        await this.#within(lookMsMax, looking)
      }
    }
  }

  /** Answers for each receipt why it could not be, or undefined. Rejects when the commit failed: then nothing is certain. */
  async acknowledge(consumer: Consumer, receipts: readonly string[]): Promise<(Refusal | undefined)[]> {
    this.#heard(consumer)
    const said = receipts.map(receipt => {
      const meant = this.#partitions.meant(receipt)
      return { meant, why: meant && this.#acknowledgeOne(meant.window, meant, consumer) }
    })
    this.#waiting.wakeAllOf(consumer)
    const some = said.some(({ meant, why }) => meant !== undefined && why === undefined)
    const refused = some ? await this.#commits.commit() : undefined
    if (refused !== undefined)
      throw new Refusal(refused, `The acknowledgements of group ${this.group} could not be committed`)
    // It went with what could not be committed before.
    if (some && this.#uncommitted !== undefined) this.#wasCommitted(undefined)
    return said.map(({ meant, why }) => {
      if (meant === undefined) return notOurs()
      // The partition went to somebody else, or the topic was deleted, before it was durable.
      const late = !this.#partitions.serves(meant.window) && meant.offset >= meant.window.durable
      return late ? notOurs() : refusalOf(why)
    })
  }

  /** They are visible again at once. */
  release(consumer: Consumer, receipts: readonly string[]): (Refusal | undefined)[] {
    this.#heard(consumer)
    const answers = this.#each(receipts, (window, offset, deliveries) => {
      const why = window.release(offset, deliveries, consumer)
      if (why === undefined) this.#partitions.mark(window)
      return why
    })
    this.#waiting.wake()
    return answers
  }

  /** They stay with the consumer for so long from now. */
  extend(consumer: Consumer, receipts: readonly string[], forMs: number): (Refusal | undefined)[] {
    this.#heard(consumer, forMs)
    const untilMs = this.#options.world.clock.monotonicMs() + forMs
    const answers = this.#each(receipts, (window, offset, deliveries) =>
      window.extend(offset, deliveries, consumer, untilMs),
    )
    this.#partitions.watchTimes()
    return answers
  }

  /** What the consumer holds, oldest first in each partition. */
  *heldBy(consumer: Consumer): Generator<HeldRecord, void> {
    const nowMs = this.#options.world.clock.monotonicMs()
    for (const window of this.#partitions.windows()) {
      const { topic, partition } = window
      for (const { offset, deliveries, untilMs } of window.heldBy(consumer))
        yield { topic, partition, offset, deliveries, leftMs: Math.max(0, Math.round(untilMs - nowMs)) }
    }
  }

  /** Everybody who waits is answered; what was acknowledged is committed, and the group left. */
  async end(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    this.#sweep?.cancel()
    this.#unwatch()
    this.#waiting.wakeAll()
    if (this.#membership.speaker !== undefined) {
      await this.#within(endMsMax, this.#commits.commit())
    }
    this.#membership.end()
    this.#given([])
  }

  async #within(ms: number, work: Promise<unknown>): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = this.#options.world.clock.after(ms, resolve)
    await Promise.race([late, work])
    timer.cancel()
  }

  #acknowledgeOne(
    window: Window,
    { offset, deliveries }: { readonly offset: number; readonly deliveries: number },
    consumer: Consumer,
  ): string | undefined {
    const wasFull = window.isFull
    const why = window.acknowledge(offset, deliveries, consumer)
    if (wasFull && !window.isFull) {
      this.#partitions.mark(window)
      this.#waiting.wake()
    }
    return why
  }

  #each(
    receipts: readonly string[],
    act: (window: Window, offset: number, deliveries: number) => string | undefined,
  ): (Refusal | undefined)[] {
    return receipts.map(receipt => {
      const meant = this.#partitions.meant(receipt)
      return meant === undefined ? notOurs() : refusalOf(act(meant.window, meant.offset, meant.deliveries))
    })
  }

  #topics(): string[] {
    const topics = new Set<string>()
    for (const consumer of this.#consumers.values()) for (const topic of consumer.topics) topics.add(topic)
    return [...topics]
  }

  /** It lives: so long it may be silent from now on. */
  #heard(consumer: Consumer, forMs = consumer.visibilityTimeoutMs): void {
    const untilMs = this.#options.world.clock.monotonicMs() + forMs + silenceMsMax
    consumer.untilMs = Math.max(consumer.untilMs, untilMs)
  }

  #given(share: readonly AssignedTopic[]): void {
    this.#partitions.given(share)
    this.#commits.again()
    this.#commitMoved()
    this.stir()
  }

  #beat(): void {
    this.#partitions.lookAgain()
    this.#commitMoved()
  }

  /** Windows move without an acknowledgement too: when they are opened, and over offsets without records. Nobody waits for that. */
  #commitMoved(): void {
    if (this.#committing || this.#partitions.moved().next().done === true) return
    this.#committing = true
    void this.#commits.commit().then(refused => {
      this.#committing = false
      this.#wasCommitted(refused)
    })
  }

  #wasCommitted(refused: RefusalCode | undefined): void {
    if (refused === undefined) {
      this.#uncommitted = undefined
      this.stir()
      return this.#commitMoved()
    }
    // It is tried again with the next heartbeat.
    if (!this.#ended && refused !== this.#uncommitted?.code)
      this.#log.warn({ code: refused }, 'offsets of a queue cannot be committed')
    this.#uncommitted = new Refusal(refused, `Offsets of group ${this.group} could not be committed`)
  }

  /** @throws Refusal that says why there was nothing, when there could not be anything */
  #nothingFor(consumer: Consumer): number {
    const { router } = this.#options
    if (this.#membership.wasElsewhere)
      throw new Refusal(
        'COORDINATOR_NOT_AVAILABLE',
        `Group ${this.group} has, or had until now, another coordinator`,
      )
    if (this.#membership.trouble !== undefined) throw this.#membership.trouble
    for (const { window, trouble } of this.#partitions.all()) {
      if (!consumer.topics.includes(window.topic)) continue
      if (trouble !== undefined) throw trouble.why
      // Nothing of it is handed out before the group has a place to begin at.
      if (window.durable < 0 && this.#uncommitted !== undefined) throw this.#uncommitted
    }
    if (!consumer.topics.some(topic => router.topics().has(topic)))
      throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `${consumer.topics.join(', ')} are gone`)
    const unserved = this.#partitions.unserved(consumer.topics.filter(topic => router.topics().has(topic)))
    if (unserved !== undefined)
      throw new Refusal(
        'LEADER_NOT_AVAILABLE',
        `Nobody is known to lead ${unserved}, or who does does not answer`,
      )
    return 0
  }

  #sweepLater(): void {
    const { clock } = this.#options.world
    this.#sweep = clock.after(sweepMs, () => {
      const nowMs = clock.monotonicMs()
      for (const consumer of this.#consumers.values()) {
        if (consumer.untilMs > nowMs) continue
        const facts = { consumer: consumer.id, held: consumer.unacknowledged }
        this.#log.info(facts, 'a consumer that was silent for too long is gone')
        this.remove(consumer)
      }
      if (!this.#ended) this.#sweepLater()
    })
  }
}

const notOurs = (): Refusal =>
  new Refusal('INVALID_RECORD_STATE', 'this broker no longer hands out what the receipt is for')

const refusalOf = (why: string | undefined): Refusal | undefined =>
  why === undefined ? undefined : new Refusal('INVALID_RECORD_STATE', why)

export const goneBy = ({ id }: { readonly id: string }): Refusal =>
  new Refusal('UNKNOWN_CONSUMER', `There is no consumer ${id.slice(0, 40)}`)
