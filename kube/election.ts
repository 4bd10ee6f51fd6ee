/**
 * One of several processes leads, by a Lease. Enters: the Lease's name and who we are; comes out: `onLeading`, while we lead.
 * What always holds: time is judged by the own monotonic clock alone. We lead only until `renewDeadlineMs` after we began the last
 * renewal that was carried out; another leads only when it saw no change of the Lease for its whole duration.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Random } from '../base/world.ts'
import { ApiError, type KubeApi, type ObjectKey } from './api.ts'
import type { Log } from './log.ts'
import { microTime } from './micro-time.ts'
import { type Lease, leases } from './resources.ts'
import { jittered, sleep } from './waiting.ts'

export type ElectionTimings = {
  /** How long others wait without a sign of life; whole seconds. */
  readonly leaseMs: number
  /** Who could not renew for so long leads no more. What it is shorter than `leaseMs` is for clocks of other speeds and work that ends. */
  readonly renewDeadlineMs: number
  /** How often the Lease is renewed, and looked at by those who wait. */
  readonly retryMs: number
}

const usualTimings: ElectionTimings = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 }

export type ElectionOptions = {
  readonly api: KubeApi
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly lease: ObjectKey
  /** For people, as the pod's name; chance makes it one of a kind, so that a process never takes its predecessor for itself. */
  readonly identity: string
  readonly labels?: Readonly<Record<string, string>>
  /**
   * Leads until `signal` is aborted, then ends soon: the Lease is given back after that. What it throws before that is a bug:
   * `stopped` rejects, and the process ends of it.
   */
  readonly onLeading: (signal: AbortSignal) => Promise<void>
  readonly timings?: Partial<ElectionTimings>
}

/** The Lease as it was last seen, and since when it has been like that. */
type Seen = { readonly lease: Lease | undefined; readonly sign: string; readonly sinceMs: number }

export class Election {
  readonly identity: string
  readonly #options: ElectionOptions
  readonly #timings: ElectionTimings
  readonly #end = new AbortController()
  #running: Promise<void> | undefined
  #over: AbortSignal | undefined
  #leadingUntilMs = -Infinity
  #seen: Seen | undefined
  /** The Lease as our last write left it, while nothing speaks against it. */
  #mine: Lease | undefined
  #attempts = 0

  constructor(options: ElectionOptions) {
    this.#options = options
    this.#timings = { ...usualTimings, ...options.timings }
    const { leaseMs, renewDeadlineMs, retryMs } = this.#timings
    assert(
      leaseMs > renewDeadlineMs && renewDeadlineMs > retryMs,
      'a leader gives up before another takes over',
    )
    assert(leaseMs % 1_000 === 0, 'a Lease lasts whole seconds')
    this.identity = `${options.identity}_${options.random.bytes(8).toString('hex')}`
  }

  start(): void {
    assert(this.#running === undefined, 'an Election is started once')
    this.#running = this.#run()
  }

  /** Resolves when we neither lead nor try to. Rejects with a bug of `onLeading`; if nobody looks, Node ends the process. */
  get stopped(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  /** False in time also for a process that slept for long, whose `signal` is not aborted yet. */
  get isLeading(): boolean {
    return this.#over?.aborted === false && this.#nowMs() < this.#leadingUntilMs
  }

  /** Who holds the Lease as far as was seen; undefined when nobody does. */
  get holder(): string | undefined {
    return holderOf(this.#seen?.lease)
  }

  /** Leads no more, waits for `onLeading`, gives the Lease back. */
  stop(): Promise<void> {
    this.#end.abort()
    return this.stopped
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#options
    const { signal } = this.#end
    while (!signal.aborted) {
      await this.#attempt()
      if (signal.aborted) await this.#release()
      else if (this.#nowMs() < this.#leadingUntilMs) await this.#lead()
      else await sleep(clock, jittered(this.#timings.retryMs, random), signal)
    }
  }

  async #lead(): Promise<void> {
    const { clock, log, onLeading } = this.#options
    const controller = new AbortController()
    const over = AbortSignal.any([controller.signal, this.#end.signal])
    this.#over = over
    log.info({ identity: this.identity }, 'leads')
    const work = onLeading(over)
    work.catch(() => controller.abort())
    for (let renewed = true; !over.aborted;) {
      const waitMs = renewed ? this.#timings.retryMs : this.#timings.retryMs / 4
      await sleep(clock, Math.min(waitMs, this.#leadingUntilMs - this.#nowMs()), over)
      if (this.#nowMs() < this.#leadingUntilMs && !over.aborted) renewed = await this.#attempt()
      if (this.#nowMs() >= this.#leadingUntilMs) controller.abort()
    }
    log.info({ identity: this.identity }, 'leads no more')
    await work
    this.#over = undefined
    await this.#release()
    this.#leadingUntilMs = -Infinity
  }

  /** Looks at the Lease, and takes or renews it when that is right: true when it is ours. */
  async #attempt(): Promise<boolean> {
    const attempt = ++this.#attempts
    let held = false
    await this.#inTime(
      this.#hold(attempt).then(ours => {
        held = ours
      }),
    )
    // What comes of it from now on is not ours to believe.
    this.#attempts += 1
    if (!held) this.#mine = undefined
    return held
  }

  /** Waits for `call`, but leaves time for more attempts before the leadership is over. */
  async #inTime(call: Promise<void>): Promise<void> {
    const { clock, log } = this.#options
    const answered = new AbortController()
    const leftMs = this.#leadingUntilMs - this.#nowMs()
    const limitMs = this.#timings.renewDeadlineMs / 4
    const waited = sleep(clock, leftMs > 0 ? Math.min(leftMs, limitMs) : limitMs, answered.signal)
    const ended = call.catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error
      log[error.code === 409 ? 'debug' : 'warn']({ err: error }, 'the Lease of the leader was not written')
    })
    await Promise.race([ended, waited]).finally(() => answered.abort())
  }

  async #hold(attempt: number): Promise<boolean> {
    const { api, lease: key } = this.#options
    const current = this.#mine ?? (await api.get(leases, key))
    if (attempt !== this.#attempts) return false
    this.#see(current)
    if (!this.#mayHold(current)) {
      this.#leadingUntilMs = -Infinity
      return false
    }
    const beganMs = this.#nowMs()
    const held = this.#held(current)
    const written = await (current === undefined ? api.create(leases, held) : api.replace(leases, held))
    if (attempt !== this.#attempts) return false
    this.#see(written)
    this.#mine = written
    this.#leadingUntilMs = beganMs + this.#timings.renewDeadlineMs
    return true
  }

  #see(lease: Lease | undefined): void {
    const sign = JSON.stringify(lease?.spec ?? null)
    const sinceMs = this.#seen?.sign === sign ? this.#seen.sinceMs : this.#nowMs()
    this.#seen = { lease, sign, sinceMs }
  }

  #mayHold(lease: Lease | undefined): boolean {
    const holder = holderOf(lease)
    if (holder === undefined || holder === this.identity) return true
    const lastsMs = Math.max(this.#timings.leaseMs, (lease?.spec?.leaseDurationSeconds ?? 0) * 1_000)
    return this.#nowMs() - (this.#seen?.sinceMs ?? Infinity) > lastsMs
  }

  #held(lease: Lease | undefined): Lease {
    const { lease: key, labels } = this.#options
    const now = microTime(this.#options.clock.nowMs())
    const again = holderOf(lease) === this.identity
    const transitions = lease?.spec?.leaseTransitions ?? 0
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: lease?.metadata ?? { ...key, ...(labels === undefined ? {} : { labels }) },
      spec: {
        ...lease?.spec,
        holderIdentity: this.identity,
        leaseDurationSeconds: this.#timings.leaseMs / 1_000,
        acquireTime: again ? (lease?.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: lease === undefined || again ? transitions : transitions + 1,
      },
    }
  }

  /** Others need not wait. When that fails they do. */
  async #release(): Promise<void> {
    const { api, clock } = this.#options
    const mine = this.#mine
    this.#mine = undefined
    if (mine === undefined) return
    const released = {
      ...mine,
      spec: { ...mine.spec, holderIdentity: '', renewTime: microTime(clock.nowMs()) },
    }
    await this.#inTime(api.replace(leases, released).then(() => undefined))
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs()
  }
}

/** '' is how a Lease is given back. */
const holderOf = (lease: Lease | undefined): string | undefined => lease?.spec?.holderIdentity || undefined
