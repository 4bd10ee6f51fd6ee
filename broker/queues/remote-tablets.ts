/**
 * Tablets that other brokers lead, as queues read them. In come what their leaders say; out go batches, and word that there are new ones. Always
 * holds: a leader is asked for news of all its tablets in one question, only while somebody attends to one of them, and never
 * more often than it answers.
 */
import type { Logger } from 'pino'
import { LimitedLog } from '../../base/limited-log.ts'
import { offset, type BrokerId, type Offset } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Clock } from '../../base/world.ts'
import { noBatches, type Batches } from '../log/read.ts'
import type { Router } from '../router/router.ts'
import { RemoteLeader } from './remote-leader.ts'
import type { Elsewhere, Leaders, RemoteSource, TabletEnds } from './source.ts'

export type RemoteTabletsOptions = {
  readonly router: Router
  readonly clock: Clock
  readonly log: Logger
  readonly leaders: Leaders
}

/** One that does not lead the tablet, as it says, is asked again after so long: it, or this broker, has not heard of a change. */
const refusedMs = 500

export class RemoteTablets implements Elsewhere {
  readonly #options: RemoteTabletsOptions
  readonly #leaders = new Map<BrokerId, RemoteLeader>()
  readonly #byTopic = new Map<string, Map<number, RemoteTablet>>()
  readonly #troubles: LimitedLog

  constructor(options: RemoteTabletsOptions) {
    this.#options = options
    this.#troubles = new LimitedLog(options.log, options.clock, 1)
    options.router.watchTopics(name => {
      const [one] = this.#byTopic.get(name)?.values() ?? []
      if (one !== undefined && one.topicId !== options.router.topics().get(name)?.id)
        this.#byTopic.delete(name)
    })
  }

  /** The same one for everybody, until another broker leads it. */
  find(topic: string, partition: number): RemoteTablet | undefined {
    const { router, clock } = this.#options
    const topicId = router.topics().get(topic)?.id
    const id = router.leaderOf(topic, partition)?.id
    if (topicId === undefined || id === undefined) return undefined
    const known = this.#byTopic.get(topic)?.get(partition)
    if (known?.leader.id === id && known.topicId === topicId) return known
    const tablet = new RemoteTablet({ topic, topicId, partition }, this.#leader(id), clock)
    const others = this.#byTopic.get(topic) ?? new Map<number, RemoteTablet>()
    this.#byTopic.set(topic, others.set(partition, tablet))
    return tablet
  }

  #leader(id: BrokerId): RemoteLeader {
    const { clock, leaders } = this.#options
    const known = this.#leaders.get(id)
    if (known !== undefined) return known
    const leader = new RemoteLeader(id, {
      clock,
      leaders,
      troubled: why =>
        this.#troubles.warn(
          { leader: id, reason: why.message },
          'queues cannot read what another broker leads; it is tried again',
        ),
    })
    this.#leaders.set(id, leader)
    return leader
  }
}

/** What a leader says of records that it cannot read; it is there itself. */
const ofRecords = new Set(['CORRUPT_MESSAGE', 'KAFKA_STORAGE_ERROR'])

export class RemoteTablet implements RemoteSource {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly leader: RemoteLeader
  readonly #clock: Clock
  readonly #listeners = new Set<() => void>()
  #ends: TabletEnds | undefined
  /** The number of the question that was answered so. */
  #asOf = -1
  /** Its leader says that it is not; asked again then. */
  #refusedUntilMs: number | undefined

  constructor(
    { topic, topicId, partition }: Pick<RemoteSource, 'topic' | 'topicId' | 'partition'>,
    leader: RemoteLeader,
    clock: Clock,
  ) {
    this.topic = topic
    this.topicId = topicId
    this.partition = partition
    this.leader = leader
    this.#clock = clock
  }

  /** What its leader has said of it last. */
  get ends(): TabletEnds | undefined {
    return this.#ends
  }

  get serves(): boolean {
    return this.#ends !== undefined && this.#refusedUntilMs === undefined && !this.leader.isAway
  }

  get logStart(): Offset {
    return offset(this.#ends?.logStart ?? 0)
  }

  get highWatermark(): Offset {
    return offset(this.#ends?.highWatermark ?? 0)
  }

  get logEnd(): Offset {
    return offset(this.#ends?.logEnd ?? 0)
  }

  /** Undefined when it may be asked for now. */
  get notBeforeMs(): number | undefined {
    const until = this.#refusedUntilMs
    return until === undefined || until <= this.#clock.monotonicMs() ? undefined : until
  }

  onReadable(listener: () => void): () => void {
    this.#listeners.add(listener)
    if (this.#listeners.size === 1) this.leader.add(this)
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.leader.remove(this)
    }
  }

  look(): Promise<boolean> {
    return this.leader.look(this)
  }

  attend(): () => void {
    return this.leader.attend()
  }

  /** Whole batches, one at least. Rejects with a Refusal as `Tablet.read` does, LEADER_NOT_AVAILABLE and REQUEST_TIMED_OUT too. */
  async read(from: Offset, bytesMax: number): Promise<Batches> {
    const { topic, topicId, partition, leader } = this
    if (!this.serves) throw this.#notServing()
    if (from >= this.highWatermark) return noBatches
    const asOf = leader.nextQuestion()
    try {
      const told = await leader.batches({ topic, topicId, partition, from, bytesMax })
      this.learned(told.ends, asOf)
      if (told.ends === null) throw this.#notServing()
      const { logStart, logEnd } = told.ends
      if (from >= logStart && from <= logEnd) return told.batches
      told.batches.release()
      throw new Refusal(
        'OFFSET_OUT_OF_RANGE',
        `offset ${from} of ${topic}-${partition} is not there: it holds ${logStart} to ${logEnd}`,
      )
    } catch (error) {
      const isLeaders = error instanceof Refusal && !ofRecords.has(error.code)
      if (isLeaders && error.code !== 'OFFSET_OUT_OF_RANGE' && this.serves) leader.failed(error)
      throw error
    }
  }

  /** Its leader has answered question `asOf`: what older answers say does not count any more. `null`: it does not lead it. */
  learned(ends: TabletEnds | null, asOf: number): void {
    if (asOf < this.#asOf) return
    this.#asOf = asOf
    const before = this.serves ? this.#ends : undefined
    if (ends === null) this.#refusedUntilMs = this.#clock.monotonicMs() + refusedMs
    else {
      this.#refusedUntilMs = undefined
      this.#ends = ends
    }
    const same = before?.highWatermark === ends?.highWatermark && before?.logStart === ends?.logStart
    if (!same) this.tell()
  }

  /** Whoever follows it looks again. */
  tell(): void {
    for (const listener of this.#listeners) listener()
  }

  #notServing(): Refusal {
    const { topic, partition, leader } = this
    const why = `Broker ${leader.id}, which leads partition ${partition} of ${topic}, cannot be asked now`
    return new Refusal('LEADER_NOT_AVAILABLE', why)
  }
}
