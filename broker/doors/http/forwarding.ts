/**
 * Requests for what another broker leads: they go there over HTTP as they came, and its answer comes back as it is, both as streams. Always holds: a
 * request is forwarded once, never on; what is under way is bounded by the connections of this door, and no more of it is held than sockets buffer.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { BrokerId } from '../../../base/quantities.ts'
import { Refusal } from '../../../base/refusals.ts'
import { answered, forwardedHeader, type Peers } from './peers.ts'
import type { Stopping } from './stopping.ts'

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

export type ForwardingOptions = { readonly peers: Peers; readonly stopping: Stopping }

export class Forwarding {
  readonly #options: ForwardingOptions

  constructor(options: ForwardingOptions) {
    this.#options = options
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
    const asked = this.#options.peers.request(to, method, url, { ...endToEnd(headers), ...framing(headers) })
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

  /** See `Peers.ask`. */
  ask(to: BrokerId, method: string, path: string, body?: Buffer): Promise<unknown> {
    return this.#options.peers.ask(to, method, path, { body })
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

const endToEnd = (headers: IncomingHttpHeaders): IncomingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)))

/** A body without a length comes in chunks, and goes on in chunks. */
const framing = (headers: IncomingHttpHeaders): IncomingHttpHeaders =>
  headers['transfer-encoding'] === undefined ? {} : { 'transfer-encoding': 'chunked' }
