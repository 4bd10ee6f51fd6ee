/**
 * A control store to be tested, and what tests put into it and compare.
 */
import { brokerId } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { BrokerStart, Topic } from '../../control/model.ts'
import type { ControlStore, NewTopic } from '../../control/store.ts'

export type Opened = {
  readonly store: ControlStore
  /** Closes the store and opens what it has kept. */
  readonly reopen: () => Promise<Opened>
}

/** `open` answers a new, empty store, and cleans up after the test by itself. */
export type Open = () => Promise<Opened>

export const startOf = (id: number): BrokerStart => ({
  brokerId: brokerId(id),
  diskId: `disk-${id}`,
  cleanStop: true,
  bootId: 'boot',
  rack: undefined,
  addresses: { kafka: { host: 'localhost', port: 9092 + id } },
})

/** A store with brokers 1 to `count`. */
export async function withBrokers(open: Open, count: number): Promise<Opened> {
  const opened = await open()
  for (let id = 1; id <= count; id++) await opened.store.registerBroker(startOf(id))
  return opened
}

export const wanted = (name: string, tablets = 1, replication = 1): NewTopic => ({
  name,
  settings: {},
  tablets,
  replication,
})

export async function created(store: ControlStore, topic: NewTopic): Promise<Topic> {
  const [answer] = await store.createTopics([topic])
  if (answer === undefined || answer instanceof Refusal) throw answer ?? new Error('no answer')
  return answer
}

/** The whole state, comparable. */
export const stateOf = (store: ControlStore) => ({
  topics: [...store.topics().values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
  brokers: [...store.brokers().values()].sort((a, b) => a.brokerId - b.brokerId),
  settings: store.brokerSettings(),
})
