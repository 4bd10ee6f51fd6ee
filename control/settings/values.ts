/**
 * What a setting's value may be: each kind reads a text as people write it and answers the value, or what it would take
 * instead. Nothing here knows which settings there are.
 */
import { parseListeners } from './listeners.ts'
import type { Listener } from './listeners.ts'

/** The types of DescribeConfigs. */
export type KafkaType = 'boolean' | 'string' | 'short' | 'int' | 'long' | 'double' | 'list'

export type Kind<T> = {
  readonly type: KafkaType
  /** For the sentence "NAME must be …", without the full stop. */
  readonly allowed: string
  read(text: string): Read<T>
}

/** The value; or what is allowed, and perhaps why just this text is not. */
export type Read<T> = { readonly value: T } | { readonly allowed: string; readonly because?: string }

const shortMax = 2n ** 15n - 1n
const intMax = 2n ** 31n - 1n
const longMax = 2n ** 63n - 1n

/** `min` and `max` bound the number; `unlimited` takes -1 as well, and gives Infinity for it. */
type Range = { readonly min: number; readonly max?: number; readonly unlimited?: boolean }

export const short = (range: Range): Kind<number> => wholeNumber('short', shortMax, range)
export const int = (range: Range): Kind<number> => wholeNumber('int', intMax, range)
/** Above 2^53 the number is rounded, as for Kafka's "for ever", 9223372036854775807. */
export const long = (range: Range): Kind<number> => wholeNumber('long', longMax, range)

function wholeNumber(
  type: 'short' | 'int' | 'long',
  typeMax: bigint,
  { min, max, unlimited }: Range,
): Kind<number> {
  const most = max === undefined ? typeMax : BigInt(max)
  const above = max === undefined ? '' : ` and at most ${max}`
  const allowed = `a whole number of at least ${min}${above}${unlimited ? ', or -1 for no limit' : ''}`
  return {
    type,
    allowed,
    read(text) {
      const number = integerOf(text)
      if (number === undefined) return { allowed }
      if (unlimited && number === -1n) return { value: Infinity }
      if (number > most) return { allowed: `a whole number of at most ${most}` }
      return number < BigInt(min) ? { allowed } : { value: Number(number) }
    },
  }
}

/** The whole number that `text` is in decimal digits; undefined for anything else. */
export const integerOf = (text: string): bigint | undefined =>
  /^\s*[+-]?\d{1,30}\s*$/.test(text) ? BigInt(text.trim().replace(/^\+/, '')) : undefined

export function decimal({ min, max }: { min: number; max?: number }): Kind<number> {
  const allowed = `a number of at least ${min}${max === undefined ? '' : ` and at most ${max}`}`
  return {
    type: 'double',
    allowed,
    read(text) {
      const number = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : Number.NaN
      return number >= min && number <= (max ?? Number.MAX_VALUE) ? { value: number } : { allowed }
    },
  }
}

export const boolean: Kind<boolean> = {
  type: 'boolean',
  allowed: 'true or false',
  read(text) {
    const word = text.trim().toLowerCase()
    return word === 'true' || word === 'false' ? { value: word === 'true' } : { allowed: this.allowed }
  },
}

export const text: Kind<string> = {
  type: 'string',
  allowed: 'any text',
  read: value => ({ value: value.trim() }),
}

/** One of `words`, just as they are written; `because` says why Kafka's other values are none of them. */
export function oneOf<const W extends string>(
  words: readonly W[],
  { type = 'string', because }: { type?: KafkaType; because?: string } = {},
): Kind<W> {
  const names = words.map(word => word || 'nothing')
  const allowed = names.length === 1 ? `${names[0]}` : `one of ${names.join(', ')}`
  return {
    type,
    allowed,
    read(value) {
      const word = words.find(one => one === value.trim())
      if (word !== undefined) return { value: word }
      return because === undefined ? { allowed } : { allowed, because }
    },
  }
}

/** A list of some of `words`, at least one. */
export function someOf<const W extends string>(words: readonly W[]): Kind<ReadonlySet<W>> {
  const allowed = `a list of one or more of ${words.join(', ')}`
  return {
    type: 'list',
    allowed,
    read(value) {
      const given = value.split(',').map(item => words.find(word => word === item.trim()))
      const found = new Set(given.filter(word => word !== undefined))
      return given.includes(undefined) ? { allowed } : { value: found }
    },
  }
}

const throttled = /^\d{1,9}:\d{1,9}$/

/** Kafka's `PARTITION:BROKER,…`, `*` for all, or nothing for none. */
export const throttledReplicas: Kind<ReadonlySet<string>> = {
  type: 'list',
  allowed: 'a list of PARTITION:BROKER, or * for all replicas',
  read(value) {
    const items = value.split(',').map(item => item.trim())
    const isNone = items.length === 1 && items[0] === ''
    const isSound =
      isNone || (items.length === 1 && items[0] === '*') || items.every(item => throttled.test(item))
    return isSound ? { value: new Set(isNone ? [] : items) } : { allowed: this.allowed }
  },
}

export const listeners: Kind<readonly Listener[]> = {
  type: 'list',
  allowed: 'a list of PLAINTEXT://HOST:PORT and HTTP://HOST:PORT, each at most once',
  read(value) {
    const read = parseListeners(value)
    return typeof read === 'string' ? { allowed: this.allowed, because: read } : { value: read }
  },
}
