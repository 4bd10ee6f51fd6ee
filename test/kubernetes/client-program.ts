/**
 * A producer or a consumer with kafkajs, as a program of its own: `produce|consume BOOTSTRAP TOPIC FIRST COUNT`. Records are numbered from FIRST on.
 * It prints a line of JSON when it is through, and ends with an error when it is not.
 */
import process from 'node:process'
import { Kafka, logLevel } from 'kafkajs'

const [what, bootstrap = '', topic = '', firstText, countText] = process.argv.slice(2)
const first = Number(firstText)
const count = Number(countText)
const kafka = new Kafka({ clientId: 'stele-test', brokers: bootstrap.split(','), logLevel: logLevel.ERROR })
const batch = 1_000

async function produce(): Promise<object> {
  const producer = kafka.producer({ idempotent: true })
  await producer.connect()
  for (let at = first; at < first + count; at += batch) {
    const numbers = Array.from({ length: Math.min(batch, first + count - at) }, (_, n) => String(at + n))
    await producer.send({ topic, acks: -1, messages: numbers.map(value => ({ key: value, value })) })
  }
  await producer.disconnect()
  return { produced: count }
}

/** Reads the topic from its start until each number was seen. */
async function consume(): Promise<object> {
  const consumer = kafka.consumer({ groupId: `stele-test-${process.pid}-${Date.now()}` })
  const seen = new Set<number>()
  let again = 0
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    consumer.on('consumer.crash', ({ payload }) => {
      if (!payload.restart) reject(payload.error)
    })
    consumer
      .run({
        eachMessage: async ({ message }) => {
          const number = Number(message.value?.toString())
          if (number < first || number >= first + count) return
          if (seen.has(number)) again += 1
          seen.add(number)
          if (seen.size === count) resolve()
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  return { consumed: seen.size, again }
}

process.stdout.write(`${JSON.stringify(await (what === 'produce' ? produce() : consume()))}\n`)
