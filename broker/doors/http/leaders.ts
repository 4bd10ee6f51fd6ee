/**
 * How queues read what other brokers lead: news of where tablets end, and record batches, both over HTTP. Always holds: what is read for all queues together is
 * within one budget, from the question until it was handed out.
 */
import type { FastifyInstance } from 'fastify'
import type { IncomingMessage } from 'node:http'
import { MIB, type BrokerId } from '../../../base/quantities.ts'
import type { Refusal } from '../../../base/refusals.ts'
import { batchesOf, endsOf } from '../../queues/followed.ts'
import type {
  BatchesAsked,
  BatchesTold,
  EndsAsked,
  EndsTold,
  Leaders,
  TabletEnds,
} from '../../queues/source.ts'
import { withBody } from './body.ts'
import { Budget } from './budget.ts'
import { invalid } from './errors.ts'
import { parametersOf, partitionOf, wholeNumber } from './parameters.ts'
import { forwardedHeader, bytesOf, type Peers } from './peers.ts'
import { bodyLimits } from './records-in.ts'
import type { Serving } from './serving.ts'

const newsPath = '/v1/news'
const batchesPath = '/v1/batches'
/** Where the tablet begins and ends, as JSON. */
const endsHeader = 'stele-ends'

/** What other brokers were asked for and queues have not handed out yet. */
const readBytesMax = 32 * MIB
/** One batch may be larger than what was asked for. */
const batchBytesMax = 128 * MIB
const stretchBytesMax = 8 * MIB
const newsBytesMax = 8 * MIB
const newsMsMax = 30_000
/** So long the network and the other broker's event loop may take. */
const answerMsMax = 3_000
const readMsMax = 10_000

/** Asks other brokers. */
export class HttpLeaders implements Leaders {
  readonly #peers: Peers
  readonly #memory = new Budget(() => readBytesMax)

  constructor(peers: Peers) {
    this.#peers = peers
  }

  async ends(leader: BrokerId, asked: EndsAsked, signal: AbortSignal): Promise<EndsTold> {
    const question = { body: Buffer.from(JSON.stringify(asked)), msMax: asked.waitMs + answerMsMax, signal }
    return (await this.#peers.ask(leader, 'POST', newsPath, question)) as EndsTold
  }

  async batches(leader: BrokerId, asked: BatchesAsked): Promise<BatchesTold> {
    const { topic, topicId, partition, from, bytesMax } = asked
    const named = `topic=${encodeURIComponent(topic)}&topic_id=${encodeURIComponent(topicId)}`
    const path = `${batchesPath}?${named}&partition=${partition}&offset=${from}&max_bytes=${bytesMax}`
    let giveBack = await this.#memory.take(bytesMax)
    const take = async (answer: IncomingMessage): Promise<BatchesTold> => {
      const ends = JSON.parse(String(answer.headers[endsHeader])) as TabletEnds | null
      const length = Number(answer.headers['content-length'])
      if (length > bytesMax) {
        // Nothing is held while it waits for more.
        giveBack()
        giveBack = await this.#memory.take(length)
      }
      const bytes = await bytesOf(answer, batchBytesMax)
      if (bytes.length !== length) throw new Error('its answer broke off')
      return { ends, batches: { pieces: length === 0 ? [] : [bytes], bytes: length, release: giveBack } }
    }
    try {
      return await this.#peers.answerTo(leader, 'GET', path, { msMax: readMsMax }, take)
    } catch (error) {
      giveBack()
      throw error
    }
  }
}

/** Where other brokers ask. Not for clients: nothing here is what they could use, and only brokers are answered. */
export function addFollowed(app: FastifyInstance, serving: Serving): void {
  const { router, stopping } = serving

  app.post(newsPath, { schema: { hide: true } }, async request => {
    refuseClients(request.headers)
    parametersOf(request.url, [])
    const asked = await withBody(
      request.raw,
      { ...bodyLimits(serving), bytesMax: newsBytesMax },
      async body => newsAsked(body),
    )
    const gone = new AbortController()
    const leave = (): void => gone.abort()
    const { socket } = request.raw
    const forget = stopping.whenBegun(leave)
    socket.on('close', leave)
    if (socket.destroyed) leave()
    try {
      return await endsOf({ router, clock: serving.world.clock }, asked, gone.signal)
    } finally {
      forget()
      socket.off('close', leave)
    }
  })

  app.get(batchesPath, { schema: { hide: true } }, async (request, reply) => {
    refuseClients(request.headers)
    const parameters = parametersOf(request.url, ['topic', 'topic_id', 'partition', 'offset', 'max_bytes'])
    const number = (name: string, max: number): number =>
      wholeNumber(name, parameters.get(name) ?? '', 0, max)
    const { ends, batches } = await batchesOf(router, {
      topic: parameters.get('topic') ?? '',
      partition: partitionOf(parameters.get('partition') ?? ''),
      topicId: parameters.get('topic_id') ?? '',
      from: number('offset', Number.MAX_SAFE_INTEGER),
      bytesMax: number('max_bytes', stretchBytesMax),
    })
    const body = Buffer.concat(batches.pieces)
    batches.release()
    return reply.header(endsHeader, JSON.stringify(ends)).type('application/octet-stream').send(body)
  })
}

/** @throws Refusal INVALID_REQUEST */
function refuseClients(headers: IncomingMessage['headers']): void {
  if (headers[forwardedHeader] !== undefined) return
  throw invalid(
    'Only brokers ask here',
    'Read records from /v1/topics/{topic}/partitions/{partition}/records.',
  )
}

/** @throws Refusal INVALID_REQUEST */
function newsAsked(body: Buffer): EndsAsked {
  const asked = jsonOf(body) as Partial<EndsAsked> | null
  const tablets = asked?.tablets
  const isSound =
    Array.isArray(tablets) && tablets.every(tablet => typeof tablet === 'object' && tablet !== null)
  const { waitMs } = asked ?? {}
  if (!isSound || typeof waitMs !== 'number') throw notNews()
  return { tablets, waitMs: Math.min(waitMs, newsMsMax) }
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    throw notNews()
  }
}

const notNews = (): Refusal => invalid('The body is not a question for news of tablets')
