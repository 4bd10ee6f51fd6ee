/**
 * The queues of a broker: consumer groups whose consumers come over HTTP. In come wishes for consumers; out go consumers with their queue. Always
 * holds: a group has one queue here, one member of the group stands behind it, and a queue without consumers is gone.
 */
import type { Logger } from 'pino'
import { LimitedLog } from '../../base/limited-log.ts'
import { Refusal } from '../../base/refusals.ts'
import type { World } from '../../base/world.ts'
import { isInternal } from '../../control/model.ts'
import { consumerProtocolType } from '../../protocol/kafka/consumer-protocol.ts'
import type { Coordinator } from '../groups/coordinator.ts'
import type { Router } from '../router/router.ts'
import { bounds, type Consumer, type ConsumerWish } from './consumer.ts'
import { consumerId, readConsumerId } from './consumer-id.ts'
import { goneBy, Queue } from './queue.ts'
import { Room } from './room.ts'
import type { Elsewhere } from './source.ts'

const loadingMsMax = 10_000
const loadingLookMs = 20
/** So many consumers that are gone are remembered. */
const goneMax = 10_000

export type QueuesOptions = {
  readonly world: World
  readonly router: Router
  /** What other brokers lead. */
  readonly elsewhere: Elsewhere
  readonly log: Logger
  /** So many records are remembered, beside those that every window may have. */
  readonly recordsMax?: number
}

export type QueuedConsumer = { readonly queue: Queue; readonly consumer: Consumer }

export class Queues {
  readonly #options: QueuesOptions
  readonly #queues = new Map<string, Queue>()
  readonly #ending = new Map<string, Promise<void>>()
  readonly #room: Room
  /** Consumers that were here and are gone: they are not made again. */
  readonly #gone = new Set<string>()
  #ended = false

  constructor(options: QueuesOptions) {
    this.#options = options
    const { log, world, recordsMax = bounds.records } = options
    const lines = new LimitedLog(log, world.clock, 1)
    this.#room = new Room(recordsMax, {
      full: () =>
        lines.warn(
          { recordsMax },
          'queues remember as many records as they may: little is handed out until consumers acknowledge',
        ),
      freed: () => {
        for (const queue of this.#queues.values()) queue.stir()
      },
    })
  }

  all(): Iterable<Queue> {
    return this.#queues.values()
  }

  /** The queue of a group that has HTTP consumers here. */
  of(group: string): Queue | undefined {
    return this.#queues.get(group)
  }

  /**
   * Makes a consumer. Rejects with a Refusal: INVALID_GROUP_ID, UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION, GROUP_MAX_SIZE_REACHED, INCONSISTENT_GROUP_PROTOCOL, or why
   * the group cannot be reached here.
   */
  async add(group: string, wish: ConsumerWish): Promise<QueuedConsumer> {
    const { router, world } = this.#options
    if (group === '') throw new Refusal('INVALID_GROUP_ID', 'The group has no name')
    this.#check(wish)
    await router.groups.ensureTopic()
    const coordinator = await this.#coordinatorOf(group)
    const found = coordinator.find(group)?.group
    if (found !== undefined && found.state !== 'Empty' && found.protocolType !== consumerProtocolType)
      throw new Refusal('INCONSISTENT_GROUP_PROTOCOL', `The members of group ${group} are no consumers`)
    const unique = world.random.bytes(12).toString('base64url')
    return this.#make(group, consumerId(unique, coordinator.epoch, wish), wish)
  }

  /**
   * The consumer. One that an earlier coordinator of the group has made, or an earlier run of this broker, goes on here under its name, with nothing of what
   * it held. Rejects with a Refusal: UNKNOWN_CONSUMER; for such a one as `add` too.
   */
  async resume(group: string, id: string): Promise<QueuedConsumer> {
    const made = this.#queues.get(group)?.find(id) === undefined ? readConsumerId(id) : undefined
    if (made === undefined || this.#gone.has(id)) return this.find(group, id)
    const coordinator = await this.#coordinatorOf(group)
    if (made.epoch >= coordinator.epoch || this.#gone.has(id)) return this.find(group, id)
    this.#check(made.wish)
    const resumed = await this.#make(group, id, made.wish)
    resumed.queue.takeOver()
    return resumed
  }

  async #make(group: string, id: string, wish: ConsumerWish): Promise<QueuedConsumer> {
    await this.#ending.get(group)
    if (this.#ended) throw new Refusal('BROKER_STOPPING', 'The broker is stopping')
    const known = this.#queues.get(group)?.find(id)
    if (known === undefined) this.#checkRoom(group)
    const queue = this.#queues.get(group) ?? this.#open(group)
    return { queue, consumer: known ?? queue.add(id, wish) }
  }

  /** @throws Refusal UNKNOWN_CONSUMER */
  find(group: string, id: string): QueuedConsumer {
    const queue = this.#queues.get(group)
    const consumer = queue?.find(id)
    if (queue === undefined || consumer === undefined) throw goneBy({ id })
    return { queue, consumer }
  }

  /** Everybody who waits is answered, and the groups are left so that others take over. */
  async end(): Promise<void> {
    this.#ended = true
    const queues = [...this.#queues.values()]
    this.#queues.clear()
    await Promise.all([...queues.map(queue => queue.end()), ...this.#ending.values()])
  }

  /** The coordinator of a group that was made just now, or whose broker has just started, is waited for: people with curl do not try again. */
  async #coordinatorOf(group: string): Promise<Coordinator> {
    const { router, world } = this.#options
    const deadlineMs = world.clock.monotonicMs() + loadingMsMax
    for (;;) {
      try {
        return router.groups.of(group)
      } catch (error) {
        const loads = error instanceof Refusal && error.code === 'COORDINATOR_LOAD_IN_PROGRESS'
        if (!loads || this.#ended || world.clock.monotonicMs() > deadlineMs) throw error
      }
      await new Promise<void>(resolve => world.clock.after(loadingLookMs, resolve))
    }
  }

  #open(group: string): Queue {
    const queue: Queue = new Queue({
      ...this.#options,
      group,
      room: this.#room,
      removed: id => {
        this.#gone.add(id)
        for (const oldest of this.#gone) if (this.#gone.size > goneMax) this.#gone.delete(oldest)
      },
      emptied: () => {
        this.#queues.delete(group)
        // The next queue of the group would find the member of this one otherwise.
        this.#ending.set(
          group,
          queue.end().finally(() => this.#ending.delete(group)),
        )
      },
    })
    this.#queues.set(group, queue)
    return queue
  }

  #check({ topics }: ConsumerWish): void {
    const { router } = this.#options
    for (const topic of topics) {
      if (!router.topics().has(topic))
        throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `There is no topic ${topic.slice(0, 249)}`)
      if (isInternal(topic))
        throw new Refusal(
          'INVALID_TOPIC_EXCEPTION',
          `${topic} is no queue: what is acknowledged is written to it`,
        )
    }
  }

  #checkRoom(group: string): void {
    let all = 0
    for (const queue of this.#queues.values()) all += queue.size
    const here = this.#queues.get(group)?.size ?? 0
    if (here < bounds.consumersOfGroup && all < bounds.consumers) return
    throw new Refusal(
      'GROUP_MAX_SIZE_REACHED',
      `Group ${group} has ${here} HTTP consumers, and this broker ${all}`,
    )
  }
}
