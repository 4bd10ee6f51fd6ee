/** Topics for the tests: fresh names, and creation through kafkajs. */
import { Kafka, logLevel } from 'kafkajs'

let made = 0

/** A name no other test uses, also on a broker that lives longer than the tests. */
export const freshTopic = (what: string): string => `${what}-${process.pid}-${Date.now()}-${made++}`

/** A kafkajs client that keeps its complaints to itself: what goes wrong rejects. */
export const kafkajsClient = (kafka: string): Kafka =>
  new Kafka({ clientId: 'wire-tests', brokers: [kafka], logLevel: logLevel.NOTHING })

/** Creates a fresh topic and answers its name when it can be written. */
export async function createTopic(
  kafka: string,
  what: string,
  partitions: number,
  config: Record<string, string> = {},
): Promise<string> {
  const topic = freshTopic(what)
  const admin = kafkajsClient(kafka).admin()
  await admin.connect()
  try {
    await admin.createTopics({
      waitForLeaders: true,
      topics: [
        {
          topic,
          numPartitions: partitions,
          replicationFactor: 1,
          configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
        },
      ],
    })
  } finally {
    await admin.disconnect()
  }
  return topic
}
