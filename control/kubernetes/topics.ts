/**
 * Topics as brokers see them: LogTopics and TabletSlices come in as they change, topics and what became of them go out. Always holds: a
 * topic is shown only with all its tablets, and never with fewer than before.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Change } from '../../kube/list-watch.ts'
import type { TabletAssignment, Topic } from '../model.ts'
import type { ControlEvent } from '../store.ts'
import { idHeld, isOlder } from './ownership.ts'
import { topicNameOf, type LogTopic } from './resources/log-topic.ts'
import type { TabletSlice } from './resources/tablet-slice.ts'
import { joined, sameTablets } from './slices.ts'
import type { SoundSettings } from './sound-settings.ts'

export class Topics {
  readonly #cluster: string
  readonly #settings: SoundSettings
  /** By Kafka's name, then by the object's. */
  readonly #logTopics = new Map<string, Map<string, LogTopic>>()
  /** By topic id, then by the number of their first tablet. */
  readonly #slices = new Map<string, Map<number, TabletSlice>>()
  /** By Kafka's name: the ids of the slices that carry it. */
  readonly #ids = new Map<string, Set<string>>()
  #served: ReadonlyMap<string, Topic> = new Map()
  readonly #byId = new Map<string, Topic>()
  /** By Kafka's name, as it was last seen: the LogTopic that what is served is served for. */
  readonly #servedFor = new Map<string, LogTopic>()
  /** Topics whose LogTopic is gone for good, until their slices are too. */
  readonly #doomed = new Map<string, Topic>()

  constructor(cluster: string, settings: SoundSettings) {
    this.#cluster = cluster
    this.#settings = settings
  }

  /** A snapshot. */
  get all(): ReadonlyMap<string, Topic> {
    return this.#served
  }

  byId(id: string): Topic | undefined {
    return this.#byId.get(id)
  }

  keepsRecords(id: string): boolean {
    return this.#slices.has(id) && !this.#byId.has(id)
  }

  /** The object behind the name, also before its tablets are placed. */
  logTopic(name: string): LogTopic | undefined {
    let oldest: LogTopic | undefined
    for (const topic of this.#logTopics.get(name)?.values() ?? [])
      if (oldest === undefined || isOlder(topic, oldest)) oldest = topic
    return oldest
  }

  /** Names of LogTopics whose tablets are not placed yet. */
  *pending(): Generator<LogTopic, void> {
    for (const name of this.#logTopics.keys()) {
      const topic = this.#served.has(name) ? undefined : this.logTopic(name)
      if (topic !== undefined) yield topic
    }
  }

  slice(id: string, first: number): TabletSlice | undefined {
    return this.#slices.get(id)?.get(first)
  }

  *slices(): Generator<TabletSlice, void> {
    for (const slices of this.#slices.values()) yield* slices.values()
  }

  topicChanged({ before, after }: Change<LogTopic>): ControlEvent[] {
    const names = new Set<string>()
    for (const [topic, isThere] of [
      [before, false],
      [after, true],
    ] as const) {
      if (topic?.spec.cluster !== this.#cluster) continue
      const name = topicNameOf(topic)
      const known = this.#logTopics.get(name) ?? new Map<string, LogTopic>()
      if (isThere) known.set(topic.metadata.name, topic)
      else known.delete(topic.metadata.name)
      if (known.size > 0) this.#logTopics.set(name, known)
      else this.#logTopics.delete(name)
      names.add(name)
    }
    if (before !== undefined && after === undefined) this.#settings.forget(placeOf(before))
    return [...names].flatMap(name => this.#look(name))
  }

  sliceChanged({ before, after }: Change<TabletSlice>): ControlEvent[] {
    const names = new Set<string>()
    if (before !== undefined) {
      const { id, name } = before.topic
      const slices = this.#slices.get(id)
      slices?.delete(before.first)
      if (slices?.size === 0) {
        this.#slices.delete(id)
        this.#ids.get(name)?.delete(id)
        if (this.#ids.get(name)?.size === 0) this.#ids.delete(name)
      }
      names.add(name)
    }
    if (after !== undefined) {
      const { id, name } = after.topic
      this.#slices.set(id, (this.#slices.get(id) ?? new Map<number, TabletSlice>()).set(after.first, after))
      this.#ids.set(name, (this.#ids.get(name) ?? new Set<string>()).add(id))
      names.add(name)
    }
    const doomed =
      before && this.#slices.has(before.topic.id) ? undefined : this.#doomed.get(before?.topic.id ?? '')
    const gone: ControlEvent[] = doomed === undefined ? [] : [{ kind: 'topic-deleted', topic: doomed }]
    if (doomed !== undefined) this.#doomed.delete(doomed.id)
    return [...gone, ...[...names].flatMap(name => this.#look(name))]
  }

  /** Brings what is served under `name` in line with the objects. */
  #look(name: string): ControlEvent[] {
    const before = this.#served.get(name)
    const object = this.logTopic(name)
    const after = object && this.#current(name, object, before)
    const wasToGo = this.#wasToGo(name)
    if (object === undefined || after === undefined) this.#servedFor.delete(name)
    else this.#servedFor.set(name, object)
    if (after === before) return []
    this.#serve(name, before, after)
    if (before !== undefined && before.id === after?.id)
      return [{ kind: 'topic-changed', topic: after, before }]
    const events = before === undefined ? [] : this.#ended(before, wasToGo)
    if (after === undefined) return events
    // What had the name before makes room, whatever becomes of its slices.
    for (const doomed of this.#doomed.values()) {
      if (doomed.name !== name) continue
      this.#doomed.delete(doomed.id)
      events.push({ kind: 'topic-deleted', topic: doomed, kept: true })
    }
    return [...events, { kind: 'topic-created', topic: after }]
  }

  /** The LogTopic that `name` was served for is gone and takes the records with it. */
  #wasToGo(name: string): boolean {
    const object = this.#servedFor.get(name)
    if (object?.spec.deletionPolicy !== 'Delete') return false
    return this.#logTopics.get(name)?.get(object.metadata.name)?.metadata.uid !== object.metadata.uid
  }

  #serve(name: string, before: Topic | undefined, after: Topic | undefined): void {
    const served = new Map(this.#served)
    if (before !== undefined) this.#byId.delete(before.id)
    if (after === undefined) served.delete(name)
    else {
      served.set(name, after)
      this.#byId.set(after.id, after)
    }
    this.#served = served
  }

  /** Records go when the slices are gone, not before: the operator has the last word on them. */
  #ended(topic: Topic, wasToGo: boolean): ControlEvent[] {
    if (!wasToGo) return [{ kind: 'topic-deleted', topic, kept: true }]
    if (!this.#slices.has(topic.id)) return [{ kind: 'topic-deleted', topic }]
    this.#doomed.set(topic.id, topic)
    return []
  }

  #current(name: string, object: LogTopic, before: Topic | undefined): Topic | undefined {
    const id = this.#idOf(name, object)
    const isServed = this.#servedFor.get(name)?.metadata.uid === object.metadata.uid
    const same = id === before?.id || (id === undefined && isServed) ? before : undefined
    if (id === undefined) return same
    const settings = this.#settings.of('topic', placeOf(object), settingsIn(object))
    const tablets = joined(this.#slices.get(id) ?? new Map<number, TabletSlice>())
    if (same !== undefined) {
      const kept = tablets.length < same.tablets.length || sameTablets(tablets, same.tablets)
      if (kept && isDeepStrictEqual(settings, same.settings)) return same
      return { name, id, settings, tablets: kept ? same.tablets : tablets }
    }
    return isWhole(object, tablets) ? { name, id, settings, tablets } : undefined
  }

  /** Its own, or that of slices which were kept and which the operator has given to this LogTopic. */
  #idOf(name: string, { metadata: { uid = '' } }: LogTopic): string | undefined {
    const ids = [...(this.#ids.get(name) ?? [])]
    return idHeld(
      uid,
      ids.flatMap(id => [...(this.#slices.get(id)?.values() ?? [])]),
    )
  }
}

/** While a topic grows it is whole with what had been placed before. */
const isWhole = ({ spec, status }: LogTopic, tablets: readonly TabletAssignment[]): boolean =>
  tablets.length > 0 && tablets.length >= Math.min(spec.tablets, (status?.tablets ?? 0) || Infinity)

const placeOf = ({ metadata: { name, uid } }: LogTopic): string => `the LogTopic ${name} (${uid})`

const settingsIn = ({ spec }: LogTopic): Record<string, string> =>
  Object.fromEntries(Object.entries(spec.config ?? {}).map(([name, value]) => [name, String(value)]))
