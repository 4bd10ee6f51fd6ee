/** Followers of a simulated cluster that compare what they hold with their leaders all the time: in a history nothing ever differs below the high watermark. */
import { pino } from 'pino'
import { Checks } from '../../broker/tablet/checks.ts'
import type { SimBroker } from './broker.ts'
import type { SimCluster } from './cluster.ts'

const silent = pino({ level: 'silent' })
const rests = { first: 300, next: 300 }

export class Comparisons {
  readonly #cluster: SimCluster
  /** Also those that have ended. */
  readonly #brokers = new Set<SimBroker>()

  constructor(cluster: SimCluster) {
    this.#cluster = cluster
  }

  /** Brokers that have begun since the last look compare, too. */
  look(): void {
    for (const { broker, sim } of this.#cluster.nodes) {
      if (broker === undefined || this.#brokers.has(broker)) continue
      this.#brokers.add(broker)
      new Checks({ clock: sim.world.clock, log: silent, tablets: broker.tablets, restMs: rests }).start()
    }
  }

  /** @throws what any of them found */
  check(): void {
    const found = [...this.#brokers].flatMap(({ lines }) =>
      lines.filter(({ msg }) => msg === 'the leader has something else at these offsets'),
    )
    if (found.length > 0) throw new Error(`replicas differ: ${JSON.stringify(found)}`)
  }
}
