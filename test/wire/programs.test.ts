/** Clients with a program of their own, each in its own process: what they write is read with kcat, and the other way round. */
import { describe, expect, test } from 'vitest'
import { useBroker } from './broker.ts'
import { needsInstalled } from './clients/install.ts'
import { launchProgram, programNames, type Configuration, type Program } from './clients/programs.ts'
import { samples } from './content.ts'
import { consume, produce, type Message } from './kcat.ts'
import { story, type Outcome } from './processes.ts'
import { codecsStored } from './raw.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic } from './topics.ts'

needs('kcat')
needsInstalled('confluent', 'python')
const broker = useBroker()

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const headers = 'source=test,place=石'

async function ended(...launched: Parameters<typeof launchProgram>): Promise<Outcome> {
  const running = await launchProgram(...launched)
  return running.ended
}

/** What a program printed, a JSON object a line, after it ended well. */
async function printed(
  program: Program,
  command: 'produce' | 'consume' | 'admin',
  topic: string,
  configuration: Configuration = {},
  input = '',
): Promise<Record<string, unknown>[]> {
  const outcome = await ended(program, broker().kafka, command, topic, configuration, {
    input,
    limitMs: 60_000,
  })
  if (outcome.code !== 0) throw new Error(story(outcome))
  return outcome.stdout
    .toString()
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as Record<string, unknown>)
}

/** The values of each key, in the order in which they are stored; a key is in one partition alone. */
function valuesByKey(messages: readonly Message[]): Map<string, string[]> {
  const partitionOf = new Map<string, number>()
  const values = new Map<string, string[]>()
  for (const { key, value, partition } of messages) {
    const name = String(key)
    expect(partitionOf.get(name) ?? partition).toBe(partition)
    partitionOf.set(name, partition)
    values.set(name, [...(values.get(name) ?? []), String(value)])
  }
  return values
}

describe.for(programNames)('%s', program => {
  test.for(codecs)('as a producer: keys, values and headers come back in order, codec %s', async codec => {
    const topic = await createTopic(broker().kafka, 'program-produce', 3)
    const sent = samples(3000, 3)
    const input = sent.map(({ key, value }) => `${key}\t${value}\n`).join('')
    const configuration: Configuration = codec === 'none' ? {} : { 'compression.type': codec }
    const [told] = await printed(program, 'produce', topic, { ...configuration, 'linger.ms': 50 }, input)
    expect(told).toEqual({ delivered: sent.length })

    const received = await consume(broker().kafka, topic)
    expect(received).toHaveLength(sent.length)
    const expected = Map.groupBy(sent, ({ key }) => key)
    const found = valuesByKey(received)
    expect(found.size).toBe(expected.size)
    for (const [key, ofKey] of expected) expect(found.get(key)).toEqual(ofKey.map(({ value }) => value))
    expect(new Set(received.map(message => message.headers))).toEqual(new Set([headers]))
    const stored = await Promise.all(
      [0, 1, 2].map(partition => codecsStored(broker().kafka, topic, partition)),
    )
    expect(new Set(stored.flatMap(names => [...names]))).toContain(codec)
  })

  test('as an idempotent producer: each record once and in order', async () => {
    const topic = await createTopic(broker().kafka, 'program-idempotent', 1)
    const sent = samples(3000, 4)
    const input = sent.map(({ key, value }) => `${key}\t${value}\n`).join('')
    await printed(program, 'produce', topic, { 'enable.idempotence': true }, input)
    expect((await consume(broker().kafka, topic)).map(({ value }) => String(value))).toEqual(
      sent.map(({ value }) => value),
    )
  })

  test.for(codecs)('as a consumer, codec %s', async codec => {
    const topic = await createTopic(broker().kafka, 'program-consume', 1)
    const sent = samples(3000, 5)
    const input = sent.map(({ key, value }) => `${key}:${value}\n`).join('')
    const withHeaders = ['-H', 'source=test', '-H', 'place=石']
    await produce(broker().kafka, topic, ['-K', ':', '-z', codec, ...withHeaders], input)
    const from = { 'group.id': freshTopic('group'), 'auto.offset.reset': 'earliest', count: sent.length }
    const received = await printed(program, 'consume', topic, from)
    const stored = await consume(broker().kafka, topic)
    expect(received).toEqual(
      stored.map(({ key, value, ...message }) => ({ ...message, key: String(key), value: String(value) })),
    )
  })

  test('as an administrator', async () => {
    const topic = freshTopic('program-admin')
    expect(await printed(program, 'admin', topic)).toEqual(administered(program))
  })
})

/** What each tells of the topic it makes, fills, shortens and deletes, and of the group it makes and deletes. */
function administered(program: Program): unknown[] {
  const inJavascript = program === '@confluentinc/kafka-javascript'
  return [
    { listed: true },
    inJavascript ? { partitions: 2 } : { config: ['3600000', '2097152'] },
    { offsets: ['0-3', '0-0'] },
    { offsets: ['2-3', '0-0'] },
    { groups: [program === 'kafka-python' ? 'Empty' : 'EMPTY'] },
    { committed: [[0, 3]] },
    { groups: [] },
    ...(inJavascript ? [] : [{ partitions: 4 }]),
    { listed: false },
  ]
}
