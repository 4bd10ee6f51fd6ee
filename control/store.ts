/**
 * The control store: where topics, assignments, brokers and cluster-wide settings are kept. In come wishes, out come the
 * state and every change to it, in order. What a promise has answered is durable, and readable at once.
 */
import type { Refusal } from '../base/refusals.ts'
import type { BrokerId, Incarnation } from '../base/quantities.ts'
import type { Addresses, Broker, BrokerReport, BrokerStart, TabletChange, Topic } from './model.ts'

/**
 * Reads are plain calls on the state as known here; they cost nothing and never wait. Writes throw a `Refusal` that a user
 * can be told; KAFKA_STORAGE_ERROR means that nothing was changed because it could not be kept. Settings are taken as they
 * are: who asks has checked their names and values.
 */
export type ControlStore = {
  /** All topics by name: a snapshot that does not change under the reader. */
  topics(): ReadonlyMap<string, Topic>
  topicById(id: string): Topic | undefined
  /** Registered brokers by id. */
  brokers(): ReadonlyMap<BrokerId, Broker>
  /** Settings of every broker, changed while running; under the brokers' names. */
  brokerSettings(): Readonly<Record<string, string>>
  /** Whether records of this topic, which is not among `topics()`, are to stay on the brokers' disks. */
  keepsRecords(id: string): boolean
  /**
   * Milliseconds since it was last seen to hold that this process is the broker it registered; Infinity when it is not, or not yet.
   * Undefined where nobody could take that away.
   */
  leaseAgeMs(): number | undefined
  /** Asks for `leaseAgeMs` to be small soon, if the control store answers. */
  renewLease?(): void
  /**
   * Whether the broker has not shown itself here during one lease time in which this process saw all changes: it may be gone, or cut off. What could
   * not be watched does not count; false where brokers have no leases.
   */
  isSilent(broker: BrokerId): boolean

  /**
   * Calls `listener` with every change after this call, in order; the reads already show it, and perhaps what comes next.
   * Several changes of one topic may come as one. A listener must not throw. Answers how to stop.
   */
  watch(listener: (event: ControlEvent) => void): () => void

  /**
   * Makes topics, each for itself: the answers, in the order asked, are the topic or why there is none
   * (INVALID_TOPIC_EXCEPTION, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR,
   * INVALID_REPLICA_ASSIGNMENT; REQUEST_TIMED_OUT; POLICY_VIOLATION for more than 10,000 tablets in one call). With `validateOnly` nothing is made, and the answer is what would be.
   */
  createTopics(wanted: readonly NewTopic[], options?: WriteOptions): Promise<readonly (Topic | Refusal)[]>
  /**
   * Deletes the topic that has this name and this id.
   * @throws Refusal UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID
   */
  deleteTopic(name: string, id: string): Promise<void>
  /**
   * Grows the topic to `total` tablets; `replicas` names the brokers of each new one, otherwise they are placed.
   * @throws Refusal UNKNOWN_TOPIC_ID, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR, REQUEST_TIMED_OUT
   */
  addTablets(id: string, total: number, options?: AddOptions): Promise<Topic>
  /** @throws Refusal UNKNOWN_TOPIC_ID */
  alterTopicSettings(id: string, change: SettingsChange): Promise<Topic>
  alterBrokerSettings(change: SettingsChange): Promise<void>

  /**
   * All of `changes` or none of them: an atomic compare-and-set, so all tablets lie in one slice
   * (`Math.floor(tablet / sliceTablets)` is the same for all). A topic or tablet that is not there refuses as well.
   */
  changeTablets(id: string, changes: readonly TabletChange[]): Promise<ChangeAnswer>

  /** A broker starts: answers the number of this run, and what was known of the run before it. */
  registerBroker(start: BrokerStart): Promise<Registration>
  /** Where clients reach the broker, for a run whose doors opened after it was registered. */
  announceAddresses(broker: BrokerId, incarnation: Incarnation, addresses: Addresses): Promise<void>

  /**
   * From now on `look` says what the broker holds whenever it is asked, for those who place tablets and look after them. Undefined where nobody else does.
   */
  readonly reporting?: (broker: BrokerId, incarnation: Incarnation, look: () => BrokerReport) => void

  /** The broker is about to stop on purpose: nobody shall count on it any more, until its next run. A run that is over changes nothing. */
  leaving(broker: BrokerId, incarnation: Incarnation): Promise<void>
  /** Waits for what is under way and gives the brokers registered here free, saying whether they stopped in order; no calls after this one. */
  close(end?: { readonly clean: boolean }): Promise<void>
}

/** 'changed': it holds. 'refused': nothing was changed; read again. 'unknown': it may still land. */
export type ChangeAnswer = 'changed' | 'refused' | 'unknown'

export type ControlEvent =
  | { readonly kind: 'topic-created'; readonly topic: Topic }
  | { readonly kind: 'topic-changed'; readonly topic: Topic; readonly before: Topic }
  /** With `kept` it is not served any more, and its records stay where they are. */
  | { readonly kind: 'topic-deleted'; readonly topic: Topic; readonly kept?: true }
  | { readonly kind: 'broker-changed'; readonly broker: Broker }
  | { readonly kind: 'broker-settings-changed'; readonly settings: Readonly<Record<string, string>> }

export type NewTopic = {
  readonly name: string
  readonly settings: Readonly<Record<string, string>>
} & (
  | { readonly tablets: number; readonly replication: number }
  | { readonly assignment: readonly ManualPlace[] }
)

/** The brokers of one tablet, the preferred leader first, as a user has chosen them. */
export type ManualPlace = { readonly tablet: number; readonly replicas: readonly BrokerId[] }

export type WriteOptions = {
  readonly validateOnly?: boolean
  /**
   * So long the answer waits for what others do for it; 30 s when not given. Then it is REQUEST_TIMED_OUT, and what was begun is done later. Where nobody
   * else has a part in it, it means nothing.
   */
  readonly timeoutMs?: number
}

export type AddOptions = WriteOptions & { readonly replicas?: readonly (readonly BrokerId[])[] }

export type SettingsChange = {
  readonly set: Readonly<Record<string, string>>
  /** Names that go back to where their value comes from otherwise; one that is not set is no error. */
  readonly unset: readonly string[]
}

export type Registration = { readonly incarnation: Incarnation; readonly before: Broker | undefined }
