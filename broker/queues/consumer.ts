/** A consumer of a queue: what it asked for, and what it has. */
import type { Holder } from './window.ts'

export type OffsetReset = 'earliest' | 'latest'

export type ConsumerWish = {
  readonly topics: readonly string[]
  /** So long a record stays with it unless it says otherwise. */
  readonly visibilityTimeoutMs: number
  /** So many records it may hold. */
  readonly maxUnacknowledged: number
  /** Where the group begins in a partition that it has never committed for. */
  readonly offsetReset: OffsetReset
}

export type Consumer = ConsumerWish &
  Holder & {
    readonly id: string
    /** It is gone when it has done nothing by then; monotonic. */
    untilMs: number
    gone: boolean
  }

/** It can take no more for now. */
export const isFull = ({ gone, unacknowledged, maxUnacknowledged }: Consumer): boolean =>
  gone || unacknowledged >= maxUnacknowledged

/** So long a consumer that holds nothing may be silent, beyond its visibility time-out. */
export const silenceMsMax = 60_000

export const bounds = {
  visibilityTimeoutMs: { min: 100, max: 12 * 3_600_000, default: 30_000 },
  maxUnacknowledged: { min: 1, max: 10_000, default: 1_000 },
  topics: 100,
  /** Consumers of one group, and of all groups of a broker. */
  consumersOfGroup: 1_000,
  consumers: 10_000,
  /** Records that are remembered because they, or older ones of their partition, are not acknowledged: over all groups. */
  records: 500_000,
} as const
