/**
 * Which brokers may be in one cluster (decision 0010). In come the brokers that are registered, and it throws where one of them does what this Stele would
 * misunderstand.
 */
import type { Broker } from './model.ts'

/**
 * What this Stele understands. It grows by one with the first version in which brokers may do what those before would misunderstand instead of ignoring it.
 */
const level = 1

/** @throws Error with a sentence for a broker that is too old for the cluster */
export function mayJoin(brokers: Iterable<Broker>): void {
  for (const { brokerId, needs = 1 } of brokers) {
    if (needs <= level) continue
    throw new Error(
      `This Stele is too old for the cluster: broker ${brokerId} uses what only versions of level ${needs} and above understand, and this one has level ${level}. Start the newer Stele.`,
    )
  }
}
