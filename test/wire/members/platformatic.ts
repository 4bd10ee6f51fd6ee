/** A member of a group, as a process: `node platformatic.ts HOST:PORT,… GROUP TOPIC`. Prints `partition offset value`; SIGTERM makes it leave. */
import {
  Consumer,
  MessagesStreamFallbackModes,
  MessagesStreamModes,
  stringDeserializers,
} from '@platformatic/kafka'

const [kafka = '', groupId = '', topic = ''] = process.argv.slice(2)
const consumer = new Consumer({
  clientId: 'platformatic-member',
  bootstrapBrokers: kafka.split(','),
  groupId,
  deserializers: stringDeserializers,
  sessionTimeout: 6_000,
  heartbeatInterval: 500,
  rebalanceTimeout: 20_000,
})
const stream = await consumer.consume({
  topics: [topic],
  autocommit: true,
  mode: MessagesStreamModes.COMMITTED,
  fallbackMode: MessagesStreamFallbackModes.EARLIEST,
})
process.once('SIGTERM', () => {
  void stream
    .close()
    .then(() => consumer.close())
    .then(() => process.exit(0))
})
for await (const { partition, offset, value } of stream)
  process.stdout.write(`${partition} ${offset} ${value}\n`)
