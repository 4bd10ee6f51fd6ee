/**
 * One follower broker at this leader: its fetches enter, in order, over one connection; answers leave as soon as there is something for it. What it follows is
 * remembered between requests, and a tablet that has nothing new costs nothing. A request that comes while another waits ends the wait.
 */
import type { Logger } from 'pino'
import { InvariantViolation } from '../../base/assert.ts'
import { epoch, offset, type BrokerId, type Offset } from '../../base/quantities.ts'
import { Refusal, refusals, type RefusalCode } from '../../base/refusals.ts'
import type { Connection, Timer, World } from '../../base/world.ts'
import { MalformedRequest } from '../../protocol/kafka/malformed.ts'
import {
  fetchAnswer,
  FrameStream,
  readFetch,
  type AskedStretch,
  type ComparedStretch,
  type FetchPart,
  type ReplicaFetchRequest,
} from '../../protocol/replication/fetch.ts'
import type { Batches } from '../log/read.ts'
import {
  keyOf,
  type Diverging,
  type FollowerRun,
  type Led,
  type LedEvent,
  type TabletKey,
} from './replica.ts'

export type SessionOptions = {
  readonly world: World
  readonly log: Logger
  readonly connection: Connection
  readonly id: number
  /** The tablet that is led here; undefined when it is not, or not known. */
  readonly find: (key: TabletKey) => Led | 'NOT_LEADER_OR_FOLLOWER' | 'UNKNOWN_TOPIC_ID'
  /** Why the broker that asks is refused altogether. */
  readonly refuse: (who: FollowerRun) => RefusalCode | undefined
  /** So many bytes of batches go out. */
  readonly sent: (bytes: number) => void
  /** It asked; from then on the session is known to be that broker's. */
  readonly asked: (who: FollowerRun) => void
  readonly ended: (who: FollowerRun | undefined) => void
  /** `bytes` of the tablet were sent to it: for how many milliseconds it shall be sent no more of that. */
  readonly rest: (key: TabletKey, who: FollowerRun, bytes: number) => number
  /** What `led` has in [from, to), as `Comparing.digest` says it. */
  readonly digest: (led: Led, from: Offset, to: Offset, isLed: () => boolean) => Promise<string | undefined>
}

type Entry = TabletKey & {
  led: Led | undefined
  stop: () => void
  epoch: number
  from: Offset
  bytesMax: number
  /** Batches were sent, and it has not said yet that it has them. */
  sent: boolean
  /** Until then it is sent nothing more. */
  restMs: number
  rested: Timer | undefined
  /** What it is told instead of batches. */
  trouble: RefusalCode | Diverging | undefined
  /** The high watermark that it was told. */
  told: Offset
}

type Pending = {
  readonly correlationId: number
  readonly bytesMax: number
  /** It wants to hear at once of high watermarks too: Kafka's `minBytes` is 0. */
  readonly hasReaders: boolean
  timer: Timer | undefined
}
type Found = {
  readonly entry: Entry
  readonly batches: Batches | undefined
  readonly trouble: Entry['trouble']
}

/** Producers wait for what is in sync: what is not comes behind it, in pieces that do not hold it up for long. */
const copyBytesMax = 2 * 1024 * 1024
/** A follower asks at least every half second: of one that has said nothing at so many looks, half a second apart, the machine or the way to it is gone. */
const silentLooksMax = 60
const requestBytesMax = 16 * 1024 * 1024

export class Session {
  readonly #options: SessionOptions
  readonly #frames = new FrameStream(requestBytesMax)
  readonly #entries = new Map<string, Entry>()
  /** Those that have something to be told at once. */
  readonly #ready = new Set<Entry>()
  /** Those whose high watermark or log start moved: told with the next answer. */
  readonly #moved = new Set<Entry>()
  readonly #requests: { readonly correlationId: number; readonly body: ReplicaFetchRequest }[] = []
  #who: FollowerRun | undefined
  #nextEpoch = 0
  /** A stretch of offsets is being looked at for it: one at a time. */
  #comparing = false
  #compared: ComparedStretch | undefined
  #pending: Pending | undefined
  #answering = false
  #scheduled = false
  #over = false
  /** Looks since something came: what this process has slept through does not count. */
  #silentLooks = 0

  constructor(options: SessionOptions) {
    this.#options = options
  }

  /** Who asks; undefined before the first fetch. */
  get broker(): BrokerId | undefined {
    return this.#who?.broker
  }

  received(bytes: Buffer): void {
    if (this.#over) return
    this.#silentLooks = 0
    try {
      for (const frame of this.#frames.push(bytes)) this.#requests.push(readFetch(frame))
    } catch (error) {
      if (!(error instanceof MalformedRequest)) throw error
      this.#options.log.warn(
        { error },
        'closed the connection of a broker that sent something that is no fetch',
      )
      return this.close()
    }
    this.#goOn()
  }

  /** Called every half second: ends what nobody is at the other end of. A system that has sent something waits for a quarter of an hour. */
  look(): void {
    if (this.#over || ++this.#silentLooks <= silentLooksMax) return
    this.#options.log.info(
      { broker: this.broker },
      'closed the connection of a broker that has said nothing for half a minute',
    )
    this.close()
  }

  /** The connection is over. */
  closed(): void {
    if (this.#over) return
    this.#over = true
    this.#pending?.timer?.cancel()
    for (const entry of this.#entries.values()) {
      entry.stop()
      entry.rested?.cancel()
    }
    this.#options.ended(this.#who)
  }

  close(): void {
    this.#options.connection.close()
    this.closed()
  }

  /** Requests one after the other: the one that waits is answered before the next is looked at. */
  #goOn(): void {
    if (this.#answering || this.#over) return
    const next = this.#requests[0]
    if (next === undefined) return
    if (this.#pending !== undefined) return this.#answer()
    this.#requests.shift()
    this.#begin(next.correlationId, next.body)
    if (this.#requests.length > 0) this.#goOn()
  }

  #begin(correlationId: number, body: ReplicaFetchRequest): void {
    const { world } = this.#options
    const refusal = this.#check(body)
    if (refusal !== undefined) {
      this.#options.connection.send(
        fetchAnswer(correlationId, { errorCode: refusals[refusal].kafka, sessionId: 0 }, []),
      )
      return
    }
    for (const { topicId, partitions } of body.forgottenTopicsData)
      for (const partition of partitions) this.#forget({ topicId, partition })
    for (const { topicId, partitions } of body.topics)
      for (const asked of partitions) this.#take(topicId, asked)
    const { maxBytes: bytesMax, minBytes } = body
    const pending: Pending = { correlationId, bytesMax, hasReaders: minBytes === 0, timer: undefined }
    this.#pending = pending
    for (const asked of body.comparing) this.#compare(asked)
    if (this.#ready.size > 0 || this.#compared !== undefined) return this.#answer()
    for (const entry of pending.hasReaders ? this.#moved : []) if (isNews(entry)) this.#answerSoon()
    pending.timer = world.clock.after(body.maxWaitMs, () => {
      if (this.#pending === pending) this.#answer()
    })
  }

  /** Why the request is refused as a whole. */
  #check({ replicaState, sessionId, sessionEpoch }: ReplicaFetchRequest): RefusalCode | undefined {
    const who = replicaState as unknown as { replicaId: number; replicaEpoch: number }
    const run = { broker: who.replicaId, incarnation: who.replicaEpoch } as FollowerRun
    if (
      this.#who !== undefined &&
      (this.#who.broker !== run.broker || this.#who.incarnation !== run.incarnation)
    )
      return 'INVALID_REQUEST'
    const refusal = this.#options.refuse(run)
    if (refusal !== undefined) return refusal
    if (sessionEpoch === 0) {
      for (const entry of this.#entries.values()) this.#drop(entry)
    } else {
      if (sessionId !== this.#options.id) return 'FETCH_SESSION_ID_NOT_FOUND'
      if (sessionEpoch !== this.#nextEpoch) return 'INVALID_FETCH_SESSION_EPOCH'
    }
    this.#nextEpoch = sessionEpoch + 1
    this.#who = run
    this.#options.asked(run)
    return undefined
  }

  #take(topicId: string, asked: ReplicaFetchRequest['topics'][number]['partitions'][number]): void {
    const who = this.#who
    const key = { topicId, partition: asked.partition }
    const entry = this.#entryOf(key)
    entry.epoch = asked.currentLeaderEpoch
    entry.from = offset(asked.fetchOffset)
    entry.bytesMax = asked.partitionMaxBytes
    entry.sent = false
    entry.trouble = undefined
    this.#ready.delete(entry)
    const { led } = entry
    if (led === undefined || who === undefined) {
      const found = this.#options.find(key)
      this.#tell(entry, typeof found === 'string' ? found : 'NOT_LEADER_OR_FOLLOWER')
      return
    }
    if (epoch(asked.currentLeaderEpoch) !== led.epoch) {
      this.#tell(entry, asked.currentLeaderEpoch < led.epoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH')
      return
    }
    if (led.isStale) return this.#tell(entry, 'NOT_LEADER_OR_FOLLOWER')
    const verdict = led.fetched(who, entry.from, asked.lastFetchedEpoch, offset(asked.logStartOffset))
    if (verdict !== 'taken') this.#tell(entry, verdict)
    else if (led.logEnd > entry.from) this.#offer(entry)
    // A new entry is told where the high watermark is.
    else this.#moved.add(entry)
  }

  /** Looks at what it wants to compare with its own; the answer goes with the next one. */
  #compare(asked: AskedStretch): void {
    if (this.#comparing) return
    const led = this.#options.find(asked)
    const isLed = (): boolean => !this.#over && this.#options.find(asked) === led
    const known = typeof led !== 'string' && epoch(asked.epoch) === led.epoch
    this.#comparing = true
    const digest = known
      ? this.#options.digest(led, offset(asked.from), offset(asked.to), isLed)
      : Promise.resolve(undefined)
    void digest.then(found => {
      this.#comparing = false
      this.#compared = { ...asked, digest: found ?? '' }
      if (!this.#over) this.#answerSoon()
    })
  }

  /** It has more to be sent, now or when it has rested. */
  #offer(entry: Entry): void {
    const { clock } = this.#options.world
    const leftMs = this.#isInSync(entry) ? 0 : entry.restMs - clock.monotonicMs()
    if (leftMs <= 0) this.#ready.add(entry)
    else
      entry.rested ??= clock.after(leftMs, () => {
        entry.rested = undefined
        if (entry.led !== undefined && entry.led.logEnd > entry.from) this.#heard(entry, 'appended')
      })
  }

  #tell(entry: Entry, trouble: NonNullable<Entry['trouble']>): void {
    entry.trouble = trouble
    this.#ready.add(entry)
  }

  #entryOf(key: TabletKey): Entry {
    const name = keyOf(key)
    const known = this.#entries.get(name)
    const found = this.#options.find(key)
    const led = typeof found === 'string' ? undefined : found
    if (known !== undefined && known.led === led) return known
    if (known !== undefined) this.#drop(known)
    const entry: Entry = {
      ...key,
      led,
      stop: () => undefined,
      epoch: -1,
      from: offset(0),
      bytesMax: 0,
      sent: false,
      restMs: 0,
      rested: undefined,
      trouble: undefined,
      told: offset(-1),
    }
    if (led !== undefined) entry.stop = led.watch(event => this.#heard(entry, event))
    this.#entries.set(name, entry)
    return entry
  }

  /** The follower copies it from here no more: it knows of another leader, or of another epoch. */
  #forget(key: TabletKey): void {
    const led = this.#entries.get(keyOf(key))?.led
    this.#drop(key)
    if (this.#who !== undefined) led?.left(this.#who)
  }

  #drop(key: TabletKey): void {
    const entry = this.#entries.get(keyOf(key))
    if (entry === undefined) return
    entry.stop()
    entry.rested?.cancel()
    this.#entries.delete(keyOf(key))
    this.#ready.delete(entry)
    this.#moved.delete(entry)
  }

  #heard(entry: Entry, event: LedEvent): void {
    if (event === 'moved') {
      this.#moved.add(entry)
      if (this.#pending?.hasReaders === true && isNews(entry)) this.#answerSoon()
      return
    }
    if (event === 'ended') {
      entry.led = undefined
      entry.trouble ??= 'NOT_LEADER_OR_FOLLOWER'
      this.#ready.add(entry)
    } else if (entry.sent || entry.trouble !== undefined) return
    else this.#offer(entry)
    if (this.#ready.has(entry)) this.#answerSoon()
  }

  /** At the end of the turn: until then there may be more. */
  #answerSoon(): void {
    if (this.#scheduled || this.#pending === undefined) return
    this.#scheduled = true
    this.#options.world.clock.endOfTurn(() => {
      this.#scheduled = false
      if (this.#pending !== undefined) this.#answer()
    })
  }

  /** Answers the request that waits with what there is. Batches on the disk are waited for. */
  #answer(): void {
    const pending = this.#pending
    if (pending === undefined || this.#answering || this.#over) return
    this.#answering = true
    pending.timer?.cancel()
    let left = pending.bytesMax
    const found: Found[] = []
    const reads: Promise<unknown>[] = []
    let copies = copyBytesMax
    for (const entry of this.#inSyncFirst()) {
      if (left <= 0) break
      const isCopy = entry.trouble === undefined && !this.#isInSync(entry)
      if (isCopy && copies <= 0) continue
      if (isCopy) copies -= entry.bytesMax
      this.#ready.delete(entry)
      if (entry.trouble !== undefined) {
        found.push({ entry, batches: undefined, trouble: entry.trouble })
        continue
      }
      const read = this.#read(entry, Math.min(left, entry.bytesMax))
      left -= entry.bytesMax
      if (!(read instanceof Promise)) found.push(read)
      else reads.push(read.then(one => found.push(one)))
    }
    if (reads.length === 0) return this.#send(pending, found)
    void Promise.all(reads).then(() => this.#send(pending, found))
  }

  #isInSync({ led }: Entry): boolean {
    return this.#who !== undefined && led?.counts(this.#who) === true
  }

  #inSyncFirst(): Entry[] {
    const [first, rest]: [Entry[], Entry[]] = [[], []]
    for (const entry of this.#ready) (this.#isInSync(entry) ? first : rest).push(entry)
    return [...first, ...rest]
  }

  #read(entry: Entry, bytesMax: number): Found | Promise<Found> {
    const { led } = entry
    const failed = (error: unknown): Found => {
      if (error instanceof InvariantViolation || !(error instanceof Refusal)) throw error
      return { entry, batches: undefined, trouble: error.code }
    }
    const took = (batches: Batches): Found => ({ entry, batches, trouble: undefined })
    try {
      const batches = led?.read(entry.from, bytesMax, true)
      if (batches === undefined) return { entry, batches: undefined, trouble: 'NOT_LEADER_OR_FOLLOWER' }
      return batches instanceof Promise ? batches.then(took, failed) : took(batches)
    } catch (error) {
      return failed(error)
    }
  }

  #send(pending: Pending, found: readonly Found[]): void {
    this.#answering = false
    if (!this.#over) {
      const told = new Set(found.map(({ entry }) => entry))
      const parts = found.map(one => this.#part(one))
      for (const entry of this.#moved) {
        if (!told.has(entry) && entry.led !== undefined && entry.trouble === undefined)
          parts.push(this.#part({ entry, batches: undefined, trouble: undefined }))
      }
      this.#moved.clear()
      this.#options.sent(parts.reduce((sum, { bytes }) => sum + bytes, 0))
      this.#pending = undefined
      const whole = { errorCode: 0, sessionId: this.#options.id, compared: this.#compared }
      this.#compared = undefined
      const answer = fetchAnswer(pending.correlationId, whole, parts)
      this.#options.connection.send(answer, () => found.forEach(({ batches }) => batches?.release()))
    } else for (const { batches } of found) batches?.release()
    this.#goOn()
  }

  #part({ entry, batches, trouble }: Found): FetchPart {
    const { led } = entry
    const sent = trouble === undefined && batches !== undefined && batches.bytes > 0
    if (batches !== undefined) entry.sent = sent
    if (led !== undefined && trouble === undefined) entry.told = led.highWatermark
    if (sent && this.#who !== undefined) {
      const { world, rest } = this.#options
      entry.restMs = world.clock.monotonicMs() + rest(entry, this.#who, batches.bytes)
    }
    return {
      topicId: entry.topicId,
      partitionIndex: entry.partition,
      errorCode: typeof trouble === 'string' ? refusals[trouble].kafka : 0,
      highWatermark: led?.highWatermark ?? -1,
      logStartOffset: (trouble === 'OFFSET_OUT_OF_RANGE' ? led?.copyStart : led?.logStart) ?? -1,
      ...(typeof trouble === 'object' && { divergingEpoch: trouble }),
      pieces: sent ? batches.pieces : [],
      bytes: sent ? batches.bytes : 0,
    }
  }
}

const isNews = ({ led, told }: Entry): boolean => led !== undefined && led.highWatermark > told
