import type { Clock, Timer } from '../../base/world.ts'

/** One run of a program in the simulation. Nothing that belongs to a dead one happens any more. */
export type SimProcess = { alive: boolean; paused?: boolean }

type Event = {
  atMs: number
  /** The turn in which it was asked for. */
  readonly turn: number
  readonly process: SimProcess
  readonly act: () => void
  cancelled: boolean
}

const turnsMax = 1_000_000

/**
 * Simulated time: it stands still while code runs and moves only by the calls below. Events of one moment happen in the order
 * they were asked for, each with all its microtasks.
 */
export class SimClock {
  #monotonicMs = 0
  #wallMs: number
  #turn = 0
  /** By time, then by age. */
  #events: Event[] = []
  /** What is due for processes that are paused. */
  #held: Event[] = []
  #turnEnds: { process: SimProcess; act: () => void }[] = []

  constructor(wallMs: number) {
    this.#wallMs = wallMs
  }

  nowMs(): number {
    return Math.floor(this.#wallMs + this.#monotonicMs)
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  /** Moves the wall clock alone, forwards or backwards. */
  jump(byMs: number): void {
    this.#wallMs += byMs
  }

  /** `wall` is how far the wall clock of its machine is off. */
  clockOf(process: SimProcess, wall: { readonly offMs: number } = { offMs: 0 }): Clock {
    return {
      nowMs: () => this.nowMs() + wall.offMs,
      monotonicMs: () => this.#monotonicMs,
      after: (delayMs, act) => this.after(process, delayMs, act),
      endOfTurn: act => {
        this.#turnEnds.push({ process, act })
      },
    }
  }

  after(process: SimProcess, delayMs: number, act: () => void): Timer {
    const atMs = this.#monotonicMs + Math.max(0, delayMs)
    const event: Event = { atMs, turn: this.#turn, process, act, cancelled: false }
    this.#events.splice(this.#placeOf(atMs), 0, event)
    return {
      cancel() {
        event.cancelled = true
      },
    }
  }

  /** The process gets on: what came due meanwhile is due now. */
  resume(process: SimProcess): void {
    process.paused = false
    const held = this.#held.filter(event => event.process === process)
    this.#held = this.#held.filter(event => event.process !== process)
    for (const event of held) {
      event.atMs = this.#monotonicMs
      this.#events.splice(this.#placeOf(event.atMs), 0, event)
    }
  }

  /** Lets everything happen that is due now: microtasks, events of this moment, ends of turns. */
  async settle(): Promise<void> {
    await microtasks()
    for (let turns = 0; turns < turnsMax; turns += 1) {
      this.#turn += 1
      let acts = 0
      for (let event = this.#takeDue(); event !== undefined; event = this.#takeDue()) {
        if (event.process.paused === true) {
          this.#held.push(event)
          continue
        }
        acts += 1
        event.act()
        await microtasks()
      }
      for (const { process, act } of this.#turnEnds.splice(0)) {
        acts += 1
        if (process.alive) act()
        await microtasks()
      }
      if (acts === 0) return
    }
    throw new Error(`no end in sight after ${turnsMax} turns of one moment`)
  }

  /** Lets `durationMs` pass. */
  async runFor(durationMs: number): Promise<void> {
    const endMs = this.#monotonicMs + durationMs
    await this.settle()
    while (this.#nextMs() <= endMs) {
      this.#monotonicMs = this.#nextMs()
      await this.settle()
    }
    this.#monotonicMs = endMs
  }

  /**
   * Lets time pass until `holds` answers true.
   * @throws Error when nothing is left to happen, or after `limitMs` of simulated time
   */
  async runUntil(holds: () => boolean, limitMs = 3_600_000): Promise<void> {
    const endMs = this.#monotonicMs + limitMs
    await this.settle()
    while (!holds()) {
      const nextMs = this.#nextMs()
      if (nextMs === Infinity) throw new Error('nothing is left to happen, and the awaited did not come')
      if (nextMs > endMs) throw new Error(`the awaited did not come in ${limitMs} ms`)
      this.#monotonicMs = nextMs
      await this.settle()
    }
  }

  /** Lets time pass until `promise` is settled, and hands its result on. */
  async finish<Result>(promise: Promise<Result>): Promise<Result> {
    let settled = false
    const settle = (): void => {
      settled = true
    }
    promise.then(settle, settle)
    await this.runUntil(() => settled)
    return promise
  }

  /** The next event that is due and was asked for before this turn. */
  #takeDue(): Event | undefined {
    if (this.#nextMs() > this.#monotonicMs) return undefined
    const [next] = this.#events
    return next !== undefined && next.turn < this.#turn ? this.#events.shift() : undefined
  }

  #nextMs(): number {
    this.#dropDead()
    return this.#events[0]?.atMs ?? Infinity
  }

  #dropDead(): void {
    let [next] = this.#events
    while (next !== undefined && (next.cancelled || !next.process.alive)) {
      this.#events.shift()
      next = this.#events[0]
    }
  }

  #placeOf(atMs: number): number {
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#events[middle]?.atMs ?? Infinity) > atMs) high = middle
      else low = middle + 1
    }
    return low
  }
}

const microtasks = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
