// Enters: the shape of a struct and one version. Leaves: a pair of functions that read and write it, made once.
// Always holds: reading asks the reader before it reserves memory, and gives objects whose fields stand in the shape's order.
import { assert } from '../../base/assert.ts'
import { nullLength, primitives, refuseNull, zeros, type Codec } from './primitives.ts'
import type { Reader } from './reader.ts'
import type { Field, Shape, Type } from './schema.ts'
import { Writer } from './writer.ts'

type AnyField = Field<unknown, unknown, boolean>
type Fields = { [name: string]: unknown }

type Member = Codec & {
  readonly name: string
  /** Undefined for a field that stands in its place. */
  readonly tag: number | undefined
  readonly present: boolean
  readonly absent: () => unknown
}

/** The codec of a struct in one version. */
export function compileStruct(shape: Shape, version: number, flexible: boolean): Codec {
  const members = Object.entries(shape).map(([name, field]) => compileMember(name, field, version, flexible))
  const inline = members.filter(m => m.present && m.tag === undefined)
  const tagged = members.filter(m => m.present && m.tag !== undefined)
  assert(flexible || tagged.length === 0, 'tagged fields need a flexible version')
  return {
    bytesMin: inline.reduce((sum, m) => sum + m.bytesMin, flexible ? 1 : 0),
    read(reader) {
      const value: Fields = {}
      for (const m of members) value[m.name] = m.present && m.tag === undefined ? m.read(reader) : m.absent()
      if (flexible) readTags(reader, tagged, value)
      return value
    },
    write(writer, value) {
      const fields = value as Fields
      for (const m of inline) {
        const field = fields[m.name]
        m.write(writer, field === undefined ? m.absent() : field)
      }
      if (flexible) writeTags(writer, tagged, fields)
    },
  }
}

function compileMember(name: string, field: AnyField, version: number, flexible: boolean): Member {
  const { since, until, tag, nullableSince } = field.traits
  const codec = compile(field.type, version, flexible, version >= nullableSince)
  return {
    ...codec,
    name,
    tag,
    present: version >= since && version <= until,
    absent: valueWhenAbsent(field),
  }
}

function compile(type: Type, version: number, flexible: boolean, nullable: boolean): Codec {
  if (type.kind === 'array') return arrayCodec(compile(type.of, version, flexible, false), flexible, nullable)
  if (type.kind === 'struct') {
    const codec = compileStruct(type.shape, version, flexible)
    return nullable ? nullableStruct(codec) : codec
  }
  return primitives[type.kind](flexible, nullable)
}

/** What a field reads as where the version does not have it, or the sender left it out. */
export function valueWhenAbsent(field: AnyField): () => unknown {
  const given = field.traits.default
  return given === undefined ? zeroOf(field.type) : () => given
}

function zeroOf(type: Type): () => unknown {
  if (type.kind === 'array') return () => []
  if (type.kind === 'struct') {
    const members = Object.entries(type.shape).map(([name, field]) => [name, valueWhenAbsent(field)] as const)
    return () => Object.fromEntries(members.map(([name, value]) => [name, value()]))
  }
  const zero = zeros[type.kind]
  return () => zero
}

function readTags(reader: Reader, tagged: readonly Member[], into: Fields): void {
  for (let left = reader.tagCount(); left > 0; left--) {
    const tag = reader.uvarint()
    const begin = reader.skip(reader.uvarint())
    const end = reader.at
    const member = tagged.find(m => m.tag === tag)
    if (member === undefined) continue
    reader.at = begin
    into[member.name] = member.read(reader)
    if (reader.at !== end) reader.fail(`tag ${tag} does not end where it says`)
  }
}

function writeTags(writer: Writer, tagged: readonly Member[], fields: Fields): void {
  const sent = tagged.filter(m => {
    const value = fields[m.name]
    return value !== undefined && !sameAsDefault(value, m.absent())
  })
  writer.uvarint(sent.length)
  for (const member of sent) {
    const content = new Writer(256)
    member.write(content, fields[member.name])
    writer.uvarint(member.tag ?? 0)
    writer.uvarint(content.length)
    writer.bytes(content.take())
  }
}

function sameAsDefault(value: unknown, byDefault: unknown): boolean {
  if (value === byDefault) return true
  if (Array.isArray(value) && Array.isArray(byDefault)) return value.length === 0 && byDefault.length === 0
  if (typeof value !== 'object' || typeof byDefault !== 'object') return false
  if (value === null || byDefault === null) return false
  const fields = value as Fields
  return Object.entries(byDefault).every(
    ([name, d]) => fields[name] === undefined || sameAsDefault(fields[name], d),
  )
}

function arrayCodec(of: Codec, compact: boolean, nullable: boolean): Codec {
  const elementBytesMin = Math.max(1, of.bytesMin)
  return {
    bytesMin: compact ? 1 : 4,
    read(reader) {
      const count = reader.count(compact, elementBytesMin)
      if (count < 0) return refuseNull(reader, nullable)
      const elements: unknown[] = []
      for (let i = 0; i < count; i++) elements.push(of.read(reader))
      return elements
    },
    write(writer, value) {
      if (value === null) return writer.count(nullLength(nullable), compact)
      const elements = value as readonly unknown[]
      writer.count(elements.length, compact)
      for (const element of elements) of.write(writer, element)
    },
  }
}

/** A struct that may be null stands behind one byte: -1 for null, 1 for a value. */
function nullableStruct(of: Codec): Codec {
  return {
    bytesMin: 1,
    read: reader => (reader.int8() < 0 ? null : of.read(reader)),
    write(writer, value) {
      writer.int8(value === null ? -1 : 1)
      if (value !== null) of.write(writer, value)
    },
  }
}
