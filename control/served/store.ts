/**
 * The control store as a broker sees it whose store is kept by another process of this machine. Reads are answered from a copy that follows every change;
 * what a promise has answered is in the copy. While the other process is silent everything stands as it was; when it has ended it never comes back.
 */
import type { BrokerId } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Clock, Timer } from '../../base/world.ts'
import { Draft, type State } from '../embedded/state.ts'
import type { Topic } from '../model.ts'
import type { ChangeAnswer, ControlEvent, ControlStore } from '../store.ts'
import {
  readError,
  showMs,
  type Asked,
  type Change,
  type Channel,
  type Question,
  type ToBroker,
  type ToStore,
  type WrittenError,
} from './messages.ts'

/** A broker that has not shown itself for so long is silent. */
const leaseMs = 3_000
/** What is said of silent brokers counts only as long as it is news. */
const newsMs = 3 * showMs
/** A change that is not answered by then may land or not. */
const changeMsMax = 1_000
const answerMs = 30_000

type Joined = { readonly clusterId: string; readonly store: ControlStore }

/** Resolves when the other process has told its state. */
export function joinStore(channel: Channel<ToStore, ToBroker>, clock: Clock): Promise<Joined> {
  return new Promise((resolve, reject) => {
    channel.ended = () => reject(new Refusal('REQUEST_TIMED_OUT', gone))
    channel.received = message => {
      if (message.kind !== 'begin') return
      const { topics } = message.state
      const topicsById = new Map([...topics.values()].map(topic => [topic.id, topic]))
      const store = new ServedStore(channel, clock, { ...message.state, topicsById })
      resolve({ clusterId: message.clusterId, store })
    }
  })
}

const gone = 'the process that keeps the control store has ended'

type Open = { readonly done: (answer: unknown) => void; readonly fail: (error: unknown) => void }

class ServedStore implements ControlStore {
  readonly #channel: Channel<ToStore, ToBroker>
  readonly #clock: Clock
  readonly #listeners = new Set<(event: ControlEvent) => void>()
  readonly #open = new Map<number, Open>()
  #asked = 0
  #state: State
  #ages: ReadonlyMap<BrokerId, number> = new Map()
  #toldMs = -Infinity
  #ended = false
  #closed: (() => void) | undefined
  #timer: Timer | undefined

  constructor(channel: Channel<ToStore, ToBroker>, clock: Clock, state: State) {
    this.#channel = channel
    this.#clock = clock
    this.#state = state
    channel.received = message => this.#received(message)
    channel.ended = () => this.#end()
    this.#show()
  }

  topics = () => this.#state.topics
  topicById = (id: string) => this.#state.topicsById.get(id)
  brokers = () => this.#state.brokers
  brokerSettings = () => this.#state.brokerSettings
  keepsRecords = () => false
  leaseAgeMs = () => undefined

  isSilent = (broker: BrokerId): boolean => {
    if (this.#clock.monotonicMs() - this.#toldMs > newsMs) return false
    if (!this.brokers().has(broker)) return true
    return (this.#ages.get(broker) ?? 0) > leaseMs
  }

  watch(listener: (event: ControlEvent) => void): () => void {
    const own = (event: ControlEvent) => listener(event)
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }

  createTopics: ControlStore['createTopics'] = async (...args) => {
    const answers = await this.#ask('createTopics', args, args[1]?.timeoutMs ?? answerMs)
    return (answers as (Topic | WrittenError)[]).map(answer =>
      'error' in answer ? (readError(answer) as Refusal) : answer,
    )
  }

  deleteTopic: ControlStore['deleteTopic'] = async (...args) =>
    void (await this.#ask('deleteTopic', args, answerMs))

  addTablets: ControlStore['addTablets'] = async (...args) =>
    (await this.#ask('addTablets', args, args[2]?.timeoutMs ?? answerMs)) as Topic

  alterTopicSettings: ControlStore['alterTopicSettings'] = async (...args) =>
    (await this.#ask('alterTopicSettings', args, answerMs)) as Topic

  alterBrokerSettings: ControlStore['alterBrokerSettings'] = async (...args) =>
    void (await this.#ask('alterBrokerSettings', args, answerMs))

  changeTablets: ControlStore['changeTablets'] = async (...args) => {
    try {
      return (await this.#ask('changeTablets', args, changeMsMax)) as ChangeAnswer
    } catch (error) {
      if (error instanceof Refusal && error.code === 'REQUEST_TIMED_OUT') return 'unknown'
      throw error
    }
  }

  registerBroker: ControlStore['registerBroker'] = async (...args) =>
    (await this.#ask('registerBroker', args)) as Awaited<ReturnType<ControlStore['registerBroker']>>

  announceAddresses: ControlStore['announceAddresses'] = async (...args) =>
    void (await this.#ask('announceAddresses', args))

  leaving: ControlStore['leaving'] = async (...args) => void (await this.#ask('leaving', args, answerMs))

  close(): Promise<void> {
    return new Promise(resolve => {
      this.#closed = resolve
      this.#endIfDone()
    })
  }

  /** Waits for ever when no time is given: until it is answered, or nobody is there any more. */
  #ask<M extends Asked>(method: M, args: Parameters<ControlStore[M]>, timeoutMs?: number): Promise<unknown> {
    const number = ++this.#asked
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    if (this.#ended) {
      reject(new Refusal('REQUEST_TIMED_OUT', gone))
      return promise
    }
    const timer =
      timeoutMs === undefined
        ? undefined
        : this.#clock.after(timeoutMs, () => {
            const message = `the control store has not answered ${method} in ${timeoutMs} ms`
            this.#settle(number)?.fail(new Refusal('REQUEST_TIMED_OUT', message))
          })
    const settled = (act: (value: unknown) => void) => (value: unknown) => {
      timer?.cancel()
      act(value)
    }
    this.#open.set(number, { done: settled(resolve), fail: settled(reject) })
    this.#channel.send({ kind: 'question', number, method, args } as unknown as Question)
    return promise
  }

  #received(message: ToBroker): void {
    switch (message.kind) {
      case 'changes':
        return this.#take(message.changes)
      case 'answer':
        return this.#settle(message.number)?.done(message.answer)
      case 'error':
        return this.#settle(message.number)?.fail(readError(message.error))
      case 'seen':
        this.#ages = new Map(message.ages)
        this.#toldMs = this.#clock.monotonicMs()
        return
      case 'begin':
    }
  }

  #take(changes: readonly Change[]): void {
    const draft = new Draft(this.#state)
    for (const change of changes) put(draft, change)
    this.#state = draft.state()
    for (const event of draft.events) for (const listener of this.#listeners) listener(event)
  }

  #settle(number: number): Open | undefined {
    const open = this.#open.get(number)
    this.#open.delete(number)
    this.#endIfDone()
    return open
  }

  #end(): void {
    this.#ended = true
    for (const number of this.#open.keys()) this.#settle(number)?.fail(new Refusal('REQUEST_TIMED_OUT', gone))
  }

  #endIfDone(): void {
    if (this.#closed === undefined || this.#open.size > 0) return
    this.#timer?.cancel()
    this.#closed()
  }

  #show(): void {
    if (!this.#ended) this.#channel.send({ kind: 'alive' })
    this.#timer = this.#clock.after(showMs, () => this.#show())
  }
}

function put(draft: Draft, change: Change): void {
  switch (change.kind) {
    case 'topic-created':
      return draft.putTopic(change.topic)
    case 'topic-deleted':
      return draft.removeTopic(change.topic)
    case 'broker-changed':
      return draft.putBroker(change.broker)
    case 'broker-settings-changed':
      return draft.putBrokerSettings(change.settings)
    case 'topic-changed': {
      const { id, settings } = change
      const before = draft.topicsById.get(id)
      if (before === undefined) return
      const tablets = [...before.tablets]
      for (const [n, tablet] of change.tablets) tablets[n] = tablet
      draft.putTopic({ ...before, settings, tablets })
    }
  }
}
