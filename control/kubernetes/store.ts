/**
 * The control store in Kubernetes. LogTopics, TabletSlices and Leases come in as they are watched, wishes as calls; out go the state as it is known here,
 * every change to it, and guarded writes. What always holds: our own writes are read at once, and what the API server does not answer is
 * neither taken for done nor for not done.
 */
import { Lanes } from '../../base/lanes.ts'
import { Refusal } from '../../base/refusals.ts'
import type { BrokerId, Incarnation } from '../../base/quantities.ts'
import type { Clock, Random, Timer } from '../../base/world.ts'
import { ApiError, type KubeApi, type KubeObject, type Resource, type Selection } from '../../kube/api.ts'
import { ListWatch, type Change } from '../../kube/list-watch.ts'
import type { Log } from '../../kube/log.ts'
import { configMaps, leases, type ConfigMap, type Lease } from '../../kube/resources.ts'
import * as steps from '../embedded/changes.ts'
import { Draft } from '../embedded/state.ts'
import { applyChanges, sliceTablets } from '../model.ts'
import type { Addresses, Broker, BrokerReport, BrokerStart, TabletChange, Topic } from '../model.ts'
import type {
  AddOptions,
  ChangeAnswer,
  ControlEvent,
  ControlStore,
  NewTopic,
  Registration,
  SettingsChange,
  WriteOptions,
} from '../store.ts'
import { brokerIn, BrokerLease, lastsMs } from './broker-lease.ts'
import { Copies } from './copies.ts'
import { mayPass, refusalOf, sentence } from './refused.ts'
import { logTopics, topicNameOf, type LogTopic } from './resources/log-topic.ts'
import { brokerName, dynamicConfigName, labels } from './resources/names.ts'
import { tabletSlices, type TabletSlice } from './resources/tablet-slice.ts'
import { changePatch } from './slices.ts'
import { SoundSettings } from './sound-settings.ts'
import { growthPatch, newLogTopic, settingsPatch } from './topic-writes.ts'
import { Topics } from './topics.ts'

export type KubernetesStoreOptions = {
  readonly api: KubeApi
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** The LogCluster's name, and where it is. */
  readonly cluster: string
  readonly namespace: string
  /** The pod's name. */
  readonly pod: string
  /** Somebody else is the broker that was registered here. */
  readonly lost: (why: string) => void
  /** Who makes or grows a topic waits so long for the operator to place its tablets, when he does not say how long. */
  readonly placedMsMax?: number
}

const placedMsMax = 30_000
const startAgainMs = 1_000
/** Settings that others have changed are seen after so long: a Role cannot let us watch a single ConfigMap. */
const settingsMs = 10_000
const guardedTriesMax = 10
/** What we made and no watch has told of by then may be gone already: then none ever will. */
const unseenMs = 30_000
/** Each is a connection to the API server. */
const createdAtOnce = 16

/**
 * Opens the control store: reads what there is, and follows it from then on. Waits while the API server does not answer.
 * @throws Error with a sentence on what is missing: rights, CustomResourceDefinitions
 */
export async function openKubernetesStore(options: KubernetesStoreOptions): Promise<ControlStore> {
  const store = new KubernetesStore(options)
  await store.open()
  return store
}

class KubernetesStore implements ControlStore {
  readonly #options: KubernetesStoreOptions
  readonly #identity: string
  readonly #sound: SoundSettings
  readonly #topics: Topics
  readonly #logTopics = new Copies<LogTopic>()
  readonly #slices = new Copies<TabletSlice>()
  readonly #leases = new Copies<Lease>()
  #leaseWatch: ListWatch<Lease> | undefined
  /** When each broker's Lease last changed, by the own clock. */
  readonly #leaseSeenMs = new Map<BrokerId, number>()
  #brokers: ReadonlyMap<BrokerId, Broker> = new Map()
  #config: ConfigMap | undefined
  #settings: Readonly<Record<string, string>> = {}
  readonly #watches: ListWatch<never>[] = []
  readonly #held = new Map<BrokerId, BrokerLease>()
  readonly #listeners = new Set<(event: ControlEvent) => void>()
  readonly #creating = new Lanes(createdAtOnce)
  #looksAtSettings: Timer | undefined
  #closed = false

  constructor(options: KubernetesStoreOptions) {
    this.#options = options
    this.#identity = `${options.pod}_${options.random.bytes(8).toString('hex')}`
    this.#sound = new SoundSettings(options.log)
    this.#topics = new Topics(options.cluster, this.#sound)
  }

  topics = () => this.#topics.all
  topicById = (id: string) => this.#topics.byId(id)
  brokers = () => this.#brokers
  brokerSettings = () => this.#settings
  keepsRecords = (id: string) => this.#topics.keepsRecords(id)

  leaseAgeMs(): number {
    let oldest = -1
    for (const lease of this.#held.values()) oldest = Math.max(oldest, lease.ageMs)
    return oldest < 0 ? Infinity : oldest
  }

  renewLease(): void {
    for (const lease of this.#held.values()) lease.renewNow()
  }

  isSilent(broker: BrokerId): boolean {
    const { clock, cluster } = this.#options
    const lease = this.#leases.get(brokerName(cluster, broker))
    const leaseMs = lastsMs(lease)
    const sinceMs = this.#leaseWatch?.healthySinceMs
    if (sinceMs === undefined || this.#leaseWatch?.isHealthy(leaseMs) !== true) return false
    // Given back: it stopped.
    if (lease !== undefined && (lease.spec?.holderIdentity ?? '') === '') return true
    return clock.monotonicMs() - Math.max(sinceMs, this.#leaseSeenMs.get(broker) ?? sinceMs) > leaseMs
  }

  watch(listener: (event: ControlEvent) => void): () => void {
    const own = (event: ControlEvent) => listener(event)
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }

  async open(): Promise<void> {
    const { cluster, namespace } = this.#options
    const ours = { namespace, labelSelector: `${labels.cluster}=${cluster}` }
    await this.#checkAccess(logTopics, { namespace })
    await this.#checkAccess(tabletSlices, ours)
    await this.#checkAccess(leases, ours)
    this.#follow(logTopics, { namespace }, change => this.#topicSeen(this.#logTopics.watched(change)))
    this.#follow(tabletSlices, ours, change => this.#sliceSeen(this.#slices.watched(change)))
    this.#leaseWatch = this.#follow(leases, ours, change => this.#leaseSeen(this.#leases.watched(change)))
    await Promise.all(this.#watches.map(watch => watch.synced))
    await this.#lookAtSettings()
  }

  async createTopics(wanted: readonly NewTopic[], { validateOnly = false, timeoutMs }: WriteOptions = {}) {
    const checked = steps.createTopics(this.#draft(), wanted, this.#options.random)
    if (validateOnly) return checked
    return Promise.all(
      checked.map(async (answer, n) => {
        const one = wanted[n]
        if (answer instanceof Refusal || one === undefined) return answer
        try {
          return await this.#inTime(one.name, timeoutMs, gone => this.#create(one, gone))
        } catch (error) {
          if (error instanceof Refusal) return error
          throw error
        }
      }),
    )
  }

  async deleteTopic(name: string, id: string): Promise<void> {
    steps.deleteTopic(this.#draft(), name, id)
    const topic = this.#objectOf(id)
    if (topic.spec.deletionPolicy === 'Retain') {
      const { metadata } = topic
      throw new Refusal(
        'POLICY_VIOLATION',
        `${name} is kept: its LogTopic ${metadata.name} has the deletionPolicy Retain. Delete it with kubectl, which keeps the records, or set deletionPolicy Delete first`,
      )
    }
    const { namespace } = this.#options
    const { name: object, uid } = topic.metadata
    await this.#asked('delete', 'logtopics', () =>
      this.#options.api.delete(logTopics, { namespace, name: object }, uid === undefined ? {} : { uid }),
    )
    this.#topicSeen(this.#logTopics.deleted(topic))
  }

  async addTablets(id: string, total: number, options: AddOptions = {}): Promise<Topic> {
    const grown = steps.addTablets(this.#draft(), id, total, options)
    if (options.validateOnly === true) return grown
    const places = options.replicas && grown.tablets.map(({ replicas }) => replicas)
    return this.#inTime(grown.name, options.timeoutMs, gone => this.#grow(grown, places, gone))
  }

  async alterTopicSettings(id: string, change: SettingsChange): Promise<Topic> {
    steps.alterTopicSettings(this.#draft(), id, change)
    await this.#patchTopic(id, topic => settingsPatch(topic, change))
    const altered = this.topicById(id)
    if (altered === undefined) throw new Refusal('UNKNOWN_TOPIC_ID', `there is no topic with the id ${id}`)
    return altered
  }

  async alterBrokerSettings({ set, unset }: SettingsChange): Promise<void> {
    const { api, cluster, namespace } = this.#options
    const key = { namespace, name: dynamicConfigName(cluster) }
    await this.#asked('patch', 'configmaps', async () => {
      for (let tries = 1; ; tries++) {
        const now = await api.get(configMaps, key)
        if (now === undefined) {
          throw new Refusal(
            'KAFKA_STORAGE_ERROR',
            `the ConfigMap ${key.name} is missing: the operator makes it. Try again when it runs`,
          )
        }
        const all = Object.entries({ ...now.data, ...set }).filter(([name]) => !unset.includes(name))
        try {
          const after = await api.patch(configMaps, key, [
            { op: 'test', path: '/metadata/resourceVersion', value: now.metadata.resourceVersion },
            { op: 'add', path: '/data', value: Object.fromEntries(all) },
          ])
          return this.#settingsSeen(after)
        } catch (error) {
          if (!isOvertaken(error) || tries === guardedTriesMax) throw error
        }
      }
    })
  }

  async changeTablets(id: string, changes: readonly TabletChange[]): Promise<ChangeAnswer> {
    const after = applyChanges(this.topicById(id)?.tablets ?? [], changes)
    const first = changes[0]?.tablet ?? 0
    const slice = this.#topics.slice(id, first - (first % sliceTablets))
    if (after === undefined || slice === undefined) return 'refused'
    const { api, namespace, log } = this.#options
    const key = { namespace, name: slice.metadata.name }
    try {
      const written = await api.patch(tabletSlices, key, changePatch(slice, changes))
      this.#sliceSeen(this.#slices.written(written))
      return 'changed'
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      if (error.code === 422 || error.code === 404) {
        await this.#readAgain(key)
        return 'refused'
      }
      if (error.code === 409 || mayPass(error)) {
        log.warn({ err: error, slice: key.name }, 'it is not known whether tablets were changed')
        return 'unknown'
      }
      throw refusalOf(error, this.#words('patch', 'tabletslices'))
    }
  }

  async registerBroker(start: BrokerStart): Promise<Registration> {
    const { api, clock, log, cluster, namespace, lost } = this.#options
    this.#held.get(start.brokerId)?.forget()
    const lease = new BrokerLease(start.brokerId, {
      api,
      clock,
      log,
      cluster,
      namespace,
      lost,
      identity: this.#identity,
      cameBack: () => {
        for (const watch of this.#watches) watch.reopen()
      },
      written: object => this.#leaseWritten(object),
    })
    this.#held.set(start.brokerId, lease)
    return lease.take(start, this.#latestRun(start.brokerId))
  }

  async announceAddresses(broker: BrokerId, run: Incarnation, addresses: Addresses): Promise<void> {
    await this.#leaseOf(broker, run).announce(addresses)
  }

  reporting = (broker: BrokerId, run: Incarnation, look: () => BrokerReport): void => {
    this.#leaseOf(broker, run).reporting(look)
  }

  async leaving(broker: BrokerId, run: Incarnation): Promise<void> {
    try {
      await this.#leaseOf(broker, run).leave()
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
    }
  }

  async close({ clean }: { readonly clean: boolean } = { clean: false }): Promise<void> {
    this.#closed = true
    this.#looksAtSettings?.cancel()
    // A watch that waits for an answer does not keep the Lease from being given back.
    await Promise.all([
      ...[...this.#held.values()].map(lease => lease.release(clean)),
      ...this.#watches.map(watch => watch.stop()),
    ])
  }

  /** What is missing is said at once, instead of being tried for ever. */
  async #checkAccess(resource: Resource, selection: Selection): Promise<void> {
    const { api, log, clock } = this.#options
    for (;;) {
      try {
        return void (await api.list(resource, selection))
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        if (!mayPass(error))
          throw new Error(sentence(error, this.#words('list', resource.plural)), { cause: error })
        log.warn({ err: error }, 'the API server does not answer: the broker waits for it')
      }
      await new Promise<void>(resolve => clock.after(startAgainMs, resolve))
    }
  }

  #follow<T extends KubeObject>(
    resource: Resource<T>,
    selection: Selection,
    onChange: (change: Change<T>) => void,
  ): ListWatch<T> {
    const { api, clock, random, log } = this.#options
    const watch = new ListWatch<T>({ api, clock, random, log, resource, selection, onChange })
    watch.start()
    this.#watches.push(watch as unknown as ListWatch<never>)
    return watch
  }

  #topicSeen(change: Change<LogTopic> | undefined): void {
    if (change !== undefined) this.#tell(this.#topics.topicChanged(change))
  }

  #sliceSeen(change: Change<TabletSlice> | undefined): void {
    if (change !== undefined) this.#tell(this.#topics.sliceChanged(change))
  }

  #leaseSeen(change: Change<Lease> | undefined): void {
    const before = change?.before && brokerIn(change.before)
    const broker = change?.after && brokerIn(change.after)
    if (broker !== undefined) this.#leaseSeenMs.set(broker.brokerId, this.#options.clock.monotonicMs())
    if (JSON.stringify(before) === JSON.stringify(broker)) return
    const brokers = new Map(this.#brokers)
    if (broker !== undefined) brokers.set(broker.brokerId, broker)
    else if (before !== undefined) brokers.delete(before.brokerId)
    this.#brokers = brokers
    if (broker !== undefined) this.#tell([{ kind: 'broker-changed', broker }])
  }

  /** Ours may be new, and then the watch has not told of it. */
  #leaseWritten(lease: Lease): void {
    const made = this.#leases.made(lease)
    this.#leaseSeen(made ?? this.#leases.written(lease))
    if (made === undefined) return
    this.#confirm(leases, lease, this.#leases, change => this.#leaseSeen(change))
  }

  #confirm<T extends KubeObject>(
    resource: Resource<T>,
    made: T,
    copies: Copies<T>,
    seen: (change: Change<T> | undefined) => void,
  ): void {
    const { api, clock, namespace, log } = this.#options
    const look = async (): Promise<void> => {
      if (this.#closed || !copies.isUnseen(made)) return
      try {
        const now = await api.get(resource, { namespace, name: made.metadata.name })
        if (now?.metadata.uid !== made.metadata.uid && copies.isUnseen(made)) seen(copies.missing(made))
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        log.warn({ err: error }, 'what was made cannot be read; it is tried again')
      }
      if (copies.isUnseen(made)) this.#confirm(resource, made, copies, seen)
    }
    clock.after(unseenMs, () => void look())
  }

  #settingsSeen(map: ConfigMap | undefined): void {
    if (map !== undefined && map.metadata.resourceVersion === this.#config?.metadata.resourceVersion) return
    this.#config = map
    const settings = this.#sound.of('broker', `the ConfigMap ${dynamicConfigName(this.#options.cluster)}`, {
      ...map?.data,
    })
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return
    this.#settings = settings
    this.#tell([{ kind: 'broker-settings-changed', settings }])
  }

  async #lookAtSettings(): Promise<void> {
    const { api, cluster, namespace, clock, log } = this.#options
    const before = this.#config
    try {
      const now = await api.get(configMaps, { namespace, name: dynamicConfigName(cluster) })
      // A write of ours meanwhile is newer than what this has read.
      if (this.#config === before && !this.#closed) this.#settingsSeen(now)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      log.warn({ err: error }, 'the settings that brokers share cannot be read; it is tried again')
    }
    if (!this.#closed) this.#looksAtSettings = clock.after(settingsMs, () => void this.#lookAtSettings())
  }

  #tell(events: readonly ControlEvent[]): void {
    for (const event of events) for (const listener of this.#listeners) listener(event)
  }

  /** The state as it is known, for checking a wish; topics that are not placed yet hold their names. */
  #draft(): Draft {
    const topics = new Map(this.#topics.all)
    for (const topic of this.#topics.pending()) {
      const name = topicNameOf(topic)
      topics.set(name, { name, id: topic.metadata.uid ?? '', settings: {}, tablets: [] })
    }
    return new Draft({
      topics,
      topicsById: new Map([...topics.values()].map(topic => [topic.id, topic])),
      brokers: this.#brokers,
      brokerSettings: this.#settings,
    })
  }

  async #grow(
    { id, name, tablets: { length: total } }: Topic,
    places: readonly (readonly BrokerId[])[] | undefined,
    gone: AbortSignal,
  ): Promise<Topic> {
    await this.#patchTopic(id, topic => {
      const { tablets } = topic.spec
      if (tablets > total)
        throw new Refusal('INVALID_PARTITIONS', `topic "${name}" grows to ${tablets} already`)
      return growthPatch(topic, total, places)
    })
    return this.#placed(
      () => this.topicById(id),
      topic => topic.tablets.length >= total,
      gone,
    )
  }

  async #create(wanted: NewTopic, gone: AbortSignal): Promise<Topic> {
    const { api } = this.#options
    const { name } = wanted
    const made = await this.#asked('create', 'logtopics', async () => {
      try {
        return await this.#creating.run(() => api.create(logTopics, newLogTopic(wanted, this.#options)))
      } catch (error) {
        if (!(error instanceof ApiError && error.code === 409)) throw error
        throw new Refusal('TOPIC_ALREADY_EXISTS', `there is a topic "${name}" already`)
      }
    })
    const unseen = this.#logTopics.made(made)
    this.#topicSeen(unseen)
    if (unseen !== undefined)
      this.#confirm(logTopics, made, this.#logTopics, change => this.#topicSeen(change))
    return this.#placed(
      () => this.topics().get(name),
      () => this.#topics.logTopic(name)?.metadata.uid === made.metadata.uid,
      gone,
    )
  }

  /** Rejects with REQUEST_TIMED_OUT when `act` takes longer; `gone` then says that nobody waits any more. */
  #inTime<T>(
    name: string,
    waitMs: number = this.#options.placedMsMax ?? placedMsMax,
    act: (gone: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const late = new AbortController()
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.after(Math.max(0, waitMs), () => {
        const message = `the operator has not placed the partitions of "${name}" in ${waitMs / 1_000} s; they come when it does. See the conditions of its LogTopic`
        reject(new Refusal('REQUEST_TIMED_OUT', message))
        late.abort()
      })
      act(late.signal)
        .then(resolve, reject)
        .finally(() => timer.cancel())
    })
  }

  /** Resolves when the operator has placed the topic's tablets; never when `gone` comes first. */
  #placed(
    find: () => Topic | undefined,
    isDone: (topic: Topic) => boolean,
    gone: AbortSignal,
  ): Promise<Topic> {
    return new Promise(resolve => {
      const look = (): void => {
        const topic = find()
        if (topic === undefined || !isDone(topic)) return
        stop()
        resolve(topic)
      }
      const stop = this.watch(look)
      gone.addEventListener('abort', stop)
      if (gone.aborted) stop()
      look()
    })
  }

  async #patchTopic(
    id: string,
    patchOf: (topic: LogTopic) => ReturnType<typeof settingsPatch>,
  ): Promise<void> {
    const { api, namespace } = this.#options
    let topic = this.#objectOf(id)
    const key = { namespace, name: topic.metadata.name }
    await this.#asked('patch', 'logtopics', async () => {
      for (let tries = 1; ; tries++) {
        const { uid, resourceVersion } = topic.metadata
        try {
          const written = await api.patch(logTopics, key, patchOf(topic))
          return this.#topicSeen(this.#logTopics.written(written))
        } catch (error) {
          if (!isOvertaken(error) || tries === guardedTriesMax) throw error
          const now = await api.get(logTopics, key)
          if (now === undefined || now.metadata.uid !== uid)
            throw new Refusal('UNKNOWN_TOPIC_ID', `there is no topic with the id ${id}`)
          // Nobody was in between: the API server will not have it.
          if (now.metadata.resourceVersion === resourceVersion) throw error
          topic = now
        }
      }
    })
  }

  #objectOf(id: string): LogTopic {
    const topic = this.#topics.logTopic(this.topicById(id)?.name ?? '')
    if (topic === undefined) throw new Refusal('UNKNOWN_TOPIC_ID', `there is no topic with the id ${id}`)
    return topic
  }

  /** What was refused was refused by something newer than what we know. */
  async #readAgain(key: { readonly namespace: string; readonly name: string }): Promise<void> {
    try {
      const now = await this.#options.api.get(tabletSlices, key)
      if (now !== undefined) this.#sliceSeen(this.#slices.written(now))
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
    }
  }

  /** The highest run of the broker that tablets know of: its Lease may be gone. */
  #latestRun(broker: BrokerId): number {
    let latest = 0
    for (const { tablets } of this.#topics.slices()) {
      for (const { isr } of tablets)
        for (const member of isr) if (member.broker === broker) latest = Math.max(latest, member.incarnation)
    }
    return latest
  }

  #leaseOf(broker: BrokerId, run: Incarnation): BrokerLease {
    const lease = this.#held.get(broker)
    if (lease?.holds(run) === true) return lease
    const now = this.#brokers.get(broker)?.incarnation ?? 'none'
    const message = `run ${run} of broker ${broker} is over: run ${now} is the one that counts`
    throw new Refusal('INVALID_REQUEST', message)
  }

  async #asked<T>(verb: string, resource: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      throw refusalOf(error, this.#words(verb, resource))
    }
  }

  #words(verb: string, resource: string) {
    return { verb, resource, namespace: this.#options.namespace }
  }
}

/** Somebody has written in between; a schema's refusal looks the same. */
const isOvertaken = (error: unknown): boolean =>
  error instanceof ApiError && (error.code === 422 || error.code === 409)
