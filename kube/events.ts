/**
 * Tells people what happened to an object, as `kubectl describe` shows it: facts enter, events.k8s.io/v1 Events go out.
 * What always holds: it never throws and never makes the caller wait; memory and requests are bounded, and what is over the bounds is
 * left out and counted in the log.
 */
import type { Clock, Random } from '../base/world.ts'
import { ApiError, type JsonPatch, type KubeApi, type KubeObject, type ObjectKey } from './api.ts'
import type { Log } from './log.ts'
import { microTime } from './micro-time.ts'
import { type Event, events } from './resources.ts'
import { sleep } from './waiting.ts'

/** Something to tell of `regarding`. */
export type Fact = {
  readonly regarding: KubeObject
  readonly type: 'Normal' | 'Warning'
  /** One word in CamelCase: why. */
  readonly reason: string
  /** One word in CamelCase: what was done. */
  readonly action: string
  /** For people; cut after 1,024 characters. */
  readonly note: string
}

export type EventRecorderOptions = {
  readonly api: KubeApi
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Who tells it, as `stele.dev/operator`. */
  readonly controller: string
  /** Which of them: the pod's name. */
  readonly instance: string
}

/** The same fact within this time is no new Event: the first one counts on. */
const seriesMs = 600_000
/** A series is written at most so often. */
const seriesWriteMs = 60_000
const toldMax = 1_000
const queueMax = 200
/** So many requests may follow each other closely, then one each `paceMs`. */
const burst = 50
const paceMs = 500
const noteMax = 1_024
/** With a dot and 16 digits behind it, it is short enough for a name. */
const nameMax = 230

type Told = {
  readonly key: ObjectKey
  readonly firstMs: number
  count: number
  lastSeen: string
  wroteMs: number
  queued: boolean
  exists: boolean
}

type Sending = { readonly told: Told; readonly event?: Event }

export class EventRecorder {
  readonly #options: EventRecorderOptions
  readonly #told = new Map<string, Told>()
  readonly #queue: Sending[] = []
  readonly #end = new AbortController()
  #sending: Promise<void> | undefined
  #tokens = burst
  #tokensMs = -Infinity
  #leftOut = 0

  constructor(options: EventRecorderOptions) {
    this.#options = options
  }

  record(fact: Fact): void {
    if (this.#end.signal.aborted) return
    const { clock } = this.#options
    const { regarding, type, reason, action, note } = fact
    const sign = JSON.stringify([
      regarding.metadata.uid ?? regarding.metadata.name,
      type,
      reason,
      action,
      note,
    ])
    const told = this.#told.get(sign)
    const nowMs = clock.monotonicMs()
    if (told !== undefined && nowMs - told.firstMs < seriesMs) this.#again(told)
    else this.#first(sign, fact)
  }

  /** Sends nothing more than the request that is under way, and waits for that. */
  async stop(): Promise<void> {
    this.#end.abort()
    this.#queue.length = 0
    await this.#sending
  }

  #first(sign: string, fact: Fact): void {
    const { clock } = this.#options
    const event = this.#eventOf(fact)
    const nowMs = clock.monotonicMs()
    const told: Told = {
      key: { namespace: event.metadata.namespace ?? '', name: event.metadata.name },
      firstMs: nowMs,
      count: 1,
      lastSeen: event.eventTime ?? '',
      wroteMs: nowMs,
      queued: false,
      exists: false,
    }
    if (!this.#send({ told, event })) return
    this.#told.delete(sign)
    this.#told.set(sign, told)
    const [oldest] = this.#told.keys()
    if (this.#told.size > toldMax && oldest !== undefined) this.#told.delete(oldest)
  }

  #again(told: Told): void {
    const { clock } = this.#options
    told.count += 1
    told.lastSeen = microTime(clock.nowMs())
    if (told.queued || (told.count > 2 && clock.monotonicMs() - told.wroteMs < seriesWriteMs)) return
    told.wroteMs = clock.monotonicMs()
    this.#send({ told })
  }

  #send(sending: Sending): boolean {
    if (this.#queue.length >= queueMax) {
      this.#leftOut += 1
      return false
    }
    sending.told.queued = true
    this.#queue.push(sending)
    this.#sending ??= this.#sendAll()
    return true
  }

  async #sendAll(): Promise<void> {
    const { log } = this.#options
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      await this.#turn()
      if (this.#end.signal.aborted) break
      next.told.queued = false
      try {
        await this.#write(next)
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        log.debug({ err: error, event: next.told.key.name }, 'an Event was not written')
      }
    }
    if (this.#leftOut > 0) log.warn({ leftOut: this.#leftOut }, 'there were too many Events to write all')
    this.#leftOut = 0
    this.#sending = undefined
  }

  async #write({ told, event }: Sending): Promise<void> {
    const { api } = this.#options
    if (event !== undefined) {
      await api.create(events, event)
      told.exists = true
    } else if (told.exists) {
      const patch: JsonPatch = [
        { op: 'add', path: '/series', value: { count: told.count, lastObservedTime: told.lastSeen } },
      ]
      await api.patch(events, told.key, patch)
    }
  }
  /** Waits until another request is within the rate. */
  async #turn(): Promise<void> {
    const { clock } = this.#options
    this.#fill()
    if (this.#tokens < 1) {
      await sleep(clock, (1 - this.#tokens) * paceMs, this.#end.signal)
      this.#fill()
    }
    this.#tokens -= 1
  }

  #fill(): void {
    const nowMs = this.#options.clock.monotonicMs()
    this.#tokens = Math.min(burst, this.#tokens + (nowMs - this.#tokensMs) / paceMs)
    this.#tokensMs = nowMs
  }

  #eventOf({ regarding, type, reason, action, note }: Fact): Event {
    const { clock, random, controller, instance } = this.#options
    const { name, namespace, uid } = regarding.metadata
    const base = name.slice(0, nameMax).replace(/[-.]+$/, '')
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: {
        name: `${base}.${random.bytes(8).toString('hex')}`,
        namespace: namespace ?? 'default',
      },
      eventTime: microTime(clock.nowMs()),
      reportingController: controller,
      reportingInstance: instance,
      type,
      reason,
      action,
      note: note.slice(0, noteMax),
      regarding: {
        apiVersion: regarding.apiVersion,
        kind: regarding.kind,
        name,
        ...(namespace === undefined ? {} : { namespace }),
        ...(uid === undefined ? {} : { uid }),
      },
    }
  }
}
