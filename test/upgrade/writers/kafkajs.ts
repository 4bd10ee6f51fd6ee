/** Writes numbers one after the other to three partitions in turn, idempotent with acks=all: `node kafkajs.ts HOST:PORT,… TOPIC`. */
import { Kafka, logLevel } from 'kafkajs'
import { write } from './write.ts'

const [kafka = '', topic = ''] = process.argv.slice(2)
const client = new Kafka({ clientId: 'kafkajs', brokers: kafka.split(','), logLevel: logLevel.NOTHING })
const producer = client.producer({ idempotent: true })
await producer.connect()
await write((partition, value) => producer.send({ topic, acks: -1, messages: [{ partition, value }] }))
await producer.disconnect()
