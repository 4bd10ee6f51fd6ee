/** What requests about queues ask for. Everything is checked here, with the bounds named. */
import { MIB } from '../../../base/quantities.ts'
import { bounds, type ConsumerWish, type OffsetReset } from '../../queues/consumer.ts'
import { invalid, shownJson } from './errors.ts'
import { kindOf } from './record-in.ts'

type Fields = Readonly<Record<string, unknown>>
type Bound = { readonly min: number; readonly max: number; readonly default?: number }

export const consumerFields = [
  'topics',
  'visibility_timeout_ms',
  'max_unacknowledged',
  'offset_reset',
] as const
export const receiveFields = ['max_records', 'max_bytes', 'wait_ms'] as const
export const receiptFields = ['receipts'] as const
export const extendFields = ['receipts', 'visibility_timeout_ms'] as const

export const receiveBounds = {
  maxRecords: { min: 1, max: 1_000, default: 100 },
  maxBytes: { min: 1, max: 8 * MIB, default: MIB },
  waitMs: { min: 0, max: 60_000, default: 0 },
} as const
export const receiptsMax = 10_000

/** @throws Refusal INVALID_REQUEST */
export const consumerWish = (fields: Fields): ConsumerWish => ({
  topics: topicsOf(fields['topics']),
  visibilityTimeoutMs: numberOf(fields, 'visibility_timeout_ms', bounds.visibilityTimeoutMs),
  maxUnacknowledged: numberOf(fields, 'max_unacknowledged', bounds.maxUnacknowledged),
  offsetReset: offsetResetOf(fields['offset_reset']),
})

/** @throws Refusal INVALID_REQUEST */
export const receiveWish = (fields: Fields) => ({
  recordsMax: numberOf(fields, 'max_records', receiveBounds.maxRecords),
  bytesMax: numberOf(fields, 'max_bytes', receiveBounds.maxBytes),
  waitMs: numberOf(fields, 'wait_ms', receiveBounds.waitMs),
})

/** @throws Refusal INVALID_REQUEST */
export function receiptsOf({ receipts }: Fields): readonly string[] {
  const texts = textsOf('receipts', receipts)
  if (texts.length > receiptsMax)
    throw invalid(
      `receipts holds ${texts.length}, more than ${receiptsMax}`,
      'Send them in several requests.',
    )
  return texts
}

/** @throws Refusal INVALID_REQUEST */
export const extensionOf = (fields: Fields): number => {
  const { min, max } = bounds.visibilityTimeoutMs
  return numberOf(fields, 'visibility_timeout_ms', { min, max })
}

function topicsOf(json: unknown): readonly string[] {
  const topics = textsOf('topics', json)
  if (topics.length === 0 || topics.length > bounds.topics)
    throw invalid(`topics must name 1 to ${bounds.topics} topics, not ${topics.length}`)
  return [...new Set(topics)]
}

function textsOf(name: string, json: unknown): readonly string[] {
  if (!Array.isArray(json)) throw invalid(`${name} must be an array of strings, not ${kindOf(json)}`)
  for (const [index, one] of json.entries())
    if (typeof one !== 'string') throw invalid(`${name}[${index}] must be a string, not ${kindOf(one)}`)
  return json as string[]
}

function offsetResetOf(json: unknown = 'earliest'): OffsetReset {
  if (json === 'earliest' || json === 'latest') return json
  throw invalid(`offset_reset must be earliest or latest, not ${shownJson(json)}`)
}

function numberOf(fields: Fields, name: string, { min, max, default: without }: Bound): number {
  const json = fields[name] ?? without
  if (typeof json === 'number' && Number.isInteger(json) && json >= min && json <= max) return json
  const given = json === undefined ? 'missing' : shownJson(json)
  throw invalid(`${name} must be a whole number from ${min} to ${max}, not ${given}`)
}
