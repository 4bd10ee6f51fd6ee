import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { createTopics } from '../../../protocol/kafka/apis/create-topics.ts'
import { fetch } from '../../../protocol/kafka/apis/fetch.ts'
import { produce } from '../../../protocol/kafka/apis/produce.ts'
import { batchBytesOf } from '../../../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords } from '../../../protocol/kafka/records.ts'
import type { Read, RequestOf } from '../../../protocol/kafka/schema.ts'
import { startBroker } from '../../main.ts'
import { TestClient } from './client.fixture.ts'

/** A real broker on a directory of its own, for tests of the door. */
export class TestBroker {
  readonly port: number
  readonly httpPort: number
  /** The lines of its log. */
  readonly lines: { readonly level: number; readonly msg: string; readonly client?: string }[]
  readonly #stop: () => Promise<void>
  #stopped: Promise<void> | undefined
  readonly #clients: TestClient[] = []

  private constructor(port: number, httpPort: number, lines: TestBroker['lines'], stop: () => Promise<void>) {
    this.port = port
    this.httpPort = httpPort
    this.lines = lines
    this.#stop = stop
  }

  static async start(settings: Record<string, string> = {}, kafka = '127.0.0.1:0'): Promise<TestBroker> {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'stele-kafka-door-'))
    const lines: TestBroker['lines'] = []
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
    const broker = await startBroker({
      dataDirectory,
      kafka,
      http: '127.0.0.1:0',
      settings,
      log,
      version: 'test',
    })
    const [port, httpPort] = [broker.kafka[0], broker.http[0]].map(place => Number(place?.split(':').at(-1)))
    return new TestBroker(port ?? 0, httpPort ?? 0, lines, async () => {
      await broker.stop()
      rmSync(dataDirectory, { recursive: true })
    })
  }

  async client(): Promise<TestClient> {
    const client = await TestClient.open(this.port)
    this.#clients.push(client)
    return client
  }

  /** A metric of the door, without its prefix. */
  async metric(name: string): Promise<number> {
    const response = await globalThis.fetch(`http://127.0.0.1:${this.httpPort}/metrics`)
    const line = (await response.text()).split('\n').find(line => line.startsWith(`stele_kafka_${name} `))
    return Number(line?.split(' ')[1])
  }

  /** Stops the broker, with its clients connected. */
  shut(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close()
    await this.shut()
  }
}

export async function makeTopic(
  client: TestClient,
  name: string,
  numPartitions = 1,
  configs: readonly { name: string; value: string }[] = [],
): Promise<string> {
  const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs }
  const { topics } = await client.ask(createTopics, 7, { topics: [topic] })
  if (topics[0]?.errorCode !== 0) throw new Error(`topic ${name}: ${topics[0]?.errorMessage}`)
  return topics[0].topicId
}

export const batchOf = (...values: readonly string[]): Buffer =>
  buildBatch(
    values.map(value => ({
      key: null,
      value: Buffer.from(value),
      headers: [],
      timestamp: 1_700_000_000_000,
    })),
  )

/** The body of a Produce of one batch. */
export const produceBody = (
  topic: string,
  records: Buffer | null,
  acks = -1,
  index = 0,
): RequestOf<typeof produce> => ({
  transactionalId: null,
  acks,
  timeoutMs: 30_000,
  topicData: [{ name: topic, partitionData: [{ index, records }] }],
})

type Asked = RequestOf<typeof fetch>
type Wanted = Asked['topics'][number]['partitions'][number]

/** The body of a Fetch of partition 0. */
export const fetchBody = (
  topic: string,
  wanted: Partial<Wanted> = {},
  whole: Partial<Asked> = {},
): Asked => ({
  clusterId: null,
  replicaId: -1,
  maxWaitMs: 0,
  minBytes: 1,
  maxBytes: 1_000_000,
  isolationLevel: 0,
  sessionId: 0,
  sessionEpoch: -1,
  forgottenTopicsData: [],
  rackId: '',
  ...whole,
  topics: [
    {
      topic,
      partitions: [
        {
          partition: 0,
          currentLeaderEpoch: -1,
          fetchOffset: 0,
          lastFetchedEpoch: -1,
          logStartOffset: -1,
          partitionMaxBytes: 1_000_000,
          ...wanted,
        },
      ],
    },
  ],
})

/** The first partition of a Produce's or a Fetch's answer. */
export function firstOf(
  answer: Read<typeof produce.response>,
): Read<typeof produce.response>['responses'][number]['partitionResponses'][number]
export function firstOf(
  answer: Read<typeof fetch.response>,
): Read<typeof fetch.response>['responses'][number]['partitions'][number]
export function firstOf(answer: { responses: readonly object[] }): unknown {
  const topic: { partitionResponses?: unknown[]; partitions?: unknown[] } | undefined = answer.responses[0]
  const partition = (topic?.partitionResponses ?? topic?.partitions)?.[0]
  if (partition === undefined) throw new Error('no partition was answered')
  return partition
}

/** Every record's value in batches back to back, with its offset in front. */
export function valuesIn(records: Buffer | null): string[] {
  const values: string[] = []
  if (records === null) return values
  for (let at = 0; at < records.length; at += batchBytesOf(records, at)) {
    for (const { offset, value } of readRecords(records, at, 1_000_000))
      values.push(`${offset} ${value?.toString()}`)
  }
  return values
}

/** Waits for a condition that nobody announces. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setImmediate(resolve))
}
