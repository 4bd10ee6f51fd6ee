/**
 * A control store for brokers in other processes of this machine. In come their questions, out go answers, and before each answer all changes that
 * it rests on. The store's process also says how long each broker has been silent; one that has ended is silent at once.
 */
import type { BrokerId } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Clock, Timer } from '../../base/world.ts'
import type { ControlEvent, ControlStore } from '../store.ts'
import {
  changeOf,
  questions,
  showMs,
  writeError,
  type Change,
  type Channel,
  type Question,
  type ToBroker,
  type ToStore,
} from './messages.ts'

type Served = {
  readonly clusterId: string
  readonly store: ControlStore
  readonly clock: Clock
  /** Registrations are answered after this: a topic that is made while brokers are missing has fewer replicas for ever. */
  readonly complete: Promise<void>
  /** So many writes may be on their way to a broker that does not read, because it is paused. */
  readonly unsentMax?: number
}

const enoughUnsent = 10_000

export class StoreServer {
  readonly #served: Served
  readonly #guests = new Map<BrokerId, Guest>()
  #timer: Timer | undefined
  #stopped = false
  #lookedMs: number
  /** Since when this process has been awake: what it could not hear before does not count. */
  #awakeMs: number

  constructor(served: Served) {
    this.#served = served
    this.#lookedMs = this.#awakeMs = served.clock.monotonicMs()
    this.#show()
  }

  /** Serves the process that is this broker until the channel ends. */
  serve(broker: BrokerId, channel: Channel<ToBroker, ToStore>): void {
    const guest = new Guest(this.#served, channel)
    this.#guests.set(broker, guest)
    channel.ended = () => {
      guest.end()
      if (this.#guests.get(broker) !== guest) return
      this.#guests.delete(broker)
      this.#show()
    }
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    for (const guest of this.#guests.values()) guest.end()
  }

  #show(): void {
    this.#timer?.cancel()
    const { clock, store } = this.#served
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#lookedMs > 2 * showMs) this.#awakeMs = nowMs
    this.#lookedMs = nowMs
    const ages = [...store.brokers().keys()].map(broker => {
      const guest = this.#guests.get(broker)
      return [broker, guest ? nowMs - Math.max(guest.heardMs, this.#awakeMs) : Infinity] as const
    })
    for (const guest of this.#guests.values()) guest.show(ages)
    if (!this.#stopped) this.#timer = clock.after(showMs, () => this.#show())
  }
}

/** One broker's process. */
class Guest {
  heardMs: number
  readonly #served: Served
  readonly #channel: Channel<ToBroker, ToStore>
  readonly #unwatch: () => void
  #changes: Change[] = []
  #showing = 0
  #unsent = 0

  constructor(served: Served, channel: Channel<ToBroker, ToStore>) {
    const { store, clock, clusterId } = served
    this.#served = served
    this.#channel = channel
    this.heardMs = clock.monotonicMs()
    this.#unwatch = store.watch(event => this.#changed(event))
    const state = {
      topics: store.topics(),
      brokers: store.brokers(),
      brokerSettings: store.brokerSettings(),
    }
    channel.send({ kind: 'begin', clusterId, state })
    channel.received = message => {
      this.heardMs = clock.monotonicMs()
      if (message.kind === 'question') void this.#answer(message)
    }
  }

  end(): void {
    this.#unwatch()
  }

  /** Who is paused and reads nothing is not sent more and more. */
  show(ages: readonly (readonly [BrokerId, number])[]): void {
    if (this.#showing >= 4) return
    this.#showing++
    this.#channel.send({ kind: 'seen', ages }, () => this.#showing--)
  }

  /** Those of one write go together. */
  #changed(event: ControlEvent): void {
    if (this.#changes.push(changeOf(event)) === 1) queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    const changes = this.#changes
    if (changes.length === 0) return
    this.#changes = []
    if (this.#unsent >= (this.#served.unsentMax ?? enoughUnsent)) {
      // It has to begin anew: what it knows is too old, and all that it has missed would fill the memory here.
      this.end()
      return this.#channel.abandon?.()
    }
    this.#unsent++
    this.#channel.send({ kind: 'changes', changes }, () => this.#unsent--)
  }

  async #answer(question: Question): Promise<void> {
    const { number } = question
    try {
      const answer = await ask(this.#served.store, question)
      if (question.method === 'registerBroker') await this.#served.complete
      this.#flush()
      this.#channel.send({ kind: 'answer', number, answer })
    } catch (error) {
      this.#flush()
      this.#channel.send({ kind: 'error', number, error: writeError(error) })
    }
  }
}

/** Only the answer to createTopics is a list, and may have refusals in it. */
async function ask(store: ControlStore, { method, args }: Question): Promise<unknown> {
  if (!questions.includes(method))
    throw new Refusal('UNSUPPORTED_VERSION', `the control store is of a version that knows no ${method}`)
  const asked = store[method] as (...args: unknown[]) => Promise<unknown>
  const answer = await asked.apply(store, [...args])
  if (!Array.isArray(answer)) return answer
  return answer.map((one: unknown) => (one instanceof Refusal ? writeError(one) : one))
}
