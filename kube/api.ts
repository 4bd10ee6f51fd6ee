/**
 * The Kubernetes API as we use it: typed objects in and out, guarded writes, lists and watches. What it never does is retry by
 * itself: who asks knows what a second try would mean. `KubeApi` has two implementations, the real one on @kubernetes/client-node and
 * the one in `test/sim`; both pass `test/contract`.
 */

type ObjectMeta = {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
  readonly finalizers?: readonly string[]
}

export type OwnerReference = {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

/** Any object of Kubernetes; what it holds beside these is its resource's business. */
export type KubeObject = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
}

/** A kind of object, and where the API server keeps it. `T` is the shape of one. */
export type Resource<T extends KubeObject = KubeObject> = {
  /** '' is the core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  /** As in URLs: `statefulsets`. */
  readonly plural: string
  /** False: its objects stand in no namespace, and keys of it have ''. */
  readonly namespaced?: false
  /** Never there: it only carries the type. */
  readonly shape?: T
}

export type ObjectKey = { readonly namespace: string; readonly name: string }

export type Selection = {
  /** All namespaces when it is not given. */
  readonly namespace?: string
  /** As kubectl's `-l`: `a=b,c in (d,e),f`. */
  readonly labelSelector?: string
}

/** RFC 6902. */
export type JsonPatch = readonly (
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
)[]

export type Listed<T> = { readonly items: readonly T[]; readonly resourceVersion: string }

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Nothing changed up to here. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }

export type WatchOptions = Selection & {
  readonly resourceVersion: string
  /** The server ends the watch after so long; seconds. */
  readonly timeoutSeconds: number
}

export type Subresource = 'status' | 'scale'

export type DeleteOptions = {
  /** Only this very object, not another one of its name. */
  readonly uid?: string
  /** Only as it was then: 409 when it has moved on. */
  readonly resourceVersion?: string
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan'
}

/** Every call rejects with `ApiError`. One without an answer (`answered` false) may or may not have been carried out. */
export type KubeApi = {
  get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): Promise<T | undefined>
  /** All of them, fetched in pages. */
  list<T extends KubeObject>(resource: Resource<T>, selection?: Selection): Promise<Listed<T>>
  create<T extends KubeObject>(resource: Resource<T>, object: T): Promise<T>
  /** Server-side apply: what `manager` applied before and does not now is removed. With `force`, fields of others are taken over. */
  apply<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: { readonly manager: string; readonly force: boolean },
  ): Promise<T>
  /** A failed `test` is an ApiError of code 422. */
  patch<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: JsonPatch,
    options?: { readonly subresource?: Subresource },
  ): Promise<T>
  /** Guarded by `metadata.resourceVersion`, when it is given: 409 when the object has moved on. */
  replace<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options?: { readonly subresource?: Subresource },
  ): Promise<T>
  /** False when there was nothing to delete. */
  delete(resource: Resource, key: ObjectKey, options?: DeleteOptions): Promise<boolean>
  /**
   * Events from `resourceVersion` on; the first is a BOOKMARK of that version when the server has opened the watch. They
   * come until the server ends the watch (the iteration is done), something fails (it rejects with an ApiError; 410 means list again)
   * or `signal` is aborted (it is done).
   */
  watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>
}

/** An answer of the API server that is not a success, or none at all. */
export class ApiError extends Error {
  override name = 'ApiError'
  /** The HTTP status; 0 when nothing was answered. */
  readonly code: number
  /** As in Kubernetes' Status: NotFound, AlreadyExists, Conflict, Invalid, Forbidden, TooManyRequests, Expired, …; '' when unknown. */
  readonly reason: string
  /** Seconds that the server asks to wait, if it does. */
  readonly retryAfterSeconds: number | undefined

  constructor(
    message: string,
    answer: { code: number; reason?: string; retryAfterSeconds?: number; cause?: unknown },
  ) {
    super(message, { cause: answer.cause })
    this.code = answer.code
    this.reason = answer.reason ?? ''
    this.retryAfterSeconds = answer.retryAfterSeconds
  }

  get answered(): boolean {
    return this.code !== 0
  }
}
