/**
 * The partitions that a queue was given, each with its window. In come shares; out go windows to read from, and those that receipts
 * speak of. Always holds: a window is open exactly while its partition is ours and its topic the one it was opened for.
 */
import type { Logger } from 'pino'
import { LimitedLog } from '../../base/limited-log.ts'
import type { Refusal } from '../../base/refusals.ts'
import type { Timer, World } from '../../base/world.ts'
import type { AssignedTopic } from '../../protocol/kafka/consumer-protocol.ts'
import type { Router } from '../router/router.ts'
import type { Tablet } from '../tablet/tablet.ts'
import type { Consumer } from './consumer.ts'
import { openWindow } from './opening.ts'
import { readReceipt } from './receipts.ts'
import type { Waiting } from './waiting.ts'
import type { Room } from './room.ts'
import type { Window } from './window.ts'

/** A window with what goes on around it. */
export type Partition = {
  readonly window: Window
  readonly unfollow: () => void
  /** Somebody reads on its behalf, and whether somebody else has found that so. */
  reading: boolean
  passedBy: boolean
  trouble: Trouble | undefined
}

/** Records from an offset on cannot be read; when that is tried again. */
type Trouble = { readonly why: Refusal; readonly from: number; readonly againMs: number }

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
  readonly #byWindow = new Map<string, Partition>()
  /** Those that may have something to hand out; the others have nothing. */
  readonly #stirred = new Set<Partition>()
  #share: readonly AssignedTopic[] = []
  readonly #elsewhere: LimitedLog
  /** Something of the share is not led here, or not yet. */
  #unsettled = false
  #expiry: { readonly atMs: number; readonly timer: Timer } | undefined

  constructor(options: PartitionsOptions) {
    this.#options = options
    this.#elsewhere = new LimitedLog(options.log, options.world.clock, 1)
  }

  get share(): readonly AssignedTopic[] {
    return this.#share
  }

  all(): Iterable<Partition> {
    return this.#open.values()
  }

  *windows(): Generator<Window, void> {
    for (const { window } of this.#open.values()) yield window
  }

  /** Those whose base is to be committed. */
  *moved(): Generator<Window, void> {
    for (const { window } of this.#open.values())
      if (window.base !== window.durable && this.serves(window)) yield window
  }

  /** Whether what the window knows is about the topic that has its name now. */
  serves({ closed, topic, topicId, partition }: Window): boolean {
    return !closed && this.#options.router.find(topic, partition)?.topicId === topicId
  }

  stirred(): ReadonlySet<Partition> {
    return this.#stirred
  }

  /** There may be something of it to hand out. */
  mark({ id }: Window): void {
    const partition = this.#byWindow.get(id)
    if (partition !== undefined) this.#stirred.add(partition)
  }

  /** There is nothing of it to hand out, until it is marked again. */
  unmark(partition: Partition): void {
    this.#stirred.delete(partition)
  }

  /** There may be something of any of them to hand out. */
  stir(): void {
    for (const partition of this.#open.values()) this.#stirred.add(partition)
    this.#options.waiting.wake()
  }

  /** What a receipt speaks of, while the window that gave it is open. */
  meant(receipt: string) {
    const read = readReceipt(receipt)
    const window = read && this.#byWindow.get(read.window)?.window
    return window && { window, offset: read.offset, deliveries: read.deliveries }
  }

  /** Those that were ours before and are not in `share` are somebody else's now. */
  given(share: readonly AssignedTopic[]): void {
    this.#share = share
    this.reconcile()
  }

  /** A topic was made, changed or deleted. */
  topicChanged(name: string): void {
    if (this.#share.some(({ topic }) => topic === name)) this.reconcile()
  }

  /** Looks again at what was not there, or could not be read. */
  lookAgain(): void {
    const nowMs = this.#options.world.clock.monotonicMs()
    if (this.#unsettled) this.reconcile()
    let due = false
    for (const partition of this.#open.values()) {
      if ((partition.trouble?.againMs ?? Infinity) > nowMs) continue
      this.#stirred.add(partition)
      due = true
    }
    if (due) this.#options.waiting.wake()
  }

  /** Brings the windows in line with the share, and with topics that were deleted or made anew. */
  reconcile(): void {
    const ours = new Set<string>()
    let changed = false
    this.#unsettled = false
    for (const { topic, partitions } of this.#share) {
      for (const partition of partitions) {
        const tablet = this.#options.router.find(topic, partition)
        if (tablet?.role !== 'leader') {
          this.#unsettled = true
          this.#noteElsewhere(topic, partition)
          continue
        }
        const place = `${topic}-${partition}`
        ours.add(place)
        const known = this.#open.get(place)
        if (known?.window.topicId === tablet.topicId) continue
        if (known !== undefined) this.#close(place, known)
        this.#openFor(place, tablet)
        changed = true
      }
    }
    for (const [place, partition] of this.#open) if (!ours.has(place)) this.#close(place, partition)
    if (changed) this.stir()
  }

  /** Queues read tablets of their own broker alone. */
  #noteElsewhere(topic: string, partition: number): void {
    const { router } = this.#options
    const leader = router.leaderOf(topic, partition)?.id
    if (leader === undefined || leader === router.self) return
    this.#elsewhere.warn(
      { topic, partition, leader },
      'a queue does not hand out records of a partition that another broker leads',
    )
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
    for (const partition of this.#open.values()) {
      if (!partition.window.expire(nowMs)) continue
      this.#stirred.add(partition)
      some = true
    }
    if (some) waiting.wake()
    this.watchTimes()
  }

  #openFor(place: string, tablet: Tablet): void {
    const { world, waiting, consumers, ...rest } = this.#options
    const window = openWindow(tablet, { ...rest, random: world.random, consumers: consumers() })
    const unfollow = tablet.onReadable(() => {
      this.#unsettled ||= tablet.role !== 'leader'
      this.mark(window)
      waiting.wake()
    })
    const partition = { window, unfollow, reading: false, passedBy: false, trouble: undefined }
    this.#open.set(place, partition)
    this.#byWindow.set(window.id, partition)
  }

  #close(place: string, partition: Partition): void {
    const { window, unfollow } = partition
    unfollow()
    this.#open.delete(place)
    this.#byWindow.delete(window.id)
    this.#stirred.delete(partition)
    window.close()
  }
}
