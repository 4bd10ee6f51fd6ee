/**
 * What an API server holds and how it changes, without time and network: writes enter, objects and a history of changes come out.
 * What always holds: every change has a resourceVersion of its own, one after another; objects are frozen.
 */
import {
  ApiError,
  type DeleteOptions,
  type JsonPatch,
  type ObjectKey,
  type Resource,
  type Selection,
} from '../../../kube/api.ts'
import type { Seeded } from '../seeded.ts'
import { type Definition, usualDefinitions } from './definitions.ts'
import { Fields, type FieldOwners, apply, written } from './fields.ts'
import { patched } from './json-patch.ts'
import {
  type Json,
  type JsonMap,
  frozen,
  isList,
  isMap,
  overTheWire,
  same,
  withKey,
  without,
} from './json.ts'
import { selector } from './selectors.ts'

export type Kept = {
  readonly resourceVersion: number
  /** `plural.group`. */
  readonly id: string
  readonly before: JsonMap | undefined
  readonly after: JsonMap | undefined
  /** As a watch tells it when it is gone: with the version of its end. */
  readonly gone: JsonMap | undefined
}

type Entry = { readonly object: JsonMap; readonly managers: FieldOwners }
type Kind = Pick<Resource, 'group' | 'version' | 'kind' | 'plural' | 'namespaced'>
type Subresource = 'status' | 'scale' | undefined

/** The API server remembers so many changes. */
const historyMax = 20_000

export const idOf = ({ plural, group }: Kind): string => `${plural}.${group}`

export class Objects {
  readonly #random: Seeded
  readonly #nowMs: () => number
  readonly #definitions: Map<string, Definition>
  readonly #onChange: (change: Kept) => void
  /** By kind, then by namespace and name. */
  readonly #kinds = new Map<string, Map<string, Entry>>()
  #history: Kept[] = []
  #resourceVersion = 1_000
  #compactedAt = 0

  constructor(options: {
    readonly random: Seeded
    readonly nowMs: () => number
    readonly definitions: readonly Definition[]
    readonly onChange: (change: Kept) => void
  }) {
    this.#random = options.random
    this.#nowMs = options.nowMs
    this.#onChange = options.onChange
    const all = [...usualDefinitions, ...options.definitions]
    this.#definitions = new Map(all.map(definition => [definition.id, definition]))
  }

  get resourceVersion(): number {
    return this.#resourceVersion
  }

  /** Forgets all history. */
  compact(): void {
    this.#history = []
    this.#compactedAt = this.#resourceVersion
  }

  /** @throws ApiError 410 when that is forgotten */
  since(id: string, resourceVersion: string): Kept[] {
    const from = Number(resourceVersion)
    if (!/^\d+$/.test(resourceVersion))
      throw new ApiError(`invalid resource version: ${resourceVersion}`, { code: 400, reason: 'BadRequest' })
    if (from < this.#compactedAt)
      throw new ApiError(`too old resource version: ${from} (${this.#compactedAt})`, {
        code: 410,
        reason: 'Expired',
      })
    return this.#history.filter(change => change.id === id && change.resourceVersion > from)
  }

  get(kind: Kind, key: ObjectKey): JsonMap | undefined {
    return this.#of(kind).get(nameOf(key))?.object
  }

  list(kind: Kind, selection: Selection): JsonMap[] {
    const wanted = selects(selection)
    return [...this.#of(kind)]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { object }]) => object)
      .filter(object => wanted(object))
  }

  create(kind: Kind, given: unknown): JsonMap {
    const sent = this.#received(kind, given)
    const meta = metaOf(sent)
    if (meta['resourceVersion'] !== undefined)
      throw new ApiError('resourceVersion should not be set on objects to be created', {
        code: 500,
        reason: 'InternalError',
      })
    const key = keyOf(sent)
    if (this.get(kind, key) !== undefined)
      throw new ApiError(`${kind.plural} "${key.name}" already exists`, {
        code: 409,
        reason: 'AlreadyExists',
      })
    const object = this.#definitionOf(kind).status === true ? without(sent, 'status') : sent
    return this.#keep(kind, undefined, object, after =>
      written(this.#fields(kind), undefined, after, new Map(), 'update'),
    )
  }

  replace(kind: Kind, given: unknown, subresource: Subresource): JsonMap {
    const sent = this.#received(kind, given)
    const key = keyOf(sent)
    const entry = this.#entry(kind, key)
    const version = metaOf(sent)['resourceVersion']
    if (version === undefined && this.#definitionOf(kind).unconditional === false)
      throw invalid(kind, key, 'metadata.resourceVersion: must be specified for an update')
    return this.#update(kind, entry, sent, subresource)
  }

  patch(kind: Kind, key: ObjectKey, patch: JsonPatch, subresource: Subresource): JsonMap {
    const entry = this.#entry(kind, key)
    const { scale } = this.#definitionOf(kind)
    if (subresource === 'scale') {
      if (scale === undefined) throw missing(kind, key.name)
      const [outer = '', inner = ''] = scale.split('.')
      const spec = mapAt(entry.object, outer)
      const scaled = patched({ spec: { replicas: spec[inner] ?? 0 } }, patch)
      const replicas = mapAt(isMap(scaled) ? scaled : {}, 'spec')['replicas']
      return this.#update(
        kind,
        entry,
        { ...entry.object, [outer]: withKey(spec, inner, replicas) },
        undefined,
      )
    }
    const after = patched(entry.object, patch)
    if (!isMap(after) || !isMap(after['metadata'])) throw invalid(kind, key, 'it is no object any more')
    if (metaOf(after)['uid'] !== metaOf(entry.object)['uid'])
      throw invalid(kind, key, 'metadata.uid: field is immutable')
    if (keyOf(after).name !== key.name || keyOf(after).namespace !== key.namespace)
      throw new ApiError('the name of the object does not match the name on the URL', {
        code: 400,
        reason: 'BadRequest',
      })
    return this.#update(kind, entry, after, subresource)
  }

  apply(kind: Kind, given: unknown, { manager, force }: { manager: string; force: boolean }): JsonMap {
    const sent = this.#received(kind, given)
    const key = keyOf(sent)
    const wanted = this.#definitionOf(kind).status === true ? without(sent, 'status') : sent
    const entry = this.#of(kind).get(nameOf(key))
    const fields = this.#fields(kind)
    const name = `apply ${manager}`
    if (entry === undefined)
      return this.#keep(kind, undefined, wanted, () => new Map([[name, fields.of(wanted)]]))
    const version = metaOf(sent)['resourceVersion']
    if (version !== undefined && version !== metaOf(entry.object)['resourceVersion'])
      throw conflict(kind, key)
    const result = apply(fields, entry.object, entry.managers, wanted, name)
    if (result.conflicts.length > 0 && !force)
      throw new ApiError(
        `Apply failed with ${result.conflicts.length} conflicts: ${result.conflicts
          .map(({ manager, field }) => `conflict with "${manager}": ${field}`)
          .join(', ')}`,
        { code: 409, reason: 'Conflict' },
      )
    return this.#keep(kind, entry, this.#withOwnMeta(entry.object, result.object), () => result.managers)
  }

  /** False when there was nothing. */
  delete(kind: Kind, key: ObjectKey, { uid, resourceVersion, propagation }: DeleteOptions): boolean {
    const entry = this.#of(kind).get(nameOf(key))
    if (entry === undefined) return false
    const meta = metaOf(entry.object)
    if (uid !== undefined && meta['uid'] !== uid)
      throw new ApiError(
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${textAt(meta, 'uid')}`,
        {
          code: 409,
          reason: 'Conflict',
        },
      )
    if (resourceVersion !== undefined && meta['resourceVersion'] !== resourceVersion)
      throw conflict(kind, key)
    if (propagation === 'Orphan') this.#orphan(textAt(meta, 'uid'))
    if (isList(meta['finalizers']) && meta['finalizers'].length > 0) {
      const marked = { ...entry.object, metadata: { deletionTimestamp: this.#time(), ...meta } }
      this.#keep(kind, entry, marked, () => entry.managers)
    } else this.#drop(kind, key, entry)
    return true
  }

  /** Deletes what has owners, of which none is there any more; of other objects only the owners that are gone. */
  collectGarbage(): void {
    const uids = new Set(this.#all().map(({ entry }) => metaOf(entry.object)['uid']))
    for (const { kind, entry } of this.#all()) {
      const owners = ownersOf(entry.object)
      const left = owners.filter(owner => uids.has(owner['uid']))
      if (owners.length > 0 && left.length === 0) this.delete(kind, keyOf(entry.object), {})
      else if (left.length < owners.length) this.#setOwners(kind, entry, left)
    }
  }

  #orphan(uid: string): void {
    for (const { kind, entry } of this.#all()) {
      const owners = ownersOf(entry.object)
      const left = owners.filter(owner => owner['uid'] !== uid)
      if (left.length < owners.length) this.#setOwners(kind, entry, left)
    }
  }

  #setOwners(kind: Kind, entry: Entry, owners: readonly JsonMap[]): void {
    const metadata = withKey(
      metaOf(entry.object),
      'ownerReferences',
      owners.length === 0 ? undefined : owners,
    )
    this.#keep(kind, entry, { ...entry.object, metadata }, () => entry.managers)
  }

  #all(): { readonly kind: Kind; readonly entry: Entry }[] {
    return [...this.#kinds].flatMap(([id, objects]) =>
      [...objects.values()].map(entry => ({ kind: kindOf(id, entry.object), entry })),
    )
  }

  #update(kind: Kind, entry: Entry, sent: JsonMap, subresource: Subresource): JsonMap {
    const { object: before, managers } = entry
    const meta = metaOf(sent)
    const key = keyOf(before)
    const version = meta['resourceVersion']
    if (version !== undefined && version !== metaOf(before)['resourceVersion']) throw conflict(kind, key)
    if (meta['uid'] !== undefined && meta['uid'] !== metaOf(before)['uid']) throw conflict(kind, key)
    const hasStatus = this.#definitionOf(kind).status === true
    if (subresource === 'status' && !hasStatus) throw missing(kind, key.name)
    const after =
      subresource === 'status'
        ? withKey(before, 'status', sent['status'])
        : hasStatus
          ? withKey(this.#withOwnMeta(before, sent), 'status', before['status'])
          : this.#withOwnMeta(before, sent)
    const manager = subresource === 'status' ? 'update status' : 'update'
    return this.#keep(kind, entry, after, now => written(this.#fields(kind), before, now, managers, manager))
  }

  /** What only the server writes stays as it is. */
  #withOwnMeta(before: JsonMap, after: JsonMap): JsonMap {
    const own = Object.entries(metaOf(before)).filter(([key]) => serverKeys.includes(key))
    return { ...after, metadata: { ...without(metaOf(after), ...serverKeys), ...Object.fromEntries(own) } }
  }

  #keep(
    kind: Kind,
    entry: Entry | undefined,
    wanted: JsonMap,
    managersOf: (after: JsonMap) => FieldOwners,
  ): JsonMap {
    const before = entry?.object
    const definition = this.#definitionOf(kind)
    const made =
      before === undefined
        ? { ...wanted, metadata: { ...metaOf(wanted), uid: this.#uid(), creationTimestamp: this.#time() } }
        : wanted
    const after = definition.defaulted?.(made) ?? made
    const key = keyOf(after)
    const why = wrongMeta(metaOf(after)) ?? definition.refusal?.(after, before)
    if (why !== undefined) throw invalid(kind, key, why)
    if (before !== undefined && same(before, after)) {
      this.#of(kind).set(nameOf(key), { object: before, managers: managersOf(after) })
      return before
    }
    this.#resourceVersion += 1
    const metadata = withKey(
      { ...metaOf(after), resourceVersion: String(this.#resourceVersion) },
      'generation',
      definition.generation === true ? generationOf(before, after) : undefined,
    )
    const object = frozen({ ...after, metadata })
    const finalizers = metadata['finalizers']
    this.#of(kind).set(nameOf(key), { object, managers: managersOf(object) })
    this.#changed(kind, before, object)
    if (metadata['deletionTimestamp'] !== undefined && (!isList(finalizers) || finalizers.length === 0))
      this.#drop(kind, key, { object, managers: new Map() })
    return object
  }

  #drop(kind: Kind, key: ObjectKey, { object }: Entry): void {
    this.#of(kind).delete(nameOf(key))
    this.#resourceVersion += 1
    this.#changed(kind, object, undefined)
  }

  #changed(kind: Kind, before: JsonMap | undefined, after: JsonMap | undefined): void {
    const resourceVersion = this.#resourceVersion
    const gone =
      before === undefined
        ? undefined
        : frozen({ ...before, metadata: { ...metaOf(before), resourceVersion: String(resourceVersion) } })
    const change: Kept = { resourceVersion, id: idOf(kind), before, after, gone }
    this.#history.push(change)
    if (this.#history.length > historyMax) {
      const dropped = this.#history.splice(0, historyMax / 2)
      this.#compactedAt = dropped.at(-1)?.resourceVersion ?? this.#compactedAt
    }
    this.#onChange(change)
  }

  #received(kind: Kind, given: unknown): JsonMap {
    const sent = overTheWire(given)
    const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`
    if (!isMap(sent) || sent['kind'] !== kind.kind || sent['apiVersion'] !== apiVersion)
      throw new ApiError(`the object is no ${kind.kind} of ${apiVersion}`, {
        code: 400,
        reason: 'BadRequest',
      })
    const namespaced = kind.namespaced !== false
    if (namespaced !== (metaOf(sent)['namespace'] !== undefined))
      throw new ApiError(`a ${kind.kind} ${namespaced ? 'is in a' : 'has no'} namespace`, {
        code: 400,
        reason: 'BadRequest',
      })
    return { ...sent, metadata: without(metaOf(sent), 'managedFields') }
  }

  #entry(kind: Kind, key: ObjectKey): Entry {
    const entry = this.#of(kind).get(nameOf(key))
    if (entry === undefined) throw missing(kind, key.name)
    return entry
  }

  #of(kind: Kind): Map<string, Entry> {
    const id = idOf(kind)
    const found = this.#kinds.get(id) ?? new Map<string, Entry>()
    this.#kinds.set(id, found)
    return found
  }

  #definitionOf(kind: Kind): Definition {
    return this.#definitions.get(idOf(kind)) ?? { id: idOf(kind) }
  }

  #fields(kind: Kind): Fields {
    return new Fields(kind.group)
  }

  #uid(): string {
    const hex = this.#random.bytes(16).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`
  }

  #time(): string {
    return `${new Date(this.#nowMs()).toISOString().slice(0, 19)}Z`
  }
}

const serverKeys = ['uid', 'resourceVersion', 'generation', 'creationTimestamp', 'deletionTimestamp']

const mapAt = (object: JsonMap, key: string): JsonMap => {
  const value = object[key]
  return isMap(value) ? value : {}
}
const metaOf = (object: JsonMap): JsonMap => mapAt(object, 'metadata')
const textAt = (map: JsonMap, key: string): string => (typeof map[key] === 'string' ? map[key] : '')

export const keyOf = (object: JsonMap): ObjectKey => ({
  namespace: textAt(metaOf(object), 'namespace'),
  name: textAt(metaOf(object), 'name'),
})

const nameOf = ({ namespace, name }: ObjectKey): string => `${namespace}/${name}`

const ownersOf = (object: JsonMap): JsonMap[] => {
  const owners = metaOf(object)['ownerReferences']
  return isList(owners) ? owners.filter(isMap) : []
}

function kindOf(id: string, object: JsonMap): Kind {
  const dot = id.indexOf('.')
  const version = textAt(object, 'apiVersion').split('/').at(-1) ?? ''
  return { plural: id.slice(0, dot), group: id.slice(dot + 1), version, kind: textAt(object, 'kind') }
}

/** Whether a selection has an object in it. */
export function selects({ namespace, labelSelector }: Selection): (object: JsonMap) => boolean {
  const wanted = selector(labelSelector)
  return object => {
    if (namespace !== undefined && metaOf(object)['namespace'] !== namespace) return false
    return wanted(mapAt(metaOf(object), 'labels') as Record<string, string>)
  }
}

function generationOf(before: JsonMap | undefined, after: JsonMap): Json {
  if (before === undefined) return 1
  const known = Number(metaOf(before)['generation'] ?? 1)
  const counted = (object: JsonMap): JsonMap => without(object, 'metadata', 'status')
  return same(counted(before), counted(after)) ? known : known + 1
}

const part = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const subdomain = new RegExp(`^${part}(\\.${part})*$`)
const labelValue = /^(?:[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?)?$/
const labelKey = /^(?:[a-z0-9.-]{1,253}\/)?[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?$/

function wrongMeta(meta: JsonMap): string | undefined {
  const name = textAt(meta, 'name')
  if (name.length > 253 || !subdomain.test(name)) return `metadata.name: Invalid value: "${name}"`
  for (const [key, value] of Object.entries(mapAt(meta, 'labels')))
    if (!labelKey.test(key) || typeof value !== 'string' || !labelValue.test(value))
      return `metadata.labels: Invalid value: ${JSON.stringify({ [key]: value })}`
  for (const [key, value] of Object.entries(mapAt(meta, 'annotations')))
    if (!labelKey.test(key.toLowerCase()) || typeof value !== 'string')
      return `metadata.annotations: Invalid value: ${JSON.stringify({ [key]: value })}`
  return undefined
}

const conflict = (kind: Kind, { name }: ObjectKey): ApiError =>
  new ApiError(`${kind.plural} "${name}": the object has been modified`, { code: 409, reason: 'Conflict' })
const missing = (kind: Kind, name: string): ApiError =>
  new ApiError(`${kind.plural} "${name}" not found`, { code: 404, reason: 'NotFound' })
const invalid = (kind: Kind, { name }: ObjectKey, why: string): ApiError =>
  new ApiError(`${kind.kind} "${name}" is invalid: ${why}`, { code: 422, reason: 'Invalid' })
