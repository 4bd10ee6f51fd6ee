/**
 * Requests for what another broker leads: they go there over HTTP as they came, and its answer comes back as it is, both as streams. Always holds: a
 * request is forwarded once, never on; what is under way is bounded by the connections of this door, and no more of it is held than sockets buffer.
 */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { BrokerId } from '../../../base/quantities.ts'
import { Refusal, refusals, type RefusalCode } from '../../../base/refusals.ts'
import { KIB, MIB } from '../../../base/quantities.ts'
import type { Clock } from '../../../base/world.ts'
import type { Router } from '../../router/router.ts'
import type { Stopping } from './stopping.ts'

// See connections.ts.
const { Agent, request } = createRequire(import.meta.url)('node:http') as typeof import('node:http')

/** Says which broker has sent a request on. */
export const forwardedHeader = 'stele-forwarded-by'

const idleConnectionMs = 30_000
/** Brokers answer questions of each other by then. */
const answerMsMax = 40_000
const answerBytesMax = 8 * MIB

/** Of one connection, not of the message. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

export type ForwardingOptions = {
  readonly router: Router
  readonly clock: Clock
  readonly stopping: Stopping
}

export class Forwarding {
  readonly #options: ForwardingOptions
  readonly #agent = new Agent({ keepAlive: true, timeout: idleConnectionMs, maxFreeSockets: 64 })

  constructor(options: ForwardingOptions) {
    this.#options = options
  }

  close(): void {
    this.#agent.destroy()
  }

  /**
   * Sends the request on to broker `to`, and its answer back.
   * @throws Refusal LEADER_NOT_AVAILABLE when it cannot be reached, REQUEST_TIMED_OUT when it may have taken the request and did not answer
   */
  async forward({ raw }: FastifyRequest, reply: FastifyReply, to: BrokerId): Promise<FastifyReply> {
    const { headers, method = 'GET', url = '/' } = raw
    if (headers[forwardedHeader] !== undefined)
      throw new Refusal(
        'LEADER_NOT_AVAILABLE',
        'Who leads has just changed, and not every broker has heard of it',
      )
    const asked = this.#ask(to, method, url, { ...endToEnd(headers), ...framing(headers) })
    raw.pipe(asked)
    // Who goes away, or has his answer, is not waited for at the other broker; what he still sends is thrown away.
    reply.raw.on('close', () => {
      raw.unpipe(asked)
      raw.resume()
      asked.destroy()
    })
    const answer = await answered(asked, to, method)
    reply.hijack()
    this.#sendBack(answer, reply)
    return reply
  }

  /**
   * A short question of this broker's own.
   * @throws Refusal: what the other broker says, LEADER_NOT_AVAILABLE, REQUEST_TIMED_OUT
   */
  async ask(
    to: BrokerId,
    method: string,
    path: string,
    body?: Buffer,
    waitMs = answerMsMax,
  ): Promise<unknown> {
    const length = body === undefined ? {} : { 'content-length': String(body.length) }
    const asked = this.#ask(to, method, path, length)
    const late = this.#options.clock.after(waitMs, () => asked.destroy(new Error('it took too long')))
    try {
      asked.end(body)
      const answer = await answered(asked, to, method)
      const json: unknown = JSON.parse(await textOf(answer))
      if (answer.statusCode === 200) return json
      throw (
        refusalIn(json) ?? new Refusal('LEADER_NOT_AVAILABLE', `Broker ${to} answered ${answer.statusCode}`)
      )
    } catch (error) {
      if (error instanceof Refusal) throw error
      throw unanswered(error, asked, to, method)
    } finally {
      late.cancel()
    }
  }

  #ask(to: BrokerId, method: string, path: string, headers: IncomingHttpHeaders): ClientRequest {
    const { router } = this.#options
    const at = router.broker(to)?.addresses.http
    if (at === undefined)
      throw new Refusal('LEADER_NOT_AVAILABLE', `Broker ${to} leads, and has no HTTP address that is known`)
    const { host, port } = at
    const marked = { ...headers, [forwardedHeader]: String(router.self) }
    return request({ agent: this.#agent, host, port, method, path, headers: marked })
  }

  #sendBack(answer: IncomingMessage, { raw: response }: FastifyReply): void {
    const endless = answer.headers['content-type']?.startsWith('text/event-stream') === true
    const forget = endless
      ? this.#options.stopping.whenBegun(() => {
          answer.destroy()
          response.end()
        })
      : undefined
    response.on('close', () => {
      forget?.()
      answer.destroy()
    })
    response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers))
    response.flushHeaders()
    // Half an answer must not look like a whole one.
    answer.on('error', () => response.destroy())
    answer.on('aborted', () => response.destroy())
    answer.pipe(response)
  }
}

function answered(asked: ClientRequest, to: BrokerId, method: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    asked.once('response', resolve)
    asked.on('error', error => reject(unanswered(error, asked, to, method)))
  })
}

/**
 * Who was never reached has done nothing; of anyone else that is certain only for who was asked to read. A connection that was there may
 * end with the same codes as one that never came to be, but not in the same call.
 */
function unanswered(error: unknown, asked: ClientRequest, to: BrokerId, method: string): Refusal {
  const { syscall = '', message } = error as NodeJS.ErrnoException
  const nothingDone =
    method === 'GET' || ['connect', 'getaddrinfo'].includes(syscall) || asked.socket?.connecting === true
  return nothingDone
    ? new Refusal('LEADER_NOT_AVAILABLE', `Broker ${to}, which leads, does not answer: ${message}`)
    : new Refusal('REQUEST_TIMED_OUT', `Broker ${to}, which leads, has not answered: ${message}`)
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer) {
    pieces.push(piece as Buffer)
    bytes += (piece as Buffer).length
    if (bytes > answerBytesMax) throw new Error(`it is longer than ${answerBytesMax / KIB} KiB`)
  }
  return Buffer.concat(pieces).toString()
}

function refusalIn(json: unknown): Refusal | undefined {
  const { error } = (json ?? {}) as { error?: { code?: string; message?: string } }
  return error?.code !== undefined && error.code in refusals
    ? new Refusal(error.code as RefusalCode, error.message ?? '')
    : undefined
}

const endToEnd = (headers: IncomingHttpHeaders): IncomingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)))

/** A body without a length comes in chunks, and goes on in chunks. */
const framing = (headers: IncomingHttpHeaders): IncomingHttpHeaders =>
  headers['transfer-encoding'] === undefined ? {} : { 'transfer-encoding': 'chunked' }
