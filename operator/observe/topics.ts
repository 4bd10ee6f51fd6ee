import type { LogTopic } from '../../control/kubernetes/resources/log-topic.ts'
import { topicNameOf } from '../../control/kubernetes/resources/log-topic.ts'
import { annotations } from '../../control/kubernetes/resources/names.ts'
import { objectName } from '../../control/kubernetes/topic-writes.ts'
import { offsetsTopic } from '../../control/model.ts'
import { countedName } from '../../control/names.ts'
import type { TabletSlice } from '../../control/kubernetes/resources/tablet-slice.ts'
import type { DeletionPolicy, Observed } from './observed.ts'

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
export function topicsOf(seen: Observed): Topics {
  const groups = Map.groupBy(seen.slices.values(), slice => slice.topic.id)
  const topics = [...seen.topics.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  const ofUid = new Map<string, string>()
  for (const [id, slices] of groups) {
    for (const slice of slices) ofUid.set(slice.metadata.annotations?.[annotations.logTopic] ?? '', id)
  }
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
    const own = topicIdOf(uid)
    const kept = takenBy === undefined && !isUsurped(topic) ? left.get(name) : undefined
    const id = groups.has(own) ? own : (ofUid.get(uid) ?? kept ?? own)
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

function isOlder({ metadata: a }: LogTopic, { metadata: b }: LogTopic): boolean {
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
