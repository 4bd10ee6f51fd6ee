import { distance } from 'fastest-levenshtein'
import { Refusal } from '../../../base/refusals.ts'
import type { Acks } from '../../tablet/appending.ts'
import { invalid, shown } from './errors.ts'

/** The query parameters of one request, by name. */
export type Parameters = ReadonlyMap<string, string>

/**
 * The query of `url`. A parameter that is not in `allowed` is refused rather than passed over: a misspelt `acks` must not
 * weaken a write.
 * @throws Refusal INVALID_REQUEST
 */
export function parametersOf(url: string, allowed: readonly string[]): Parameters {
  const found = new Map<string, string>()
  const start = url.indexOf('?')
  if (start < 0) return found
  for (const part of url.slice(start + 1).split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decoded(equals < 0 ? part : part.slice(0, equals))
    if (!allowed.includes(name)) throw unknownParameter(name, allowed)
    if (found.has(name)) throw invalid(`The query parameter ${name} stands there twice`)
    found.set(name, equals < 0 ? '' : decoded(part.slice(equals + 1)))
  }
  return found
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw invalid(
      `The query holds ${shown(text)}, which is not valid percent-encoding of UTF-8`,
      'Write a percent sign as %25.',
    )
  }
}

function unknownParameter(name: string, allowed: readonly string[]): Refusal {
  const takes = allowed.length === 0 ? 'It takes none.' : `It takes ${allowed.join(', ')}.`
  const near = nearest(name, allowed)
  const todo = near === undefined ? takes : `Did you mean ${near}? ${takes}`
  return invalid(`This route has no query parameter ${shown(name)}`, todo)
}

/** Longer names are not compared; no topic has one. */
const comparedCharsMax = 249
/** Pairs of characters: a few milliseconds. */
const comparedPairsMax = 10_000_000

/** The one of `names` that `name` probably means; of very many names only the first ones that are about as long are looked at. */
export function nearest(name: string, names: Iterable<string>): string | undefined {
  if (name.length > comparedCharsMax) return undefined
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1
  let pairs = 0
  for (const candidate of names) {
    // So many characters at least have to be put in or taken out.
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue
    pairs += name.length * candidate.length
    if (pairs > comparedPairsMax) break
    const far = distance(name, candidate)
    if (far < bestDistance) {
      best = candidate
      bestDistance = far
    }
  }
  return best
}

/** @throws Refusal INVALID_REQUEST unless `text` is a whole number from `min` to `max` */
export function wholeNumber(name: string, text: string, min: number, max: number): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (number >= min && number <= max) return number
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`
  throw invalid(`${name} must be a whole number ${range}, not ${shown(text)}`)
}

const partitionMax = 2 ** 31 - 1

/** @throws Refusal INVALID_REQUEST */
export const partitionOf = (text: string): number => wholeNumber('partition', text, 0, partitionMax)

/** Kafka's acks: 0 nothing, 1 the leader, -1 or all every in-sync replica. */
export function acksOf(parameters: Parameters): Acks {
  const text = parameters.get('acks') ?? 'all'
  if (text === 'all' || text === '-1') return -1
  if (text === '1') return 1
  if (text === '0') return 0
  throw new Refusal('INVALID_REQUIRED_ACKS', `acks must be all, -1, 1 or 0, not ${shown(text)}`)
}

export type Encoding = 'text' | 'base64'

/** How keys, values and header values are written; undefined when the request does not say. */
export function encodingOf(parameters: Parameters): Encoding | undefined {
  const text = parameters.get('encoding')
  if (text === undefined || text === 'text' || text === 'base64') return text
  throw invalid(`encoding must be text or base64, not ${shown(text)}`)
}

const isoTime = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/

/** ISO 8601 with its time zone, or a date alone (UTC), in milliseconds since 1970; NaN when it is not that. */
export const isoTimeMs = (text: string): number => (isoTime.test(text) ? Date.parse(text) : Number.NaN)

/** Milliseconds since 1970, or ISO 8601. @throws Refusal INVALID_REQUEST */
export function timestampMsOf(text: string): number {
  if (/^\d+$/.test(text)) return wholeNumber('timestamp', text, 0, Number.MAX_SAFE_INTEGER)
  // A plus sign that was not percent-encoded has become a space.
  const ms = isoTimeMs(text.replace(/ (\d\d:\d\d)$/, '+$1'))
  if (ms >= 0) return ms
  throw invalid(
    `timestamp must be milliseconds since 1970 or an ISO time with its zone, not ${shown(text)}`,
    'Write 1735689600000 or 2025-01-01T00:00:00Z.',
  )
}
