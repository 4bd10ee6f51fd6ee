/** Another broker, asked for news of the tablets that it leads: one question for all of them, and the next when it has answered. */
import type { BrokerId } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Clock } from '../../base/world.ts'
import type { RemoteTablet } from './remote-tablets.ts'
import type { BatchesAsked, BatchesTold, Leaders } from './source.ts'

/** So long a question for news waits at the leader. */
const newsMs = 10_000
/** Between two of them: what comes meanwhile is told at once. */
const gatherMs = 5
/** One that does not answer is asked again after so long, then after twice as long each time. */
const awayMs = 100
const awayMsMax = 5_000

export type RemoteLeaderOptions = {
  readonly clock: Clock
  readonly leaders: Leaders
  readonly troubled: (why: Refusal) => void
}

export class RemoteLeader {
  readonly id: BrokerId
  readonly #options: RemoteLeaderOptions
  /** Those that somebody here reads. */
  readonly #tablets = new Set<RemoteTablet>()
  #looking = new Set<RemoteTablet>()
  #lookUnderWay: Promise<unknown> = Promise.resolve()
  #nextLook: Promise<boolean> | undefined
  #attending = 0
  #asksForNews = false
  /** Ends the question that waits at the leader. */
  #askAnew: () => void = () => undefined
  #questions = 0
  #failures = 0
  #againMs = -Infinity

  constructor(id: BrokerId, options: RemoteLeaderOptions) {
    this.id = id
    this.#options = options
  }

  /** It has not answered the last question. */
  get isAway(): boolean {
    return this.#failures > 0
  }

  /** Questions are numbered as they are put. */
  nextQuestion(): number {
    return this.#questions++
  }

  add(tablet: RemoteTablet): void {
    this.#tablets.add(tablet)
    this.#askAnew()
    void this.#askForNews()
  }

  remove(tablet: RemoteTablet): void {
    this.#tablets.delete(tablet)
  }

  /** See `RemoteSource.attend`; to whichever of its tablets. */
  attend(): () => void {
    this.#attending += 1
    void this.#askForNews()
    let attends = true
    return () => {
      if (attends) this.#attending -= 1
      attends = false
    }
  }

  /** Those who look at the same time share a question. */
  look(tablet: RemoteTablet): Promise<boolean> {
    this.#looking.add(tablet)
    this.#nextLook ??= this.#look()
    return this.#nextLook
  }

  batches(asked: BatchesAsked): Promise<BatchesTold> {
    return this.#options.leaders.batches(this.id, asked)
  }

  /** A question was not answered. */
  failed(why: Refusal): void {
    const wasAway = this.isAway
    this.#againMs =
      this.#options.clock.monotonicMs() + Math.min(awayMsMax, awayMs * 2 ** Math.min(this.#failures, 10))
    this.#failures += 1
    this.#options.troubled(why)
    this.#askAnew()
    if (!wasAway) for (const tablet of this.#tablets) tablet.tell()
  }

  async #look(): Promise<boolean> {
    await this.#lookUnderWay
    const tablets = [...this.#looking]
    this.#looking = new Set()
    this.#nextLook = undefined
    if (this.#againMs > this.#options.clock.monotonicMs()) return false
    const look = this.#ask(tablets, { waitMs: 0, anew: true }, new AbortController().signal)
    this.#lookUnderWay = look
    return look
  }

  async #askForNews(): Promise<void> {
    if (this.#asksForNews) return
    this.#asksForNews = true
    const { clock } = this.#options
    while (this.#attending > 0 && this.#tablets.size > 0) {
      await this.#pause(Math.max(gatherMs, this.#againMs - clock.monotonicMs()))
      const nowMs = clock.monotonicMs()
      const asked: RemoteTablet[] = []
      let waitMs = newsMs
      for (const tablet of this.#tablets) {
        if (tablet.notBeforeMs === undefined) asked.push(tablet)
        else waitMs = Math.min(waitMs, tablet.notBeforeMs - nowMs)
      }
      const anew = new AbortController()
      this.#askAnew = () => anew.abort()
      if (asked.length === 0) await this.#pause(waitMs)
      else if (this.#attending > 0) await this.#ask(asked, { waitMs, anew: this.isAway }, anew.signal)
    }
    this.#asksForNews = false
  }

  /** Answers whether it was answered. With `anew` what is known counts for nothing. */
  async #ask(
    tablets: readonly RemoteTablet[],
    { waitMs, anew }: { readonly waitMs: number; readonly anew: boolean },
    signal: AbortSignal,
  ): Promise<boolean> {
    const asOf = this.nextQuestion()
    const asked = tablets.map(({ topic, topicId, partition, ends, serves }) => ({
      topic,
      topicId,
      partition,
      known: anew || !serves ? null : (ends ?? null),
    }))
    try {
      const told = await this.#options.leaders.ends(this.id, { waitMs, tablets: asked }, signal)
      const wasAway = this.isAway
      this.#failures = 0
      this.#againMs = -Infinity
      for (const { at, ends } of told) tablets[at]?.learned(ends, asOf)
      if (wasAway) for (const tablet of this.#tablets) tablet.tell()
      return true
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      if (!signal.aborted) this.failed(error)
      return false
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => this.#options.clock.after(ms, resolve))
  }
}
