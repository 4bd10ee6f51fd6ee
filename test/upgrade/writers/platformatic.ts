/** Writes numbers one after the other to three partitions in turn, idempotent with acks=all: `node platformatic.ts HOST:PORT,… TOPIC`. */
import { Producer, stringSerializers } from '@platformatic/kafka'
import { write } from './write.ts'

const [kafka = '', topic = ''] = process.argv.slice(2)
const producer = new Producer({
  clientId: 'platformatic',
  bootstrapBrokers: kafka.split(','),
  serializers: stringSerializers,
  idempotent: true,
  // By default it waits for a second before it asks again, and gives up after three times.
  retries: 100,
  retryDelay: 100,
})
await write((partition, value) => producer.send({ acks: -1, messages: [{ topic, partition, value }] }))
await producer.close()
