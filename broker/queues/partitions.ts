/**
 * The partitions that a queue was given, each with its window. In come shares; out go windows to read from, and those that receipts
 * speak of. Always holds: a window is open exactly while its partition is ours and its topic the one it was opened for.
 */
import type { Logger } from 'pino'
import { Refusal } from '../../base/refusals.ts'
import type { Timer, World } from '../../base/world.ts'
import type { AssignedTopic } from '../../protocol/kafka/consumer-protocol.ts'
import type { Router } from '../router/router.ts'
import type { Consumer } from './consumer.ts'
import { openWindow } from './opening.ts'
import { readReceipt } from './receipts.ts'
import type { Waiting } from './waiting.ts'
import type { Room } from './room.ts'
import { isRemote, sourceOf, type Elsewhere, type Source } from './source.ts'
import type { Window } from './window.ts'

/** A window with what goes on around it. */
export type Partition = {
  readonly window: Window
  /** Changes with its leader. */
  source: Source
  unfollow: () => void
  /** Ends the attention to a source elsewhere. */
  unattend: (() => void) | undefined
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
  readonly elsewhere: Elsewhere
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
  /** Of the share, what nobody is known to lead. */
  #unsettled = new Set<string>()
  /** By topic and number, where they will be read when it is known what there is. */
  readonly #beginning = new Map<string, Source>()
  /** Those of the open ones that other brokers lead. */
  readonly #remote = new Set<Partition>()
  /** So many wait for records. */
  #asking = 0
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
    const now = this.#options.router.topics().get(topic)
    return !closed && now?.id === topicId && partition < now.tablets.length
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
    if (this.#unsettled.size > 0) this.reconcile()
    let due = false
    for (const partition of this.#open.values()) {
      if ((partition.trouble?.againMs ?? Infinity) > nowMs) continue
      this.#stirred.add(partition)
      due = true
    }
    if (due) this.#options.waiting.wake()
  }

  /** Somebody waits for records, until the answer is called: what other brokers lead is followed. */
  ask(): () => void {
    this.#asking += 1
    if (this.#asking === 1) for (const partition of this.#remote) attend(partition)
    return () => {
      this.#asking -= 1
      if (this.#asking === 0) for (const partition of this.#remote) unattend(partition)
    }
  }

  /** Asks other brokers what there is of the topics; undefined when they lead none of them. Resolves soon, whether they answer or not. */
  look(topics: readonly string[]): Promise<unknown> | undefined {
    const asked: Promise<unknown>[] = []
    for (const { window, source } of this.#remote)
      if (isRemote(source) && topics.includes(window.topic)) asked.push(source.look())
    return asked.length === 0 ? undefined : Promise.all(asked)
  }

  /** A partition of the topics that cannot be read now, because nobody leads it, or its leader does not answer. */
  unserved(topics: readonly string[]): string | undefined {
    for (const { topic, partitions } of this.#share) {
      if (!topics.includes(topic)) continue
      for (const partition of partitions) {
        const place = placeOf(topic, partition)
        if (this.#unsettled.has(place) || this.#open.get(place)?.source.serves === false) return place
      }
    }
    return undefined
  }

  /** Brings the windows in line with the share, with who leads its partitions, and with topics that were deleted or made anew. */
  reconcile(): void {
    const { router } = this.#options
    const ours = new Set<string>()
    let changed = this.#unsettled.size > 0
    this.#unsettled = new Set()
    for (const { topic, partitions } of this.#share) {
      const topicId = router.topics().get(topic)?.id
      for (const partition of partitions) {
        const place = placeOf(topic, partition)
        ours.add(place)
        const known = this.#open.get(place)
        if (known !== undefined && known.window.topicId !== topicId) this.#close(place, known)
        const source = sourceOf(this.#options, topic, partition)
        if (source === undefined || source.topicId !== topicId) this.#unsettled.add(place)
        else if (this.#open.get(place)?.source !== source || isCutBack(known))
          changed = this.#begin(place, source) || changed
      }
    }
    for (const [place, partition] of this.#open) if (!ours.has(place)) this.#close(place, partition)
    for (const place of this.#beginning.keys()) if (!ours.has(place)) this.#beginning.delete(place)
    if (changed) this.stir()
  }

  /** Reads a partition there from now on. Answers whether it does so at once. */
  #begin(place: string, source: Source): boolean {
    if (!isRemote(source)) {
      this.#beginning.delete(place)
      this.#readFrom(place, source)
      return true
    }
    if (this.#beginning.get(place) === source) return false
    this.#beginning.set(place, source)
    // What is known of it may be older than what the group has committed.
    void source.look().then(hasSaid => {
      if (this.#beginning.get(place) !== source) return
      this.#beginning.delete(place)
      if (!hasSaid || !source.serves || !this.#canReadFrom(place, source)) this.#unsettled.add(place)
      else this.stir()
    })
    return false
  }

  #canReadFrom(place: string, source: Source): boolean {
    try {
      this.#readFrom(place, source)
      return true
    } catch (error) {
      // The group is coordinated elsewhere by now, say.
      if (error instanceof Refusal) return false
      throw error
    }
  }

  #readFrom(place: string, source: Source): void {
    const known = this.#open.get(place)
    if (known === undefined) return this.#openFor(place, source)
    if (source.logEnd < known.window.next) {
      this.#close(place, known)
      return this.#openFor(place, source)
    }
    if (known.source === source) return
    this.#leave(known)
    known.trouble = undefined
    this.#follow(known, source)
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

  #openFor(place: string, source: Source): void {
    const { world, consumers, ...rest } = this.#options
    const window = openWindow(source, { ...rest, random: world.random, consumers: consumers() })
    const nothing = (): void => undefined
    const state = { reading: false, passedBy: false, trouble: undefined, unattend: undefined }
    const partition: Partition = { window, source, unfollow: nothing, ...state }
    this.#open.set(place, partition)
    this.#byWindow.set(window.id, partition)
    this.#follow(partition, source)
  }

  #follow(partition: Partition, source: Source): void {
    const { window } = partition
    partition.source = source
    partition.unfollow = source.onReadable(() => {
      if ((!source.serves && !isRemote(source)) || isCutBack(partition))
        this.#unsettled.add(placeOf(window.topic, window.partition))
      this.mark(window)
      this.#options.waiting.wake()
    })
    if (!isRemote(source)) return
    this.#remote.add(partition)
    if (this.#asking > 0) attend(partition)
  }

  #leave(partition: Partition): void {
    partition.unfollow()
    unattend(partition)
    this.#remote.delete(partition)
  }

  #close(place: string, partition: Partition): void {
    const { window } = partition
    this.#leave(partition)
    this.#open.delete(place)
    this.#byWindow.delete(window.id)
    this.#stirred.delete(partition)
    window.close()
  }
}

const placeOf = (topic: string, partition: number): string => `${topic}-${partition}`

function attend(partition: Partition): void {
  const { source } = partition
  if (isRemote(source)) partition.unattend ??= source.attend()
}

function unattend(partition: Partition): void {
  partition.unattend?.()
  partition.unattend = undefined
}

/** What was read of the log is not there any more: somebody has put an older disk in its place. */
const isCutBack = (partition: Partition | undefined): boolean =>
  partition !== undefined && partition.source.serves && partition.source.logEnd < partition.window.next
