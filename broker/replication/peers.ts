/** What is known of the other brokers as processes, from both ends: who asks here, and who answers there. */
import type { BrokerId, Incarnation } from '../../base/quantities.ts'
import type { Clock } from '../../base/world.ts'
import type { ControlStore } from '../../control/store.ts'
import type { Fetcher } from './fetcher.ts'
import type { Liveness } from './leadership.ts'

type Peer = {
  sessions: number
  askedMs: number
  gone: boolean
  /** The run that answered nobody at its place, and when that was last seen. */
  away: { readonly run: Incarnation | undefined; readonly atMs: number } | undefined
}

/** A connection that was lost may come back within so long. */
const backMs = 300
/** Fetches come, and are answered, every half a second: of whom neither was heard for so long says nothing. */
const silentMs = 1_500
/** That nobody listens at its place is looked at ten times a second. */
const endedMs = 1_000
/** After so long the control store knows of it. */
const awayMs = 30_000

export class Peers implements Liveness {
  readonly #clock: Clock
  readonly #store: ControlStore
  readonly #peers = new Map<BrokerId, Peer>()
  /** Calls `gone` when a broker's connection ended and it was not back in time, or nobody listens at its place. */
  readonly #gone: (broker: BrokerId) => void

  constructor(clock: Clock, store: ControlStore, gone: (broker: BrokerId) => void) {
    this.#clock = clock
    this.#store = store
    this.#gone = gone
  }

  askedMs(broker: BrokerId): number {
    return this.#peers.get(broker)?.askedMs ?? -Infinity
  }

  isGone(broker: BrokerId): boolean {
    return this.#peers.get(broker)?.gone === true || this.#hasEnded(broker) || this.#isSilent(broker)
  }

  runOf(broker: BrokerId): Incarnation | undefined {
    return this.#store.brokers().get(broker)?.incarnation
  }

  isLeaving(broker: BrokerId): boolean {
    return this.#store.brokers().get(broker)?.leaving === true
  }

  /** A session of the broker begins. */
  came(broker: BrokerId): void {
    this.#of(broker).sessions++
  }

  asked(broker: BrokerId): void {
    const peer = this.#of(broker)
    peer.askedMs = this.#clock.monotonicMs()
    peer.gone = false
  }

  /** A session of the broker ended. */
  left(broker: BrokerId): void {
    const peer = this.#of(broker)
    peer.sessions--
    if (peer.sessions > 0) return
    this.#clock.after(backMs, () => {
      if (peer.sessions > 0 || peer.gone) return
      peer.gone = true
      this.#gone(broker)
    })
  }

  /** Whether the run that leads is lost, as far as can be told from here. */
  isLost(leader: BrokerId, run: Incarnation | undefined, fetcher: Fetcher | undefined): boolean {
    const counts = this.runOf(leader)
    if (run !== undefined && counts !== undefined && counts > run) return true
    if (fetcher === undefined) return false
    const nowMs = this.#clock.monotonicMs()
    // Whom the control store has not seen either does not come back so soon.
    if (this.isAway(fetcher) || (fetcher.downMs !== undefined && this.#store.isSilent(leader))) return true
    return (
      fetcher.silentMs !== undefined && nowMs - fetcher.silentMs >= silentMs && this.#store.isSilent(leader)
    )
  }

  /** It asks for nothing although it asks every half a second, and the control store does not see it either: cut off, or as good as that. */
  #isSilent(broker: BrokerId): boolean {
    const unaskedMs = this.#clock.monotonicMs() - this.askedMs(broker)
    return unaskedMs >= silentMs && this.#store.isSilent(broker)
  }

  /** It is not connected to here, and nobody listens at its place, or answers: also of who has never asked here that says that it is gone. */
  #hasEnded(broker: BrokerId): boolean {
    const { sessions, away } = this.#peers.get(broker) ?? {}
    if (sessions !== 0 || away === undefined || away.run !== this.runOf(broker)) return false
    return this.#clock.monotonicMs() - away.atMs <= endedMs
  }

  /** Nobody listens at the leader's place, or nobody answers for longer than a lost connection takes to come back. */
  isAway({ downMs, isRefused }: Fetcher): boolean {
    return downMs !== undefined && (isRefused || this.#clock.monotonicMs() - downMs >= backMs)
  }

  /** Looked at again and again while there is a fetcher. */
  noteAway(fetcher: Fetcher): void {
    const { leader } = fetcher
    if (!this.isAway(fetcher)) return
    const wasGone = this.isGone(leader)
    this.#of(leader).away = { run: this.runOf(leader), atMs: this.#clock.monotonicMs() }
    if (!wasGone && this.isGone(leader)) this.#gone(leader)
  }

  /**
   * Whether clients are told of the broker: not of one whose process is gone, nor of one that the control store has not seen lately, unless it was heard
   * here: who has lost the control store alone serves on. `answeredMs` is when it last answered here.
   */
  isAlive(broker: BrokerId, answeredMs: number): boolean {
    const nowMs = this.#clock.monotonicMs()
    const heardMs = Math.max(answeredMs, this.askedMs(broker))
    const away = this.#peers.get(broker)?.away
    if (away !== undefined && heardMs < away.atMs && nowMs - away.atMs < awayMs)
      if (away.run === this.runOf(broker)) return false
    return nowMs - heardMs < silentMs || !this.#store.isSilent(broker)
  }

  #of(broker: BrokerId): Peer {
    let peer = this.#peers.get(broker)
    if (peer === undefined) {
      peer = { sessions: 0, askedMs: -Infinity, gone: false, away: undefined }
      this.#peers.set(broker, peer)
    }
    return peer
  }
}
