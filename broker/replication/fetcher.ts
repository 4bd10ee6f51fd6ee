/**
 * Copies from one leader: in come the tablets that follow it, out go their fetches, all in one session over one connection. A tablet that has nothing new is
 * not mentioned in any request, and one whose batches are not durable yet is not asked for more: that bounds what is in memory.
 */
import type { Logger } from 'pino'
import { InvariantViolation } from '../../base/assert.ts'
import { LimitedLog } from '../../base/limited-log.ts'
import { MIB, offset, type BrokerId, type Incarnation, type Offset } from '../../base/quantities.ts'
import { Refusal, refusals, type RefusalCode } from '../../base/refusals.ts'
import type { Connection, ConnectionEnd, Place, Timer, World } from '../../base/world.ts'
import { decodeResponse } from '../../protocol/kafka/frame.ts'
import { MalformedRequest } from '../../protocol/kafka/malformed.ts'
import {
  fetchFrame,
  FrameStream,
  replicaFetch,
  type AskedStretch,
  type ComparedStretch,
  type ReplicaFetchResponse,
  type WrittenRequest,
} from '../../protocol/replication/fetch.ts'
import type { CopyRate } from './copy-rate.ts'
import { keyOf, type FetchFrom, type Followed, type FollowerRun } from './replica.ts'

export type FetcherOptions = {
  readonly world: World
  readonly log: Logger
  readonly self: FollowerRun
  readonly leader: BrokerId
  /** Where the leader takes fetches, and which run of it; undefined while that is not known. */
  readonly target: () => Target | undefined
  /** For copies that are not in sync. */
  readonly copyRate: CopyRate
  /** So many bytes of batches were taken. */
  readonly took: (bytes: number) => void
  /** Whether it stays connected while it copies nothing: that broker may lead next, and each shows the other that it is there. */
  readonly isNeighbour: () => boolean
}

export type Target = { readonly place: Place; readonly run: Incarnation }

type Copy = {
  readonly followed: Followed
  /** What the leader was last told. */
  told: FetchFrom | undefined
  /** The number of that request: answers to earlier ones do not concern this copy. */
  toldIn: number
  /** Not to be asked for before it was cut, or before some time has passed. */
  held: boolean
  failures: number
  /** Since when it failed again and again; monotonic. */
  failingMs: number | undefined
  /** Whether the leader was asked not to wait for this copy any more, and has said that it does not. */
  released: 'no' | 'asked' | 'yes'
}

/** What the leader is asked to compare. */
type Question = {
  readonly asked: AskedStretch
  isSent: boolean
  readonly answered: (digest: string | undefined) => void
}

type Part = ReplicaFetchResponse['responses'][number]['partitions'][number]

const maxWaitMs = 500
const maxBytes = 10 * MIB
const tabletBytes = MIB
/** An answer is larger than asked when a single batch is. */
const frameBytesMax = 256 * MIB
/** Requests without an answer; more acknowledgements wait for the next. */
const outstandingMax = 3
/** Every fetch is answered in half a second, unless a disk is very slow. */
const unansweredMsMax = 10_000
const reconnectMs = { min: 50, max: 1_000 }
/** Who reads a copy reads on within so long. */
const readersMs = 5_000
const failedMs = { min: 50, max: 2_000 }
/** Who is about to lead is asked again soon: never later than by a quarter of the time that it has already taken. */
const passingMs = { min: 50, growth: 1.25, max: 1_000 }
/** A leader of a new tablet, or a new leader of one that is there, knows of it within so long: until then nothing is told of it. */
const quietMs = 3_000
/** A leader of an older version, or one that so many ask, does not say what it has: then it is left alone for a while. */
const questionMs = { max: 60_000, rest: 3_600_000 }

/** Answers of one that does not know yet that it leads, or of another that leads no more. */
const passing: ReadonlySet<RefusalCode | undefined> = new Set<RefusalCode>([
  'NOT_LEADER_OR_FOLLOWER',
  'UNKNOWN_LEADER_EPOCH',
  'FENCED_LEADER_EPOCH',
])

/** Of a topic that is new there, and of one that is to be let in when it does not stop any more. */
const quiet: ReadonlySet<RefusalCode | undefined> = new Set<RefusalCode>([
  'UNKNOWN_TOPIC_ID',
  'INELIGIBLE_REPLICA',
])

const byCode = new Map<number, RefusalCode>(
  Object.entries(refusals)
    .toReversed()
    .map(([code, { kafka }]) => [kafka, code as RefusalCode]),
)

export class Fetcher {
  readonly leader: BrokerId
  readonly #options: FetcherOptions
  readonly #troubles: LimitedLog
  readonly #copies = new Map<string, Copy>()
  /** Whose part of the session has to be told. */
  readonly #changed = new Set<Copy>()
  #forgotten: Followed[] = []
  #connection: Connection | undefined
  #connectedTo: Target | undefined
  #isOpen = false
  #frames = new FrameStream(frameBytesMax)
  #sessionId = 0
  #sessionEpoch = 0
  #correlationId = 0
  #outstanding = 0
  #scheduled = false
  #attempts = 0
  #retry: Timer | undefined
  #stopped = false
  /** Since when its connections are refused or end; undefined while it answers. */
  #downMs: number | undefined
  /** Nobody listened at its place when it was tried last. */
  #isRefused = false
  /** Since when it has not answered what it was asked. */
  #silentMs: number | undefined
  #heardMs = -Infinity
  /** Consumers read what is copied here, and want to know of high watermarks at once; until then. */
  #readersUntilMs = -Infinity
  #hasNewReaders = false
  #question: Question | undefined
  #noQuestionUntilMs = -Infinity

  constructor(options: FetcherOptions) {
    this.#options = options
    this.leader = options.leader
    this.#troubles = new LimitedLog(options.log, options.world.clock, 20)
  }

  /** It copies nothing, and is not connected either. */
  get isIdle(): boolean {
    return !this.isCopying && !this.#options.isNeighbour() && this.#connection === undefined
  }

  get isCopying(): boolean {
    return this.#copies.size > 0
  }

  /** Since when the leader's process is surely not there; monotonic. */
  get downMs(): number | undefined {
    return this.#downMs
  }

  /** Its present connection has answered. */
  get isAnswered(): boolean {
    return this.#isOpen && this.#sessionEpoch > 0
  }

  /** Since it is down nobody has listened at its place: its process has ended, and the next one needs longer than a lost connection to be there. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  /** It may be gone, or it is slow to answer. */
  get isAway(): boolean {
    const { clock } = this.#options.world
    return (
      this.#downMs !== undefined ||
      (this.#silentMs !== undefined && clock.monotonicMs() - this.#silentMs > 2 * maxWaitMs)
    )
  }

  /** Since when nothing was heard of it although it was asked; monotonic. */
  get silentMs(): number | undefined {
    return this.#silentMs
  }

  /** When it last answered; monotonic. */
  get heardMs(): number {
    return this.#heardMs
  }

  add(followed: Followed): void {
    const key = keyOf(followed)
    const copy: Copy = {
      followed,
      told: undefined,
      toldIn: 0,
      held: false,
      failures: 0,
      failingMs: undefined,
      released: 'no',
    }
    this.#forget(key)
    this.#copies.set(key, copy)
    followed.onReady(() => this.#touch(copy))
    this.#touch(copy)
    // Until now nobody may have waited for it.
    if (this.#connection === undefined && this.#copies.size === 1) this.#reconnect()
    else this.connect()
  }

  connect(): void {
    if (this.#connection === undefined && this.#retry === undefined) this.#connect()
  }

  remove(followed: Followed): void {
    const key = keyOf(followed)
    if (this.#copies.get(key)?.followed !== followed) return
    this.#forget(key)
    this.#forgotten.push(followed)
    this.#schedule()
  }

  /** Answers whether the leader waits for this copy no more; asks it when that is not known. */
  isReleased(followed: Followed): boolean {
    const copy = this.#copies.get(keyOf(followed))
    if (copy?.followed !== followed) return false
    if (copy.released === 'yes') return true
    copy.released = 'asked'
    this.#touch(copy)
    return false
  }

  /** Whether the leader has been heard within `msMax`, and the copy has not failed for longer. */
  isCurrent(followed: Followed, msMax: number): boolean {
    const copy = this.#copies.get(keyOf(followed))
    const nowMs = this.#options.world.clock.monotonicMs()
    const sinceMs = Math.min(this.#heardMs, copy?.failingMs ?? Infinity)
    return copy?.followed === followed && nowMs - sinceMs <= msMax
  }

  /** Whether the copy has failed for longer than `ms`. */
  isFailing(followed: Followed, ms: number): boolean {
    const copy = this.#copies.get(keyOf(followed))
    const sinceMs = copy?.failingMs ?? Infinity
    return copy?.followed === followed && this.#options.world.clock.monotonicMs() - sinceMs > ms
  }

  /** Consumers read what is copied here. */
  noteReader(): void {
    const nowMs = this.#options.world.clock.monotonicMs()
    this.#hasNewReaders ||= nowMs >= this.#readersUntilMs
    this.#readersUntilMs = nowMs + readersMs
    if (this.#hasNewReaders) this.#schedule()
  }

  /** A digest of what the leader has of it in [from, to); undefined when it does not say, or is asked something else just now. */
  digestOf({ topicId, partition, epoch }: Followed, from: Offset, to: Offset): Promise<string | undefined> {
    const { clock } = this.#options.world
    const isMute = clock.monotonicMs() < this.#noQuestionUntilMs
    if (!this.isAnswered || this.#stopped || this.#question !== undefined || isMute)
      return Promise.resolve(undefined)
    return new Promise(resolve => {
      const timer = clock.after(questionMs.max, () => {
        this.#noQuestionUntilMs = clock.monotonicMs() + questionMs.rest
        this.#question?.answered(undefined)
      })
      const answered = (digest: string | undefined): void => {
        timer.cancel()
        this.#question = undefined
        resolve(digest)
      }
      this.#question = { asked: { topicId, partition, epoch, from, to }, isSent: false, answered }
      this.#schedule()
    })
  }

  #heard({ digest, ...of }: ComparedStretch): void {
    const { asked, answered } = this.#question ?? {}
    const isIt =
      asked?.topicId === of.topicId &&
      asked.partition === of.partition &&
      asked.epoch === of.epoch &&
      asked.from === of.from &&
      asked.to === of.to
    if (isIt) answered?.(digest === '' ? undefined : digest)
  }

  /** What is known of the leader may have changed: one that runs anew, or elsewhere, is asked at once. */
  look(): void {
    const target = this.#options.target()
    const { place, run } = this.#connectedTo ?? {}
    const same =
      target?.run === run && target?.place.host === place?.host && target?.place.port === place?.port
    if (target === undefined || this.#stopped || (same && this.#retry === undefined)) return
    this.#reconnect()
  }

  /** An answer that never comes may be one that got lost with the connection. */
  hurry(nowMs: number): void {
    const lost = this.#isOpen && this.#silentMs !== undefined && nowMs - this.#silentMs > unansweredMsMax
    if (lost && !this.#stopped) this.#reconnect()
  }

  #reconnect(): void {
    this.#retry?.cancel()
    this.#connection?.close()
    this.#connection = undefined
    this.#isOpen = false
    this.#attempts = 0
    this.#connect()
  }

  stop(): void {
    this.#stopped = true
    this.#question?.answered(undefined)
    this.#retry?.cancel()
    this.#connection?.close()
    this.#connection = undefined
  }

  #forget(key: string): void {
    const copy = this.#copies.get(key)
    if (copy !== undefined) this.#changed.delete(copy)
    this.#copies.delete(key)
  }

  #isHere(copy: Copy): boolean {
    return this.#copies.get(keyOf(copy.followed)) === copy
  }

  #touch(copy: Copy): void {
    if (!this.#isHere(copy) || copy.held) return
    this.#changed.add(copy)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || !this.#isOpen) return
    this.#scheduled = true
    this.#options.world.clock.endOfTurn(() => {
      this.#scheduled = false
      this.#send()
    })
  }

  #connect(): void {
    this.#retry = undefined
    const { world, target: find, isNeighbour } = this.#options
    if (this.#stopped || !(this.isCopying || isNeighbour())) return
    const target = find()
    this.#connectedTo = target
    // Who has no address, or is known to nobody, says nothing either.
    this.#silentMs ??= world.clock.monotonicMs()
    this.#attempts++
    if (target === undefined) return this.#connectLater()
    const connection: Connection = world.network.connect(target.place, {
      opened: () => {
        if (this.#connection === connection) this.#opened()
      },
      received: bytes => {
        if (this.#connection === connection) this.#received(bytes)
      },
      closed: why => {
        if (this.#connection === connection) this.#closed(why)
      },
    })
    this.#connection = connection
  }

  #opened(): void {
    this.#isOpen = true
    this.#isRefused = false
    this.#downMs = undefined
    this.#frames = new FrameStream(frameBytesMax)
    this.#restartSession()
    this.#schedule()
  }

  #restartSession(): void {
    this.#sessionId = 0
    this.#sessionEpoch = 0
    this.#outstanding = 0
    this.#question?.answered(undefined)
    this.#noQuestionUntilMs = -Infinity
    this.#forgotten = []
    for (const copy of this.#copies.values()) {
      copy.told = undefined
      if (!copy.held) this.#changed.add(copy)
    }
  }

  #closed(why: ConnectionEnd): void {
    const nowMs = this.#options.world.clock.monotonicMs()
    this.#connection = undefined
    this.#isOpen = false
    this.#question?.answered(undefined)
    if (why === 'unreachable') this.#silentMs ??= nowMs
    else this.#downMs ??= nowMs
    this.#isRefused = why === 'refused'
    // Whoever is gone is tried again and again: that is told once.
    if (this.isCopying && (this.#attempts === 0 || (this.#attempts === 1 && this.#heardMs === -Infinity)))
      this.#troubles.info({ leader: this.leader, why }, 'the connection to a leader ended')
    this.#connectLater()
  }

  #connectLater(): void {
    const delayMs = Math.min(reconnectMs.max, reconnectMs.min * 2 ** Math.max(0, this.#attempts - 6))
    this.#retry = this.#options.world.clock.after(delayMs, () => this.#connect())
  }

  /** Asks for everything that changed, and always has one request waiting at the leader. */
  #send(): void {
    const connection = this.#connection
    if (connection === undefined || !this.#isOpen) return
    const isNew = this.#sessionEpoch === 0
    if (isNew ? this.#outstanding > 0 : this.#outstanding >= outstandingMax) return
    const topics = this.#topics()
    const question = this.#question?.isSent === false ? this.#question : undefined
    const hasNews =
      topics.length > 0 || this.#forgotten.length > 0 || this.#hasNewReaders || question !== undefined
    if (this.#outstanding > 0 && !hasNews) return
    const { self, world } = this.#options
    this.#hasNewReaders = false
    const body: WrittenRequest = {
      replicaState: { replicaId: self.broker, replicaEpoch: self.incarnation },
      // The session is not known before the first answer, and nothing more is asked until then.
      maxWaitMs: isNew ? 0 : maxWaitMs,
      // What has no bytes counts too.
      minBytes: world.clock.monotonicMs() < this.#readersUntilMs ? 0 : 1,
      maxBytes,
      sessionId: this.#sessionId,
      sessionEpoch: this.#sessionEpoch,
      topics,
      forgottenTopicsData: this.#forgotten.map(({ topicId, partition }) => ({
        topicId,
        partitions: [partition],
      })),
      comparing: question === undefined ? [] : [question.asked],
    }
    if (question !== undefined) question.isSent = true
    this.#forgotten = []
    this.#outstanding++
    if (!isNew) this.#sessionEpoch++
    this.#silentMs ??= world.clock.monotonicMs()
    connection.send([fetchFrame(this.#correlationId++, body)])
  }

  #topics(): WrittenRequest['topics'] {
    const parts: { topicId: string; partition: number; from: FetchFrom }[] = []
    for (const copy of this.#changed) {
      const { topicId, partition } = copy.followed
      const from = copy.followed.next()
      if (from === undefined) continue
      copy.told = from
      copy.toldIn = this.#correlationId
      parts.push({ topicId, partition, from })
    }
    this.#changed.clear()
    return [...Map.groupBy(parts, ({ topicId }) => topicId)].map(([topicId, of]) => ({
      topicId,
      partitions: of.map(({ partition, from }) => ({
        partition,
        currentLeaderEpoch: from.epoch,
        fetchOffset: from.offset,
        lastFetchedEpoch: from.lastEpoch,
        logStartOffset: from.logStart,
        partitionMaxBytes: tabletBytes,
      })),
    }))
  }

  #received(bytes: Buffer): void {
    try {
      for (const frame of this.#frames.push(bytes)) {
        this.#silentMs = undefined
        this.#downMs = undefined
        this.#heardMs = this.#options.world.clock.monotonicMs()
        this.#attempts = 0
        const { correlationId, body } = decodeResponse(frame, replicaFetch, 17)
        this.#answered(correlationId, body)
        if (this.#connection === undefined) return
      }
    } catch (error) {
      if (!(error instanceof MalformedRequest)) throw error
      this.#troubles.error({ leader: this.leader, error }, 'a leader sent something that is no answer')
      this.#connection?.close()
      this.#closed('reset')
    }
  }

  #answered(
    correlationId: number,
    { errorCode, sessionId, responses, compared }: ReplicaFetchResponse,
  ): void {
    this.#outstanding--
    if (this.#outstanding > 0) this.#silentMs = this.#options.world.clock.monotonicMs()
    if (errorCode !== 0) {
      this.#troubles.warn({ leader: this.leader, errorCode }, 'a leader refused a whole fetch')
      this.#connection?.close()
      this.#connection = undefined
      this.#isOpen = false
      this.#attempts += 8
      return this.#connectLater()
    }
    if (this.#sessionEpoch === 0) this.#sessionEpoch = 1
    this.#sessionId = sessionId
    for (const one of compared) this.#heard(one)
    for (const { topicId, partitions } of responses) {
      for (const part of partitions) {
        const copy = this.#copies.get(keyOf({ topicId, partition: part.partitionIndex }))
        if (copy !== undefined && copy.toldIn <= correlationId) this.#take(copy, part)
      }
    }
    this.#schedule()
  }

  /** Batches count only when they are what the tablet would still ask for. */
  #take(copy: Copy, part: Part): void {
    const { followed, told } = copy
    if (told?.epoch !== followed.epoch || copy.held) return
    const wanted = followed.next()?.offset === told.offset
    try {
      if (part.errorCode !== 0)
        return this.#refused(copy, byCode.get(part.errorCode), offset(part.logStartOffset))
      const diverges = part.divergingEpoch.epoch >= 0 || part.divergingEpoch.endOffset >= 0
      if (diverges && !told.isEnd) {
        // Nothing is cut for what is damaged: it is asked again where the log ends.
        followed.failed()
        return this.#touch(copy)
      }
      if (diverges) return this.#hold(copy, followed.cutBack(part.divergingEpoch))
      const bytes = wanted ? (part.records?.length ?? 0) : 0
      if (part.records !== null && bytes > 0) followed.append(part.records)
      this.#options.took(bytes)
      copy.failures = 0
      copy.failingMs = undefined
      followed.learn(offset(part.highWatermark), offset(part.logStartOffset), told.isEnd)
      if (bytes > 0 && !followed.isInSync) this.#slowDown(copy, this.#options.copyRate.took(bytes))
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#failed(copy, error.code, error.message)
    }
  }

  #refused(copy: Copy, code: RefusalCode | undefined, leaderStart: ReturnType<typeof offset>): void {
    if (code === 'OFFSET_OUT_OF_RANGE' && copy.told !== undefined && leaderStart > copy.told.offset)
      return this.#hold(copy, copy.followed.restartAt(leaderStart))
    if (code === 'INELIGIBLE_REPLICA' && copy.released === 'asked') copy.released = 'yes'
    else this.#failed(copy, code, 'the leader refused it')
  }

  #failed(copy: Copy, code: RefusalCode | undefined, reason: string): void {
    const { topicId, partition } = copy.followed
    const nowMs = this.#options.world.clock.monotonicMs()
    copy.failures++
    if (!passing.has(code)) copy.followed.failed()
    copy.failingMs ??= nowMs
    const passes = (quiet.has(code) || passing.has(code)) && nowMs - copy.failingMs <= quietMs
    // What goes on and on is told ever more rarely.
    const isRare = Number.isInteger(Math.log2(copy.failures))
    if (!passes && isRare)
      this.#troubles.warn(
        { leader: this.leader, topicId, partition, code, reason },
        'a fetch failed; it is tried again',
      )
    const { min, growth, max } = passing.has(code) ? passingMs : { ...failedMs, growth: 2 }
    const delayMs = Math.min(max, min * growth ** Math.min(copy.failures, 40))
    this.#hold(copy, new Promise(resolve => this.#options.world.clock.after(delayMs, resolve)))
  }

  #slowDown(copy: Copy, forMs: number): void {
    if (forMs >= 1) this.#hold(copy, new Promise(resolve => this.#options.world.clock.after(forMs, resolve)))
  }

  /** It is not asked for until `work` is done. */
  #hold(copy: Copy, work: Promise<void>): void {
    copy.held = true
    this.#changed.delete(copy)
    work.then(
      () => this.#release(copy),
      (error: unknown) => {
        if (error instanceof InvariantViolation) throw error
        copy.held = false
        this.#failed(copy, undefined, (error as Error).message)
      },
    )
  }

  #release(copy: Copy): void {
    copy.held = false
    this.#touch(copy)
  }
}
