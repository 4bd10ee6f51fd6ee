/**
 * What the API server holds, watched: changes come in, out come the keys of the LogClusters that they concern, and at any time all that is
 * known of one of them. What always holds: our own writes are seen at once.
 */
import type { Clock, Random } from '../../base/world.ts'
import { ApiError, type KubeApi, type KubeObject, type ObjectKey, type Resource } from '../../kube/api.ts'
import { type Change, ListWatch, type ListWatchTimings } from '../../kube/list-watch.ts'
import type { Log } from '../../kube/log.ts'
import {
  customResourceDefinitions,
  leases,
  nodes,
  pods,
  storageClasses,
  type Lease,
  type Pod,
  type StorageClass,
} from '../../kube/resources.ts'
import { holderOf, type DeletionPolicy } from '../../control/kubernetes/ownership.ts'
import { logClusters, type LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import { logTopics, type LogTopic } from '../../control/kubernetes/resources/log-topic.ts'
import { annotations, labels } from '../../control/kubernetes/resources/names.ts'
import { Copy } from './copy.ts'
import { isGoing } from './members.ts'
import type { Ending, Observed } from './observed.ts'
import { Silences, type Hearing } from './silences.ts'
import { volumesOf } from './volumes.ts'
import { watched } from './watched.ts'

export type WatchesOptions = {
  readonly api: KubeApi
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** All namespaces when it is not given. */
  readonly namespace?: string
  /** Told of each LogCluster (`namespace/name`) of which something changed. */
  readonly onChange: (key: string) => void
  readonly timings?: Partial<ListWatchTimings>
}

type Copies = {
  readonly [Kind in keyof typeof watched]: Copy<
    (typeof watched)[Kind]['resource'] extends Resource<infer T> ? T : never
  >
}

/** A node without a zone may get one: the label comes late, rights are given later. */
const zonelessMs = 10_000
/** What copies get done is looked at so often at most; brokers tell of it with each renewal of their Leases. */
const progressMs = 5_000
/** Where a broker has no pod, one is looked for again after so long. */
const strayMs = 10_000

export class Watches {
  readonly #options: WatchesOptions
  readonly #copies: Copies
  readonly #byPlural = new Map<string, Copy<KubeObject>>()
  readonly #watches: ListWatch<KubeObject>[] = []
  readonly #storageClasses: ListWatch<StorageClass>
  readonly #silences: Silences
  /** By cluster, then by the uid of the LogTopic. Needed while there are slices of it. */
  readonly #lastWords = new Map<string, Map<string, DeletionPolicy>>()
  /** By cluster, then by the uid of the LogCluster. Needed while anything is there that was its. */
  readonly #endings = new Map<string, Map<string, Ending>>()
  /** When LogClusters were made that were seen to go under Delete, by their uids; until their definition was looked at. */
  readonly #unsureSince = new Map<string, string>()
  /** The uids of LogClusters that are on their way out, and whose brokers are to stay. */
  readonly #orphaning = new Set<string>()
  /** By cluster, what somebody else deleted, by kind and name. Needed until it is made again. */
  readonly #vanished = new Map<string, Set<string>>()
  /** The uids of what we had deleted and nobody has told of yet. */
  readonly #dropped = new Set<string>()
  /** Pods of brokers that a look for them found without our label: nobody tells of these. By namespace and name. */
  readonly #strays = new Map<string, { readonly pod: Pod | undefined; readonly untilMs: number }>()
  /** Nodes of which the API server could not say anything when it was asked last. */
  readonly #unanswered = new Set<string>()
  readonly #zones = new Map<string, string>()
  /** By cluster, when it may be looked at again because copies get done; monotonic. */
  readonly #progressMs = new Map<string, number>()
  /** Nodes whose zone could not be learnt: when they are asked again; monotonic. */
  readonly #zonelessUntilMs = new Map<string, number>()

  constructor(options: WatchesOptions) {
    this.#options = options
    const { clock } = options
    let leaseWatch: Hearing = neverHealthy
    const copies = Object.entries(watched).map(([kind, { resource, clusterOf, ...selection }]) => {
      const copy = new Copy<KubeObject>(clock, clusterOf as (object: KubeObject) => string | undefined)
      this.#byPlural.set(resource.plural, copy)
      const watch = this.#watch(resource, copy, selection)
      this.#watches.push(watch)
      if (kind === 'leases') leaseWatch = watch
      return [kind, copy]
    })
    this.#silences = new Silences(clock, () => leaseWatch, options.onChange)
    this.#copies = Object.fromEntries(copies) as Copies
    this.#storageClasses = new ListWatch({
      ...this.#shared(),
      resource: storageClasses,
      onChange: () => this.#copies.clusters.clusters().forEach(options.onChange),
    })
  }

  /** Resolves when everything was listed once. */
  async start(): Promise<void> {
    for (const watch of this.#all()) watch.start()
    this.#silences.start()
    await Promise.all(this.#all().map(watch => watch.synced))
  }

  async stop(): Promise<void> {
    this.#silences.stop()
    await Promise.all(this.#all().map(watch => watch.stop()))
  }

  /** Rejects when one of them ended of a bug. */
  get stopped(): Promise<unknown> {
    return Promise.all(this.#all().map(watch => watch.stopped))
  }

  /** All LogClusters that are, or that anything names. */
  keys(): string[] {
    return [...new Set([...this.#byPlural.values()].flatMap(copy => copy.clusters()))]
  }

  /** Takes the answer of a write of ours. */
  wrote(resource: Resource, object: KubeObject): void {
    this.#byPlural.get(resource.plural)?.wrote(object)
    const { kind, metadata } = object
    for (const vanished of this.#vanished.values()) vanished.delete(`${kind} ${metadata.name}`)
    this.#strays.delete(`${metadata.namespace ?? ''}/${metadata.name}`)
  }

  deleted(resource: Resource, object: KubeObject): void {
    this.#byPlural.get(resource.plural)?.deleted(object)
    this.#dropped.add(object.metadata.uid ?? '')
  }

  /** LogClusters are no kind any more: those of this name that went, and the one of `uid`, went with their definition, as far as anybody knows. */
  doubt(key: string, uid: string | undefined): void {
    const uids = [...(this.#endings.get(key)?.keys() ?? []), ...(uid === undefined ? [] : [uid])]
    this.#endings.set(key, new Map(uids.map(one => [one, 'undefined kind'])))
  }

  /** Everything known of a LogCluster now. The zone of a node is asked for once. */
  async observe(key: string, image: string): Promise<Observed> {
    for (const copy of this.#byPlural.values()) copy.dropUnseen().forEach(this.#options.onChange)
    await this.#learnZones(key)
    await this.#lookAtDefinition(key)
    const strays = await this.#straysOf(key)
    const at = key.indexOf('/')
    const name = key.slice(at + 1)
    const { clusters, ...rest } = this.#copies
    const of = Object.fromEntries(Object.entries(rest).map(([kind, copy]) => [kind, copy.of(key)]))
    const observed: Omit<Observed, 'volumes'> = {
      ...(of as Omit<
        Observed,
        | 'key'
        | 'volumes'
        | 'nowMs'
        | 'cluster'
        | 'endings'
        | 'lastWords'
        | 'vanished'
        | 'storageClasses'
        | 'zones'
        | 'silent'
        | 'image'
      >),
      key: { namespace: key.slice(0, at), name },
      nowMs: this.#options.clock.nowMs(),
      cluster: clusters.of(key).get(name),
      endings: this.#endingsOf(key),
      pods: new Map([...rest.pods.of(key), ...strays]),
      lastWords: this.#lastWordsOf(key),
      vanished: new Set(this.#vanished.get(key)),
      storageClasses: new Map(this.#storageClasses.items().map(one => [one.metadata.name, one])),
      zones: new Map(this.#zones),
      silent: this.#silentOf(key),
      image,
    }
    return { ...observed, volumes: await volumesOf(observed, this.#options) }
  }

  #silentOf(key: string): ReadonlySet<string> {
    const silent = [...this.#copies.leases.of(key).values()].filter(lease => this.#silences.has(lease))
    return new Set(silent.map(({ metadata }) => metadata.name))
  }

  #listen({ before, after }: Change<KubeObject>): void {
    const lease = after ?? before
    if (lease === undefined || !isLease(lease)) return
    const cluster = watched.leases.clusterOf(lease)
    if (after === undefined || cluster === undefined) this.#silences.gone(lease)
    else this.#silences.heard(cluster, lease)
  }

  #heed({ after, last }: Change<KubeObject>): void {
    if (after !== undefined && isLogCluster(after) && isOrphaning(after))
      this.#orphaning.add(after.metadata.uid ?? '')
    if (last === undefined) return
    if (isLogCluster(last)) {
      const key = watched.clusters.clusterOf(last) ?? ''
      const endings = this.#endings.get(key) ?? new Map<string, Ending>()
      const [ending, { uid = '', creationTimestamp = '' }] = [this.#endingOf(last), last.metadata]
      this.#endings.set(key, endings.set(uid, ending))
      if (ending === 'Delete') this.#unsureSince.set(uid, creationTimestamp)
    }
    if (!isLogTopic(last)) return
    const key = watched.topics.clusterOf(last)
    if (key === undefined) return
    const words = this.#lastWords.get(key) ?? new Map<string, DeletionPolicy>()
    this.#lastWords.set(key, words.set(last.metadata.uid ?? '', last.spec.deletionPolicy))
  }

  /** Those that are still needed: of LogTopics whose slices are there. */
  #lastWordsOf(key: string): ReadonlyMap<string, DeletionPolicy> {
    const words = this.#lastWords.get(key)
    if (words === undefined) return new Map()
    const holders = new Set([...this.#copies.slices.of(key).values()].map(holderOf))
    for (const uid of words.keys()) if (!holders.has(uid)) words.delete(uid)
    if (words.size === 0) this.#lastWords.delete(key)
    return new Map(words)
  }

  #endingOf(last: LogCluster): Ending {
    if (this.#orphaning.delete(last.metadata.uid ?? '') || isOrphaning(last)) return 'orphaned'
    return last.metadata.annotations?.[annotations.paused] === 'true' ? 'paused' : last.spec.deletionPolicy
  }

  /**
   * A LogCluster that is older than the definition of its kind, or goes while that does, went with it: nobody asked for its end.
   * @throws ApiError when the API server cannot say now
   */
  async #lookAtDefinition(key: string): Promise<void> {
    const endings = this.#endings.get(key) ?? new Map<string, Ending>()
    const unsure = [...endings.keys()].filter(uid => this.#unsureSince.has(uid))
    if (unsure.length === 0) return
    const definition = await this.#definition()
    for (const uid of unsure) {
      const madeAt = this.#unsureSince.get(uid) ?? ''
      this.#unsureSince.delete(uid)
      if (definition === 'hidden') continue
      const isOlder = (definition?.metadata.creationTimestamp ?? '') > madeAt
      if (definition === undefined || isGoing(definition) || isOlder) endings.set(uid, 'undefined kind')
    }
  }

  /** 'hidden': whoever installed the operator does not let it look. */
  async #definition(): Promise<KubeObject | 'hidden' | undefined> {
    const name = `${logClusters.plural}.${logClusters.group}`
    try {
      return await this.#options.api.get(customResourceDefinitions, { namespace: '', name })
    } catch (error) {
      if (error instanceof ApiError && error.code === 403) return 'hidden'
      throw error
    }
  }

  /** Those that are still needed: of LogClusters of which a claim or a slice is there. */
  #endingsOf(key: string): ReadonlyMap<string, Ending> {
    const endings = this.#endings.get(key)
    if (endings === undefined) return new Map()
    const { claims, slices } = this.#copies
    const left = [...claims.of(key).values(), ...slices.of(key).values()]
    const uids = new Set(left.map(({ metadata }) => metadata.annotations?.[annotations.logCluster]))
    for (const uid of endings.keys()) if (!uids.has(uid)) endings.delete(uid)
    if (endings.size === 0) this.#endings.delete(key)
    return new Map(endings)
  }

  /** Who deletes a LogCluster, or whose own step it was, is not told that something is gone. */
  #miss({ before, after }: Change<KubeObject>, key: string): void {
    if (before === undefined || after !== undefined || this.#dropped.delete(before.metadata.uid ?? '')) return
    const cluster = this.#copies.clusters.of(key).get(key.slice(key.indexOf('/') + 1))
    const { annotations: noted, name, ownerReferences } = before.metadata
    const owners = [noted?.[annotations.logCluster], ...(ownerReferences ?? []).map(({ uid }) => uid)]
    if (cluster === undefined) this.#vanished.delete(key)
    if (cluster === undefined || isGoing(cluster) || !owners.includes(cluster.metadata.uid)) return
    const vanished = this.#vanished.get(key) ?? new Set<string>()
    this.#vanished.set(key, vanished.add(`${before.kind} ${name}`))
  }

  /** A pod without our label is not watched, and is in the way of the one that its StatefulSet would make: it is looked for by its name. */
  async #straysOf(key: string): Promise<Map<string, Pod>> {
    const { statefulSets, pods: known } = this.#copies
    const nowMs = this.#options.clock.monotonicMs()
    const found = new Map<string, Pod>()
    for (const { metadata } of statefulSets.of(key).values()) {
      const name = `${metadata.name}-0`
      const at = { namespace: metadata.namespace ?? '', name }
      const place = `${at.namespace}/${name}`
      if (known.of(key).has(name)) this.#strays.delete(place)
      else {
        const last = this.#strays.get(place)
        const stray = last !== undefined && nowMs < last.untilMs ? last.pod : await this.#strayAt(at)
        if (stray !== last?.pod || last === undefined)
          this.#strays.set(place, { pod: stray, untilMs: nowMs + strayMs })
        if (stray !== undefined) found.set(name, stray)
      }
    }
    return found
  }

  async #strayAt(at: ObjectKey): Promise<Pod | undefined> {
    try {
      const pod = await this.#options.api.get(pods, at)
      const { annotations: noted, labels: there } = pod?.metadata ?? {}
      // Only what the operator's template made: a stranger of the name is left alone.
      return noted?.[annotations.revision] !== undefined && there?.[labels.cluster] === undefined
        ? pod
        : undefined
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return undefined
    }
  }

  /** Whether something of a LogCluster could not be learnt for a while: it is to be looked at again soon. */
  isBlurred(key: string): boolean {
    return [...this.#copies.pods.of(key).values()].some(pod => this.#unanswered.has(pod.spec?.nodeName ?? ''))
  }

  /** Nodes are not watched: they change all the time, and their zones never. */
  async #learnZones(key: string): Promise<void> {
    const names = [...this.#copies.pods.of(key).values()].map(pod => pod.spec?.nodeName)
    const nowMs = this.#options.clock.monotonicMs()
    for (const name of new Set(names)) {
      if (name === undefined || this.#zones.has(name)) continue
      if (nowMs < (this.#zonelessUntilMs.get(name) ?? 0)) continue
      const zone = await this.#zoneOf(name)
      if (zone === undefined) this.#zonelessUntilMs.set(name, nowMs + zonelessMs)
      else {
        this.#zones.set(name, zone)
        this.#zonelessUntilMs.delete(name)
      }
    }
  }

  /** Undefined also where nobody lets us look or answers: zones make brokers safer, and are no condition for them. */
  async #zoneOf(name: string): Promise<string | undefined> {
    try {
      const node = await this.#options.api.get(nodes, { namespace: '', name })
      this.#unanswered.delete(name)
      return node?.metadata.labels?.['topology.kubernetes.io/zone']
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      if (error.code !== 403) this.#unanswered.add(name)
      this.#options.log.debug({ err: error, node: name }, 'the zone of a node is not known')
      return undefined
    }
  }

  #watch(resource: Resource, copy: Copy<KubeObject>, selection: { readonly labelSelector?: string }) {
    const { namespace, onChange } = this.#options
    return new ListWatch<KubeObject>({
      ...this.#shared(),
      resource,
      selection: { ...selection, ...(namespace !== undefined && { namespace }) },
      onChange: change => {
        const keys = copy.told(change)
        this.#heed(change)
        this.#listen(change)
        keys.forEach(key => this.#miss(change, key))
        const isNews = !isHeartbeat(change)
        keys.filter(key => isNews || this.#isProgress(key, change)).forEach(onChange)
      },
    })
  }

  /** How far copies are is looked at now and then, whichever of the brokers tells of it. */
  #isProgress(key: string, { before, after }: Change<KubeObject>): boolean {
    if (copiesOf(before) === copiesOf(after)) return false
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs < (this.#progressMs.get(key) ?? nowMs)) return false
    this.#progressMs.set(key, nowMs + progressMs)
    return true
  }

  #shared() {
    const { api, clock, random, log, timings } = this.#options
    return { api, clock, random, log, ...(timings !== undefined && { timings }) }
  }

  #all(): ListWatch<KubeObject>[] {
    return [...this.#watches, this.#storageClasses as unknown as ListWatch<KubeObject>]
  }
}

const neverHealthy = { healthySinceMs: undefined, isHealthy: () => false }

const isLease = (object: KubeObject): object is Lease => object.kind === leases.kind

/** Garbage collection's own finalizer, under which brokers and all are to stay as they are. */
const isOrphaning = ({ metadata }: KubeObject): boolean => (metadata.finalizers ?? []).includes('orphan')

const isLogCluster = (object: KubeObject): object is LogCluster => object.kind === logClusters.kind
const isLogTopic = (object: KubeObject): object is LogTopic => object.kind === logTopics.kind

/** A broker that lives renews its Lease every few seconds: that alone is no reason to look at its cluster. */
function isHeartbeat({ before, after }: Change<KubeObject>): boolean {
  if (before === undefined || !isLease(before) || after === undefined) return false
  return facts(before) === facts(after)
}

const copiesOf = (object: KubeObject | undefined): string =>
  object?.metadata.annotations?.[annotations.copies] ?? ''

const facts = ({ metadata }: KubeObject): string =>
  JSON.stringify([
    metadata.uid,
    metadata.annotations?.[annotations.broker],
    metadata.annotations?.[annotations.offline],
    metadata.annotations?.[annotations.stopped],
    (metadata.annotations?.[annotations.copies] ?? '') === '',
    metadata.labels?.[labels.retired],
    metadata.labels?.[labels.brokerId],
    metadata.ownerReferences,
    metadata.deletionTimestamp,
  ])
