import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Producer, stringSerializers } from '@platformatic/kafka'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { explainFailures, startBroker, useBroker, type Broker } from './broker.ts'
import { lines } from './content.ts'
import { consume, produce } from './kcat.ts'
import { launch, story, succeed } from './processes.ts'
import { RawConnection, highWatermark } from './raw.ts'
import { needs, needsOwnBroker } from './tools.ts'
import { createTopic } from './topics.ts'

const lineCount = 1_000_000
let file: Buffer
let expected: { lines: number; sha256: string }
beforeAll(() => {
  file = lines(lineCount, 13)
  expected = summary(file)
})

needs('kcat')

describe('a file of a million lines', () => {
  const broker = useBroker()

  test.for(['none', 'lz4'])('comes back byte for byte, codec %s', async codec => {
    const topic = await createTopic(broker().kafka, `million-${codec}`, 1)
    await produce(broker().kafka, topic, ['-z', codec], file)
    expect(await contentOf(broker(), topic)).toEqual(expected)
  })
})

describe('with kill -9 of the broker in the middle', () => {
  needsOwnBroker()
  let data = ''
  let broker: Broker | undefined
  beforeAll(async () => {
    data = await mkdtemp(join(tmpdir(), 'stele-wire-crash-'))
  })
  explainFailures(() => broker?.log() ?? 'no broker')
  afterEach(() => broker?.stop())
  afterAll(() => rm(data, { recursive: true, force: true }))

  test('every line that kcat sends is there once, in order', async () => {
    const first = await startBroker({ data })
    broker = first
    const topic = await createTopic(first.kafka, 'million-crash', 1)
    // -E: a broker that is gone for a while is no reason to give up.
    const stubborn = ['-E', '-X', 'enable.idempotence=true', '-X', 'reconnect.backoff.max.ms=200']
    const kcat = launch('kcat', ['-P', '-b', first.kafka, '-t', topic, '-p', '0', ...stubborn])
    // Half of the file only, so that the broker surely dies in the middle.
    const half = Math.floor(file.length / 2)
    kcat.stdin.write(file.subarray(0, half))
    const before = await acknowledgedAtLeast(first, topic, lineCount / 10)
    await first.kill('SIGKILL')
    expect(before).toBeLessThan(lineCount)

    broker = await startBroker({ data, kafka: first.kafka })
    kcat.stdin.end(file.subarray(half))
    const outcome = await kcat.ended
    expect(outcome.code === 0 ? 'everything was sent' : story(outcome)).toBe('everything was sent')
    expect(await contentOf(broker, topic)).toEqual(expected)
  })

  test('every record that was acknowledged is where the acknowledgement said', async () => {
    const first = await startBroker({ data })
    broker = first
    const topic = await createTopic(first.kafka, 'acknowledged-crash', 1)
    const producer = new Producer({
      clientId: 'wire-tests',
      bootstrapBrokers: [first.kafka],
      serializers: stringSerializers,
      retries: 0,
    })
    const acknowledged = new Map<number, string>()
    const sending = Array.from({ length: 16 }, async (_, sender) => {
      for (let i = 0; ; i++) {
        const values = [`${sender} ${i} first`, `${sender} ${i} second`]
        const { offsets } = await producer.send({
          acks: -1,
          messages: values.map(value => ({ topic, value, partition: 0 })),
        })
        const base = Number(offsets?.[0]?.offset)
        values.forEach((value, j) => acknowledged.set(base + j, value))
      }
    })
    const failed = Promise.allSettled(sending)
    await vi.waitUntil(() => acknowledged.size > 2000, { timeout: 60_000, interval: 5 })
    await first.kill('SIGKILL')
    await failed
    await producer.close(true)

    broker = await startBroker({ data, kafka: first.kafka })
    const read = await consume(broker.kafka, topic)
    const found = new Map(read.map(({ offset, value }) => [offset, value?.toString()]))
    const lost = [...acknowledged].filter(([offset, value]) => found.get(offset) !== value)
    expect(lost).toEqual([])
    expect(read.map(({ offset }) => offset)).toEqual(read.map((_, i) => i))
  })
})

/** What kcat reads from partition 0: too long to compare by showing it. */
async function contentOf(broker: Broker, topic: string): Promise<{ lines: number; sha256: string }> {
  const whole = ['-p', '0', '-o', 'beginning', '-e', '-q']
  const { stdout } = await succeed('kcat', ['-C', '-b', broker.kafka, '-t', topic, ...whole])
  return summary(stdout)
}

async function acknowledgedAtLeast(broker: Broker, topic: string, count: number): Promise<number> {
  const connection = await RawConnection.open(broker.kafka)
  try {
    for (;;) {
      const mark = await highWatermark(connection, topic, 0)
      if (mark >= count) return mark
    }
  } finally {
    connection.close()
  }
}

function summary(bytes: Buffer): { lines: number; sha256: string } {
  let count = 0
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) count++
  return { lines: count, sha256: createHash('sha256').update(bytes).digest('hex') }
}
