/**
 * What brokers ask each other over HTTP. In come questions, out go the other broker's answers, or a Refusal. Always holds: an answer is there in bounded
 * time and of bounded size, and connections are kept for the next question.
 */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import { KIB, MIB, type BrokerId } from '../../../base/quantities.ts'
import { Refusal, refusals, type RefusalCode } from '../../../base/refusals.ts'
import type { Clock } from '../../../base/world.ts'
import type { Router } from '../../router/router.ts'

// See connections.ts.
const { Agent, request } = createRequire(import.meta.url)('node:http') as typeof import('node:http')

/** Says which broker has sent a request on. */
export const forwardedHeader = 'stele-forwarded-by'

const idleConnectionMs = 30_000
/** Brokers answer short questions of each other by then. */
const answerMsMax = 40_000
const answerBytesMax = 8 * MIB
/** One that is asked and falls silent is noticed so soon after the router knows it. */
const lookMs = 500

export type PeersOptions = {
  readonly router: Pick<Router, 'self' | 'broker' | 'isAlive'>
  readonly clock: Clock
}

type Question = {
  readonly body?: Buffer | undefined
  readonly msMax?: number
  readonly signal?: AbortSignal
}

export class Peers {
  readonly #options: PeersOptions
  readonly #agent = new Agent({ keepAlive: true, timeout: idleConnectionMs, maxFreeSockets: 64 })

  constructor(options: PeersOptions) {
    this.#options = options
  }

  close(): void {
    this.#agent.destroy()
  }

  /**
   * A short question of this broker's own.
   * @throws Refusal: what the other broker says, LEADER_NOT_AVAILABLE, REQUEST_TIMED_OUT
   */
  ask(to: BrokerId, method: string, path: string, question: Question = {}): Promise<unknown> {
    return this.answerTo(to, method, path, question, async answer =>
      JSON.parse((await bytesOf(answer, answerBytesMax)).toString()),
    )
  }

  /**
   * Hands a good answer to `take`, which reads it.
   * @throws Refusal as `ask`
   */
  async answerTo<Result>(
    to: BrokerId,
    method: string,
    path: string,
    { body, msMax = answerMsMax, signal }: Question,
    take: (answer: IncomingMessage) => Promise<Result>,
  ): Promise<Result> {
    const length = body === undefined ? {} : { 'content-length': String(body.length) }
    const asked = this.request(to, method, path, length)
    const late = this.#options.clock.after(msMax, () => asked.destroy(new Error('it took too long')))
    const leave = (): void => void asked.destroy(new Error('the question was taken back'))
    signal?.addEventListener('abort', leave)
    try {
      asked.end(body)
      const answer = await answered(asked, to, method)
      if (answer.statusCode === 200) return await take(answer)
      const json: unknown = JSON.parse((await bytesOf(answer, answerBytesMax)).toString())
      throw (
        refusalIn(json) ?? new Refusal('LEADER_NOT_AVAILABLE', `Broker ${to} answered ${answer.statusCode}`)
      )
    } catch (error) {
      if (error instanceof Refusal) throw error
      throw unanswered(error, asked, to, method)
    } finally {
      late.cancel()
      signal?.removeEventListener('abort', leave)
    }
  }

  /**
   * Ends with an error when the broker is gone or falls silent meanwhile.
   * @throws Refusal LEADER_NOT_AVAILABLE when it is not known where the broker is
   */
  request(to: BrokerId, method: string, path: string, headers: IncomingHttpHeaders): ClientRequest {
    const { router, clock } = this.#options
    const at = router.broker(to)?.addresses.http
    if (at === undefined)
      throw new Refusal('LEADER_NOT_AVAILABLE', `Broker ${to} leads, and has no HTTP address that is known`)
    const { host, port } = at
    const marked = { ...headers, [forwardedHeader]: String(router.self) }
    const asked = request({ agent: this.#agent, host, port, method, path, headers: marked })
    const look = (): void => {
      if (router.isAlive(to)) timer = clock.after(lookMs, look)
      else asked.destroy(new Error('it is gone, or silent'))
    }
    let timer = clock.after(lookMs, look)
    asked.once('close', () => timer.cancel())
    return asked
  }
}

export function answered(asked: ClientRequest, to: BrokerId, method: string): Promise<IncomingMessage> {
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

/** Throws an Error when it is longer. */
export async function bytesOf(answer: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer) {
    pieces.push(piece as Buffer)
    bytes += (piece as Buffer).length
    if (bytes > bytesMax) throw new Error(`it is longer than ${bytesMax / KIB} KiB`)
  }
  return Buffer.concat(pieces)
}

function refusalIn(json: unknown): Refusal | undefined {
  const { error } = (json ?? {}) as { error?: { code?: string; message?: string } }
  return error?.code !== undefined && error.code in refusals
    ? new Refusal(error.code as RefusalCode, error.message ?? '')
    : undefined
}
