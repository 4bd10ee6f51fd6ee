/**
 * Work by key: keys enter as often as anyone likes; each comes out to `work` once it is its turn.
 * What always holds: a key is never worked twice at once, and after `add` a run of it begins that saw all that was before the `add`;
 * failed runs come again, later each time.
 */
import { InvariantViolation, assert } from '../base/assert.ts'
import type { Clock, Random, Timer } from '../base/world.ts'
import { ApiError } from './api.ts'
import type { Log } from './log.ts'
import { type BackOff, backOffMs } from './waiting.ts'

/** `controller_runtime_reconcile_total`'s words; `error` is also a run that overstayed. */
type RunResult = 'success' | 'requeue_after' | 'error'

/** What happened, for metrics. */
export type QueueObservation =
  /** How many keys wait for their turn now; those that wait for their time are not in it. */
  | { readonly kind: 'depth'; readonly depth: number }
  | { readonly kind: 'added' }
  | { readonly kind: 'retried' }
  /** How long it had waited for its turn. */
  | { readonly kind: 'begun'; readonly waitedSeconds: number }
  | { readonly kind: 'ended'; readonly result: RunResult; readonly seconds: number }

export type Work = (key: string, signal: AbortSignal) => Promise<{ readonly againAfterMs?: number } | void>

export type WorkQueueOptions = {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /**
   * Does what `key` needs. A rejection is a failure and comes again; a broken invariant stops the queue and the process. `signal` is
   * aborted at the deadline and at the end; a run that does not heed it keeps its key and its place among the concurrent ones.
   */
  readonly work: Work
  /** How many keys are worked at once; 4 when not given. */
  readonly concurrency?: number
  /** 60 s when not given. */
  readonly deadlineMs?: number
  /** From 100 ms to 60 s when not given. */
  readonly backOff?: BackOff
  readonly onObservation?: (observation: QueueObservation) => void
}

type Entry = {
  /** `later`: waits for its time; `dirty`: runs, and must run again. */
  state: 'waiting' | 'later' | 'running' | 'dirty'
  failures: number
  sinceMs: number
  timer: Timer | undefined
}

export class WorkQueue {
  readonly #options: WorkQueueOptions
  readonly #concurrency: number
  readonly #deadlineMs: number
  readonly #backOff: BackOff
  readonly #entries = new Map<string, Entry>()
  /** In the order of their turns. */
  readonly #waiting = new Set<string>()
  readonly #end = new AbortController()
  readonly #stopped = Promise.withResolvers<void>()
  /** Of the runs that go on. */
  readonly #deadlines = new Set<Deadline>()

  constructor(options: WorkQueueOptions) {
    this.#options = options
    this.#concurrency = options.concurrency ?? 4
    this.#deadlineMs = options.deadlineMs ?? 60_000
    this.#backOff = options.backOff ?? { firstMs: 100, maxMs: 60_000 }
    assert(this.#concurrency >= 1, 'a queue works on one key at least')
  }

  /** Rejects with a broken invariant of `work`; if nobody looks, Node ends the process. */
  get stopped(): Promise<void> {
    return this.#stopped.promise
  }

  get depth(): number {
    return this.#waiting.size
  }

  /** Nothing after `stop`. Brings a key forward that waits for its time. */
  add(key: string): void {
    if (this.#end.signal.aborted) return
    this.#observe({ kind: 'added' })
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.state === 'later') this.#enqueue(key, entry?.failures ?? 0)
    else if (entry.state === 'running') entry.state = 'dirty'
  }

  /** Begins no more runs, aborts those that go on and waits for their ends. */
  stop(): Promise<void> {
    if (!this.#end.signal.aborted) {
      this.#end.abort()
      for (const deadline of this.#deadlines) deadline.abort(new Error('the queue is stopped'))
      for (const entry of this.#entries.values()) entry.timer?.cancel()
      this.#waiting.clear()
      this.#observeDepth()
      if (this.#deadlines.size === 0) this.#stopped.resolve()
    }
    return this.stopped
  }

  #enqueue(key: string, failures: number): void {
    this.#entries.get(key)?.timer?.cancel()
    this.#entries.set(key, { state: 'waiting', failures, sinceMs: this.#nowMs(), timer: undefined })
    this.#waiting.add(key)
    this.#observeDepth()
    // Not at once, so that what adds many keys is through with what it does.
    queueMicrotask(() => this.#begin())
  }

  #later(key: string, failures: number, delayMs: number): void {
    const timer = this.#options.clock.after(delayMs, () => this.#enqueue(key, failures))
    this.#entries.set(key, { state: 'later', failures, sinceMs: this.#nowMs(), timer })
  }

  #begin(): void {
    for (const key of this.#waiting) {
      if (this.#deadlines.size >= this.#concurrency) return
      const entry = this.#entries.get(key)
      assert(entry?.state === 'waiting', 'what waits for its turn has an entry that says so')
      this.#waiting.delete(key)
      entry.state = 'running'
      this.#observeDepth()
      this.#observe({ kind: 'begun', waitedSeconds: (this.#nowMs() - entry.sinceMs) / 1_000 })
      void this.#run(key, entry)
    }
  }

  async #run(key: string, entry: Entry): Promise<void> {
    const { log, work } = this.#options
    const beganMs = this.#nowMs()
    const deadline = new Deadline(this.#options.clock, this.#deadlineMs, () =>
      log.warn({ key, deadlineMs: this.#deadlineMs }, 'a run overstays its deadline and is told to end'),
    )
    this.#deadlines.add(deadline)
    let outcome: { againAfterMs?: number } | { error: unknown }
    try {
      outcome = (await work(key, deadline.signal)) ?? {}
      if (deadline.passed) outcome = { error: deadline.signal.reason }
    } catch (error) {
      outcome = { error }
    }
    deadline.cancel()
    this.#deadlines.delete(deadline)
    this.#ended(key, entry, outcome, (this.#nowMs() - beganMs) / 1_000)
  }

  #ended(
    key: string,
    entry: Entry,
    outcome: { readonly againAfterMs?: number } | { readonly error: unknown },
    seconds: number,
  ): void {
    const failed = 'error' in outcome
    const again = !failed && outcome.againAfterMs !== undefined
    this.#observe({ kind: 'ended', result: failed ? 'error' : again ? 'requeue_after' : 'success', seconds })
    if (failed && outcome.error instanceof InvariantViolation) {
      this.#stopped.reject(outcome.error)
      void this.stop()
      return
    }
    if (this.#end.signal.aborted) {
      if (this.#deadlines.size === 0) this.#stopped.resolve()
      return
    }
    const failures = failed ? entry.failures + 1 : 0
    if (failed) this.#options.log.warn({ err: outcome.error, key, failures }, 'a run failed and comes again')
    this.#entries.delete(key)
    if (failed) this.#retry(key, failures, outcome.error)
    else if (entry.state === 'dirty') this.#enqueue(key, failures)
    else if (outcome.againAfterMs !== undefined) this.#later(key, failures, outcome.againAfterMs)
    this.#begin()
  }

  /** Adds of the time of the failed run do not hasten it: often the run caused them itself. */
  #retry(key: string, failures: number, error: unknown): void {
    this.#observe({ kind: 'retried' })
    const { random } = this.#options
    const asked = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1_000 : 0
    this.#later(key, failures, Math.max(asked, backOffMs(this.#backOff, failures, random)))
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs()
  }

  #observeDepth(): void {
    this.#observe({ kind: 'depth', depth: this.#waiting.size })
  }

  #observe(observation: QueueObservation): void {
    this.#options.onObservation?.(observation)
  }
}

/** A signal of its own for each run: one made of several that live long would never be freed. */
class Deadline {
  passed = false
  readonly #controller = new AbortController()
  readonly #timer: Timer

  constructor(clock: Clock, afterMs: number, onPassed: () => void) {
    this.#timer = clock.after(afterMs, () => {
      this.passed = true
      this.abort(new Error(`it did not end in ${afterMs} ms`))
      onPassed()
    })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  abort(why: Error): void {
    this.#controller.abort(why)
  }

  cancel(): void {
    this.#timer.cancel()
  }
}
