/** All that the embedded control store knows. Never changed: a `Draft` makes the next one. */
import type { BrokerId } from '../../base/quantities.ts'
import type { Broker, Topic } from '../model.ts'
import { countedName } from '../names.ts'
import { carryTopic, loadsOf } from '../placement.ts'
import type { Loads } from '../placement.ts'
import type { ControlEvent } from '../store.ts'

export type State = {
  readonly topics: ReadonlyMap<string, Topic>
  /** The same topics by id. */
  readonly topicsById: ReadonlyMap<string, Topic>
  readonly brokers: ReadonlyMap<BrokerId, Broker>
  readonly brokerSettings: Readonly<Record<string, string>>
  /** What stands in the file beside it, from a newer Stele. */
  readonly others?: Readonly<Record<string, unknown>> | undefined
}

export const emptyState: State = {
  topics: new Map(),
  topicsById: new Map(),
  brokers: new Map(),
  brokerSettings: {},
}

/** The next state while changes are being made to it, and the events that tell of them. */
export class Draft implements State {
  readonly topics: Map<string, Topic>
  readonly topicsById: Map<string, Topic>
  readonly brokers: Map<BrokerId, Broker>
  readonly others: State['others']
  readonly events: ControlEvent[] = []
  #brokerSettings: Readonly<Record<string, string>>
  /** Both made when first asked for, and kept up while topics are only added, so that a thousand new ones cost one look at all. */
  #loads: Loads | undefined
  #counted: Map<string, string> | undefined

  constructor(from: State) {
    this.topics = new Map(from.topics)
    this.topicsById = new Map(from.topicsById)
    this.brokers = new Map(from.brokers)
    this.#brokerSettings = from.brokerSettings
    this.others = from.others
  }

  get brokerSettings(): Readonly<Record<string, string>> {
    return this.#brokerSettings
  }

  /** What has become of it; the draft is not changed any more. */
  state(): State {
    const { topics, topicsById, brokers, brokerSettings, others } = this
    return { topics, topicsById, brokers, brokerSettings, ...(others && { others }) }
  }

  /** What the brokers carry now. */
  loads(): Loads {
    this.#loads ??= loadsOf(this.brokers.keys(), this.topics.values())
    return this.#loads
  }

  /** The topic that metrics could not tell from one called `name`. */
  topicCountedAs(name: string): string | undefined {
    this.#counted ??= new Map([...this.topics.keys()].map(other => [countedName(other), other]))
    return this.#counted.get(countedName(name))
  }

  putTopic(topic: Topic): void {
    const before = this.topicsById.get(topic.id)
    this.#counted?.set(countedName(topic.name), topic.name)
    if (before !== undefined) this.#loads = undefined
    else if (this.#loads !== undefined) carryTopic(this.#loads, topic)
    this.topics.set(topic.name, topic)
    this.topicsById.set(topic.id, topic)
    this.events.push(
      before === undefined ? { kind: 'topic-created', topic } : { kind: 'topic-changed', topic, before },
    )
  }

  removeTopic(topic: Topic): void {
    this.topics.delete(topic.name)
    this.topicsById.delete(topic.id)
    this.#counted?.delete(countedName(topic.name))
    this.#loads = undefined
    this.events.push({ kind: 'topic-deleted', topic })
  }

  putBroker(broker: Broker): void {
    this.brokers.set(broker.brokerId, broker)
    this.#loads = undefined
    this.events.push({ kind: 'broker-changed', broker })
  }

  putBrokerSettings(settings: Readonly<Record<string, string>>): void {
    this.#brokerSettings = settings
    this.events.push({ kind: 'broker-settings-changed', settings })
  }
}
