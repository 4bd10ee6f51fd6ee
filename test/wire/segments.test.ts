import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { explainFailures, startBroker, type Broker } from './broker.ts'
import { firstDifference, samples } from './content.ts'
import { java } from './java.ts'
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
    const files = await filesOf(topic)
    expect(files.filter(file => file.endsWith('.log')).length).toBeGreaterThan(5)

    const dump = await dumpSegments(files)
    expect(dump.complaints).toEqual([])
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
    let ended = false
    void kcat.ended.then(() => (ended = true))
    while (!ended && (await highWatermark(connection, topic, 0)) < 10_000);
    expect(ended, 'kcat still sends').toBe(false)
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
    const files = await filesOf(topic)
    const dump = await dumpSegments(files)
    expect(dump.complaints).toEqual([])
    expect(firstDifference(dump.values, sent)).toBeUndefined()
    await expectSoundIndexes(files)
  })
})

/** The log and index files of partition 0, in the order of their offsets. */
async function filesOf(topic: string): Promise<string[]> {
  const all = await readdir(data, { recursive: true })
  return all
    .filter(path => path.split('/').at(-2)?.startsWith(`${topic}-0`))
    .filter(path => /\.(log|index|timeindex)$/.test(path))
    .sort()
    .map(path => join(data, path))
}

type Dump = {
  complaints: string[]
  offsets: number[]
  values: string[]
  codecs: Set<string>
  producers: Set<string>
}

const dumper = 'org.apache.kafka.tools.DumpLogSegments'

/** Everything Kafka's tool read, and every line of it that is neither a batch, a record nor an index entry. */
async function dumpSegments(files: readonly string[]): Promise<Dump> {
  const { stdout, stderr } = await java(dumper, [
    '--deep-iteration',
    '--print-data-log',
    '--files',
    files.join(','),
  ])
  const dump: Dump = { complaints: [], offsets: [], values: [], codecs: new Set(), producers: new Set() }
  const printed = (stdout.toString() + stderr).replaceAll(firstOfSegment, '')
  for (const line of printed.split('\n')) {
    const record = /^\| offset: (\d+) .* payload: (.*)$/.exec(line)
    const batch = /^baseOffset: .* producerId: (-?\d+) .* compresscodec: (\w+) .* isvalid: true$/.exec(line)
    if (record) {
      dump.offsets.push(Number(record[1]))
      dump.values.push(record[2] ?? '')
    } else if (batch) {
      dump.producers.add(batch[1] ?? '')
      dump.codecs.add((batch[2] ?? '').toLowerCase())
    } else if (!expectedLine.test(line)) {
      dump.complaints.push(line)
    }
  }
  return dump
}

// The tool expects each file to begin at offset 0, also of Kafka's own segments: a jump to the file's own base is none.
const firstOfSegment = /^Non-consecutive offsets in \S*\/0*(\d+)\.log\n {2}-1 is followed by \1\n/gm
const expectedLine =
  /^(|Dumping \S+|\S+index is empty\.|Log starting offset: \d+|offset: \d+ position: \d+|timestamp: -?\d+ offset: \d+)$/

/** The check that Kafka itself makes at start, and that each entry points at its batch. */
async function expectSoundIndexes(files: readonly string[]): Promise<void> {
  const indexes = files.filter(file => !file.endsWith('.log')).join(',')
  const checked = await java(dumper, ['--index-sanity-check', '--files', indexes])
  expect(checked.stdout.toString()).toMatch(/passed sanity check/)
  expect(checked.stdout.toString()).not.toMatch(/corrupt|mismatch|invalid/i)
  const verified = await java(dumper, ['--verify-index-only', '--files', indexes])
  expect(verified.stdout.toString()).not.toMatch(/mismatch|not found|out of order/i)
}
