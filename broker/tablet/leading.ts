/**
 * A replica's leadership of a tablet that has others: followers' fetches come in, and what the leader concludes from them goes out, as a high watermark
 * and as wishes for another in-sync set.
 */
import { offset, type BrokerId, type Epoch, type Offset } from '../../base/quantities.ts'
import { Refusal, type RefusalCode } from '../../base/refusals.ts'
import type { InSync, TabletAssignment } from '../../control/model.ts'
import { StoredBatchDamaged, type Batches } from '../log/read.ts'
import { gapBatch } from '../../protocol/kafka/compacted-batch.ts'
import {
  baseOffsetOf,
  batchBytesOf,
  countOf,
  lastOffsetOf,
  leaderEpochOf,
} from '../../protocol/kafka/record-batch.ts'
import { Leadership, type HandOver, type Limits, type Liveness } from '../replication/leadership.ts'
import type { Copying } from '../replication/copies.ts'
import type { Wish } from '../replication/changes.ts'
import type { Diverging, Followed, FollowerRun, Led, LedEvent, Replica } from '../replication/replica.ts'
import type { Rules } from '../replication/rules.ts'
import type { TabletState } from './appends.ts'
import type { Mending } from './mending.ts'

/** The tablet, as its leadership sees it. */
export type LeadingOwner = {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly assignment: TabletAssignment | undefined
  readonly logStart: Offset
  readonly highWatermark: Offset
  readonly durableEnd: Offset
  readonly limits: Limits
  readonly nowMs: number
  readonly mending: Pick<Mending, 'shouldFollow'> | undefined
  /** What came in this turn stands in the log. */
  flush(): void
  /** The high watermark may go up to `leadership.highWatermark`. */
  advanced(): void
  /** Whoever waits for acks=all is told why that has no end. */
  refuseWaiting(refusal: Refusal): void
  /** What a follower is told when a read for it failed. */
  readFailure(error: unknown): unknown
}

/** What replication is to the tablets, and what they are to it. */
export type AroundTablets = Liveness & {
  readonly self: FollowerRun
  readonly rules: Rules
  readonly lagMsMax: number
  wish(wish: Wish): void
  /** May this run count as the one that the entry names? `synced`: it had synced what it said it had. */
  mayRenew(entry: InSync, synced: boolean): boolean
  /** The replica's role or assignment is another one. */
  changed(replica: Replica): void
  /** Whether the leader of a copy has answered for it, and not too long ago. */
  isCurrent(followed: Followed): boolean
  /** Consumers read the copy. */
  noteReader(followed: Followed): void
  /** What the leader of a copy has in [from, to), as `Followed.leaderDigest` says it. */
  digestOf(followed: Followed, from: Offset, to: Offset): Promise<string | undefined>
}

/** Followers ask every half a second. */
const unheardMs = 1_500

export class Leading implements Led {
  readonly leadership: Leadership
  readonly epoch: Epoch
  readonly topicId: string
  readonly partition: number
  readonly #owner: LeadingOwner
  readonly #state: TabletState
  readonly #around: AroundTablets
  readonly #listeners = new Set<(event: LedEvent) => void>()
  #wishing = false
  #shownStart: Offset
  #handOver: HandOver | undefined
  /** Those who came with records during the hand-over; undefined when they are sent away at once. */
  #waiting: (() => void)[] | undefined
  #over = false

  /** The leadership that `assignment` grants begins at the end of the log. */
  static begin(
    owner: LeadingOwner,
    state: TabletState,
    around: AroundTablets,
    assignment: TabletAssignment,
  ): Leading {
    const leadership = new Leadership({
      self: around.self,
      assignment,
      epochStart: state.log.end.offset,
      highWatermark: owner.highWatermark,
      ownEnd: owner.durableEnd,
      nowMs: owner.nowMs,
      rules: around.rules,
    })
    return new Leading(owner, state, around, leadership, assignment.epoch)
  }

  private constructor(
    owner: LeadingOwner,
    state: TabletState,
    around: AroundTablets,
    leadership: Leadership,
    inEpoch: Epoch,
  ) {
    this.#owner = owner
    this.#state = state
    this.#around = around
    this.leadership = leadership
    this.epoch = inEpoch
    this.topicId = owner.topicId
    this.partition = owner.partition
    this.#shownStart = owner.logStart
  }

  get logStart(): Offset {
    return this.#owner.logStart
  }

  get copyStart(): Offset {
    return this.#state.log.firstOffset
  }

  get logEnd(): Offset {
    return this.#state.log.end.offset
  }

  get highWatermark(): Offset {
    return this.leadership.highWatermark
  }

  /** Nobody copies it from here, or nobody else in sync has asked for anything lately: another may lead, and that is not known here yet. */
  get isUnheard(): boolean {
    const { assignment, nowMs } = this.#owner
    const { self } = this.#around
    const others = (assignment?.isr ?? []).filter(({ broker }) => broker !== self.broker)
    const isSilent = ({ broker }: InSync): boolean => nowMs - this.#around.askedMs(broker) >= unheardMs
    return others.length > 0 && (this.#listeners.size === 0 || others.every(isSilent))
  }

  get isStale(): boolean {
    return this.leadership.isStale(this.#owner.nowMs, this.#owner.limits)
  }

  watch(listener: (event: LedEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  read(from: Offset, bytesMax: number, atLeastOne: boolean): Batches | Promise<Batches> {
    const { log } = this.#state
    const begun = (batches: Batches): Batches => begunAt(this.#ofKnownEpochs(batches, from), from)
    const failed = (error: unknown): never => {
      throw this.#owner.readFailure(error)
    }
    try {
      const batches = log.read(from, log.end, bytesMax, atLeastOne)
      return batches instanceof Promise ? batches.then(begun).catch(failed) : begun(batches)
    } catch (error) {
      return failed(error)
    }
  }

  fetched(
    who: FollowerRun,
    at: Offset,
    lastEpoch: number,
    logStart: Offset,
  ): 'taken' | Diverging | RefusalCode {
    const { assignment, nowMs } = this.#owner
    if (assignment?.replicas.includes(who.broker) !== true) return 'NOT_LEADER_OR_FOLLOWER'
    const diverging = this.#parting(at, lastEpoch)
    if (diverging !== undefined) return diverging
    if (at < this.copyStart || at > this.logEnd) return 'OFFSET_OUT_OF_RANGE'
    // It waits to hear this before it stops.
    if (this.#isOnItsWay(who) && !this.leadership.counts(who)) return 'INELIGIBLE_REPLICA'
    this.leadership.fetched(who, at, nowMs, logStart)
    this.#advance()
    if (
      !assignment.isr.some(
        ({ broker, incarnation }) => broker === who.broker && incarnation === who.incarnation,
      )
    )
      this.review()
    if (who.broker === this.handingTo) this.review()
    return 'taken'
  }

  readableAt(at: Offset): readonly BrokerId[] {
    return this.leadership.readableAt(at, this.#around, this.#owner.nowMs)
  }

  left(who: FollowerRun): void {
    this.leadership.left(who, this.#owner.nowMs)
  }

  gone(broker: BrokerId): void {
    if (this.#owner.assignment?.isr.some(member => member.broker === broker) === true) this.review()
  }

  /** There is more, and `durableEnd` of it is as durable as the topic wants. */
  grown(durableEnd: Offset): void {
    this.leadership.grown(this.logEnd, durableEnd, this.#around)
    this.#advance()
  }

  /** The same, for what was written just now: followers may fetch it. */
  appended(durableEnd: Offset): void {
    this.grown(durableEnd)
    this.#tell('appended')
  }

  /** The same epoch, as it was seen in the control store. */
  assigned(assignment: TabletAssignment): void {
    const askAgain = this.leadership.assigned(assignment, this.#owner.nowMs)
    // Who is told that nobody leads asks anew.
    if (askAgain) this.#tell('ended')
    this.#setChanged()
  }

  get handingTo(): BrokerId | undefined {
    return this.#handOver?.to
  }

  whyOut(member: InSync): ReturnType<Led['whyOut']> {
    return this.leadership.whyOut(member)
  }

  counts(who: FollowerRun): boolean {
    return this.leadership.counts(who)
  }

  get copying(): readonly Copying[] {
    const { assignment } = this.#owner
    // Nearly always.
    if (assignment === undefined || assignment.isr.length === assignment.replicas.length) return []
    const { log } = this.#state
    return this.leadership.followers(this.#around).flatMap(({ broker, incarnation, end }) => {
      if (assignment.isr.some(one => one.broker === broker && one.incarnation === incarnation)) return []
      const bytesLeft = log.bytesFrom(offset(Math.max(end, log.firstOffset)))
      const isAdded = assignment.adding.includes(broker)
      return [{ broker, bytesLeft, bytesHeld: log.sizeBytes - bytesLeft, isAdded }]
    })
  }

  get lagMs(): number {
    const { assignment, nowMs } = this.#owner
    return this.leadership
      .followers(this.#around)
      .filter(({ broker }) => assignment?.isr.some(one => one.broker === broker))
      .reduce((most, { caughtUpMs }) => Math.max(most, nowMs - caughtUpMs), 0)
  }

  get mustHandOver(): boolean {
    const { assignment, limits } = this.#owner
    return assignment !== undefined && this.leadership.mustHandOver(assignment, limits)
  }

  get shouldFollow(): boolean {
    return this.#owner.mending?.shouldFollow === true
  }

  get hasHeirs(): boolean {
    return this.leadership.hasHeirs(this.#around)
  }

  successors(behindMsMax: number): readonly BrokerId[] {
    return this.leadership.successors(this.#around, this.#owner.nowMs, behindMsMax)
  }

  handOver(to: BrokerId, leaves: boolean): void {
    if (this.#over || this.#handOver !== undefined) return
    this.#owner.flush()
    this.#handOver = { to, leaves, sinceMs: this.#owner.nowMs }
    this.#waiting = []
    this.review()
  }

  keep(): void {
    this.#sendAway()
    if (!this.leadership.isGivingUp) this.#handOver = undefined
    // The others may copy from the next leader already.
    else this.#endWaiting()
  }

  /**
   * Whether it takes no records, because another may lead by now: then it calls `sendAway`, at once, or, while it is being handed over, when another leads
   * or that has taken too long.
   */
  keepsOut(sendAway: () => void): boolean {
    const { isStale } = this
    if (this.#handOver === undefined && !isStale) return false
    if (this.#waiting === undefined || isStale) sendAway()
    else this.#waiting.push(sendAway)
    return true
  }

  #sendAway(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const sendAway of waiting) sendAway()
  }

  /** The next leader may have what they wait for, or not. */
  #endWaiting(): void {
    const why = `another broker may lead ${this.#name} by now; the write is in the log of this one`
    this.#owner.refuseWaiting(new Refusal('NOT_LEADER_OR_FOLLOWER', why))
  }

  get #name(): string {
    return `${this.#owner.topic}-${this.partition}`
  }

  review(): void {
    this.#showStart()
    if (this.isStale) {
      // Its followers shall not take what it knows for all there is.
      this.#tell('ended')
      this.#endWaiting()
    }
    if (this.#over || this.#wishing || this.leadership.isChanging) return
    const { assignment } = this.#owner
    if (assignment === undefined || this.#wanted(assignment) === undefined) return
    this.#wishing = true
    const { topicId, partition } = this
    this.#around.wish({
      topicId,
      partition,
      wanted: now =>
        this.#over || now.epoch !== this.epoch || this.leadership.isChanging ? undefined : this.#wanted(now),
      begun: to => {
        this.leadership.begun(to)
        this.#setChanged()
      },
      answered: answer => {
        if (answer === 'unknown') return this.leadership.unanswered(this.#owner.nowMs)
        this.#wishing = false
        if (answer === 'refused') this.leadership.dropped()
        this.#setChanged()
      },
    })
  }

  /** Another leads, or nobody. */
  end(): void {
    this.#over = true
    this.#handOver = undefined
    this.#sendAway()
    this.#tell('ended')
    this.#listeners.clear()
  }

  #wanted(now: TabletAssignment): TabletAssignment | undefined {
    const { nowMs, limits } = this.#owner
    const handOver =
      this.#handOver && this.leadership.handsOver(now, this.#handOver, this.#around, nowMs, limits)
    if (handOver !== undefined) return handOver
    return this.leadership.wants(now, this.#around, nowMs, limits)
  }

  #setChanged(): void {
    if (this.#over) return
    if (!this.leadership.enough(this.#owner.limits)) {
      const why = `fewer replicas of ${this.#name} are in sync than acks=all needs; the write is in the log`
      this.#owner.refuseWaiting(new Refusal('NOT_ENOUGH_REPLICAS_AFTER_APPEND', why))
    }
    this.#advance()
  }

  /** Also where nothing is written any more followers give back the room of what is gone. */
  #showStart(): void {
    if (this.logStart <= this.#shownStart) return
    this.#shownStart = this.logStart
    this.#tell('moved')
  }

  #advance(): void {
    if (!this.leadership.advance(this.#owner.limits)) return
    this.#owner.advanced()
    this.#tell('moved')
  }

  /** The run that asks is the one that leaves: one that has just begun is not known here yet. */
  #isOnItsWay({ broker, incarnation }: FollowerRun): boolean {
    return this.#around.isLeaving(broker) && this.#around.runOf(broker) === incarnation
  }

  /** Where a log that ends at `at` in epoch `lastEpoch` leaves this one; undefined when it is a part of it (KIP-595). */
  #parting(at: Offset, lastEpoch: number): Diverging | undefined {
    if (lastEpoch < 0) return undefined
    const { epochs, log } = this.#state
    const own = epochs.endOf(lastEpoch, this.epoch, log.end.offset)
    if (own === undefined) {
      return at > this.copyStart ? { epoch: lastEpoch, endOffset: this.copyStart } : undefined
    }
    const parts = own.end < at || own.epoch < lastEpoch
    return parts ? { epoch: own.epoch, endOffset: offset(own.end) } : undefined
  }

  /**
   * No CRC covers a batch's leader epoch, and a follower would believe it: what comes before one that cannot be right is sent, and when nothing does that is
   * damage as any other.
   */
  #ofKnownEpochs(batches: Batches, from: Offset): Batches {
    const { epochs } = this.#state
    let sound = 0
    for (const piece of batches.pieces) {
      for (let at = 0; at < piece.length; at += batchBytesOf(piece, at)) {
        const known = epochs.of(offset(baseOffsetOf(piece, at)))
        if (known === undefined || known === leaderEpochOf(piece, at)) continue
        if (sound + at > 0) return upTo(batches, sound + at)
        batches.release()
        const to = offset(lastOffsetOf(piece, at) + 1)
        throw new StoredBatchDamaged(this.#state.log.directory, 0, from, { from, to })
      }
      sound += piece.length
    }
    return batches
  }

  #tell(event: LedEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}

/** The first `bytes` of them. */
function upTo(batches: Batches, bytes: number): Batches {
  const pieces: Buffer[] = []
  let left = bytes
  for (const piece of batches.pieces) {
    if (left <= 0) break
    pieces.push(piece.subarray(0, left))
    left -= piece.length
  }
  return { pieces, bytes, release: () => batches.release() }
}

/**
 * Compaction joins batches of which nothing is left, so a follower that has some of them from before is in the middle of what stands for all. It gets the
 * part that it does not have.
 */
function begunAt(batches: Batches, from: Offset): Batches {
  const [first, ...more] = batches.pieces
  if (first === undefined || baseOffsetOf(first, 0) >= from || countOf(first, 0) > 0) return batches
  const rest = gapBatch(from, lastOffsetOf(first, 0) + 1, leaderEpochOf(first, 0))
  const behind = first.subarray(batchBytesOf(first, 0))
  const pieces = [rest, ...(behind.length > 0 ? [behind] : []), ...more]
  return { pieces, bytes: batches.bytes, release: () => batches.release() }
}
