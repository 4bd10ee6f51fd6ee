/** A tablet as a queue reads it, whoever leads it. */
import type { BrokerId } from '../../base/quantities.ts'
import type { Batches } from '../log/read.ts'
import type { Router } from '../router/router.ts'
import type { Tablet } from '../tablet/tablet.ts'

/** What is known of it here; see `Tablet`. */
export type Source = Pick<
  Tablet,
  'topic' | 'topicId' | 'partition' | 'serves' | 'logStart' | 'highWatermark' | 'logEnd' | 'read'
> & {
  /** Calls `listener` when there may be something to read, and when it serves or stops serving. Answers how to stop. */
  onReadable(listener: () => void): () => void
}

/** One that another broker leads: what is known of it is as old as what its leader has said last. */
export type RemoteSource = Source & {
  /** Asks its leader. Resolves with whether it has said so after this call; soon. */
  look(): Promise<boolean>
  /** Until the answer is called, what its leader has new is known here as soon as it is there. */
  attend(): () => void
}

/** Tablets that other brokers lead. */
export type Elsewhere = { find(topic: string, partition: number): RemoteSource | undefined }

export const isRemote = (source: Source): source is RemoteSource => 'look' in source

/** Undefined while it is not known who leads it, or it does not lead yet. */
export function sourceOf(
  { router, elsewhere }: { readonly router: Router; readonly elsewhere: Elsewhere },
  topic: string,
  partition: number,
): Source | undefined {
  const tablet = router.find(topic, partition)
  if (tablet?.serves === true) return tablet
  const leader = router.leaderOf(topic, partition)?.id
  return leader === undefined || leader === router.self ? undefined : elsewhere.find(topic, partition)
}

/** Where a tablet begins and ends. */
export type TabletEnds = {
  readonly logStart: number
  readonly highWatermark: number
  readonly logEnd: number
}

export type AskedTablet = { readonly topic: string; readonly topicId: string; readonly partition: number }

/** For each tablet what is known of it, or null when that is nothing. */
export type EndsAsked = {
  /** The answer waits so long for something new. */
  readonly waitMs: number
  readonly tablets: readonly (AskedTablet & { readonly known: TabletEnds | null })[]
}

/** Of those tablets alone that are not as it was known; `at` is their place in the question, `ends` null when they are not led there. */
export type EndsTold = readonly { readonly at: number; readonly ends: TabletEnds | null }[]

export type BatchesAsked = AskedTablet & { readonly from: number; readonly bytesMax: number }

/** Whole batches, or none when `from` is not between the ends; `ends` is null when the tablet is not led there. */
export type BatchesTold = { readonly ends: TabletEnds | null; readonly batches: Batches }

/**
 * How other brokers are asked. Both answer or reject with a Refusal in bounded time: LEADER_NOT_AVAILABLE, REQUEST_TIMED_OUT, or what the other
 * broker says.
 */
export type Leaders = {
  ends(leader: BrokerId, asked: EndsAsked, signal: AbortSignal): Promise<EndsTold>
  batches(leader: BrokerId, asked: BatchesAsked): Promise<BatchesTold>
}
