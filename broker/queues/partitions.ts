/**
 * The partitions that a queue was given, each with its window. In come shares; out go windows to read from, and those that receipts
 * speak of. Always holds: a window is open exactly while its partition is ours and its topic the one it was opened for.
 */
import type { Logger } from 'pino'
import type { Refusal } from '../../base/refusals.ts'
import type { Timer, World } from '../../base/world.ts'
import type { AssignedTopic } from '../../protocol/kafka/consumer-protocol.ts'
import type { Router } from '../router/router.ts'
import type { Tablet } from '../tablet/tablet.ts'
import type { Consumer } from './consumer.ts'
import { openWindow } from './opening.ts'
import { readReceipt } from './receipts.ts'
import type { Waiting } from './waiting.ts'
import type { Room, Window } from './window.ts'

/** A window with what goes on around it. */
export type Partition = {
  readonly window: Window
  readonly unfollow: () => void
  /** Somebody reads on its behalf, and whether somebody else has found that so. */
  reading: boolean
  passedBy: boolean
  /** Why its records could not be read, and when that is tried again. */
  trouble: Refusal | undefined
  againMs: number
}

export type PartitionsOptions = {
  readonly group: string
  readonly world: World
  readonly router: Router
  readonly log: Logger
  readonly room: Room
  readonly waiting: Waiting
  readonly consumers: () => Iterable<Consumer>
}

export class Partitions {
  readonly #options: PartitionsOptions
  /** By topic and number. */
  readonly #open = new Map<string, Partition>()
  /** By the window's id. */
  readonly #windows = new Map<string, Window>()
  #share: readonly AssignedTopic[] = []
  #expiry: { readonly atMs: number; readonly timer: Timer } | undefined

  constructor(options: PartitionsOptions) {
    this.#options = options
  }

  get share(): readonly AssignedTopic[] {
    return this.#share
  }

  all(): Iterable<Partition> {
    return this.#open.values()
  }

  windows(): Iterable<Window> {
    return this.#windows.values()
  }

  /** What a receipt speaks of, while the window that gave it is open. */
  meant(receipt: string) {
    const read = readReceipt(receipt)
    const window = read && this.#windows.get(read.window)
    return window && { window, offset: read.offset, deliveries: read.deliveries }
  }

  /** Those that were ours before and are not in `share` are somebody else's now. */
  given(share: readonly AssignedTopic[]): void {
    this.#share = share
    this.reconcile()
  }

  /** Brings the windows in line with the share, and with topics that were deleted or made anew. */
  reconcile(): void {
    const ours = new Set<string>()
    let changed = false
    for (const { topic, partitions } of this.#share) {
      for (const partition of partitions) {
        const tablet = this.#options.router.find(topic, partition)
        if (tablet?.role !== 'leader') continue
        const place = `${topic}-${partition}`
        ours.add(place)
        const known = this.#open.get(place)
        if (known?.window.topicId === tablet.topicId) continue
        if (known !== undefined) this.#close(place, known)
        this.#openFor(place, tablet)
        changed = true
      }
    }
    for (const [place, partition] of this.#open) {
      if (!ours.has(place)) this.#close(place, partition)
      else changed ||= partition.trouble !== undefined
    }
    if (changed) this.#options.waiting.wake()
  }

  /** Sees to it that records are taken back when their time is over. To be called when some were handed out or extended. */
  watchTimes(): void {
    const { clock } = this.#options.world
    let atMs = Infinity
    for (const { dueMs } of this.windows()) atMs = Math.min(atMs, dueMs)
    if (atMs === Infinity || (this.#expiry?.atMs ?? Infinity) <= atMs) return
    this.#expiry?.timer.cancel()
    const timer = clock.after(Math.max(0, atMs - clock.monotonicMs()), () => this.#expire())
    this.#expiry = { atMs, timer }
  }

  #expire(): void {
    const { world, waiting } = this.#options
    this.#expiry = undefined
    const nowMs = world.clock.monotonicMs()
    let some = false
    for (const window of this.windows()) some = window.expire(nowMs) || some
    if (some) waiting.wake()
    this.watchTimes()
  }

  #openFor(place: string, tablet: Tablet): void {
    const { world, waiting, consumers, ...rest } = this.#options
    const window = openWindow(tablet, { ...rest, random: world.random, consumers: consumers() })
    const unfollow = tablet.onReadable(() => waiting.wake())
    const idle = { reading: false, passedBy: false, trouble: undefined, againMs: 0 }
    this.#open.set(place, { window, unfollow, ...idle })
    this.#windows.set(window.id, window)
  }

  #close(place: string, { window, unfollow }: Partition): void {
    unfollow()
    window.close()
    this.#open.delete(place)
    this.#windows.delete(window.id)
  }
}
