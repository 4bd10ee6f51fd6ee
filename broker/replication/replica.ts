/** What replication asks of a tablet: the two sides of a copy, as leader and as follower. */
import type { BrokerId, Epoch, Incarnation, Offset } from '../../base/quantities.ts'
import type { RefusalCode } from '../../base/refusals.ts'
import type { InSync, TabletAssignment } from '../../control/model.ts'
import type { Batches } from '../log/read.ts'
import type { Copying } from './copies.ts'
import type { Limits } from './leadership.ts'
import type { WhyOut } from './news.ts'

export type TabletKey = { readonly topicId: string; readonly partition: number }

export const keyOf = ({ topicId, partition }: TabletKey): string => `${topicId}/${partition}`

/** One replica of a tablet, whatever it is now. */
export type Replica = TabletKey & {
  readonly topic: string
  readonly role: 'recovering' | 'leader' | 'follower' | 'offline' | 'removed'
  /** As it was last told; undefined before. */
  readonly assignment: TabletAssignment | undefined
  readonly limits: Limits
  /** What it has: the epoch of its last batch, -1 when there is none, and the offset behind it. Undefined while its log is not open, or is being cut. */
  readonly held: { readonly epoch: number; readonly end: Offset } | undefined
  /** It began without its records in this run: what earlier ones were granted does not count. */
  readonly bornIn: Incarnation
  /** Who may lead when nobody in sync can: the members of the set that all lost their tails (`stele.flush=os`), or anyone (`unclean.leader.election.enable`). */
  readonly election: { readonly os: boolean; readonly unclean: boolean }
  /** Whether this run may count as the one that an entry of the in-sync set names. */
  mayRenew(entry: InSync): boolean
  /** While it leads a tablet that has other replicas. */
  readonly led: Led | undefined
  /** While it follows and its log may be written. */
  readonly followed: Followed | undefined
}

/** A follower as it shows itself: one run of a broker. */
export type FollowerRun = { readonly broker: BrokerId; readonly incarnation: Incarnation }

/** Where the follower's log and the leader's part: the end, here, of the largest epoch that both may have. */
export type Diverging = { readonly epoch: number; readonly endOffset: number }

/** What happened to a led tablet: there is more to fetch; the high watermark or the log start moved; it is led no more. */
export type LedEvent = 'appended' | 'moved' | 'ended'

export type Led = TabletKey & {
  readonly epoch: Epoch
  readonly logStart: Offset
  /** Where a new copy begins: between two batches, at the log start or before it. */
  readonly copyStart: Offset
  readonly logEnd: Offset
  readonly highWatermark: Offset
  /** Another may lead by now: it takes and answers nothing until it is heard of in the control store again. */
  readonly isStale: boolean
  /**
   * A follower says that it holds everything below `at`, the last of it from epoch `lastEpoch` (-1 when it holds nothing). Answers whether
   * that was taken in, or where its log is another one, or why it is refused. Its own log begins at `logStart`.
   */
  fetched(
    who: FollowerRun,
    at: Offset,
    lastEpoch: number,
    logStart: Offset,
  ): 'taken' | Diverging | RefusalCode
  /** Followers from which a reader that is at `at` may go on reading, the one that holds most first. */
  readableAt(at: Offset): readonly BrokerId[]
  /** Whole batches from `from` on, whether the high watermark has passed them or not. */
  read(from: Offset, bytesMax: number, atLeastOne: boolean): Batches | Promise<Batches>
  /** Answers how to stop. */
  watch(listener: (event: LedEvent) => void): () => void
  /** The follower copies it from here no more, and is there: it has heard of another leader, or cannot copy. */
  left(who: FollowerRun): void
  /** The follower's connection is gone and did not come back. */
  gone(broker: BrokerId): void
  /** Who could lead next and had everything within `behindMsMax`, in the order of the replicas, but those that have only just come last. */
  successors(behindMsMax: number): readonly BrokerId[]
  /** Why it was to leave the set; undefined when that was not this leader's wish. */
  whyOut(member: InSync): WhyOut | undefined
  /** Whether this run of a follower stands in a set that could be in force. */
  counts(who: FollowerRun): boolean
  /** Followers that are there and not in sync. */
  readonly copying: readonly Copying[]
  /** How long ago the follower in sync that is furthest behind had everything; 0 when there is none. */
  readonly lagMs: number
  /** It is this broker's replica that moves away, and nothing else is missing for the end of the move. */
  readonly mustHandOver: boolean
  /** Its log is damaged here: whoever has it whole should lead. */
  readonly shouldFollow: boolean
  /** Somebody else in sync is there and stays. */
  readonly hasHeirs: boolean
  /** To whom it is being handed over; undefined when it is not, and once it is led no more. */
  readonly handingTo: BrokerId | undefined
  /**
   * Appends nothing more, and asks for `to` to lead once that holds the whole log. Who comes with records meanwhile is sent to look for another leader as
   * soon as there is one. `leaves`: this broker is no member of the set any more, where enough others are.
   */
  handOver(to: BrokerId, leaves: boolean): void
  /** It took too long: sends away who waits, and leads on unless the change may have been granted. */
  keep(): void
  /** Looks whether the set should be another one, and asks for that. */
  review(): void
}

/** What a follower asks for next. */
export type FetchFrom = {
  readonly epoch: Epoch
  readonly offset: Offset
  /** Of the last batch below `offset`; -1 when there is none. */
  readonly lastEpoch: number
  readonly logStart: Offset
  /** It is the end of the log, and not what is damaged in the middle of it. */
  readonly isEnd: boolean
}

export type Followed = TabletKey & {
  readonly leader: BrokerId
  readonly epoch: Epoch
  /** Nobody waits for the records of one that is not: its copying is held back. */
  readonly isInSync: boolean
  /** So many records below the leader's high watermark, as it was last told, are not here. */
  readonly lag: number
  /** The leader has answered in this epoch: its directory of the tablet is there. */
  readonly isAnswered: boolean
  /** The leader has said in this epoch that all of this log is a part of its own. */
  readonly isPart: boolean
  /** Undefined while what it has taken is not as durable as the topic wants, or while its log is being cut. */
  next(): FetchFrom | undefined
  /**
   * Batches from the leader, from offset `next()` on.
   * @throws Refusal CORRUPT_MESSAGE when they are not what follows, KAFKA_STORAGE_ERROR when they could not be written: nothing was taken
   */
  append(records: Buffer): void
  /** What the leader knows: its high watermark and where its log begins. `isEnd`: it was asked for what follows at the end of this log. */
  learn(highWatermark: Offset, logStart: Offset, isEnd: boolean): void
  /** Cuts the log back to where both agree, as far as one answer can tell. */
  cutBack(diverging: Diverging): Promise<void>
  /** The leader has nothing of what follows here any more: begins again where its log begins. */
  restartAt(start: Offset): Promise<void>
  /** What was asked for last was refused, or was no good. */
  failed(): void
  /** A digest of what the leader has in [from, to), both between two batches here; undefined when it does not say. */
  leaderDigest(from: Offset, to: Offset): Promise<string | undefined>
  /** Calls `listener` when `next` answers something new. */
  onReady(listener: () => void): void
}
