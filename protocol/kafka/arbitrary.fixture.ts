import * as fc from 'fast-check'
import type { Arbitrary } from 'fast-check'
import { valueWhenAbsent } from './codec.ts'
import type { Primitive, Shape, Type } from './schema.ts'

export type Message = { [name: string]: unknown }

const safe = { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }
const bytes = fc.uint8Array({ maxLength: 20 }).map(b => Buffer.from(b))
const text = fc.oneof(
  { weight: 5, arbitrary: fc.string({ maxLength: 12, unit: 'grapheme' }) },
  { weight: 1, arbitrary: fc.string({ minLength: 120, maxLength: 200, unit: 'binary-ascii' }) },
)

const primitives: Record<Primitive, Arbitrary<unknown>> = {
  int8: fc.integer({ min: -0x80, max: 0x7f }),
  int16: fc.integer({ min: -0x8000, max: 0x7fff }),
  uint16: fc.integer({ min: 0, max: 0xffff }),
  int32: fc.integer(),
  uint32: fc.integer({ min: 0, max: 0xffff_ffff }),
  int64: fc.integer(safe),
  float64: fc.double(),
  bool: fc.boolean(),
  string: text,
  uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(b => Buffer.from(b).toString('base64url')),
  bytes,
  records: bytes,
}

/** Messages of this shape as one version can carry them: fields that it does not have are at their defaults. */
export function messages(shape: Shape, version: number): Arbitrary<Message> {
  const fields = Object.entries(shape).map(([name, field]) => {
    const { since, until, nullableSince } = field.traits
    if (version < since || version > until) return [name, fc.constant(valueWhenAbsent(field)())]
    const value = values(field.type, version)
    return [name, version >= nullableSince ? fc.option(value, { freq: 4 }) : value]
  })
  return fc.record(Object.fromEntries(fields))
}

function values(type: Type, version: number): Arbitrary<unknown> {
  if (type.kind === 'array') return fc.array(values(type.of, version), { maxLength: 3 })
  if (type.kind === 'struct') return messages(type.shape, version)
  return primitives[type.kind]
}
