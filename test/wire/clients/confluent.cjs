// A client in its own process, for the machine's own Node: `node confluent.cjs COMMAND TOPIC CONFIGURATION`, where the last is
// JSON with librdkafka's names. Commands: member, produce, consume, admin, transactions. See clients.ts for what each prints.
const { KafkaJS } = require('@confluentinc/kafka-javascript')
const { ConsumerGroupStates } = KafkaJS
const { createInterface } = require('node:readline')

const [command, topic, configuration] = process.argv.slice(2)
const config = JSON.parse(configuration)
const logger = {
  ...console,
  info() {},
  debug() {},
  warn: console.error,
  namespace: () => logger,
  setLogLevel() {},
}
const kafka = new KafkaJS.Kafka({ kafkaJS: { logger } })
const text = bytes => (bytes === null || bytes === undefined ? null : bytes.toString())
const print = what => process.stdout.write(`${JSON.stringify(what)}\n`)
/** Ends when everything is printed: a socket takes it in its own time. */
const end = () => process.stdout.write('', () => process.exit(0))

async function subscribed(each) {
  const consumer = kafka.consumer(config)
  await consumer.connect()
  await consumer.subscribe({ topics: [topic] })
  await consumer.run({ eachMessage: async ({ partition, message }) => each(partition, message) })
  return consumer
}

const commands = {
  async member() {
    const consumer = await subscribed((partition, { offset, value }) => {
      process.stdout.write(`${partition} ${offset} ${text(value)}\n`)
    })
    process.once('SIGTERM', () => consumer.disconnect().then(end))
  },

  async produce() {
    const producer = kafka.producer(config)
    await producer.connect()
    const sent = []
    for await (const line of createInterface({ input: process.stdin })) {
      const [key, value] = line.split('\t')
      const headers = { source: 'test', place: '石' }
      sent.push(producer.send({ topic, messages: [{ key, value, headers }] }))
    }
    const delivered = await Promise.all(sent)
    await producer.disconnect()
    print({ delivered: delivered.length })
  },

  async consume() {
    let consumer
    let left = config.count
    delete config.count
    consumer = await subscribed((partition, { offset, key, value, timestamp, headers }) => {
      const named = Object.entries(headers ?? {}).map(([name, header]) => `${name}=${text(header)}`)
      print({
        partition,
        offset: Number(offset),
        timestampMs: Number(timestamp),
        key: text(key),
        value: text(value),
        headers: named.join(','),
      })
      if (--left === 0) setImmediate(() => consumer.disconnect().then(end))
    })
  },

  async admin() {
    const admin = kafka.admin(config)
    await admin.connect()
    const there = async () => (await admin.listTopics()).includes(topic)
    await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1 }] })
    print({ listed: await there() })
    const [described] = await admin.fetchTopicMetadata({ topics: [topic] })
    print({ partitions: described.partitions.length })
    const producer = kafka.producer(config)
    await producer.connect()
    await producer.send({ topic, messages: [0, 1, 2].map(n => ({ partition: 0, value: `value ${n}` })) })
    await producer.disconnect()
    const ends = async () => {
      const offsets = await admin.fetchTopicOffsets(topic)
      return offsets.sort((a, b) => a.partition - b.partition).map(({ low, high }) => `${low}-${high}`)
    }
    print({ offsets: await ends() })
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] })
    print({ offsets: await ends() })

    config['group.id'] = topic
    config['auto.offset.reset'] = 'earliest'
    let consumer
    await new Promise((resolve, reject) => {
      subscribed(resolve).then(one => (consumer = one), reject)
    })
    await consumer.disconnect()
    const states = async () =>
      (await admin.listGroups()).groups
        .filter(({ groupId }) => groupId === topic)
        .map(({ state }) =>
          Object.keys(ConsumerGroupStates).find(name => ConsumerGroupStates[name] === state),
        )
    print({ groups: await states() })
    const [committed] = await admin.fetchOffsets({ groupId: topic, topics: [topic] })
    print({
      committed: committed.partitions
        .filter(({ offset }) => offset >= 0)
        .map(({ partition, offset }) => [partition, Number(offset)]),
    })
    await admin.deleteGroups([topic])
    print({ groups: await states() })
    await admin.deleteTopics({ topics: [topic] })
    print({ listed: await there() })
    await admin.disconnect()
  },

  async transactions() {
    const producer = kafka.producer({ ...config, 'transactional.id': topic })
    await producer.connect()
    await producer.transaction()
    print({ begun: true })
    await producer.disconnect()
  },
}

commands[command]().catch(error => {
  process.stderr.write(`${error.stack}\n`)
  process.exit(1)
})
