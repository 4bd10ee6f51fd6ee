// Every schema of ours, in every version that we serve, against the message definitions that Kafka publishes in its jar.
import { readFileSync } from 'node:fs'
import { beforeAll, expect, test } from 'vitest'
import { valueWhenAbsent } from '../../protocol/kafka/codec.ts'
import {
  groupKeyShape,
  groupValueShape,
  offsetKeyShape,
  offsetValueShape,
} from '../../protocol/kafka/group-records.ts'
import { registry } from '../../protocol/kafka/registry.ts'
import { Field, type Shape, type Type } from '../../protocol/kafka/schema.ts'
import { ownTags, replicaFetch } from '../../protocol/replication/fetch.ts'
import { kafkaJar } from '../kafka-jars.ts'
import { readZip } from '../zip.ts'

type Definition = {
  apiKey: number
  validVersions: string
  flexibleVersions: string
  fields: Theirs[]
  commonStructs?: { name: string; fields: Theirs[] }[]
}
type Theirs = {
  name: string
  type: string
  versions: string
  nullableVersions?: string
  taggedVersions?: string
  tag?: number
  default?: string | number | boolean
  fields?: Theirs[]
}

/** One field as it is in one version, said the same way for both sides. */
type Fact = {
  name: string
  type: string
  nullable: boolean
  tag: number | undefined
  default: string
  fields: Fact[]
}

const jars = new Map<string, Map<string, () => Buffer>>()

beforeAll(async () => {
  for (const name of ['kafka-clients', 'kafka-group-coordinator'])
    jars.set(name, readZip(readFileSync(await kafkaJar(name))))
}, 240_000)

/** What clients are served, and what brokers ask each other. */
const spokenAtAll = [...registry, { api: replicaFetch, served: replicaFetch.versions }]

const pairs = spokenAtAll.flatMap(spoken => [
  { name: `${spoken.api.name}Request`, shape: spoken.api.request, spoken },
  { name: `${spoken.api.name}Response`, shape: spoken.api.response, spoken },
])

test.each(pairs)('$name is what Kafka defines', ({ name, shape, spoken }) => {
  const theirs = definitionOf(name)
  expect(theirs.apiKey).toBe(spoken.api.key)
  expect(spoken.served.max).toBeGreaterThanOrEqual(spoken.served.min)
  for (let version = spoken.served.min; version <= spoken.served.max; version++) {
    expect(within(theirs.validVersions, version), `Kafka has version ${version}`).toBe(true)
    expect(version >= spoken.api.flexibleSince, `flexible in version ${version}`).toBe(
      within(theirs.flexibleVersions, version),
    )
    const structs = new Map((theirs.commonStructs ?? []).map(s => [s.name, s.fields]))
    expect(ourFacts(shape, version), `fields of version ${version}`).toEqual(
      theirFacts(theirs.fields, version, structs),
    )
  }
})

test.each(pairs)('$name has no field that no served version has', ({ name, shape, spoken }) => {
  const { min, max } = spoken.served
  const ever = (path: string, fields: Theirs[]): string[] =>
    fields.flatMap(f => {
      const [from, to] = bounds(f.versions)
      if (from > max || to < min) return []
      return [`${path}${ourName(f.name)}`, ...ever(`${path}${ourName(f.name)}.`, f.fields ?? [])]
    })
  expect(paths('', shape).sort()).toEqual(ever('', definitionOf(name).fields).sort())
})

test.each([
  { name: 'OffsetCommitKey', apiKey: 1, shape: offsetKeyShape, layouts: [0] },
  { name: 'OffsetCommitValue', apiKey: 1, shape: offsetValueShape, layouts: [0, 1, 2, 3, 4] },
  { name: 'GroupMetadataKey', apiKey: 2, shape: groupKeyShape, layouts: [0] },
  { name: 'GroupMetadataValue', apiKey: 2, shape: groupValueShape, layouts: [0, 1, 2, 3, 4] },
])('$name is stored as Kafka stores it', ({ name, apiKey, shape, layouts }) => {
  const theirs = definitionOf(name, 'kafka-group-coordinator')
  expect(theirs.apiKey).toBe(apiKey)
  const structs = new Map((theirs.commonStructs ?? []).map(s => [s.name, s.fields]))
  for (const layout of layouts) {
    expect(within(theirs.validVersions, layout), `Kafka has layout ${layout}`).toBe(true)
    expect(ourFacts(shape, layout), `fields of layout ${layout}`).toEqual(
      theirFacts(theirs.fields, layout, structs),
    )
  }
})

test('every served version was compared', () => {
  expect(registry.length).toBeGreaterThanOrEqual(28)
  expect(ourFacts(pairs[0]?.shape ?? {}, 3).length).toBeGreaterThan(0)
})

function definitionOf(name: string, jar = 'kafka-clients'): Definition {
  const file = jars.get(jar)?.get(`common/message/${name}.json`)
  if (file === undefined) throw new Error(`${name} is not in Kafka's jar`)
  return JSON.parse(
    file()
      .toString('utf8')
      .replaceAll(/^\s*\/\/.*$/gmu, ''),
  ) as Definition
}

/** What brokers say to each other besides has tags that Kafka does not use, so whoever speaks Kafka's Fetch passes it over. */
const ofKafka = (shape: Shape) =>
  Object.entries(shape).filter(([, { traits }]) => (traits.tag ?? 0) < ownTags)

function ourFacts(shape: Shape, version: number): Fact[] {
  return ofKafka(shape)
    .filter(([, { traits }]) => version >= traits.since && version <= traits.until)
    .map(([name, field]) => ({
      name,
      type: typeName(field.type),
      nullable: version >= field.traits.nullableSince,
      tag: field.traits.tag,
      default: ourDefault(field),
      fields: fieldsOf(field.type, inner => ourFacts(inner, version)) ?? [],
    }))
}

function theirFacts(fields: Theirs[], version: number, structs: Map<string, Theirs[]>): Fact[] {
  return fields
    .filter(f => within(f.versions, version))
    .map(f => ({
      name: ourName(f.name),
      type: theirType(f.type),
      nullable: f.nullableVersions !== undefined && within(f.nullableVersions, version),
      tag: f.taggedVersions !== undefined && within(f.taggedVersions, version) ? f.tag : undefined,
      default: theirDefault(f),
      fields: theirFacts(f.fields ?? structs.get(f.type.replace('[]', '')) ?? [], version, structs),
    }))
}

function paths(prefix: string, shape: Shape): string[] {
  return ofKafka(shape).flatMap(([name, field]) => [
    prefix + name,
    ...(fieldsOf(field.type, inner => paths(`${prefix}${name}.`, inner)) ?? []),
  ])
}

function fieldsOf<T>(type: Type, of: (shape: Shape) => T): T | undefined {
  if (type.kind === 'array') return fieldsOf(type.of, of)
  return type.kind === 'struct' ? of(type.shape) : undefined
}

const typeName = (type: Type): string => (type.kind === 'array' ? `[]${typeName(type.of)}` : type.kind)

/** Kafka names its structs; ours have no names, so theirs lose them. */
const theirType = (type: string): string => type.replace(/[A-Z]\w*$/u, 'struct')

const ourName = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1)

/** Lists are empty and structs are made of their fields' defaults on both sides, unless null is said. */
function ourDefault(field: Field<unknown, unknown, boolean>): string {
  const value = valueWhenAbsent(field)()
  if (value === null) return 'null'
  return field.type.kind === 'array' || typeof value === 'object' ? 'empty' : JSON.stringify(value)
}

function theirDefault(field: Theirs): string {
  const given = field.default
  if (given === 'null') return 'null'
  if (field.type.startsWith('[]') || /^[A-Z]/u.test(field.type)) return 'empty'
  switch (field.type) {
    case 'string':
      return JSON.stringify(given ?? '')
    case 'bool':
      return String(given ?? false)
    case 'uuid':
      return JSON.stringify('AAAAAAAAAAAAAAAAAAAAAA')
    case 'bytes':
    case 'records':
      return 'empty'
    default:
      return String(Number(given ?? 0))
  }
}

function bounds(versions: string): [number, number] {
  if (versions === 'none') return [Infinity, -Infinity]
  const [from = '', to] = versions.split(/[-+]/u)
  if (versions.endsWith('+')) return [Number(from), Infinity]
  return [Number(from), Number(to ?? from)]
}

function within(versions: string, version: number): boolean {
  const [from, to] = bounds(versions)
  return version >= from && version <= to
}
