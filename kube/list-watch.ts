/**
 * A copy of what the API server holds: a resource and a selection enter; `get`, `items` and every change come out.
 * What always holds: whatever breaks in between, the copy ends up as the server's state, what was missed is told as changes, and
 * for one object `before` of a change is `after` of the one before it.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Random } from '../base/world.ts'
import {
  ApiError,
  type KubeApi,
  type KubeObject,
  type ObjectKey,
  type Resource,
  type Selection,
} from './api.ts'
import type { Log } from './log.ts'
import { type BackOff, backOffMs, jittered, sleep } from './waiting.ts'

/**
 * Made: `before` is undefined; gone: `after` is. One that went and came again under its name is told as gone, then as made.
 * `last`: how it was when it went, if the server told; a list that has it no more does not say what became of it before.
 */
export type Change<T> = {
  readonly before: T | undefined
  readonly after: T | undefined
  readonly last?: T
}

export type ListWatchTimings = {
  /** The server is asked to end a watch after so long, or up to half as much again. */
  readonly watchSeconds: number
  /** A watch that should have ended so long ago is dead. */
  readonly marginMs: number
  /** Everything is listed again so often, or after up to half as much again, whatever the watch said. */
  readonly relistMs: number
  readonly backOff: BackOff
}

const usualTimings: ListWatchTimings = {
  watchSeconds: 60,
  marginMs: 10_000,
  relistMs: 600_000,
  backOff: { firstMs: 250, maxMs: 30_000 },
}
/** A watch that was open for so long was no failure. */
const steadyMs = 5_000
/** So many refusals of a watch in a row, whatever they say, and everything is listed again. */
const refusalsMax = 3

export type ListWatchOptions<T extends KubeObject> = {
  readonly api: KubeApi
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly resource: Resource<T>
  readonly selection?: Selection
  /** Called when the copy already has the change. What it throws is a bug: `stopped` rejects, and the process ends of it. */
  readonly onChange?: (change: Change<T>) => void
  readonly timings?: Partial<ListWatchTimings>
}

export class ListWatch<T extends KubeObject> {
  /** Resolves when the first list is in the copy and told. Rejects when it is stopped before that. */
  readonly synced: Promise<void>
  readonly #options: ListWatchOptions<T>
  readonly #timings: ListWatchTimings
  readonly #objects = new Map<string, T>()
  readonly #end = new AbortController()
  readonly #firstList = Promise.withResolvers<void>()
  #running: Promise<void> | undefined
  /** Undefined: list before anything else. */
  #resourceVersion: string | undefined
  #relistAtMs = 0
  #failures = 0
  #lastHeardMs: number | undefined
  #healthySinceMs: number | undefined
  #cut: AbortController | undefined

  constructor(options: ListWatchOptions<T>) {
    this.#options = options
    this.#timings = { ...usualTimings, ...options.timings }
    this.synced = this.#firstList.promise
    this.synced.catch(() => undefined)
  }

  start(): void {
    assert(this.#running === undefined, 'a ListWatch is started once')
    this.#running = this.#run()
  }

  /** Resolves when nothing more will be told. Rejects with what `onChange` threw; if nobody looks, Node ends the process. */
  get stopped(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  stop(): Promise<void> {
    this.#end.abort()
    this.#firstList.reject(new Error('stopped before the first list'))
    return this.stopped
  }

  /** Opens the watch anew where it was, and judges nothing by the old one: who was cut off may have one that is dead and does not say so. */
  reopen(): void {
    this.#healthySinceMs = undefined
    this.#cut?.abort()
  }

  /** Undefined also before the first list. */
  get(key: ObjectKey): T | undefined {
    return this.#objects.get(nameOf(key))
  }

  /** None before the first list. */
  items(): T[] {
    return [...this.#objects.values()]
  }

  /** Monotonic; when the server last said something: a list, an opened watch, an event or a bookmark. */
  get lastHeardMs(): number | undefined {
    return this.#lastHeardMs
  }

  /**
   * Monotonic; since when the watch goes on without a failure, undefined while it does not. What should have changed
   * meanwhile and did not (a Lease) may only be judged from here on.
   */
  get healthySinceMs(): number | undefined {
    return this.#healthySinceMs
  }

  /** Whether a watch goes on and something was heard in the last `withinMs`. When nothing happens the server says so once a minute. */
  isHealthy(withinMs: number): boolean {
    if (this.#healthySinceMs === undefined || this.#lastHeardMs === undefined) return false
    return this.#options.clock.monotonicMs() - this.#lastHeardMs <= withinMs
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#options
    const { signal } = this.#end
    while (!signal.aborted) {
      const waitMs = await this.#round()
      if (waitMs === 'failed') {
        this.#healthySinceMs = undefined
        this.#failures += 1
        await sleep(clock, backOffMs(this.#timings.backOff, this.#failures, random), signal)
      } else await sleep(clock, waitMs, signal)
    }
    this.#healthySinceMs = undefined
  }

  /** Lists if it must, then watches until that ends. Answers how long to wait before the next round. */
  async #round(): Promise<number | 'failed'> {
    try {
      if (this.#resourceVersion === undefined || this.#nowMs() >= this.#relistAtMs) await this.#list()
      if (this.#end.signal.aborted) return 0
      return await this.#watch()
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return this.#failed(error)
    }
  }

  #failed(error: ApiError): number | 'failed' {
    const { log, resource } = this.#options
    const refused = error.answered && !isBusy(error) && this.#failures + 1 >= refusalsMax
    const again = error.code === 410 || refused
    if (again) this.#resourceVersion = undefined
    log[error.code === 410 ? 'debug' : 'warn'](
      { err: error, resource: resource.plural, failures: this.#failures + 1 },
      again ? 'what was watched must be listed again' : 'the API server does not list or watch',
    )
    if (error.retryAfterSeconds === undefined) return 'failed'
    this.#failures += 1
    this.#healthySinceMs = undefined
    const askedMs = jittered(error.retryAfterSeconds * 1_000, this.#options.random)
    return Math.max(askedMs, backOffMs(this.#timings.backOff, this.#failures, this.#options.random))
  }

  async #list(): Promise<void> {
    const { api, random, resource, selection } = this.#options
    const listed = await api.list(resource, selection)
    if (this.#end.signal.aborted) return
    this.#resourceVersion = listed.resourceVersion
    this.#relistAtMs = this.#nowMs() + jittered(this.#timings.relistMs, random)
    this.#lastHeardMs = this.#nowMs()
    this.#tell(this.#changesTo(listed.items))
    this.#firstList.resolve()
  }

  /** Puts `items` in the place of all there was. The copy is whole before anyone is told. */
  #changesTo(items: readonly T[]): Change<T>[] {
    const names = new Set(items.map(item => nameOf(item.metadata)))
    const gone = [...this.#objects].filter(([name]) => !names.has(name))
    const changes = gone.map(([name, before]) => {
      this.#objects.delete(name)
      return { before, after: undefined }
    })
    return [...changes, ...items.flatMap(item => this.#put(item))]
  }

  #put(after: T): Change<T>[] {
    const name = nameOf(after.metadata)
    const before = this.#objects.get(name)
    if (before !== undefined && before.metadata.resourceVersion === after.metadata.resourceVersion) return []
    this.#objects.set(name, after)
    if (before === undefined || before.metadata.uid === after.metadata.uid) return [{ before, after }]
    return [
      { before, after: undefined },
      { before: undefined, after },
    ]
  }

  #take(gone: T): Change<T>[] {
    const name = nameOf(gone.metadata)
    const before = this.#objects.get(name)
    if (before === undefined) return []
    this.#objects.delete(name)
    const last = gone.metadata.uid === before.metadata.uid ? { last: gone } : {}
    return [{ before, after: undefined, ...last }]
  }

  #tell(changes: readonly Change<T>[]): void {
    for (const change of changes) this.#options.onChange?.(change)
  }

  async #watch(): Promise<number | 'failed'> {
    assert(this.#resourceVersion !== undefined, 'a watch goes on from a list')
    const { api, clock, random, resource, selection } = this.#options
    const timeoutSeconds = Math.ceil(jittered(this.#timings.watchSeconds, random))
    // Not AbortSignal.any: what is made of a signal that lives long is never freed.
    const cut = new AbortController()
    this.#cut = cut
    const stop = (): void => cut.abort()
    this.#end.signal.addEventListener('abort', stop)
    const silence = new Silence(clock, timeoutSeconds * 1_000 + this.#timings.marginMs, () => cut.abort())
    const relist = clock.after(this.#relistAtMs - this.#nowMs(), () => cut.abort())
    let openedMs: number | undefined
    let heard = false
    try {
      const events = api.watch(
        resource,
        { ...selection, resourceVersion: this.#resourceVersion, timeoutSeconds },
        cut.signal,
      )
      for await (const event of events) {
        silence.broken()
        this.#lastHeardMs = this.#nowMs()
        this.#healthySinceMs ??= this.#nowMs()
        openedMs ??= this.#nowMs()
        if (event.type === 'BOOKMARK') this.#resourceVersion = event.resourceVersion
        else {
          heard = true
          this.#resourceVersion = event.object.metadata.resourceVersion ?? this.#resourceVersion
          this.#tell(event.type === 'DELETED' ? this.#take(event.object) : this.#put(event.object))
        }
      }
    } finally {
      silence.cancel()
      relist.cancel()
      this.#end.signal.removeEventListener('abort', stop)
      if (heard || this.#lasted(openedMs)) this.#failures = 0
    }
    if (silence.tooLong) return 'failed'
    if (cut.signal.aborted || this.#lasted(openedMs)) return 0
    return heard ? this.#timings.backOff.firstMs : 'failed'
  }

  #lasted(openedMs: number | undefined): boolean {
    return openedMs !== undefined && this.#nowMs() - openedMs >= steadyMs
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs()
  }
}

const nameOf = ({ namespace, name }: { readonly namespace?: string; readonly name: string }): string =>
  `${namespace ?? ''}/${name}`

/**
 * A server that has too much to do says nothing of what was watched, and lists are what costs it most. 504 is also the answer to a
 * version from before an older state was restored: from there no watch goes on.
 */
const isBusy = ({ code }: ApiError): boolean => code === 429 || (code >= 500 && code !== 504)

/** Acts once when nothing broke it for `limitMs`. */
class Silence {
  tooLong = false
  readonly #clock: Clock
  readonly #limitMs: number
  readonly #act: () => void
  #timer

  constructor(clock: Clock, limitMs: number, act: () => void) {
    this.#clock = clock
    this.#limitMs = limitMs
    this.#act = act
    this.#timer = this.#wait()
  }

  broken(): void {
    this.#timer.cancel()
    this.#timer = this.#wait()
  }

  cancel(): void {
    this.#timer.cancel()
  }

  #wait() {
    return this.#clock.after(this.#limitMs, () => {
      this.tooLong = true
      this.#act()
    })
  }
}
