import { InvalidArgumentError } from 'commander'

/** Where reading begins, in every partition. */
export type Position =
  | { readonly kind: 'beginning' | 'end' }
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'time'; readonly ms: number }

/** Reads `beginning`, `end`, an offset, `ms@` and milliseconds since 1970, or an ISO 8601 date or time. */
export function parsePosition(text: string): Position {
  if (text === 'beginning' || text === 'end') return { kind: text }
  const number = /^(ms@)?(\d{1,15})$/.exec(text)
  if (number !== null) {
    const value = Number(number[2])
    return number[1] === undefined ? { kind: 'offset', offset: value } : { kind: 'time', ms: value }
  }
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) {
    throw new InvalidArgumentError(
      'Say beginning, end, an offset, ms@ and milliseconds since 1970, or a time as 2026-01-31T08:00Z.',
    )
  }
  return { kind: 'time', ms }
}
