/** A member of a group, as a process: `node kafkajs.ts HOST:PORT,… GROUP TOPIC`. Prints `partition offset value`; SIGTERM makes it leave. */
import { Kafka, logLevel } from 'kafkajs'

const [kafka = '', groupId = '', topic = ''] = process.argv.slice(2)
const client = new Kafka({ clientId: 'kafkajs-member', brokers: kafka.split(','), logLevel: logLevel.ERROR })
const consumer = client.consumer({ groupId, sessionTimeout: 6_000, heartbeatInterval: 500 })
process.once('SIGTERM', () => {
  void consumer.disconnect().then(() => process.exit(0))
})
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
await consumer.run({
  eachMessage: async ({ partition, message }) => {
    process.stdout.write(`${partition} ${message.offset} ${message.value?.toString()}\n`)
  },
})
