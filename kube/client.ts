/**
 * The real Kubernetes API: calls enter, HTTP requests go out. What always holds: every call ends in its time, fails with an
 * ApiError and nothing else, and is told to `onRequest`.
 */
import type { Access } from './access.ts'
import {
  ApiError,
  type DeleteOptions,
  type JsonPatch,
  type KubeApi,
  type KubeObject,
  type Listed,
  type ObjectKey,
  type Resource,
  type Selection,
  type Subresource,
  type WatchEvent,
  type WatchOptions,
} from './api.ts'
import { pods } from './resources.ts'
import { type Around, type Asked, type Status, ask, askForLines, askForText, errorOf } from './requests.ts'

/** A call that is over, for `rest_client_requests_total`. */
export type RequestObservation = {
  readonly verb: 'get' | 'list' | 'create' | 'apply' | 'patch' | 'replace' | 'delete' | 'watch'
  /** Its plural. */
  readonly resource: string
  /** The HTTP status; 0 when nothing was answered. */
  readonly code: number
  /** Until the answer; of a watch until it was opened. */
  readonly seconds: number
}

export type KubeClientOptions = {
  readonly access: Access
  /** What stands before its '/' is also the field manager of writes that are no apply. */
  readonly userAgent: string
  /** For a whole answer; 30 s when not given. */
  readonly timeoutMs?: number
  readonly onRequest?: (observation: RequestObservation) => void
}

const usualTimeoutMs = 30_000
const pageItems = 500
/** A watch that should have ended so long ago is dead. */
const watchMarginMs = 15_000

export class KubeClient implements KubeApi {
  readonly #around: Around
  readonly #timeoutMs: number
  readonly #onRequest: ((observation: RequestObservation) => void) | undefined

  constructor({ access, userAgent, timeoutMs, onRequest }: KubeClientOptions) {
    this.#around = { access, userAgent }
    this.#timeoutMs = timeoutMs ?? usualTimeoutMs
    this.#onRequest = onRequest
  }

  async get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): Promise<T | undefined> {
    const asked = { method: 'GET', path: pathOf(resource, key) }
    return this.#ask<T>('get', resource, asked).then(trimmed, error => undefinedIfMissing(error, key))
  }

  async list<T extends KubeObject>(resource: Resource<T>, selection: Selection = {}): Promise<Listed<T>> {
    const items: T[] = []
    let resourceVersion = ''
    for (let next = ''; ;) {
      const query = queryOf({ ...selectionQuery(selection), limit: pageItems, continue: next })
      const path = collectionPath(resource, selection.namespace) + query
      const page = await this.#ask<Page<T>>('list', resource, { method: 'GET', path })
      if (!Array.isArray(page.items) || typeof page.metadata?.resourceVersion !== 'string')
        throw new ApiError('the answer to a list is no list', { code: 0 })
      const { apiVersion, kind } = { apiVersion: apiVersionOf(resource), kind: resource.kind }
      for (const item of page.items) items.push(trimmed({ ...item, apiVersion, kind }))
      resourceVersion = page.metadata.resourceVersion
      next = page.metadata.continue ?? ''
      if (next === '') return { items, resourceVersion }
    }
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: T): Promise<T> {
    const path = collectionPath(resource, object.metadata.namespace)
    return trimmed(await this.#ask<T>('create', resource, { method: 'POST', path, body: json(object) }))
  }

  async apply<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    { manager, force }: { readonly manager: string; readonly force: boolean },
  ): Promise<T> {
    const path = pathOf(resource, keyOf(object)) + queryOf({ fieldManager: manager, force })
    const body = { type: 'application/apply-patch+yaml', value: object }
    return trimmed(await this.#ask<T>('apply', resource, { method: 'PATCH', path, body }))
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: JsonPatch,
    { subresource }: { readonly subresource?: Subresource } = {},
  ): Promise<T> {
    const path = pathOf(resource, key, subresource)
    const body = { type: 'application/json-patch+json', value: patch }
    return trimmed(await this.#ask<T>('patch', resource, { method: 'PATCH', path, body }))
  }

  async replace<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    { subresource }: { readonly subresource?: Subresource } = {},
  ): Promise<T> {
    const path = pathOf(resource, keyOf(object), subresource)
    return trimmed(await this.#ask<T>('replace', resource, { method: 'PUT', path, body: json(object) }))
  }

  async delete(
    resource: Resource,
    key: ObjectKey,
    { uid, resourceVersion, propagation }: DeleteOptions = {},
  ): Promise<boolean> {
    const value = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      preconditions: { uid, resourceVersion },
      ...(propagation === undefined ? {} : { propagationPolicy: propagation }),
    }
    const asked = { method: 'DELETE', path: pathOf(resource, key), body: json(value) }
    const gone = this.#ask('delete', resource, asked).then(
      () => true,
      error => undefinedIfMissing(error, key),
    )
    return (await gone) ?? false
  }

  async *watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    const { resourceVersion, timeoutSeconds, namespace } = options
    const query = queryOf({
      ...selectionQuery(options),
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion,
      timeoutSeconds,
    })
    const asked: Asked = {
      method: 'GET',
      path: collectionPath(resource, namespace) + query,
      timeoutMs: this.#timeoutMs,
    }
    const idleMs = timeoutSeconds * 1_000 + watchMarginMs
    const ended = this.#begun('watch', resource)
    try {
      for await (const line of askForLines(this.#around, asked, { idleMs, signal })) {
        if (signal.aborted) return
        if (line === undefined) {
          ended(200)
          yield { type: 'BOOKMARK', resourceVersion }
        } else {
          const event = eventOf<T>(line)
          if (event !== undefined) yield event
        }
      }
    } catch (error) {
      if (error instanceof ApiError) ended(error.code)
      throw error
    }
  }

  /**
   * What the pod answers to a GET on one of its ports, by way of the API server.
   * @throws ApiError 403 without the right to get pods/proxy, 503 when the pod cannot be reached, and what the pod itself answers
   */
  async askPod(key: ObjectKey, port: number, path: string): Promise<string> {
    const ended = this.#begun('get', pods)
    try {
      const answer = await askForText(this.#around, {
        method: 'GET',
        path: `${pathOf(pods, key)}:${port}/proxy${path}`,
        timeoutMs: this.#timeoutMs,
      })
      ended(200)
      return answer
    } catch (error) {
      if (error instanceof ApiError) ended(error.code)
      throw error
    }
  }

  async #ask<Answer>(
    verb: RequestObservation['verb'],
    resource: Resource,
    asked: Omit<Asked, 'timeoutMs'>,
  ): Promise<Answer> {
    const ended = this.#begun(verb, resource)
    try {
      const answer = await ask(this.#around, { ...asked, timeoutMs: this.#timeoutMs })
      if (typeof answer !== 'object' || answer === null)
        throw new ApiError('the answer is no object', { code: 0 })
      ended(200)
      return answer as Answer
    } catch (error) {
      if (error instanceof ApiError) ended(error.code)
      throw error
    }
  }

  /** Tells once how the call ended. */
  #begun(verb: RequestObservation['verb'], resource: Resource): (code: number) => void {
    const beganMs = performance.now()
    let told = false
    return code => {
      if (told) return
      told = true
      const seconds = (performance.now() - beganMs) / 1_000
      this.#onRequest?.({ verb, resource: resource.plural, code, seconds })
    }
  }
}

type Page<T> = {
  readonly items?: readonly T[]
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string }
}
type WatchLine<T> = { readonly type?: string; readonly object?: T & Status }

/** Undefined for what says nothing to us. */
function eventOf<T extends KubeObject>(line: unknown): WatchEvent<T> | undefined {
  const { type, object } = (line ?? {}) as WatchLine<T>
  if (type === 'ERROR') throw errorOf(object, { code: 500 })
  const resourceVersion = object?.metadata?.resourceVersion
  if (object === undefined || resourceVersion === undefined)
    throw new ApiError('an event of a watch has no object', { code: 0 })
  if (type === 'BOOKMARK') return { type, resourceVersion }
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') return { type, object: trimmed(object) }
  return undefined
}

/** Nobody here reads who manages which field, and it is often half of an object. */
function trimmed<T extends KubeObject>(object: T): T {
  if (typeof object.metadata?.name !== 'string') throw new ApiError('the answer is no object', { code: 0 })
  const { managedFields: _, ...metadata } = object.metadata as T['metadata'] & { managedFields?: unknown }
  return { ...object, metadata }
}

/** Only when the API server itself says that this object is missing, and not its kind, or a proxy on the way. */
function undefinedIfMissing(error: unknown, { name }: ObjectKey): undefined {
  const status =
    error instanceof ApiError && error.code === 404 ? (error.cause as Status | undefined) : undefined
  if (status?.details?.name === name) return
  throw error
}

const json = (value: unknown) => ({ type: 'application/json', value })

const keyOf = ({ metadata: { namespace = '', name } }: KubeObject): ObjectKey => ({ namespace, name })

const apiVersionOf = ({ group, version }: Resource): string =>
  group === '' ? version : `${group}/${version}`

function collectionPath(resource: Resource, namespace: string | undefined): string {
  const root = resource.group === '' ? '/api' : '/apis'
  const within =
    namespace === undefined || namespace === '' ? '' : `/namespaces/${encodeURIComponent(namespace)}`
  return `${root}/${apiVersionOf(resource)}${within}/${resource.plural}`
}

function pathOf(resource: Resource, { namespace, name }: ObjectKey, subresource?: Subresource): string {
  const path = `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`
  return subresource === undefined ? path : `${path}/${subresource}`
}

const selectionQuery = ({ labelSelector }: Selection) => ({ labelSelector: labelSelector ?? '' })

function queryOf(values: Readonly<Record<string, string | number | boolean>>): string {
  const given = Object.entries(values).filter(([, value]) => value !== '')
  return given.length === 0
    ? ''
    : `?${given.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&')}`
}
