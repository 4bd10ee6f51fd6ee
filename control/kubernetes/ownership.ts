/**
 * Which TabletSlices belong to which LogTopic, for all who ask: operator, brokers, tools. Objects come in as they are, views of topics go out;
 * what always holds: a slice belongs to one LogTopic at most, and a Kafka name to one LogTopic.
 */
import { offsetsTopic } from '../model.ts'
import { countedName } from '../names.ts'
import { topicNameOf, type LogTopic } from './resources/log-topic.ts'
import { annotations } from './resources/names.ts'
import type { TabletSlice } from './resources/tablet-slice.ts'
import { objectName } from './topic-writes.ts'

export type DeletionPolicy = LogTopic['spec']['deletionPolicy']

/** Of one cluster. */
export type Placed = {
  readonly topics: ReadonlyMap<string, LogTopic>
  readonly slices: ReadonlyMap<string, TabletSlice>
  /** The deletionPolicy of LogTopics that were seen to be deleted, as it was then, by their uids. */
  readonly lastWords: ReadonlyMap<string, DeletionPolicy>
}

/** A LogTopic with what there is of it. */
export type TopicView = {
  readonly topic: LogTopic
  readonly name: string
  /** Kafka's topic id: 22 characters of base64url. */
  readonly id: string
  /** By their first tablet. */
  readonly slices: readonly TabletSlice[]
  /** The LogTopic that has the name, when it is another one. */
  readonly takenBy: LogTopic | undefined
  /** An older topic whose name differs only in dots and underscores: metrics and directories could not tell them apart. */
  readonly collidesWith: string | undefined
}

export type Topics = {
  /** By the names of the LogTopics. */
  readonly views: readonly TopicView[]
  /** Slices that belong to no LogTopic. */
  readonly orphans: readonly Orphan[]
}

type Orphan = {
  readonly slice: TabletSlice
  /** What the deletionPolicy of its LogTopic was when that was deleted; undefined when nobody saw it. */
  readonly lastWord: DeletionPolicy | undefined
}

/**
 * Which slices belong to which LogTopic: those under its own uid, those it has taken over, or, when it has none, those that a LogTopic
 * of this Kafka name left under Retain. Of two LogTopics that claim one name the older one has it.
 */
export function topicsOf(seen: Placed): Topics {
  const groups = Map.groupBy(seen.slices.values(), slice => slice.topic.id)
  const topics = [...seen.topics.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  const ofName = Map.groupBy(seen.slices.values(), slice => slice.topic.name)
  const uids = new Set(topics.map(({ metadata }) => metadata.uid ?? ''))
  const lastWord = (slice: TabletSlice) => seen.lastWords.get(holderOf(slice))
  const left = leftBehind(groups, uids, lastWord)
  const holders = holdersOf(topics)
  const oldest = oldestOf(holders)
  const claimed = new Set<string>()
  const views = topics.map(topic => {
    const name = topicNameOf(topic)
    const uid = topic.metadata.uid ?? ''
    const holder = holders.get(name)
    const takenBy = holder === topic ? undefined : holder
    const kept = takenBy === undefined && !isUsurped(topic) ? left.get(name) : undefined
    const id = idHeld(uid, ofName.get(name) ?? []) ?? kept ?? topicIdOf(uid)
    claimed.add(id)
    const slices = [...(groups.get(id) ?? [])].sort((a, b) => a.first - b.first)
    const first = oldest.get(countedName(name)) ?? name
    return { topic, name, id, slices, takenBy, collidesWith: first === name ? undefined : first }
  })
  const orphans = [...groups].flatMap(([id, slices]) =>
    claimed.has(id) ? [] : slices.map((slice): Orphan => ({ slice, lastWord: lastWord(slice) })),
  )
  return { views, orphans }
}

/**
 * Kafka's id of the topic of a LogTopic: its own where there are slices of it, otherwise that of slices which were given to it. `slices` are
 * those of its Kafka name. Undefined when none of them is its.
 */
export function idHeld(uid: string, slices: Iterable<TabletSlice>): string | undefined {
  const own = topicIdOf(uid)
  let given: string | undefined
  for (const { topic, metadata } of slices) {
    if (topic.id === own) return own
    if (metadata.annotations?.[annotations.logTopic] === uid) given ??= topic.id
  }
  return given
}

/** The uid of the LogTopic that a slice belongs to, or last belonged to. */
export const holderOf = ({ metadata, topic }: TabletSlice): string =>
  metadata.annotations?.[annotations.logTopic] ?? uidOfTopic(topic.id)

/** The ids under which Retain left slices, by Kafka's name. */
function leftBehind(
  groups: ReadonlyMap<string, readonly TabletSlice[]>,
  uids: ReadonlySet<string>,
  lastWord: (slice: TabletSlice) => DeletionPolicy | undefined,
): Map<string, string> {
  const left = new Map<string, string>()
  for (const [id, slices] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [first] = slices
    const owned = slices.some(slice => uids.has(slice.metadata.annotations?.[annotations.logTopic] ?? ''))
    if (first === undefined || owned) continue
    if ((lastWord(first) ?? first.topic.deletionPolicy) !== 'Retain') continue
    if (!left.has(first.topic.name)) left.set(first.topic.name, id)
  }
  return left
}

function holdersOf(topics: readonly LogTopic[]): Map<string, LogTopic> {
  const holders = new Map<string, LogTopic>()
  for (const topic of topics) {
    const name = topicNameOf(topic)
    if (isUsurped(topic)) continue
    const other = holders.get(name)
    if (other === undefined || isOlder(topic, other)) holders.set(name, topic)
  }
  return holders
}

/** Kafka's own topic, but not as brokers make it: they count on its shape, and must be able to make theirs. */
export const isUsurped = (topic: LogTopic): boolean =>
  topicNameOf(topic) === offsetsTopic &&
  topic.metadata.name !== objectName(topic.spec.cluster, topicNameOf(topic))

/** By the name with underscores for dots, the name of the oldest LogTopic that has it. */
function oldestOf(holders: ReadonlyMap<string, LogTopic>): Map<string, string> {
  const oldest = new Map<string, LogTopic>()
  for (const [name, topic] of holders) {
    const counted = countedName(name)
    const other = oldest.get(counted)
    if (other === undefined || isOlder(topic, other)) oldest.set(counted, topic)
  }
  return new Map([...oldest].map(([counted, topic]) => [counted, topicNameOf(topic)]))
}

/** Of two LogTopics that claim one name the older one has it. */
export function isOlder({ metadata: a }: LogTopic, { metadata: b }: LogTopic): boolean {
  const [at = '', other = ''] = [a.creationTimestamp, b.creationTimestamp]
  return at === other ? (a.uid ?? '') < (b.uid ?? '') : at < other
}

/** A UUID as Kafka writes it: its 16 bytes in base64url. */
export const topicIdOf = (uid: string): string =>
  Buffer.from(uid.replaceAll('-', ''), 'hex').toString('base64url')

/** The uid of the LogTopic that a topic was first made for. */
export const uidOfTopic = (id: string): string =>
  hexOf(id).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

/** The 32 hex digits of an id as it stands in names and labels. */
export const hexOf = (id: string): string => Buffer.from(id, 'base64url').toString('hex')
