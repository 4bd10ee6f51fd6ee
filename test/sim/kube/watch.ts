import type { Clock, Timer } from '../../../base/world.ts'
import type { ApiError, WatchEvent, WatchOptions } from '../../../kube/api.ts'
import type { JsonMap } from './json.ts'
import { type Kept, selects } from './objects.ts'

/** The server says that nothing happened so often. */
const bookmarkMs = 60_000

type Told = WatchEvent<JsonMap>

type Around = {
  readonly clock: Clock
  readonly id: string
  readonly options: WatchOptions
  /** Whether what is told gets through. */
  readonly reaches: () => boolean
  readonly delayMs: () => number
  readonly resourceVersion: () => number
}

/** One watch of one client: changes of the server enter, events come out, later and in order. */
export class SimWatch {
  onEnd: (() => void) | undefined
  readonly #around: Around
  readonly #wanted: (object: JsonMap) => boolean
  readonly #ready: Told[] = []
  readonly #timers = new Set<Timer>()
  #lastAtMs = 0
  #silent = false
  #answered = false
  #wake: (() => void) | undefined
  #end: { readonly error: ApiError | undefined } | undefined

  constructor(around: Around) {
    this.#around = around
    this.#wanted = selects(around.options)
  }

  get ended(): boolean {
    return this.#end !== undefined
  }

  /** Begins with what the client missed. */
  open(missed: readonly Kept[]): void {
    const { options } = this.#around
    this.#later({ type: 'BOOKMARK', resourceVersion: options.resourceVersion })
    for (const change of missed) this.tell(change)
    this.#bookmarks()
    this.#after(options.timeoutSeconds * 1_000, () => {
      this.#later(this.#bookmark())
      this.#after(this.#lastAtMs - this.#around.clock.monotonicMs(), () => {
        if (this.#around.reaches() && !this.#silent) this.end(undefined)
      })
    })
  }

  /** The client knows that it is open. */
  answered(): void {
    this.#answered = true
    this.#wake?.()
  }

  tell({ id, before, after, gone }: Kept): void {
    if (id !== this.#around.id || this.#end !== undefined) return
    const was = before !== undefined && this.#wanted(before)
    const is = after !== undefined && this.#wanted(after)
    if (is) this.#later({ type: was ? 'MODIFIED' : 'ADDED', object: after })
    else if (was && gone !== undefined) this.#later({ type: 'DELETED', object: gone })
  }

  end(error: ApiError | undefined): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    for (const timer of this.#timers) timer.cancel()
    this.onEnd?.()
    this.#wake?.()
  }

  async *events(): AsyncGenerator<Told> {
    for (;;) {
      while (this.#answered && this.#ready.length > 0) yield* this.#ready.splice(0, 1)
      if (this.#end?.error !== undefined) throw this.#end.error
      if (this.#end !== undefined) return
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  #bookmarks(): void {
    this.#after(bookmarkMs, () => {
      this.#later(this.#bookmark())
      this.#bookmarks()
    })
  }

  #bookmark(): Told {
    return { type: 'BOOKMARK', resourceVersion: String(this.#around.resourceVersion()) }
  }

  /** What does not get through is lost, and all that comes after it. */
  #later(event: Told): void {
    const { clock, delayMs, reaches } = this.#around
    const nowMs = clock.monotonicMs()
    this.#lastAtMs = Math.max(this.#lastAtMs, nowMs + delayMs())
    this.#after(this.#lastAtMs - nowMs, () => {
      if (!reaches()) this.#silent = true
      if (this.#silent) return
      this.#ready.push(event)
      this.#wake?.()
    })
  }

  #after(delayMs: number, act: () => void): void {
    const timer = this.#around.clock.after(delayMs, () => {
      this.#timers.delete(timer)
      act()
    })
    this.#timers.add(timer)
  }
}
