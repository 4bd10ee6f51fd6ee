/**
 * Where partitions begin and end, whoever leads them: from the tablets here, and from the other brokers' answers. Always holds: what is told of
 * another broker's partition was true a moment ago; null when its leader did not say.
 */
import type { FastifyInstance } from 'fastify'
import { InvariantViolation } from '../../../base/assert.ts'
import type { BrokerId } from '../../../base/quantities.ts'
import { Refusal } from '../../../base/refusals.ts'
import type { Router } from '../../router/router.ts'
import type { Peers } from './peers.ts'
import { parametersOf, timestampMsOf } from './parameters.ts'
import { tabletAsked } from './records-out.ts'
import type { Serving } from './serving.ts'

const watermarksPath = '/v1/watermarks'
/** So long the figures of all brokers wait for one that is silent; who scrapes /metrics waits ten seconds at most. */
const lookMs = 2_000

export type Bounds = {
  readonly logStart: number
  readonly highWatermark: number
  /** The first offset at least as new as the timestamp that was asked for; null when there is none, or none was asked for. */
  readonly found: number | null
}

type EndsOptions = { readonly router: Router; readonly peers: Peers }
type Watermarks = Readonly<Record<string, readonly (number | null)[]>>

export class Ends {
  readonly #options: EndsOptions
  #theirs: readonly Watermarks[] = []
  #asking: Promise<void> | undefined

  constructor(options: EndsOptions) {
    this.#options = options
  }

  /** As of the last `look`; null when nobody has said. */
  highWatermark(topic: string, partition: number): number | null {
    const tablet = this.#options.router.find(topic, partition)
    // One that is offline here leads nowhere else: what is known of it is better than nothing.
    if (tablet !== undefined && tablet.role !== 'follower') return tablet.highWatermark
    for (const marks of this.#theirs) {
      const mark = Object.hasOwn(marks, topic) ? marks[topic]?.[partition] : undefined
      if (mark !== undefined && mark !== null) return mark
    }
    return null
  }

  /** Asks the other brokers, once for all who ask meanwhile; one that does not answer says nothing. */
  async look(): Promise<void> {
    if (this.#options.router.brokers().length < 2) return
    this.#asking ??= this.#askAll().finally(() => (this.#asking = undefined))
    await this.#asking
  }

  async #askAll(): Promise<void> {
    this.#theirs = (await this.askOthers(watermarksPath, lookMs)) as Watermarks[]
  }

  /** What each of the other brokers answers, of those that do. */
  async askOthers(path: string, waitMs?: number): Promise<unknown[]> {
    const { router, peers } = this.#options
    const others = router.brokers().filter(({ brokerId }) => brokerId !== router.self)
    const answers = await Promise.all(
      others.map(({ brokerId }) =>
        peers.ask(brokerId, 'GET', path, waitMs === undefined ? {} : { msMax: waitMs }).catch(unlessRefusal),
      ),
    )
    return answers.filter(answer => answer !== undefined)
  }

  /**
   * Of one partition; `timestamp` as a parameter of the API has it.
   * @throws Refusal
   */
  async bounds(topic: string, partition: number, timestamp: string | undefined): Promise<Bounds> {
    const { router, peers } = this.#options
    const leader = router.leaderOf(topic, partition)?.id
    if (leader === undefined || leader === router.self) return boundsHere(router, topic, partition, timestamp)
    const query = timestamp === undefined ? '' : `?timestamp=${encodeURIComponent(timestamp)}`
    const path = `/v1/topics/${encodeURIComponent(topic)}/partitions/${partition}/ends${query}`
    return (await peers.ask(leader, 'GET', path)) as Bounds
  }

  /** `rows` of a topic's partitions with those that others lead as their leaders tell them. */
  async completed<Row extends { readonly partition: number; readonly leader: BrokerId | null }>(
    topic: string,
    rows: readonly Row[],
  ): Promise<Row[]> {
    const { router, peers } = this.#options
    const leaders = new Set(
      rows.flatMap(({ leader }) => (leader === null || leader === router.self ? [] : [leader])),
    )
    const theirs = new Map<string, Row>()
    const asked = [...leaders].map(async leader => {
      const path = `/v1/topics/${encodeURIComponent(topic)}`
      const told = (await peers.ask(leader, 'GET', path).catch(unlessRefusal)) as
        | { readonly partitions: readonly Row[] }
        | undefined
      for (const row of told?.partitions ?? []) theirs.set(`${leader} ${row.partition}`, row)
    })
    await Promise.all(asked)
    return rows.map(row => theirs.get(`${row.leader} ${row.partition}`) ?? row)
  }
}

function unlessRefusal(error: unknown): undefined {
  if (error instanceof InvariantViolation || !(error instanceof Refusal)) throw error
}

async function boundsHere(
  router: Router,
  topic: string,
  partition: number,
  timestamp: string | undefined,
): Promise<Bounds> {
  const tablet = router.leading(topic, partition)
  const found =
    timestamp === undefined ? undefined : await tablet.offsetForTimestamp(timestampMsOf(timestamp))
  const { logStart, highWatermark } = tablet
  return { logStart, highWatermark, found: found?.offset ?? null }
}

/** What brokers ask each other. */
export function addEnds(app: FastifyInstance, { router }: Serving): void {
  app.get(watermarksPath, { schema: { hide: true } }, async request => {
    parametersOf(request.url, [])
    const marks: Record<string, (number | null)[]> = {}
    for (const { topic, partition, serves, highWatermark } of router.tablets()) {
      if (!serves) continue
      const ofTopic = (marks[topic] ??= [])
      while (ofTopic.length <= partition) ofTopic.push(null)
      ofTopic[partition] = highWatermark
    }
    return marks
  })

  app.get('/v1/topics/:topic/partitions/:partition/ends', { schema: { hide: true } }, async request => {
    const timestamp = parametersOf(request.url, ['timestamp']).get('timestamp')
    const { topic, partition } = tabletAsked(request)
    return boundsHere(router, topic, partition, timestamp)
  })
}
