import type { KubeObject } from '../../kube/api.ts'
import type { Change } from '../../kube/list-watch.ts'

/**
 * Objects of a kind as far as they are known: from what is watched, and from the answers to our own writes, which come before the
 * watch tells of them. Always holds: of one object only ever a newer one takes the place of an older one.
 */
export class Copies<T extends KubeObject> {
  readonly #objects = new Map<string, T>()
  /** Deleted by us; the watch may still tell of what was before. */
  readonly #deleted = new Set<string>()

  get(name: string): T | undefined {
    return this.#objects.get(name)
  }

  values(): Iterable<T> {
    return this.#objects.values()
  }

  /** What is watched has changed. Answers what that changes here, or undefined. */
  watched({ before, after }: Change<T>): Change<T> | undefined {
    if (after !== undefined) return this.#isDeleted(after) ? undefined : this.#put(after)
    if (before === undefined) return undefined
    this.#deleted.delete(before.metadata.uid ?? '')
    return this.#remove(before)
  }

  /** The answer to a write of ours. One that is gone meanwhile does not come back. */
  written(object: T): Change<T> | undefined {
    const known = this.#objects.get(object.metadata.name)
    return known?.metadata.uid === object.metadata.uid ? this.#put(object) : undefined
  }

  deleted(object: T): Change<T> | undefined {
    this.#deleted.add(object.metadata.uid ?? '')
    return this.#remove(object)
  }

  #put(after: T): Change<T> | undefined {
    const { name } = after.metadata
    const before = this.#objects.get(name)
    if (before !== undefined && before.metadata.uid === after.metadata.uid && !isNewer(after, before))
      return undefined
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

  #isDeleted(object: T): boolean {
    return this.#deleted.has(object.metadata.uid ?? '')
  }
}

/** The API server's resource versions are whole numbers that grow; Kubernetes 1.35 promises so. */
const isNewer = (a: KubeObject, b: KubeObject): boolean =>
  BigInt(a.metadata.resourceVersion ?? 0) > BigInt(b.metadata.resourceVersion ?? 0)
