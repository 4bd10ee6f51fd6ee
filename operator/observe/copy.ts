import type { Clock } from '../../base/world.ts'
import type { KubeObject } from '../../kube/api.ts'
import type { Change } from '../../kube/list-watch.ts'

/** A write that no watch has told of after so long was undone before anyone saw it. */
const unseenMs = 30_000

/**
 * The objects of one resource, by cluster and name: what watches tell, and over it what we wrote ourselves and they have not told yet. So
 * whoever decides sees his own writes, and does nothing twice.
 */
export class Copy<T extends KubeObject> {
  readonly #clock: Clock
  readonly #clusterOf: (object: T) => string | undefined
  readonly #byCluster = new Map<string, Map<string, T>>()
  /** What we wrote and have not seen: until when it is believed. By namespace and name. */
  readonly #unseen = new Map<
    string,
    { readonly uid: string; readonly untilMs: number; readonly cluster: string }
  >()

  constructor(clock: Clock, clusterOf: (object: T) => string | undefined) {
    this.#clock = clock
    this.#clusterOf = clusterOf
  }

  /** The objects of a cluster (`namespace/name`) by name, as they are now: what changes later does not change here. */
  of(cluster: string): ReadonlyMap<string, T> {
    return new Map(this.#byCluster.get(cluster))
  }

  clusters(): string[] {
    return [...this.#byCluster.keys()]
  }

  /** Takes what a watch tells. Answers the clusters whose objects changed. */
  told({ before, after }: Change<T>): string[] {
    const left = before === undefined ? undefined : this.#clusterOf(before)
    const joined = after === undefined ? undefined : this.#clusterOf(after)
    if (before !== undefined && left !== undefined && left !== joined) this.#take(left, before)
    // An older state of the whole server was restored: what we know of a later one never was.
    const rewound = before !== undefined && after !== undefined && isOlder(after, before)
    if (after !== undefined && joined !== undefined) this.#put(joined, after, rewound)
    return [...new Set([left, joined])].filter(cluster => cluster !== undefined)
  }

  /** Takes the answer of a write of ours. */
  wrote(object: T): void {
    const cluster = this.#clusterOf(object)
    if (cluster === undefined) return
    const untilMs = this.#clock.monotonicMs() + unseenMs
    const isNew = this.#byCluster.get(cluster)?.get(object.metadata.name) === undefined
    this.#put(cluster, object)
    if (isNew) this.#unseen.set(nameIn(object), { uid: object.metadata.uid ?? '', untilMs, cluster })
  }

  /** We had it deleted: it is on its way out, until a watch says that it is gone. */
  deleted(object: KubeObject): void {
    for (const objects of this.#byCluster.values()) {
      const now = objects.get(object.metadata.name)
      if (now === undefined || now.metadata.uid !== object.metadata.uid) continue
      const deletionTimestamp = now.metadata.deletionTimestamp ?? new Date(this.#clock.nowMs()).toISOString()
      objects.set(now.metadata.name, { ...now, metadata: { ...now.metadata, deletionTimestamp } })
    }
  }

  /** Drops what we wrote and nobody has told of in time. Answers the clusters it was of. */
  dropUnseen(): string[] {
    const nowMs = this.#clock.monotonicMs()
    const dropped: string[] = []
    for (const [key, { uid, untilMs, cluster }] of this.#unseen) {
      if (nowMs < untilMs) continue
      this.#unseen.delete(key)
      const name = key.slice(key.indexOf('/') + 1)
      const objects = this.#byCluster.get(cluster)
      if (objects?.get(name)?.metadata.uid !== uid) continue
      objects.delete(name)
      if (objects.size === 0) this.#byCluster.delete(cluster)
      dropped.push(cluster)
    }
    return dropped
  }

  #put(cluster: string, object: T, whateverIsThere = false): void {
    this.#unseen.delete(nameIn(object))
    const objects = this.#byCluster.get(cluster) ?? new Map<string, T>()
    const now = objects.get(object.metadata.name)
    const isOld = now !== undefined && now.metadata.uid === object.metadata.uid && isOlder(object, now)
    if (isOld && !whateverIsThere) return
    objects.set(object.metadata.name, object)
    this.#byCluster.set(cluster, objects)
  }

  #take(cluster: string, { metadata }: T): void {
    const objects = this.#byCluster.get(cluster)
    if (objects?.get(metadata.name)?.metadata.uid !== metadata.uid) return
    objects?.delete(metadata.name)
    if (objects?.size === 0) this.#byCluster.delete(cluster)
  }
}

const nameIn = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`

/** Versions of one object are numbers that grow; in Kubernetes that is so, and since 1.35 also said. */
function isOlder(a: KubeObject, b: KubeObject): boolean {
  const [one, other] = [a, b].map(({ metadata }) => metadata.resourceVersion ?? '0')
  if (one === undefined || other === undefined || one === other) return false
  return one.length === other.length ? one < other : one.length < other.length
}
