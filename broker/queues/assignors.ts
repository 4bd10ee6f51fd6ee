/** How the partitions of topics are shared out among the members of a group; each as the Kafka client of that name does it. */
import type { AssignedTopic } from '../../protocol/kafka/consumer-protocol.ts'

export type Subscriber = { readonly memberId: string; readonly topics: readonly string[] }

/** A topic that is not there has no partitions. */
type PartitionsOf = (topic: string) => number

type Assignor = (
  subscribers: readonly Subscriber[],
  partitionsOf: PartitionsOf,
) => Map<string, readonly AssignedTopic[]>

/** Of each topic everybody gets a stretch; whoever comes first by name gets one more where it does not come out even. */
const range: Assignor = (subscribers, partitionsOf) => {
  const shares = new Shares(subscribers)
  for (const [topic, readers] of readersByTopic(subscribers)) {
    const count = partitionsOf(topic)
    const [each, more] = [Math.floor(count / readers.length), count % readers.length]
    let partition = 0
    for (const [index, reader] of readers.entries())
      for (const end = partition + each + (index < more ? 1 : 0); partition < end; partition++)
        shares.give(reader, topic, partition)
  }
  return shares.all()
}

/** All partitions of all topics go round among the members; who does not read a topic is passed over. */
const roundRobin: Assignor = (subscribers, partitionsOf) => {
  const shares = new Shares(subscribers)
  const everybody = byName(subscribers)
  let turn = 0
  for (const [topic] of readersByTopic(subscribers)) {
    for (let partition = 0; partition < partitionsOf(topic); partition++) {
      while (everybody[turn % everybody.length]?.topics.includes(topic) === false) turn += 1
      const reader = everybody[turn++ % everybody.length]
      if (reader !== undefined) shares.give(reader.memberId, topic, partition)
    }
  }
  return shares.all()
}

/** By the names that clients know them under: Java's and librdkafka's, and that of kafkajs. */
export const assignors: ReadonlyMap<string, Assignor> = new Map([
  ['range', range],
  ['roundrobin', roundRobin],
  ['RoundRobinAssigner', roundRobin],
])

class Shares {
  readonly #byMember: Map<string, Map<string, number[]>>

  constructor(subscribers: readonly Subscriber[]) {
    this.#byMember = new Map(subscribers.map(({ memberId }) => [memberId, new Map<string, number[]>()]))
  }

  give(memberId: string, topic: string, partition: number): void {
    const topics = this.#byMember.get(memberId)
    const partitions = topics?.get(topic)
    if (partitions === undefined) topics?.set(topic, [partition])
    else partitions.push(partition)
  }

  all(): Map<string, readonly AssignedTopic[]> {
    return new Map(
      [...this.#byMember].map(([memberId, topics]) => [
        memberId,
        [...topics].map(([topic, partitions]) => ({ topic, partitions })),
      ]),
    )
  }
}

const byName = (subscribers: readonly Subscriber[]): Subscriber[] =>
  [...subscribers].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))

/** Topics in order, each with its readers in order. */
function readersByTopic(subscribers: readonly Subscriber[]): [string, string[]][] {
  const readers = new Map<string, string[]>()
  for (const { memberId, topics } of byName(subscribers))
    for (const topic of new Set(topics)) {
      const known = readers.get(topic)
      if (known === undefined) readers.set(topic, [memberId])
      else known.push(memberId)
    }
  return [...readers].sort(([a], [b]) => (a < b ? -1 : 1))
}
