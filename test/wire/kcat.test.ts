import { crc32 } from 'node:zlib'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isOurs, useBroker } from './broker.ts'
import { samples } from './content.ts'
import { consume, follow, messagesSoFar, ofPartition, produce, type Message } from './kcat.ts'
import { run, succeed } from './processes.ts'
import { codecsStored } from './raw.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'

needs('kcat')
const broker = useBroker({ settings: { 'auto.create.topics.enable': 'true' } })

describe('kcat as a producer', () => {
  test.for(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'keys, values and headers come back in order, codec %s',
    async codec => {
      const topic = await createTopic(broker().kafka, `kcat-${codec}`, 3)
      const sent = samples(3000, 1)
      const input = sent.map(({ key, value }) => `${key}:${value}\n`).join('')
      const headers = ['-H', 'source=test', '-H', 'place=石']
      await produce(broker().kafka, topic, ['-K', ':', '-z', codec, ...headers], input)

      const received = await consume(broker().kafka, topic)
      expect(received).toHaveLength(sent.length)
      for (const partition of [0, 1, 2]) {
        // librdkafka's own choice for a key: CRC-32 modulo the number of partitions.
        const expected = sent.filter(({ key }) => crc32(key) % 3 === partition)
        const inPartition = ofPartition(received, partition)
        expect(inPartition.map(asText)).toEqual(expected.map(({ key, value }) => `${key}:${value}`))
        expect(inPartition.map(message => message.offset)).toEqual(expected.map((_, i) => i))
        // Not "only": librdkafka leaves a batch as it is when compressing would make it longer.
        expect(await codecsStored(broker().kafka, topic, partition)).toContain(codec)
      }
      expect(new Set(received.map(message => message.headers))).toEqual(new Set(['source=test,place=石']))
    },
  )

  test('an idempotent producer writes each line once', async () => {
    const topic = await createTopic(broker().kafka, 'kcat-idempotent', 1)
    const sent = samples(5000, 2).map(({ value }) => value)
    await produce(broker().kafka, topic, ['-X', 'enable.idempotence=true', '-z', 'lz4'], sent.join('\n'))
    expect((await consume(broker().kafka, topic)).map(message => message.value?.toString())).toEqual(sent)
  })

  test.for(['0', '1', 'all'])('acks=%s', async acks => {
    const topic = await createTopic(broker().kafka, `kcat-acks-${acks}`, 1)
    const sent = samples(500, 3).map(({ value }) => value)
    await produce(broker().kafka, topic, ['-X', `topic.request.required.acks=${acks}`], sent.join('\n'))
    // With acks=0 the producer is gone before the broker has taken everything: read until all is there.
    const received = await consume(broker().kafka, topic, ['-o', 'beginning', '-c', '500'])
    expect(received.map(message => message.value?.toString())).toEqual(sent)
  })

  test('makes a topic on first use', async () => {
    const topic = freshTopic('kcat-first-use')
    await produce(broker().kafka, topic, [], 'the first\n')
    expect((await consume(broker().kafka, topic)).map(asText)).toEqual(['null:the first'])
  })
})

describe('kcat with messages of any bytes', () => {
  let directory = ''
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stele-wire-kcat-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  test('files become messages, byte for byte', async () => {
    const everyByte = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7) & 0xff))
    const contents = [everyByte, Buffer.alloc(900_000, 0), Buffer.from('\r\n\n\0'), Buffer.from([0xff])]
    const files = contents.map((_, i) => join(directory, `message-${i}`))
    await Promise.all(files.map((file, i) => writeFile(file, contents[i] ?? '')))
    const topic = await createTopic(broker().kafka, 'kcat-binary', 1)
    await produce(broker().kafka, topic, ['-p', '0', ...files])
    const received = await consume(broker().kafka, topic)
    expect(received.map(message => message.value)).toEqual(contents)
  })

  test('a null value and an empty key stay what they are', async () => {
    const topic = await createTopic(broker().kafka, 'kcat-null', 1)
    await produce(broker().kafka, topic, ['-Z', '-K', ':', '-p', '0'], 'gone:\nkept:here\n')
    expect((await consume(broker().kafka, topic)).map(asText)).toEqual(['gone:null', 'kept:here'])
  })
})

describe('kcat as a consumer', () => {
  const base = 1_700_000_000_000
  let topic = ''
  beforeAll(async () => {
    topic = await createTopic(broker().kafka, 'kcat-offsets', 1)
    const producer = kafkajsClient(broker().kafka).producer()
    await producer.connect()
    // Ten requests, so ten batches: positions inside and between batches are both met.
    for (let i = 0; i < 100; i += 10) {
      const messages = Array.from({ length: 10 }, (_, j) => ({
        value: `value ${i + j}`,
        timestamp: String(base + 1000 * (i + j)),
      }))
      await producer.send({ topic, messages })
    }
    await producer.disconnect()
  })
  const offsetsFrom = async (...args: string[]): Promise<number[]> =>
    (await consume(broker().kafka, topic, ['-p', '0', ...args, '-e'])).map(message => message.offset)

  test('starts at the beginning', async () => {
    expect(await offsetsFrom('-o', 'beginning')).toEqual(range(0, 100))
  })
  test('starts at the end', async () => {
    expect(await offsetsFrom('-o', 'end')).toEqual([])
  })
  test('starts at an offset, inside a batch', async () => {
    expect(await offsetsFrom('-o', '47')).toEqual(range(47, 100))
  })
  test('starts so many before the end', async () => {
    expect(await offsetsFrom('-o', '-7')).toEqual(range(93, 100))
  })
  test('starts at a timestamp and stops before another', async () => {
    expect(await offsetsFrom('-o', `s@${base + 33_000}`)).toEqual(range(33, 100))
    expect(await offsetsFrom('-o', `s@${base + 32_001}`, '-o', `e@${base + 66_000}`)).toEqual(range(33, 66))
  })
  test('stops after a count', async () => {
    expect(await offsetsFrom('-o', 'beginning', '-c', '5')).toEqual(range(0, 5))
  })
  test('asks for the offset of a timestamp', async () => {
    const ask = async (timestamp: number): Promise<string> => {
      const { stdout } = await succeed('kcat', ['-Q', '-b', broker().kafka, '-t', `${topic}:0:${timestamp}`])
      return stdout.toString().trim()
    }
    expect(await ask(-2)).toBe(`${topic} [0] offset 0`)
    expect(await ask(-1)).toBe(`${topic} [0] offset 100`)
    expect(await ask(base + 54_321)).toBe(`${topic} [0] offset 55`)
  })

  test('follows what is still being written', async () => {
    const followed = await createTopic(broker().kafka, 'kcat-follow', 1)
    await produce(broker().kafka, followed, [], 'one\ntwo\n')
    const reader = follow(broker().kafka, followed, ['-o', 'beginning', '-c', '3'])
    await reader.printed(running => messagesSoFar(running).length === 2)
    await produce(broker().kafka, followed, [], 'three\n')
    await reader.ended
    expect(messagesSoFar(reader).map(asText)).toEqual(['null:one', 'null:two', 'null:three'])
  })
})

describe('kcat is told no', () => {
  test('a record too large', async () => {
    const topic = await createTopic(broker().kafka, 'kcat-large', 1, { 'max.message.bytes': '1000' })
    expect(await refused(topic, [], 'x'.repeat(5000))).toMatch(/too large/i)
    expect(await consume(broker().kafka, topic)).toEqual([])
  })

  test('a partition that is not there', async () => {
    const topic = await createTopic(broker().kafka, 'kcat-partition', 1)
    expect(await refused(topic, ['-p', '7'], 'x')).toMatch(/unknown partition/i)
  })

  test.skipIf(!isOurs)('a transaction, for good and not to be tried again', async () => {
    const topic = await createTopic(broker().kafka, 'kcat-transaction', 1)
    const said = await refused(topic, ['-X', 'transactional.id=payments', '-m', '60'], 'x')
    expect(said).toMatch(/transaction/i)
    expect(await consume(broker().kafka, topic)).toEqual([])
  })
})

test('kcat lists brokers, topics and partitions', async () => {
  const topic = await createTopic(broker().kafka, 'kcat-list', 4)
  const { stdout } = await succeed('kcat', ['-L', '-J', '-b', broker().kafka])
  const metadata = JSON.parse(stdout.toString()) as {
    brokers: { id: number; name: string }[]
    topics: { topic: string; partitions: { partition: number; leader: number; isrs: { id: number }[] }[] }[]
  }
  expect(metadata.brokers.map(({ name }) => name)).toContain(broker().kafka)
  const listed = metadata.topics.find(entry => entry.topic === topic)
  expect(listed?.partitions.map(({ partition }) => partition).sort()).toEqual([0, 1, 2, 3])
  const ids = metadata.brokers.map(({ id }) => id)
  for (const partition of listed?.partitions ?? []) {
    expect(ids).toContain(partition.leader)
    expect(partition.isrs.map(({ id }) => id)).toContain(partition.leader)
  }
})

const asText = ({ key, value }: Message): string => `${key?.toString() ?? null}:${value?.toString() ?? null}`
/** What kcat says when it has to give up; it gives up at once, and not after minutes of trying. */
const refused = async (topic: string, args: string[], input: string): Promise<string> => {
  const target = ['-P', '-b', broker().kafka, '-t', topic, ...args]
  const { code, signal, stderr } = await run('kcat', target, { input, limitMs: 20_000 })
  expect([code, signal]).toEqual([1, null])
  return stderr
}
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)
