/**
 * Structural schemas of Kubernetes, built in TypeScript. What enters is said once: a field's type, its description, its bounds.
 * What leaves is OpenAPI as a CustomResourceDefinition has it, and the TypeScript type of what an API server that holds to it hands
 * out. It always holds that a field with a default may be left out by whoever writes and is there for whoever reads.
 */

/** The part of OpenAPI that Kubernetes allows and we use; the names are the API's. */
type OpenApi = {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean'
  readonly format?: 'int32' | 'int64' | 'date-time'
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly string[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly multipleOf?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly minProperties?: number
  readonly maxProperties?: number
  readonly items?: OpenApi
  readonly properties?: Readonly<Record<string, OpenApi>>
  readonly additionalProperties?: OpenApi
  readonly required?: readonly string[]
  readonly 'x-kubernetes-int-or-string'?: true
  readonly 'x-kubernetes-preserve-unknown-fields'?: true
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map'
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-validations'?: readonly Rule[]
}

/** What CEL says must hold. The message names the field and what to do. */
export type Rule = {
  readonly rule: string
  readonly message: string
  readonly fieldPath?: string
  readonly reason?: 'FieldValueForbidden' | 'FieldValueInvalid'
}

/** `T` is what readers get. */
export type Schema<T> = { readonly openapi: OpenApi; readonly shape?: T }
/** A field that may be missing for readers too. */
type Optional<T> = Schema<T> & { readonly optional: true }
type Properties = Readonly<Record<string, Schema<unknown>>>

export type ShapeOf<S> = S extends Schema<infer T> ? T : never

type ObjectOf<P extends Properties> = {
  readonly [K in keyof P as P[K] extends Optional<unknown> ? never : K]: ShapeOf<P[K]>
} & { readonly [K in keyof P as P[K] extends Optional<unknown> ? K : never]?: ShapeOf<P[K]> }

const ruled = (rules: readonly Rule[] | undefined): OpenApi =>
  rules === undefined ? {} : { 'x-kubernetes-validations': rules }

type StringBounds = {
  readonly default?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly format?: 'date-time'
  readonly rules?: readonly Rule[]
}

export const text = (description: string, { rules, ...bounds }: StringBounds = {}): Schema<string> => ({
  openapi: { type: 'string', description, ...bounds, ...ruled(rules) },
})

export const oneOf = <const V extends string>(
  description: string,
  values: readonly V[],
  bounds: { readonly default?: V } = {},
): Schema<V> => ({ openapi: { type: 'string', description, enum: values, ...bounds } })

type IntegerBounds = {
  readonly default?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly multipleOf?: number
  readonly format?: 'int32' | 'int64'
  readonly rules?: readonly Rule[]
}

export const integer = (
  description: string,
  { rules, format = 'int32', ...bounds }: IntegerBounds = {},
): Schema<number> => ({ openapi: { type: 'integer', format, description, ...bounds, ...ruled(rules) } })

export const yesOrNo = (description: string): Schema<boolean> => ({
  openapi: { type: 'boolean', description },
})

/** As quantities are written in Kubernetes: `2`, `500m`, `4Gi`. */
export const integerOrText = (description: string): Schema<string | number> => ({
  openapi: { 'x-kubernetes-int-or-string': true, description },
})

/**
 * Text, a number, or true and false. Structural schemas know no such union, so whatever is neither an object nor a list passes:
 * those two are given bounds that nothing meets.
 */
export const scalar = (description: string): Schema<string | number | boolean> => ({
  openapi: {
    description,
    minProperties: 1,
    maxProperties: 0,
    minItems: 1,
    maxItems: 0,
    'x-kubernetes-preserve-unknown-fields': true,
  },
})

/** Handed on as it is; what it holds is for others to judge. */
export const foreign = (description: string): Schema<object> => ({
  openapi: { type: 'object', description, 'x-kubernetes-preserve-unknown-fields': true },
})

type ListBounds = {
  readonly default?: readonly never[]
  readonly minItems?: number
  readonly maxItems: number
  /** What tells items apart: themselves, or one of their fields. Not given: the list changes as a whole. */
  readonly unique?: 'itself' | { readonly by: string }
  readonly rules?: readonly Rule[]
}

export const list = <T>(
  description: string,
  items: Schema<T>,
  { unique, rules, ...bounds }: ListBounds,
): Schema<readonly T[]> => ({
  openapi: {
    type: 'array',
    description,
    ...bounds,
    ...listType(unique),
    items: items.openapi,
    ...ruled(rules),
  },
})

function listType(unique: ListBounds['unique']): OpenApi {
  if (unique === undefined) return { 'x-kubernetes-list-type': 'atomic' }
  if (unique === 'itself') return { 'x-kubernetes-list-type': 'set' }
  return { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [unique.by] }
}

/** Any names, all with values of one kind. */
export const record = <T>(
  description: string,
  values: Schema<T>,
  { entriesMax = 256 } = {},
): Schema<Readonly<Record<string, T>>> => ({
  openapi: {
    type: 'object',
    description,
    maxProperties: entriesMax,
    additionalProperties: values.openapi,
  },
})

export const object = <P extends Properties>(
  description: string,
  properties: P,
  { rules }: { readonly rules?: readonly Rule[] } = {},
): Schema<ObjectOf<P>> => {
  const fields = Object.entries(properties)
  const required = fields.filter(([, field]) => !isOptional(field) && field.openapi.default === undefined)
  return {
    openapi: {
      type: 'object',
      description,
      properties: Object.fromEntries(fields.map(([name, field]) => [name, field.openapi])),
      ...(required.length === 0 ? {} : { required: required.map(([name]) => name) }),
      ...ruled(rules),
    },
  }
}

export const optional = <T>(schema: Schema<T>): Optional<T> => ({ ...schema, optional: true })

const isOptional = (field: Schema<unknown>): field is Optional<unknown> => 'optional' in field
