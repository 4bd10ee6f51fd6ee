/**
 * What a consumer is called: its name says how it was made, and under which coordinator of its group. So the next coordinator, who knows nothing of the
 * consumers of the one before, makes it again when it asks; nothing of it has to be kept anywhere.
 */
import { bounds, type ConsumerWish } from './consumer.ts'

/** No topic's name has it, and URLs need not escape it. */
const between = '~'
/** A name stays so short that it fits into a path; one that would not is not made again. */
const lengthMax = 600

export type MadeBefore = { readonly epoch: number; readonly wish: ConsumerWish }

/** `unique` has no tilde; `epoch` is the coordinator's. */
export function consumerId(unique: string, epoch: number, wish: ConsumerWish): string {
  const { visibilityTimeoutMs, maxUnacknowledged, offsetReset, topics } = wish
  const name = [unique, epoch, visibilityTimeoutMs, maxUnacknowledged, offsetReset, ...topics].join(between)
  return name.length > lengthMax ? unique : name
}

/** How it was made; undefined for what does not say, or what nobody can have made. */
export function readConsumerId(id: string): MadeBefore | undefined {
  const [unique = '', epoch, visibility, unacknowledged, offsetReset, ...topics] = id.split(between)
  const visibilityTimeoutMs = numberIn(visibility, bounds.visibilityTimeoutMs)
  const maxUnacknowledged = numberIn(unacknowledged, bounds.maxUnacknowledged)
  const made = numberIn(epoch, { min: 0, max: 2 ** 31 - 1 })
  if (unique === '' || id.length > lengthMax || topics.length === 0 || topics.length > bounds.topics)
    return undefined
  if (made === undefined || visibilityTimeoutMs === undefined || maxUnacknowledged === undefined)
    return undefined
  if (offsetReset !== 'earliest' && offsetReset !== 'latest') return undefined
  return { epoch: made, wish: { topics, visibilityTimeoutMs, maxUnacknowledged, offsetReset } }
}

type Bound = { readonly min: number; readonly max: number }

function numberIn(text: string | undefined, { min, max }: Bound): number | undefined {
  const number = /^\d{1,10}$/.test(text ?? '') ? Number(text) : NaN
  return number >= min && number <= max ? number : undefined
}
