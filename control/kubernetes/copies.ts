import type { KubeObject } from '../../kube/api.ts'
import type { Change } from '../../kube/list-watch.ts'

/**
 * Objects of a kind as far as they are known: from what is watched, and from the answers to our own writes, which come before the
 * watch tells of them. Always holds: of one object only ever a newer one takes the place of an older one, unless the server itself went back.
 */
export class Copies<T extends KubeObject> {
  readonly #objects = new Map<string, T>()
  /** Deleted by us; the watch may still tell of what was before. */
  readonly #deleted = new Set<string>()

  /** Made by us; no watch has told of them yet. */
  readonly #unseen = new Set<string>()

  get(name: string): T | undefined {
    return this.#objects.get(name)
  }

  values(): Iterable<T> {
    return this.#objects.values()
  }

  /** What is watched has changed. Answers what that changes here, or undefined. */
  watched({ before, after }: Change<T>): Change<T> | undefined {
    if (after !== undefined) {
      this.#unseen.delete(uidOf(after))
      // An older state of the whole server was restored: what we know of a later one never was.
      const rewound = before !== undefined && uidOf(before) === uidOf(after) && isNewer(before, after)
      return this.#deleted.has(uidOf(after)) ? undefined : this.#put(after, rewound)
    }
    if (before === undefined) return undefined
    this.#deleted.delete(uidOf(before))
    return this.#remove(before)
  }

  /** The answer to a write of ours. One that is gone meanwhile does not come back. */
  written(object: T): Change<T> | undefined {
    const known = this.#objects.get(object.metadata.name)
    return known?.metadata.uid === object.metadata.uid ? this.#put(object) : undefined
  }

  /** The answer to our making of it, when none of its name is known. */
  made(object: T): Change<T> | undefined {
    if (this.#objects.has(object.metadata.name)) return undefined
    this.#unseen.add(uidOf(object))
    return this.#put(object)
  }

  isUnseen(object: T): boolean {
    return this.#unseen.has(uidOf(object))
  }

  /** What we made was asked for, and is not there. */
  missing(object: T): Change<T> | undefined {
    this.#unseen.delete(uidOf(object))
    return this.#remove(object)
  }

  deleted(object: T): Change<T> | undefined {
    this.#deleted.add(uidOf(object))
    this.#unseen.delete(uidOf(object))
    return this.#remove(object)
  }

  #put(after: T, whateverIsThere = false): Change<T> | undefined {
    const { name } = after.metadata
    const before = this.#objects.get(name)
    const isOld = before !== undefined && uidOf(before) === uidOf(after) && !isNewer(after, before)
    if (isOld && !whateverIsThere) return undefined
    this.#objects.set(name, after)
    return { before, after }
  }

  #remove(object: T): Change<T> | undefined {
    const { name, uid } = object.metadata
    const before = this.#objects.get(name)
    if (before === undefined || before.metadata.uid !== uid) return undefined
    this.#objects.delete(name)
    return { before, after: undefined }
  }
}

const uidOf = ({ metadata: { uid = '' } }: KubeObject): string => uid

/** The API server's resource versions are whole numbers that grow; Kubernetes 1.35 promises so. */
const isNewer = (a: KubeObject, b: KubeObject): boolean =>
  BigInt(a.metadata.resourceVersion ?? 0) > BigInt(b.metadata.resourceVersion ?? 0)
