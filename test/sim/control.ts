/**
 * One control store for a simulated cluster, as each broker sees it: late, now and then not at all, and with answers that get lost. The state itself is always whole.
 */
import type { BrokerId } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { World } from '../../base/world.ts'
import * as changes from '../../control/embedded/changes.ts'
import { Draft, emptyState, type State } from '../../control/embedded/state.ts'
import type { movedTo } from '../../control/moves.ts'
import type { ChangeAnswer, ControlEvent, ControlStore } from '../../control/store.ts'
import type { SimClock } from './clock.ts'
import type { Seeded } from './seeded.ts'

const renewMs = 250
const answerMsMax = 400

type Delivery = {
  readonly state: State
  readonly events: readonly ControlEvent[]
  readonly renewed?: BrokerId
}

export class SimControl {
  readonly #clock: SimClock
  readonly #random: Seeded
  readonly #views = new Set<View>()
  readonly #away = new Set<BrokerId>()
  /** How long a lease counts. */
  leaseMs = 900
  /** This share of changes is not answered, landed or not. */
  lostAnswers = 0
  /** No broker hears that another one is about to stop. */
  forgetsLeaving = false
  delayMs = { min: 0.2, max: 3 }
  /** Who sees changes so much later than others. */
  readonly lateMs = new Map<BrokerId, number>()
  state: State = emptyState
  /** Sees every change in the moment in which it is made. */
  onChange: ((event: ControlEvent) => void) | undefined

  constructor(clock: SimClock, random: Seeded) {
    this.#clock = clock
    this.#random = random
  }

  /** The store as the process with this world sees it from now on. */
  storeOf(world: World, self: BrokerId): ControlStore {
    for (const view of this.#views) if (view.self === self) this.#views.delete(view)
    const view = new View(this, world, self)
    this.#views.add(view)
    return view
  }

  /** The broker cannot reach it any more, and sees nothing. */
  cutOff(broker: BrokerId): void {
    this.#away.add(broker)
  }

  heal(): void {
    this.#away.clear()
    for (const view of this.#views) view.healed()
  }

  isAway(broker: BrokerId): boolean {
    return this.#away.has(broker)
  }

  get nowMs(): number {
    return this.#clock.monotonicMs()
  }

  delay(): number {
    return this.#random.between(this.delayMs.min, this.delayMs.max)
  }

  chance(share: number): boolean {
    return this.#random.chance(share)
  }

  random = { bytes: (count: number): Buffer => this.#random.bytes(count) }

  /** Does `act` here, whether who asked still lives or not. */
  later(delayMs: number, act: () => void): void {
    this.#clock.after({ alive: true }, delayMs, act)
  }

  apply<T>(step: (draft: Draft) => T): T {
    const draft = new Draft(this.state)
    const answer = step(draft)
    if (draft.events.length > 0) {
      this.state = draft.state()
      for (const event of draft.events) this.onChange?.(event)
      for (const view of this.#views) view.deliver({ state: this.state, events: draft.events })
    }
    return answer
  }

  /** As who decides moves writes them; nothing when there is nothing to write. */
  move(topicId: string, tablet: number, places: ReturnType<typeof movedTo<BrokerId>>): void {
    const now = this.state.topicsById.get(topicId)?.tablets[tablet]
    if (now === undefined || places === undefined) return
    const to = { ...now, ...places, version: now.version + 1 }
    this.apply(draft => changes.changeTablets(draft, topicId, [{ tablet, test: now, to }]))
  }

  renew(broker: BrokerId): void {
    for (const view of this.#views) view.deliver({ state: this.state, events: [], renewed: broker })
  }
}

class View implements ControlStore {
  readonly self: BrokerId
  readonly #control: SimControl
  readonly #world: World
  #state: State
  #pending: Delivery[] = []
  readonly #listeners = new Set<(event: ControlEvent) => void>()
  readonly #renewedMs = new Map<BrokerId, number>()
  #healthyMs: number

  constructor(control: SimControl, world: World, self: BrokerId) {
    this.#control = control
    this.#world = world
    this.self = self
    this.#state = control.state
    this.#healthyMs = control.nowMs
    this.#renew()
  }

  topics = () => this.#state.topics
  topicById = (id: string) => this.#state.topicsById.get(id)
  brokers = () => this.#state.brokers
  brokerSettings = () => this.#state.brokerSettings
  keepsRecords = () => false
  leaseAgeMs = () => this.#world.clock.monotonicMs() - (this.#renewedMs.get(this.self) ?? this.#healthyMs)

  isSilent = (broker: BrokerId): boolean => {
    if (this.#control.isAway(this.self)) return false
    const sinceMs = Math.max(this.#renewedMs.get(broker) ?? -Infinity, this.#healthyMs)
    return this.#world.clock.monotonicMs() - sinceMs > this.#control.leaseMs
  }

  watch(listener: (event: ControlEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  createTopics: ControlStore['createTopics'] = wanted =>
    this.#ask(draft => changes.createTopics(draft, wanted, this.#control.random))
  deleteTopic: ControlStore['deleteTopic'] = (name, id) =>
    this.#ask(draft => changes.deleteTopic(draft, name, id))
  addTablets: ControlStore['addTablets'] = (id, total, options = {}) =>
    this.#ask(draft => changes.addTablets(draft, id, total, options))
  alterTopicSettings: ControlStore['alterTopicSettings'] = (id, change) =>
    this.#ask(draft => changes.alterTopicSettings(draft, id, change))
  alterBrokerSettings: ControlStore['alterBrokerSettings'] = change =>
    this.#ask(draft => changes.alterBrokerSettings(draft, change))
  registerBroker: ControlStore['registerBroker'] = start =>
    this.#ask(draft => changes.registerBroker(draft, start), true)
  announceAddresses: ControlStore['announceAddresses'] = (broker, run, addresses) =>
    this.#ask(draft => changes.announceAddresses(draft, broker, run, addresses), true)
  leaving: ControlStore['leaving'] = async (broker, run) => {
    if (!this.#control.forgetsLeaving) await this.#ask(draft => changes.leaving(draft, broker, run), true)
  }
  close = () => Promise.resolve()

  /** Asked once: the change may land now, later or never, and the answer may get lost. */
  changeTablets: ControlStore['changeTablets'] = (id, wanted) => {
    const control = this.#control
    return new Promise<ChangeAnswer>((resolve, reject) => {
      let answered = false
      const answer = (act: () => void): void => {
        if (answered) return
        answered = true
        act()
      }
      this.#world.clock.after(answerMsMax, () => answer(() => resolve('unknown')))
      if (control.isAway(this.self) && control.chance(0.7)) return
      const late = control.chance(control.lostAnswers) ? control.delay() * 100 : 0
      control.later(control.delay() + late, () => {
        try {
          const changed = control.apply(draft => changes.changeTablets(draft, id, wanted))
          if (control.chance(control.lostAnswers) || control.isAway(this.self)) return
          this.#answer(() => answer(() => resolve(changed)))
        } catch (error) {
          this.#answer(() => answer(() => reject(error)))
        }
      })
    })
  }

  deliver(delivery: Delivery): void {
    this.#pending.push(delivery)
    const lateMs = this.#control.lateMs.get(this.self) ?? 0
    this.#world.clock.after(this.#control.delay() + lateMs, () => this.#takeUpTo(delivery))
  }

  healed(): void {
    this.#healthyMs = this.#control.nowMs
    const last = this.#pending.at(-1)
    if (last !== undefined) this.#world.clock.after(this.#control.delay(), () => this.#takeUpTo(last))
  }

  /** Waits while it cannot be reached. */
  #ask<T>(step: (draft: Draft) => T, patiently = false): Promise<T> {
    return new Promise((resolve, reject) => {
      const control = this.#control
      const attempt = (): void => {
        if (control.isAway(this.self)) {
          if (patiently) this.#world.clock.after(100, attempt)
          else reject(new Refusal('REQUEST_TIMED_OUT', 'the control store does not answer'))
          return
        }
        this.#world.clock.after(control.delay(), () => {
          try {
            const answer = control.apply(step)
            this.#answer(() => resolve(answer))
          } catch (error) {
            this.#answer(() => reject(error))
          }
        })
      }
      attempt()
    })
  }

  /** What was answered can be read at once. */
  #answer(act: () => void): void {
    const last = this.#pending.at(-1)
    this.#world.clock.after(this.#control.delay(), () => {
      if (last !== undefined) this.#take(last)
      act()
    })
  }

  #takeUpTo(delivery: Delivery): void {
    if (!this.#control.isAway(this.self)) this.#take(delivery)
  }

  #take(delivery: Delivery): void {
    const count = this.#pending.indexOf(delivery) + 1
    for (const { state, events, renewed } of this.#pending.splice(0, count)) {
      this.#state = state
      if (renewed !== undefined) this.#renewedMs.set(renewed, this.#world.clock.monotonicMs())
      for (const event of events) for (const listener of this.#listeners) listener(event)
    }
  }

  #renew(): void {
    if (!this.#control.isAway(this.self)) this.#control.renew(this.self)
    this.#world.clock.after(renewMs, () => this.#renew())
  }
}
