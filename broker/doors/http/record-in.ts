import type { Refusal } from '../../../base/refusals.ts'
import type { RecordHeader } from '../../../protocol/kafka/records.ts'
import { invalid } from './errors.ts'
import { isoTimeMs, nearest, type Encoding } from './parameters.ts'

/** A record as a client wants it written. */
export type WantedRecord = {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
  /** Milliseconds since 1970; undefined is now. */
  readonly timestampMs: number | undefined
  /** Undefined: by the key, or where the broker likes. */
  readonly partition: number | undefined
}

const fields = ['key', 'value', 'headers', 'timestamp', 'partition', 'encoding', 'offset']

const noHeaders: readonly RecordHeader[] = []

/**
 * The record that parsed JSON describes: `{"key", "value", "headers", "timestamp", "partition", "encoding"}`, all optional
 * but the value. A record as it is read back (with its offset, which is passed over) is one as well.
 * @throws Refusal whose message begins with the name of the field that is wrong
 */
export function recordOf(json: unknown, defaultEncoding: Encoding): WantedRecord {
  if (!isObject(json)) throw invalid(`a record must be an object with a value, not ${kindOf(json)}`)
  for (const name in json) if (!fields.includes(name)) throw unknownField(name)
  const encoding = json['encoding'] === undefined ? defaultEncoding : encodingField(json['encoding'])
  return {
    key: keyOf(json['key'], encoding),
    value: valueOf(json['value'], encoding),
    headers: json['headers'] === undefined ? noHeaders : headersOf(json['headers'], encoding),
    timestampMs: json['timestamp'] === undefined ? undefined : timestampOf(json['timestamp']),
    partition: json['partition'] === undefined ? undefined : partitionField(json['partition']),
  }
}

export const isObject = (json: unknown): json is Record<string, unknown> =>
  typeof json === 'object' && json !== null && !Array.isArray(json)

/**
 * Gives the record in `json` the value it has in `exact`, which is the same with its numbers as they were written: a value is
 * written as JSON again and must not lose digits, while the other fields want plain numbers.
 */
export function takeExactValue(json: unknown, exact: unknown): void {
  if (isObject(json) && isObject(exact) && json['value'] !== undefined) json['value'] = exact['value']
}

/** What `json` is, with its article, for messages. */
export function kindOf(json: unknown): string {
  if (json === undefined) return 'missing'
  if (json === null) return 'null'
  if (Array.isArray(json)) return 'an array'
  return typeof json === 'object' ? 'an object' : `a ${typeof json}`
}

function unknownField(name: string): Refusal {
  const near = nearest(name, fields)
  const known = 'A record has key, value, headers, timestamp, partition and encoding.'
  return invalid(
    `${JSON.stringify(name)} is no field of a record`,
    near === undefined ? known : `Did you mean ${near}? ${known}`,
  )
}

function encodingField(json: unknown): Encoding {
  if (json === 'text' || json === 'base64') return json
  throw invalid(`encoding must be "text" or "base64"`)
}

function keyOf(json: unknown, encoding: Encoding): Buffer | null {
  if (json === undefined || json === null) return null
  if (typeof json !== 'string') throw invalid(`key must be a string or null, not ${kindOf(json)}`)
  return bytesOf('key', json, encoding)
}

function valueOf(json: unknown, encoding: Encoding): Buffer | null {
  if (typeof json === 'string') return bytesOf('value', json, encoding)
  if (json === null) return null
  if (json === undefined) {
    throw invalid('value is missing', 'Give the record a value; null deletes what the key stood for.')
  }
  if (encoding === 'base64') throw invalid(`value must be a base64 string or null, not ${kindOf(json)}`)
  return Buffer.from(JSON.stringify(json))
}

function headersOf(json: unknown, encoding: Encoding): RecordHeader[] {
  if (Array.isArray(json)) return json.map((pair, index) => headerOf(pair, index, encoding))
  if (!isObject(json)) {
    throw invalid(
      `headers must be an object or an array of [name, value] pairs, not ${kindOf(json)}`,
      'Write {"name": "text"} or [["name", "text"]].',
    )
  }
  return Object.entries(json).map(([name, value]) => [
    wellFormed('headers', name),
    headerValue(`headers.${name}`, value, encoding),
  ])
}

function headerOf(pair: unknown, index: number, encoding: Encoding): RecordHeader {
  const [name, value, ...more] = Array.isArray(pair) ? (pair as unknown[]) : []
  if (typeof name !== 'string' || value === undefined || more.length > 0) {
    throw invalid(`headers[${index}] must be a pair [name, value]`, 'Write [["name", "text"]].')
  }
  return [wellFormed(`headers[${index}][0]`, name), headerValue(`headers[${index}][1]`, value, encoding)]
}

function headerValue(field: string, json: unknown, encoding: Encoding): Buffer | null {
  if (json === null) return null
  if (typeof json !== 'string') throw invalid(`${field} must be a string or null, not ${kindOf(json)}`)
  return bytesOf(field, json, encoding)
}

function timestampOf(json: unknown): number | undefined {
  if (json === -1) return undefined // as records without a time are read back
  const ms = typeof json === 'string' ? isoTimeMs(json) : json
  if (typeof ms === 'number' && Number.isSafeInteger(ms) && ms >= 0) return ms
  throw invalid(
    'timestamp must be whole milliseconds since 1970 or an ISO time with its zone',
    'Write 1735689600000 or "2025-01-01T00:00:00Z", or leave it out for now.',
  )
}

function partitionField(json: unknown): number {
  if (typeof json === 'number' && Number.isInteger(json) && json >= 0 && json < 2 ** 31) return json
  throw invalid(
    `partition must be a whole number from 0, not ${JSON.stringify(json)}`,
    'Leave it out to have it chosen.',
  )
}

function bytesOf(field: string, text: string, encoding: Encoding): Buffer {
  if (encoding === 'text') return Buffer.from(wellFormed(field, text))
  // Buffer.from passes over what is not base64.
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw invalid(
      `${field} is not base64`,
      'Use the standard alphabet with its padding, or leave encoding at text.',
    )
  }
  return Buffer.from(text, 'base64')
}

function wellFormed(field: string, text: string): string {
  if (text.isWellFormed()) return text
  throw invalid(
    `${field} holds half of a surrogate pair, which is no text and has no UTF-8`,
    'Send bytes that are not text as base64.',
  )
}
