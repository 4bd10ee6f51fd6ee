/**
 * Who manages which fields, for server-side apply. A field is a path of keys; an item of a list that Kubernetes merges has its
 * merge keys for a name (`k:{"name":"a"}`), any other list is one field.
 */
import { type Json, type JsonMap, isList, isMap, same, withKey } from './json.ts'

/** A path as JSON text, so that it can be in a set. */
export type Field = string

const mergeKeys = new Map<string, readonly string[]>([
  ['containers', ['name']],
  ['initContainers', ['name']],
  ['volumes', ['name']],
  ['env', ['name']],
  ['imagePullSecrets', ['name']],
  ['volumeMounts', ['mountPath']],
  ['hostAliases', ['ip']],
  ['topologySpreadConstraints', ['topologyKey', 'whenUnsatisfiable']],
  ['conditions', ['type']],
])
/** Not fields that anyone manages. */
const unmanaged = new Set(
  ['name', 'namespace', 'uid', 'resourceVersion', 'generation', 'creationTimestamp', 'deletionTimestamp'].map(
    key => JSON.stringify(['metadata', key]),
  ),
)

export class Fields {
  /** Custom resources merge only what their schema says; none of ours says so. */
  readonly #custom: boolean

  constructor(group: string) {
    this.#custom = group.includes('.') && !group.endsWith('.k8s.io')
  }

  of(object: JsonMap): Set<Field> {
    const found = new Set<Field>()
    const visit = (value: Json, path: readonly string[]): void => {
      if (unmanaged.has(JSON.stringify(path))) return
      const names = isList(value) ? this.#names(path.at(-1) ?? '', value) : undefined
      if (names !== undefined && isList(value)) {
        value.forEach((item, at) => {
          const inner = [...path, names[at] ?? '']
          found.add(JSON.stringify(inner))
          visit(item, inner)
        })
      } else if (isMap(value) && Object.keys(value).length > 0)
        for (const [key, inner] of Object.entries(value)) visit(inner, [...path, key])
      else found.add(JSON.stringify(path))
    }
    for (const [key, value] of Object.entries(object))
      if (key !== 'apiVersion' && key !== 'kind') visit(value, [key])
    return found
  }

  /** What is at `field`; of an item of a merged list only whether it is there. */
  at(object: JsonMap, field: Field): Json | undefined {
    const path = JSON.parse(field) as string[]
    const value = this.#walk(object, path)
    return value !== undefined && path.at(-1)?.startsWith('k:') === true ? true : value
  }

  merged(live: JsonMap, applied: JsonMap): JsonMap {
    return this.#merge(live, applied, '') as JsonMap
  }

  /** Without `field`, and without what becomes empty by that. */
  removed(object: JsonMap, field: Field): JsonMap {
    return (this.#remove(object, JSON.parse(field) as string[], '') as JsonMap | undefined) ?? {}
  }

  #merge(live: Json | undefined, applied: Json, name: string): Json {
    if (isMap(applied) && isMap(live)) {
      const both = { ...live }
      for (const [key, value] of Object.entries(applied)) both[key] = this.#merge(live[key], value, key)
      return both
    }
    if (!isList(applied) || !isList(live)) return applied
    const names = this.#names(name, applied)
    const liveNames = this.#names(name, live)
    if (names === undefined || liveNames === undefined) return applied
    const others = live.filter((_, at) => !names.includes(liveNames[at] ?? ''))
    return [
      ...applied.map((item, at) => this.#merge(live[liveNames.indexOf(names[at] ?? '')], item, '')),
      ...others,
    ]
  }

  #walk(value: Json | undefined, [name, ...rest]: readonly string[], list = ''): Json | undefined {
    if (name === undefined || value === undefined) return value
    if (isList(value)) return this.#walk(value[this.#names(list, value)?.indexOf(name) ?? -1], rest)
    return isMap(value) ? this.#walk(value[name], rest, name) : undefined
  }

  #remove(value: Json | undefined, [name, ...rest]: readonly string[], list: string): Json | undefined {
    if (name === undefined || value === undefined) return undefined
    if (isList(value)) {
      const at = this.#names(list, value)?.indexOf(name) ?? -1
      if (at < 0) return value
      const left = this.#remove(value[at], rest, '')
      const items = left === undefined ? value.toSpliced(at, 1) : value.with(at, left)
      return items.length === 0 ? undefined : items
    }
    if (!isMap(value)) return value
    const left = withKey(value, name, this.#remove(value[name], rest, name))
    return Object.keys(left).length === 0 ? undefined : left
  }

  /** The names of the items of a list that is merged, undefined when it is one field. */
  #names(list: string, items: readonly Json[]): string[] | undefined {
    if (list === 'finalizers') return items.map(item => `k:${JSON.stringify(item)}`)
    if (list === 'ownerReferences') return nameAll(items, ['uid'])
    if (this.#custom) return undefined
    if (list === 'ports')
      return nameAll(items, ['containerPort', 'protocol']) ?? nameAll(items, ['port', 'protocol'])
    const keys = mergeKeys.get(list)
    return keys === undefined ? undefined : nameAll(items, keys)
  }
}

function nameAll(items: readonly Json[], keys: readonly string[]): string[] | undefined {
  const names = items.map(item => {
    if (!isMap(item)) return undefined
    const named = keys.map(key => item[key] ?? (key === 'protocol' ? 'TCP' : undefined))
    return named.includes(undefined) ? undefined : `k:${JSON.stringify(named)}`
  })
  return names.includes(undefined) ? undefined : (names as string[])
}

/** Who manages what of one object. FieldOwners that apply and those that write otherwise are told apart by `applies`. */
export type FieldOwners = ReadonlyMap<string, ReadonlySet<Field>>

export type Applied = {
  readonly object: JsonMap
  readonly managers: FieldOwners
  /** Fields of others that have another value; taken over. */
  readonly conflicts: readonly { readonly manager: string; readonly field: Field }[]
}

/** What `live` becomes when `manager` applies `wanted`, everything taken over that others manage. */
export function apply(
  fields: Fields,
  live: JsonMap,
  managers: FieldOwners,
  wanted: JsonMap,
  manager: string,
): Applied {
  const own = fields.of(wanted)
  const others = [...managers].filter(([name]) => name !== manager)
  const conflicts = others.flatMap(([other, theirs]) =>
    [...theirs]
      .filter(field => own.has(field) && !same(fields.at(live, field), fields.at(wanted, field)))
      .map(field => ({ manager: other, field })),
  )
  const dropped = [...(managers.get(manager) ?? [])].filter(
    field => !own.has(field) && !others.some(([, theirs]) => holds(theirs, field)),
  )
  // The innermost first: what they leave empty goes with them.
  const kept = dropped
    .sort((a, b) => b.length - a.length)
    .reduce((object, field) => fields.removed(object, field), live)
  const left = others.map(([name, theirs]): [string, Set<Field>] => [
    name,
    new Set([...theirs].filter(field => !conflicts.some(c => c.manager === name && c.field === field))),
  ])
  return { object: fields.merged(kept, wanted), managers: new Map([...left, [manager, own]]), conflicts }
}

/** Whether `theirs` has `field` or something in it. */
const holds = (theirs: ReadonlySet<Field>, field: Field): boolean =>
  theirs.has(field) || [...theirs].some(other => other.startsWith(`${field.slice(0, -1)},`))

/** A write that is no apply: what it changes is its manager's alone, what it removes is nobody's. */
export function written(
  fields: Fields,
  before: JsonMap | undefined,
  after: JsonMap,
  managers: FieldOwners,
  manager: string,
): FieldOwners {
  const now = fields.of(after)
  const changed = new Set(
    [...now].filter(
      field => before === undefined || !same(fields.at(before, field), fields.at(after, field)),
    ),
  )
  const left = [...managers].map(([name, theirs]): [string, Set<Field>] => [
    name,
    new Set([...theirs].filter(field => now.has(field) && (name === manager || !changed.has(field)))),
  ])
  const own = new Set([...(new Map(left).get(manager) ?? []), ...changed])
  return new Map([...left.filter(([name]) => name !== manager), [manager, own]])
}
