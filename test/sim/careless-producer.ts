import { buildBatch } from '../../protocol/kafka/records.ts'
import { append } from './broker.ts'
import { Client } from './cluster-clients.ts'
import type { SimCluster } from './cluster.ts'

/** A producer that sends everything once and goes on, whatever it is told. */
export class CarelessProducer extends Client {
  readonly #id: number
  readonly acks = 1
  readonly longestMs = 0
  busy = false
  acknowledged = 0

  constructor(cluster: SimCluster, topicId: string, partition: number, id: number) {
    super(cluster, topicId, partition)
    this.#id = id
  }

  async run(): Promise<void> {
    const { random, clock } = this.cluster
    for (let number = 0; !this.stopped; number++) {
      const value = Buffer.from(`p${this.#id}-${number}`.padEnd(10 + random.below(200), '.'))
      const batch = buildBatch([{ key: null, value, headers: [], timestamp: clock.nowMs() }])
      this.busy = true
      const answer = await this.ask(tablet => append(tablet, batch, this.acks, tablet.nowMs + 500))
      this.busy = false
      if (answer !== undefined && 'baseOffset' in answer) this.acknowledged++
      await this.pause()
    }
  }
}
