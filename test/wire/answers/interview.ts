/**
 * Asks a broker and keeps what it answers. A broker's address enters; questions leave as requests of our own schemas, answers as plain values.
 * What always holds: what differs from run to run (ids, ports, times, texts) has been given a name, and lists stand in one order.
 */
import { TestClient } from '../../../broker/doors/kafka/client.fixture.ts'
import { describeConfigs } from '../../../protocol/kafka/apis/describe-configs.ts'
import { listOffsets } from '../../../protocol/kafka/apis/list-offsets.ts'
import { metadata } from '../../../protocol/kafka/apis/metadata.ts'
import { createTopics } from '../../../protocol/kafka/apis/create-topics.ts'
import type { Api, Read, Shape, Written } from '../../../protocol/kafka/schema.ts'
import type { Asked } from './compare.ts'
import { named, noId } from './names.ts'

/** So long an answer is waited for. */
const silenceMs = 4_000

export type Theme = (interview: Interview) => Promise<void>

export const versionsOf = ({ versions: { min, max } }: Api, from = min): number[] =>
  Array.from({ length: max - from + 1 }, (_, i) => from + i)

export class Interview {
  readonly #port: number
  #client: TestClient
  readonly answers: Asked[] = []
  /** How often each question was asked in each version. */
  readonly #asked = new Map<string, number>()

  private constructor(port: number, client: TestClient) {
    this.#port = port
    this.#client = client
  }

  static async hold(port: number, theme: Theme): Promise<readonly Asked[]> {
    const interview = new Interview(port, await TestClient.open(port))
    try {
      await theme(interview)
      return interview.answers
    } finally {
      interview.#client.close()
    }
  }

  /** Asks and writes the answer down. Undefined when there was none; there is a new connection then. */
  async ask<Request extends Shape, Response extends Shape>(
    what: string,
    api: Api<Request, Response>,
    version: number,
    body: Written<Request>,
  ): Promise<Read<Response> | undefined> {
    const answer = await this.within(this.#client.ask(api, version, body))
    this.note(`${api.name}: ${what}`, version, answer)
    if (typeof answer !== 'string') return answer
    this.#client.close()
    this.#client = await TestClient.open(this.#port)
    return undefined
  }

  /** What `answering` comes to, or in words why it comes to nothing: there are requests that Kafka never answers. */
  async within<Answer>(answering: Promise<Answer>): Promise<Answer | string> {
    let limit: NodeJS.Timeout | undefined
    const silence = new Promise<string>(resolve => {
      limit = setTimeout(() => resolve('there is no answer'), silenceMs)
    })
    const closed = (error: unknown): string => {
      if (error instanceof Error && error.message === 'the connection was closed')
        return 'the connection is closed'
      throw error
    }
    try {
      return await Promise.race([answering.catch(closed), silence])
    } finally {
      clearTimeout(limit)
    }
  }

  /** The same without writing down. */
  quietly<Request extends Shape, Response extends Shape>(
    api: Api<Request, Response>,
    version: number,
    body: Written<Request>,
  ): Promise<Read<Response>> {
    return this.#client.ask(api, version, body)
  }

  note(question: string, version: number, answer: unknown): void {
    const asked = `${version} ${question}`
    const times = (this.#asked.get(asked) ?? 0) + 1
    this.#asked.set(asked, times)
    const numbered = times === 1 ? question : `${question}, time ${times}`
    this.answers.push({ question: numbered, version, answer: named(answer, { port: this.#port, version }) })
  }

  /** A connection of its own, for what is not a request that our schemas know. */
  other(): Promise<TestClient> {
    return TestClient.open(this.#port)
  }

  /** Asks `holds` until it says yes, for half a minute at most: then the answers will show what did not happen. */
  async until(holds: () => Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < 300 && !(await holds()); tries++)
      await new Promise(resolve => setTimeout(resolve, 100))
  }

  /** Makes a topic, and waits until it serves. */
  async topic(
    name: string,
    numPartitions = 1,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value }))
    const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs }
    await this.quietly(createTopics, 5, { topics: [topic] })
    await this.served(name, numPartitions)
  }

  /** Waits until all partitions of a topic answer. */
  async served(name: string, partitions: number): Promise<void> {
    const asked = Array.from({ length: partitions }, (_, partitionIndex) => ({
      partitionIndex,
      timestamp: -1,
    }))
    await this.until(async () => {
      const { topics } = await this.quietly(listOffsets, 5, {
        replicaId: -1,
        topics: [{ name, partitions: asked }],
      })
      return (topics[0]?.partitions ?? []).every(({ errorCode }) => errorCode === 0)
    })
  }

  /** Waits until a topic is gone. */
  async gone(name: string): Promise<void> {
    await this.until(async () => {
      const { topics } = await this.quietly(metadata, 5, {
        topics: [{ name, topicId: noId }],
        allowAutoTopicCreation: false,
      })
      return topics[0]?.errorCode === 3
    })
  }

  async topicId(name: string): Promise<string> {
    const { topics } = await this.quietly(metadata, 12, {
      topics: [{ name, topicId: noId }],
      allowAutoTopicCreation: false,
    })
    return topics[0]?.topicId ?? ''
  }

  /** Waits until a setting of a topic (2) or a broker (4) has a value. */
  async set(resourceType: number, resourceName: string, name: string, value: string | null): Promise<void> {
    await this.until(async () => {
      const resource = { resourceType, resourceName, configurationKeys: [name] }
      const { results } = await this.quietly(describeConfigs, 4, { resources: [resource] })
      return (results[0]?.configs.find(config => config.name === name)?.value ?? null) === value
    })
  }
}
