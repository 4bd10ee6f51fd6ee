import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { explainFailures, startBroker, type Broker } from './broker.ts'
import { firstDifference, samples } from './content.ts'
import { dumpSegments, expectSoundIndexes, filesOfPartition } from './dump-segments.ts'
import { consume, produce } from './kcat.ts'
import { launch } from './processes.ts'
import { RawConnection, highWatermark } from './raw.ts'
import { needs, needsOwnBroker } from './tools.ts'
import { createTopic } from './topics.ts'

needs('kcat', 'java', 'mvn')
needsOwnBroker()

const settings = { 'log.segment.bytes': '1048576', 'log.index.interval.bytes': '4096' }
let data = ''
let broker: Broker
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'stele-wire-segments-'))
  broker = await startBroker({ data, settings })
})
explainFailures(() => broker.log())
afterEach(async () => {
  await broker.stop()
  await rm(data, { recursive: true, force: true })
})

describe("Kafka's DumpLogSegments over what the broker wrote", () => {
  test('segments of every codec, from plain and idempotent producers', async () => {
    const sent = samples(30_000, 17).map(({ value }) => value)
    const topic = await createTopic(broker.kafka, 'dump', 1)
    const input = sent.join('\n')
    for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
      await produce(broker.kafka, topic, ['-z', codec], input)
      const idempotent = ['-X', 'enable.idempotence=true', '-X', 'batch.num.messages=300']
      await produce(broker.kafka, topic, ['-z', codec, ...idempotent], input)
    }
    await broker.stop()
    const files = await filesOfPartition(data, topic)
    expect(files.filter(file => file.endsWith('.log')).length).toBeGreaterThan(5)

    const dump = await dumpSegments(files)
    expect(dump.complaints).toEqual([])
    expect(dump.holes).toBe(0)
    const offsets = Array.from({ length: 10 * sent.length }, (_, i) => i)
    const values = Array.from({ length: 10 }, () => sent).flat()
    expect(firstDifference(dump.offsets, offsets)).toBeUndefined()
    expect(firstDifference(dump.values, values)).toBeUndefined()
    expect(dump.codecs).toEqual(new Set(['none', 'gzip', 'snappy', 'lz4', 'zstd']))
    expect(dump.producers.size).toBe(6)
    await expectSoundIndexes(files)
  })

  test('after kill -9 and recovery', async () => {
    const topic = await createTopic(broker.kafka, 'dump-crash', 1)
    const sent = samples(100_000, 19).map(({ value }) => value)
    const half = sent.length / 2
    // Many batches a segment, so that the indexes have something to say.
    const properties = ['-X', 'enable.idempotence=true', '-X', 'batch.num.messages=300']
    const kcat = launch('kcat', ['-P', '-E', '-b', broker.kafka, '-t', topic, ...properties])
    kcat.stdin.write(`${sent.slice(0, half).join('\n')}\n`)
    const connection = await RawConnection.open(broker.kafka)
    const ended = kcat.ended.then(() => 'ended')
    const stored = async (): Promise<'sends'> => {
      while ((await highWatermark(connection, topic, 0)) < 10_000);
      return 'sends'
    }
    expect(await Promise.race([ended, stored()])).toBe('sends')
    connection.close()
    await broker.kill('SIGKILL')
    const { kafka } = broker
    broker = await startBroker({ data, settings, kafka })
    kcat.stdin.end(sent.slice(half).join('\n'))
    expect((await kcat.ended).code).toBe(0)

    const received = await consume(broker.kafka, topic)
    const values = received.map(({ value }) => value?.toString())
    expect(firstDifference(values, sent)).toBeUndefined()
    await broker.stop()
    const files = await filesOfPartition(data, topic)
    const dump = await dumpSegments(files)
    expect(dump.complaints).toEqual([])
    expect(dump.holes).toBe(0)
    expect(firstDifference(dump.values, sent)).toBeUndefined()
    await expectSoundIndexes(files)
  })
})
