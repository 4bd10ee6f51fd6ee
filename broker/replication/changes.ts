/**
 * What this broker wants changed in the control store: in come wishes for single tablets, out go guarded changes, those of one slice together, one at a
 * time a slice. A change whose answer is unknown stays under way until its tablet's version is seen behind it; nothing else is asked for that tablet till then.
 */
import type { Logger } from 'pino'
import { InvariantViolation } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/world.ts'
import { sliceTablets, type TabletAssignment, type TabletChange } from '../../control/model.ts'
import type { ChangeAnswer, ControlStore } from '../../control/store.ts'
import { keyOf, type TabletKey } from './replica.ts'

export type Wish = TabletKey & {
  /** What the tablet should become, seen as it is now; undefined when that is not wanted any more. Asked again for every try. */
  wanted(now: TabletAssignment): TabletAssignment | undefined
  /** It is being asked for: from now on it may be in force. */
  begun?(to: TabletAssignment): void
  /** 'unknown' is followed by another answer; 'seen' says that the tablet is seen to have changed since, by whoever it was. */
  answered?(answer: ChangeAnswer | 'seen'): void
}

type Asked = { readonly wish: Wish; change: TabletChange | undefined }

const againMs = { min: 50, max: 1_000 }
const unansweredMs = 1_000

export class Changes {
  readonly #store: ControlStore
  readonly #clock: Clock
  readonly #log: Logger
  readonly #slices = new Map<string, Slice>()
  #stopped = false

  constructor(store: ControlStore, clock: Clock, log: Logger) {
    this.#store = store
    this.#clock = clock
    this.#log = log
  }

  /** A wish of the same tablet that is not under way yet is replaced, and so refused; what hears that must not wish at once. */
  wish(wish: Wish): void {
    if (this.#stopped) return
    const number = Math.floor(wish.partition / sliceTablets)
    const name = `${wish.topicId}/${number}`
    let slice = this.#slices.get(name)
    if (slice === undefined) {
      slice = new Slice(this.#store, this.#clock, this.#log, wish.topicId, () => this.#slices.delete(name))
      this.#slices.set(name, slice)
    }
    slice.add(wish)
  }

  /** Something of the topic was seen to change: what waited for that goes on. */
  seen(topicId: string): void {
    for (const [name, slice] of this.#slices) if (name.startsWith(`${topicId}/`)) slice.seen()
  }

  stop(): void {
    this.#stopped = true
    for (const slice of this.#slices.values()) slice.stop()
  }
}

class Slice {
  readonly #store: ControlStore
  readonly #clock: Clock
  readonly #log: Logger
  readonly #topicId: string
  readonly #done: () => void
  readonly #waiting = new Map<string, Wish>()
  /** Those whose answer is unknown. */
  readonly #unanswered = new Map<string, Asked>()
  #underWay = false
  #scheduled = false
  /** While it waits for answers that have not come. */
  #again: Timer | undefined
  #stopped = false
  #refusals = 0

  constructor(store: ControlStore, clock: Clock, log: Logger, topicId: string, done: () => void) {
    this.#store = store
    this.#clock = clock
    this.#log = log
    this.#topicId = topicId
    this.#done = done
  }

  add(wish: Wish): void {
    const key = keyOf(wish)
    const replaced = this.#waiting.get(key)
    this.#waiting.set(key, wish)
    if (!this.#scheduled && !this.#underWay) {
      this.#scheduled = true
      this.#clock.endOfTurn(() => this.#send())
    }
    replaced?.answered?.('refused')
  }

  /** The tablets changed: who waits only behind answers that did not come waits no more when there are none. */
  seen(): void {
    this.#look()
    if (this.#again === undefined || this.#unanswered.size > 0 || this.#waiting.size === 0) return
    this.#again.cancel()
    this.#again = undefined
    this.#clock.endOfTurn(() => this.#send())
  }

  #look(): void {
    for (const [key, { wish, change }] of this.#unanswered) {
      const now = this.#now(wish)
      if (now !== undefined && change !== undefined && now.version <= change.test.version) continue
      this.#unanswered.delete(key)
      wish.answered?.('seen')
    }
    this.#endIfIdle()
  }

  stop(): void {
    this.#stopped = true
  }

  #now({ topicId, partition }: TabletKey): TabletAssignment | undefined {
    return this.#store.topicById(topicId)?.tablets[partition]
  }

  #send(): void {
    this.#scheduled = false
    this.#again = undefined
    if (this.#underWay || this.#stopped) return
    this.#look()
    const asked: Asked[] = []
    // Together they hold or fall: after refusals each goes alone.
    const most = this.#refusals > 1 ? 1 : Infinity
    for (const again of this.#unanswered.values()) if (asked.length < most) asked.push(again)
    for (const [key, wish] of this.#waiting) {
      if (asked.length >= most) break
      if (this.#unanswered.has(key)) continue
      this.#waiting.delete(key)
      const now = this.#now(wish)
      const to = now && wish.wanted(now)
      if (now === undefined || to === undefined) {
        wish.answered?.('refused')
        continue
      }
      wish.begun?.(to)
      const test = { epoch: now.epoch, version: now.version }
      asked.push({ wish, change: { tablet: wish.partition, test, to } })
    }
    if (asked.length === 0) return this.#endIfIdle()
    this.#underWay = true
    void this.#ask(asked)
  }

  async #ask(asked: readonly Asked[]): Promise<void> {
    const changes = asked.flatMap(({ change }) => change ?? [])
    const answer = await this.#answerTo(changes)
    this.#underWay = false
    if (this.#stopped) return
    for (const one of asked) {
      const key = keyOf(one.wish)
      const wasUnknown = this.#unanswered.has(key)
      if (answer === 'unknown') this.#unanswered.set(key, one)
      else if (answer === 'changed') this.#unanswered.delete(key)
      // What was asked before may have landed: only the version says so.
      if (answer === 'refused' && wasUnknown) continue
      one.wish.answered?.(answer)
    }
    this.#refusals = answer === 'refused' ? this.#refusals + 1 : 0
    this.#look()
    if (this.#waiting.size === 0 && this.#unanswered.size === 0) return this.#endIfIdle()
    this.#scheduled = true
    const waits = answer === 'unknown' && this.#unanswered.size > 0
    const timer = this.#clock.after(waits ? unansweredMs : this.#backOffMs, () => this.#send())
    if (waits) this.#again = timer
  }

  get #backOffMs(): number {
    return this.#refusals === 0 ? 0 : Math.min(againMs.max, againMs.min * 2 ** Math.min(this.#refusals, 10))
  }

  async #answerTo(changes: readonly TabletChange[]): Promise<ChangeAnswer> {
    try {
      return await this.#store.changeTablets(this.#topicId, changes)
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      this.#log.warn(
        { topicId: this.#topicId, error },
        'a change of replicas could not be written; it is tried again',
      )
      return 'refused'
    }
  }

  #endIfIdle(): void {
    const idle = this.#waiting.size === 0 && this.#unanswered.size === 0
    if (idle && !this.#underWay && !this.#scheduled) this.#done()
  }
}
