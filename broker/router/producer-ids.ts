import type { BrokerId, Incarnation } from '../../base/quantities.ts'

const brokersMax = 2 ** 10
const runsMax = 2 ** 15
const countMax = 2 ** 28

/**
 * Producer ids that no other broker and no other run gives out, without asking anyone: run, broker and a counter, in 53 bits. The run wraps after
 * 32,768 starts and the counter after 268 million ids, when what was remembered of the ids before has long expired.
 */
export class ProducerIds {
  readonly #base: number
  #count = 0

  constructor(broker: BrokerId, incarnation: Incarnation) {
    this.#base = ((incarnation % runsMax) * brokersMax + (broker % brokersMax)) * countMax
  }

  next(): number {
    const id = this.#base + this.#count
    this.#count = (this.#count + 1) % countMax
    return id
  }
}
