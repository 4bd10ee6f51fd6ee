// Enters: a description of one Kafka API, all its versions in one place. Leaves: an `Api` that reads and writes requests and
// responses of every one of them, and whose TypeScript types are inferred from the description.
// Always holds: the description is data; `test/contract` compares it with Kafka's published definitions, field by field.
import { assert } from '../../base/assert.ts'
import { compileStruct } from './codec.ts'
import type { Codec } from './primitives.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

export type Primitive =
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'float64'
  | 'bool'
  | 'string'
  | 'uuid'
  | 'bytes'
  | 'records'

export type Type =
  | { readonly kind: Primitive }
  | { readonly kind: 'array'; readonly of: Type }
  | { readonly kind: 'struct'; readonly shape: Shape }

type Traits = {
  readonly since: number
  readonly until: number
  readonly nullableSince: number
  readonly tag: number | undefined
  /** What a version without the field reads as; undefined means the type's own zero. */
  readonly default: unknown
}

const plain: Traits = {
  since: 0,
  until: Infinity,
  nullableSince: Infinity,
  tag: undefined,
  default: undefined,
}

/**
 * One field of a message. `Out` is what reading gives, `In` what writing takes, `Optional` says that writing may leave it out.
 * The modifiers answer a new field and can be chained.
 */
export class Field<Out, In = Out, Optional extends boolean = false> {
  declare readonly types: { readonly out: Out; readonly in: In; readonly optional: Optional }
  readonly type: Type
  readonly traits: Traits

  constructor(type: Type, traits: Traits = plain) {
    this.type = type
    this.traits = traits
  }

  /** Present from `version` on. */
  since(version: number): Field<Out, In, Optional> {
    return new Field(this.type, { ...this.traits, since: version })
  }

  /** Present up to and with `version`. */
  until(version: number): Field<Out, In, Optional> {
    return new Field(this.type, { ...this.traits, until: version })
  }

  /** May be null from `version` on. */
  nullable(version = 0): Field<Out | null, In | null, Optional> {
    return new Field(this.type, { ...this.traits, nullableSince: version })
  }

  /** A tagged field (KIP-482): present from `since` on, and on the wire only when it differs from its default. */
  tagged(tag: number, since: number): Field<Out, In, true> {
    return new Field(this.type, { ...this.traits, tag, since })
  }

  /** What versions without the field read as, and what writing puts when the value is left out. */
  default(value: Out): Field<Out, In, true> {
    return new Field(this.type, { ...this.traits, default: value })
  }
}

export type Shape = { readonly [name: string]: Field<unknown, unknown, boolean> }

type Plain<T> = { readonly [K in keyof T]: T[K] }
type OptionalNames<S extends Shape> = {
  [K in keyof S]: S[K]['types']['optional'] extends true ? K : never
}[keyof S]

/** The object that reading a struct of this shape gives: every field, with defaults where the version has none. */
export type Read<S extends Shape> = { readonly [K in keyof S]: S[K]['types']['out'] }
/** The object that writing a struct of this shape takes. */
export type Written<S extends Shape> = Plain<
  { [K in Exclude<keyof S, OptionalNames<S>>]: S[K]['types']['in'] } & {
    [K in OptionalNames<S>]?: S[K]['types']['in'] | undefined
  }
>

export const int8 = new Field<number>({ kind: 'int8' })
export const int16 = new Field<number>({ kind: 'int16' })
export const uint16 = new Field<number>({ kind: 'uint16' })
export const int32 = new Field<number>({ kind: 'int32' })
export const uint32 = new Field<number>({ kind: 'uint32' })
/** A number, exact below 2^53. */
export const int64 = new Field<number>({ kind: 'int64' })
export const float64 = new Field<number>({ kind: 'float64' })
export const bool = new Field<boolean>({ kind: 'bool' })
export const string = new Field<string>({ kind: 'string' })
/** 22 characters of base64url. */
export const uuid = new Field<string>({ kind: 'uuid' })
/** Read as a view of the frame. */
export const bytes = new Field<Buffer>({ kind: 'bytes' })
/** Record batches back to back; read as a view of the frame. */
export const records = new Field<Buffer>({ kind: 'records' })

export const struct = <S extends Shape>(shape: S): Field<Read<S>, Written<S>> =>
  new Field({ kind: 'struct', shape })

export function array<Out, In>(of: Field<Out, In, boolean>): Field<readonly Out[], readonly In[]>
export function array<S extends Shape>(of: S): Field<readonly Read<S>[], readonly Written<S>[]>
export function array(of: Field<unknown, unknown, boolean> | Shape): Field<readonly unknown[]> {
  return new Field({ kind: 'array', of: of instanceof Field ? of.type : { kind: 'struct', shape: of } })
}

export type Range = { readonly min: number; readonly max: number }

/** One API of the protocol. Versions handed to the codecs must lie in `versions`. */
export type Api<Request extends Shape = Shape, Response extends Shape = Shape> = {
  readonly key: number
  readonly name: string
  /** The versions we can read and write. */
  readonly versions: Range
  /** The first version with compact lengths and tagged fields (KIP-482); Infinity when there is none. */
  readonly flexibleSince: number
  readonly request: Request
  readonly response: Response
  /** Reads a request's body. Throws `MalformedRequest`. Bytes behind the body are left unread, as Kafka leaves them. */
  decodeRequest(reader: Reader, version: number): Read<Request>
  encodeRequest(writer: Writer, version: number, value: Written<Request>): void
  /** Reads a response's body. Throws `MalformedRequest`. */
  decodeResponse(reader: Reader, version: number): Read<Response>
  encodeResponse(writer: Writer, version: number, value: Written<Response>): void
}

/** What a handler of this API gets. */
export type RequestOf<A extends Api> = ReturnType<A['decodeRequest']>
/** What a handler of this API answers. */
export type ResponseOf<A extends Api> = Parameters<A['encodeResponse']>[2]

/** Describes an API. `versions` as '0-4', `flexible` as '4+'. The codec of a version is compiled when it is first used. */
export function api<const Request extends Shape, const Response extends Shape>(definition: {
  key: number
  name: string
  versions: `${number}-${number}`
  flexible: `${number}+` | 'none'
  request: Request
  response: Response
}): Api<Request, Response> {
  const { key, name, flexible, request, response } = definition
  const versions = parseRange(definition.versions)
  const flexibleSince = flexible === 'none' ? Infinity : Number.parseInt(flexible, 10)
  const codecs = (shape: Shape): ((version: number) => Codec) => {
    const compiled: Codec[] = []
    return version => {
      assert(version >= versions.min && version <= versions.max, `${name} has this version`)
      return (compiled[version] ??= compileStruct(shape, version, version >= flexibleSince))
    }
  }
  const requests = codecs(request)
  const responses = codecs(response)
  return {
    key,
    name,
    versions,
    flexibleSince,
    request,
    response,
    decodeRequest: (reader, version) => requests(version).read(reader) as Read<Request>,
    encodeRequest: (writer, version, value) => requests(version).write(writer, value),
    decodeResponse: (reader, version) => responses(version).read(reader) as Read<Response>,
    encodeResponse: (writer, version, value) => responses(version).write(writer, value),
  }
}

/** '3-12' as numbers. */
export function parseRange(text: `${number}-${number}`): Range {
  const [min, max] = text.split('-').map(Number)
  assert(min !== undefined && max !== undefined && min <= max, 'a range is written as two numbers')
  return { min, max }
}
