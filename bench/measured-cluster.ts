/** What is asked of a cluster of three brokers that is measured, wherever they run: what their tablets are, until when, and a topic with a replica on each. */
import { setTimeout as passed } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'

/** One tablet as a broker that serves tells it. */
export type Tablet = { readonly leader: number | null; readonly isr: readonly number[] }

export abstract class MeasuredCluster {
  /** HOST:PORT of all, with commas between. */
  abstract readonly kafka: string
  /** Where each broker answers over HTTP, by its number. */
  abstract readonly http: readonly string[]

  /** What the topic's tablets are, as one of the brokers but `asleep` sees them. */
  async tablets(topic: string, asleep?: number): Promise<readonly Tablet[]> {
    for (const [id, http] of this.http.entries()) {
      if (id === asleep) continue
      try {
        const answer = await fetch(`${http}/v1/topics/${topic}`, { signal: AbortSignal.timeout(2_000) })
        if (answer.ok) return ((await answer.json()) as { partitions: Tablet[] }).partitions
      } catch {
        // It is the one that was killed.
      }
    }
    return []
  }

  /** Asks every 10 ms until the topic's tablets are as `holds` wants. */
  async until(
    topic: string,
    holds: (tablets: readonly Tablet[]) => boolean,
    asleep?: number,
  ): Promise<readonly Tablet[]> {
    for (;;) {
      const tablets = await this.tablets(topic, asleep)
      if (tablets.length > 0 && holds(tablets)) return tablets
      await passed(10)
    }
  }

  allInSync(topic: string): Promise<readonly Tablet[]> {
    return this.until(topic, tablets => tablets.every(({ isr }) => isr.length === 3))
  }

  /** Makes a topic whose tablets all prefer broker 0, then 1, then 2. Resolves when all are in sync. */
  async createTopic(topic: string, tablets: number, config: Record<string, string> = {}): Promise<void> {
    const brokers = this.kafka.split(',')
    const admin = new Kafka({ clientId: 'failover', brokers, logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    const replicaAssignment = Array.from({ length: tablets }, (_, partition) => ({
      partition,
      replicas: [0, 1, 2],
    }))
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ topics: [{ topic, replicaAssignment, configEntries }], timeout: 60_000 })
    await admin.disconnect()
    await this.allInSync(topic)
  }
}
