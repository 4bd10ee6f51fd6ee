// Producers with default settings that send one record after the other, four at a time, and note when each is acknowledged. Kafkajs. Asked with a
// moment it answers the longest pause between two acknowledgements since then, or nothing as long as there was none after it.
import { Kafka, logLevel } from 'kafkajs'
import { Acknowledgements } from './acknowledgements.ts'

const [brokers = '', topic = ''] = process.argv.slice(2)
const client = new Kafka({ clientId: 'failover', brokers: brokers.split(','), logLevel: logLevel.NOTHING })
const producer = client.producer()
const acknowledged = new Acknowledgements()
let errors = 0
await producer.connect()
for (let sender = 0; sender < 4; sender++) void send()
process.on('message', (sinceMs: number) => {
  process.send?.({ pauseMs: acknowledged.pauseSince(sinceMs) ?? null, errors })
})
process.once('disconnect', () => process.exit(0))

async function send(): Promise<void> {
  for (;;) {
    try {
      await producer.send({ topic, messages: [{ value: 'x'.repeat(100) }] })
      acknowledged.note()
    } catch {
      errors++
    }
  }
}
