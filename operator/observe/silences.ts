import type { Clock, Timer } from '../../base/world.ts'
import { lastsMs } from '../../control/kubernetes/broker-lease.ts'
import type { ListWatch } from '../../kube/list-watch.ts'
import type { Lease } from '../../kube/resources.ts'

const lookMs = 2_000

/** What is asked of the watch of Leases. */
export type Hearing = Pick<ListWatch<never>, 'healthySinceMs' | 'isHealthy'>

type Heard = { readonly cluster: string; readonly atMs: number; readonly lastsMs: number }

/**
 * Which brokers do not renew their Leases any more, by the own clock: seen by no event, so it is looked for now and then. Times in which the Leases
 * could not be watched do not count, and who is silent stays so until it is heard.
 */
export class Silences {
  readonly #clock: Clock
  readonly #watch: () => Hearing
  readonly #onChange: (cluster: string) => void
  /** By namespace and name of the Lease. */
  readonly #heard = new Map<string, Heard>()
  readonly #silent = new Set<string>()
  #timer: Timer | undefined

  /** `onChange` is told of the cluster (`namespace/name`) of each broker that fell silent, or is heard again. */
  constructor(clock: Clock, watch: () => Hearing, onChange: (cluster: string) => void) {
    this.#clock = clock
    this.#watch = watch
    this.#onChange = onChange
  }

  start(): void {
    this.#timer = this.#clock.after(lookMs, () => {
      this.#look()
      this.start()
    })
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** The Lease of a cluster changed. */
  heard(cluster: string, lease: Lease): void {
    const key = keyOf(lease)
    this.#heard.set(key, { cluster, atMs: this.#clock.monotonicMs(), lastsMs: lastsMs(lease) })
    if (this.#silent.delete(key)) this.#onChange(cluster)
  }

  gone(lease: Lease): void {
    this.#heard.delete(keyOf(lease))
    this.#silent.delete(keyOf(lease))
  }

  /** Whether its broker does not renew it. */
  has(lease: Lease): boolean {
    return this.#silent.has(keyOf(lease))
  }

  #look(): void {
    const watch = this.#watch()
    const sinceMs = watch.healthySinceMs
    if (sinceMs === undefined) return
    const nowMs = this.#clock.monotonicMs()
    for (const [key, { cluster, atMs, lastsMs }] of this.#heard) {
      if (this.#silent.has(key) || !watch.isHealthy(lastsMs)) continue
      if (nowMs - Math.max(sinceMs, atMs) <= lastsMs) continue
      this.#silent.add(key)
      this.#onChange(cluster)
    }
  }
}

const keyOf = ({ metadata }: Lease): string => `${metadata.namespace ?? ''}/${metadata.name}`
