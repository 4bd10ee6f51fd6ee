/**
 * A broker's Lease: that this process, and no other, is the broker of its id. A start enters, and the number of its run comes out.
 * What always holds: nobody takes a Lease that changed within its duration by the own clock; the run's number stands in the Lease
 * before anyone acts in its name; who finds somebody else's name in it is told so once, and renews no more.
 */
import { assert } from '../../base/assert.ts'
import { incarnation, type BrokerId, type Incarnation } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Clock, Timer } from '../../base/world.ts'
import { ApiError, type JsonPatch, type KubeApi, type ObjectKey } from '../../kube/api.ts'
import type { Log } from '../../kube/log.ts'
import { microTime } from '../../kube/micro-time.ts'
import { leases, type Lease } from '../../kube/resources.ts'
import { broker as shape, toBroker } from '../broker-json.ts'
import type { Addresses, Broker, BrokerReport, BrokerStart } from '../model.ts'
import type { Registration } from '../store.ts'
import { reportTexts } from './broker-report.ts'
import { mayPass, sentence } from './refused.ts'
import { annotations, brokerName, labels } from './resources/names.ts'

/** Decision 0008 says why so long. */
const leaseSeconds = 7
const renewMs = 3_000
/** A renewal that is not answered by then is asked for again beside it: two more fit into what is left of the Lease. */
const answerMs = 1_250
/** What could not be written is tried again after so long. */
const againMs = 1_000

export type BrokerLeaseOptions = {
  readonly api: KubeApi
  readonly clock: Clock
  readonly log: Log
  readonly cluster: string
  readonly namespace: string
  /** One of a kind: this process. */
  readonly identity: string
  /** The Lease as a write of ours left it. */
  readonly written: (lease: Lease) => void
  /** Somebody else is the broker now. */
  readonly lost: (why: string) => void
  /** It was renewed again after it had run out: this broker could not reach the API server, or that was away. */
  readonly cameBack: () => void
}

/** Who renews it has said for how long: another version may have other times. */
export const lastsMs = (lease: Lease | undefined): number =>
  (lease?.spec?.leaseDurationSeconds ?? leaseSeconds) * 1_000

/** Undefined for the Lease of a broker that was removed, and for what none of us wrote. */
export function brokerIn(lease: Lease): Broker | undefined {
  const text = lease.metadata.annotations?.[annotations.broker]
  if (text === undefined) return undefined
  try {
    const read = shape.safeParse(JSON.parse(text))
    if (!read.success) return undefined
    const isLeaving = lease.metadata.annotations?.[annotations.leaving] === 'true'
    return { ...toBroker(read.data), ...(isLeaving && { leaving: true }) }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

type State = 'waiting' | 'held' | 'lost' | 'released'

export class BrokerLease {
  readonly #options: BrokerLeaseOptions
  readonly #key: ObjectKey
  readonly #id: BrokerId
  #state: State = 'waiting'
  #broker: Broker | undefined
  #renewedMs = -Infinity
  #renewing = 0
  #renewal: Timer | undefined
  /** What stands on the Lease beside what is ours alone, as the API server last answered. */
  #annotations: Readonly<Record<string, string>> | undefined
  #look: (() => BrokerReport) | undefined
  #wake: () => void = () => undefined

  constructor(id: BrokerId, options: BrokerLeaseOptions) {
    this.#options = options
    this.#id = id
    this.#key = { namespace: options.namespace, name: brokerName(options.cluster, id) }
  }

  get ageMs(): number {
    return this.#state === 'held' ? this.#options.clock.monotonicMs() - this.#renewedMs : Infinity
  }

  holds(run: Incarnation): boolean {
    return this.#state === 'held' && this.#broker?.incarnation === run
  }

  /** Waits until nobody else holds the Lease, however long that takes. `runAtLeast` is the highest that tablets know of. */
  async take(start: BrokerStart, runAtLeast: number): Promise<Registration> {
    const { clock } = this.#options
    let seen: { readonly version: string | undefined; readonly sinceMs: number } | undefined
    for (;;) {
      const lease = await this.#read()
      const version = lease?.metadata.resourceVersion
      if (seen === undefined || seen.version !== version) seen = { version, sinceMs: clock.monotonicMs() }
      const waitMs = lease === undefined ? 0 : this.#waitMs(lease, start, seen.sinceMs)
      if (waitMs <= 0) {
        const taken = await this.#tryToTake(lease, start, runAtLeast)
        if (taken !== undefined) return taken
      }
      await this.#pause(Math.min(againMs, Math.max(waitMs, againMs / 4)))
      assert(this.#state === 'waiting', 'a Lease is taken once')
    }
  }

  /** @throws Refusal INVALID_REQUEST when the run is over */
  async announce(addresses: Addresses): Promise<void> {
    assert(this.#broker !== undefined, 'a broker is registered before its addresses are known')
    await this.#record({ ...this.#broker, addresses }, [])
  }

  /** What `look` says goes along with a renewal when it is not what stands there, and now. */
  reporting(look: () => BrokerReport): void {
    this.#look = look
    if (this.#state === 'held') void this.#renew()
  }

  /** Before it is due. One that is asked for already is waited for. */
  renewNow(): void {
    if (this.#state === 'held' && this.#renewing === 0) void this.#renew()
  }

  async leave(): Promise<void> {
    if (this.#state !== 'held' || this.#broker === undefined) return
    await this.#record(this.#broker, [
      { op: 'add', path: annotationPath(annotations.leaving), value: 'true' },
    ])
  }

  /** The next registration of the same broker here takes its place. */
  forget(): void {
    this.#state = 'released'
    this.#renewal?.cancel()
    this.#wake()
  }

  /** Gives it back. What fails is left to run out. */
  async release(clean: boolean): Promise<void> {
    const held = this.#state === 'held'
    if (this.#state !== 'lost') this.#state = 'released'
    this.#renewal?.cancel()
    this.#wake()
    if (!held) return
    try {
      await this.#patch([
        ...this.#isOurs(),
        { op: 'add', path: annotationPath(annotations.stopped), value: clean ? 'clean' : 'unclean' },
        { op: 'remove', path: '/spec/holderIdentity' },
      ])
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      this.#options.log.warn({ err: error }, "the broker's Lease was not given back; it runs out by itself")
    }
  }

  /** How long to wait still; nothing when nobody holds it, or when who held it cannot be alive. */
  #waitMs(lease: Lease, start: BrokerStart, sinceMs: number): number {
    const { clock, identity, log } = this.#options
    const { holderIdentity = '' } = lease.spec ?? {}
    if (holderIdentity === '' || holderIdentity === identity) return 0
    const before = brokerIn(lease)
    // Its data directory is locked by this process now, and locks end with their process, on the same kernel and disk.
    const isDead =
      before?.diskId === start.diskId && before.bootId !== undefined && before.bootId === start.bootId
    const unchangedMs = clock.monotonicMs() - sinceMs
    if (isDead || unchangedMs >= lastsMs(lease)) return 0
    if (unchangedMs === 0)
      log.info(
        { lease: this.#key.name, holder: holderIdentity },
        `broker ${this.#id} is held by another process: waiting until its Lease has not changed for ${lastsMs(lease) / 1_000} s`,
      )
    return lastsMs(lease) - unchangedMs
  }

  async #tryToTake(
    lease: Lease | undefined,
    start: BrokerStart,
    runAtLeast: number,
  ): Promise<Registration | undefined> {
    const { api, clock } = this.#options
    const before = lease && brokerIn(lease)
    const run = incarnation(Math.max(before?.incarnation ?? 0, runAtLeast) + 1)
    const broker = { ...start, incarnation: run }
    const wanted = this.#leaseOf(broker, lease)
    const askedMs = clock.monotonicMs()
    try {
      const taken = lease === undefined ? await api.create(leases, wanted) : await api.replace(leases, wanted)
      if (this.#state !== 'waiting') return { incarnation: run, before }
      this.#held(broker, taken, askedMs)
      return { incarnation: run, before }
    } catch (error) {
      // Somebody was quicker, or nobody knows: it is read again, and then it is ours or not.
      if (error instanceof ApiError && (error.code === 409 || mayPass(error))) return undefined
      throw this.#explained(error, lease === undefined ? 'create' : 'update')
    }
  }

  #held(broker: Broker, lease: Lease, askedMs: number): void {
    this.#state = 'held'
    this.#broker = broker
    this.#renewedMs = askedMs
    this.#wrote(lease)
    this.#renewLater(renewMs)
  }

  #leaseOf(broker: Broker, lease: Lease | undefined): Lease {
    const { cluster, identity, clock } = this.#options
    const now = microTime(clock.nowMs())
    const known = { ...lease?.metadata.annotations }
    delete known[annotations.leaving]
    delete known[annotations.stopped]
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        ...(lease?.metadata ?? this.#key),
        labels: {
          ...lease?.metadata.labels,
          [labels.cluster]: cluster,
          [labels.brokerId]: String(this.#id),
        },
        annotations: { ...known, [annotations.broker]: JSON.stringify(broker) },
      },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: leaseSeconds,
        acquireTime: now,
        renewTime: now,
        leaseTransitions: (lease?.spec?.leaseTransitions ?? -1) + 1,
      },
    }
  }

  #renewLater(ms: number): Timer {
    this.#renewal?.cancel()
    this.#renewal = this.#options.clock.after(ms, () => void this.#renew())
    return this.#renewal
  }

  async #renew(): Promise<void> {
    const { clock } = this.#options
    const askedMs = clock.monotonicMs()
    const next = this.#renewLater(answerMs)
    const isLatest = (): boolean => this.#state === 'held' && this.#renewal === next
    this.#renewing++
    try {
      await this.#patch([
        ...this.#isOurs(),
        { op: 'add', path: '/spec/renewTime', value: microTime(clock.nowMs()) },
        ...this.#report(),
      ])
      const ranOut = this.ageMs > lastsMs(undefined)
      this.#renewedMs = Math.max(this.#renewedMs, askedMs)
      if (ranOut) this.#options.cameBack()
      if (isLatest()) this.#renewLater(renewMs)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      if (isLatest()) await this.#notRenewed(error)
    } finally {
      this.#renewing--
    }
  }

  /** What is to be told anew. Nothing, when somebody took all annotations away: no renewal fails for a report. */
  #report(): JsonPatch {
    const there = this.#annotations
    if (this.#look === undefined || this.#broker === undefined || there === undefined) return []
    return Object.entries(reportTexts(this.#look(), this.#broker.incarnation))
      .filter(([name, text]) => (there[name] ?? '') !== text)
      .map(([name, value]) => ({ op: 'add', path: annotationPath(name), value }) as const)
  }

  async #notRenewed(error: ApiError): Promise<void> {
    const { log } = this.#options
    this.#renewal?.cancel()
    if (error.code === 422 || error.code === 404) await this.#lookWhose()
    else log.warn({ err: error, lease: this.#key.name }, "the broker's Lease could not be renewed")
    if (this.#state === 'held') this.#renewLater(againMs)
  }

  /** The patch did not fit: whose is it? A Lease that somebody has deleted is made again. */
  async #lookWhose(): Promise<void> {
    const { api, clock, identity, lost } = this.#options
    try {
      const lease = await api.get(leases, this.#key)
      if (this.#state !== 'held' || this.#broker === undefined) return
      this.#annotations = lease?.metadata.annotations
      const askedMs = clock.monotonicMs()
      if (lease === undefined) {
        this.#wrote(await api.create(leases, this.#leaseOf(this.#broker, undefined)))
        this.#renewedMs = askedMs
      } else if (lease.spec?.holderIdentity !== identity) {
        this.#state = 'lost'
        const holder = lease.spec?.holderIdentity ?? 'nobody'
        lost(
          `the Lease ${this.#key.name} of broker ${this.#id} is held by ${holder} now: only one process can be this broker, and this one ends`,
        )
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
    }
  }

  /** Writes the record, however long it takes; refused when the Lease is somebody else's. */
  async #record(broker: Broker, also: JsonPatch): Promise<void> {
    const value = JSON.stringify(broker)
    for (;;) {
      try {
        this.#broker = broker
        return void (await this.#patch([
          ...this.#isOurs(),
          { op: 'add', path: annotationPath(annotations.broker), value },
          ...also,
        ]))
      } catch (error) {
        if (error instanceof ApiError && error.code === 422) break
        const again = mayPass(error) || (error instanceof ApiError && error.code === 409)
        if (!again || this.#state !== 'held') throw this.#explained(error, 'patch')
        await this.#pause(againMs)
      }
    }
    throw new Refusal('INVALID_REQUEST', `run ${broker.incarnation} of broker ${this.#id} is over`)
  }

  async #patch(patch: JsonPatch): Promise<Lease> {
    const lease = await this.#options.api.patch(leases, this.#key, patch)
    this.#wrote(lease)
    return lease
  }

  #wrote(lease: Lease): void {
    this.#annotations = lease.metadata.annotations
    this.#options.written(lease)
  }

  #isOurs(): JsonPatch {
    return [{ op: 'test', path: '/spec/holderIdentity', value: this.#options.identity }]
  }

  async #read(): Promise<Lease | undefined> {
    for (;;) {
      try {
        return await this.#options.api.get(leases, this.#key)
      } catch (error) {
        if (!mayPass(error)) throw this.#explained(error, 'get')
        this.#options.log.warn({ err: error }, "the broker's Lease cannot be read; it is tried again")
      }
      await this.#pause(againMs)
    }
  }

  #explained(error: unknown, verb: string): unknown {
    if (!(error instanceof ApiError)) return error
    return new Error(sentence(error, { verb, resource: 'leases', namespace: this.#key.namespace }))
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
      this.#options.clock.after(ms, resolve)
    })
  }
}

/** As JSON Pointers want it. */
const annotationPath = (name: string): string => `/metadata/annotations/${name.replaceAll('/', '~1')}`
