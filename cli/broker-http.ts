import { once } from 'node:events'
import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import https from 'node:https'
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'
import { Failure, usageFailure } from './failure.ts'

// As an ES module, node:http reads all its exports, one of which loads Node’s client for fetch: 45 ms before anything happens.
const http = createRequire(import.meta.url)('node:http') as typeof import('node:http')

type Query = Record<string, string | number | undefined>
export type Call = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Already encoded, beginning with a slash. */
  readonly path: string
  readonly query?: Query
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
}

/** Brokers answer within 40 s, also what they have to ask of others. */
const answerMsMax = 45_000

/** The broker is away or says that it is not ready: asking again later may help. */
export class Unavailable extends Failure {
  override name = 'Unavailable'
}

class Silent extends Error {
  readonly code = 'ETIMEDOUT'
}

/** How an error looks in the HTTP API. */
export type ErrorBody = { readonly code: string; readonly message: string; readonly todo?: string }

/** One broker, talked to over HTTP. Connections are kept; every error is a `Failure` that says what to do. */
export class BrokerHttp {
  readonly #url: URL
  readonly #agent: Agent
  readonly #answerMs: number

  /** `answerMs`: how long a broker may say nothing. */
  constructor(url: URL, answerMs = answerMsMax) {
    this.#url = url
    this.#answerMs = answerMs
    const options = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY }
    this.#agent = url.protocol === 'https:' ? new https.Agent(options) : new http.Agent(options)
  }

  /** Sends `body` as JSON and answers the JSON that comes back, undefined when nothing does. */
  async json<Answer>(call: Call, body?: unknown): Promise<Answer> {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const request = this.begin({ ...call, headers: { accept: 'application/json', ...headers } })
    request.setTimeout(this.#answerMs, () => request.destroy(new Silent()))
    request.end(body === undefined ? undefined : JSON.stringify(body))
    const content = await this.reading(text(await this.answer(request)))
    return (content === '' ? undefined : parseJson(content, this.#url)) as Answer
  }

  /** Begins a request whose body the caller writes and ends; give it to `answer`. */
  begin(call: Call): ClientRequest {
    const url = new URL(this.#url)
    const prefix = url.pathname.replace(/\/$/, '')
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const { method, headers, signal } = call
    // A URL would take a name of one or two dots for a step within its path.
    const path = prefix + call.path + url.search
    const options = {
      method,
      path,
      agent: this.#agent,
      ...(headers && { headers }),
      ...(signal && { signal }),
    }
    return url.protocol === 'https:' ? https.request(url, options) : http.request(url, options)
  }

  /** The answer to `request`, its body still unread. Throws `Failure` when there is none or it is not a success. */
  async answer(request: ClientRequest): Promise<IncomingMessage> {
    const [response] = (await this.reading(once(request, 'response'))) as [IncomingMessage]
    const status = response.statusCode ?? 0
    if (status < 300) return response
    throw refusalIn(await this.reading(text(response)), status, this.#url)
  }

  /** Translates what goes wrong underneath `work` (no connection, a broken one) into a `Failure`. */
  async reading<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work
    } catch (error) {
      throw unreachableFailure(error, this.#url)
    }
  }

  /** Lets go of the kept connections. */
  close(): void {
    this.#agent.destroy()
  }
}

function unreachableFailure(error: unknown, url: URL): unknown {
  if (!(error instanceof Error) || error.name === 'AbortError' || !('code' in error)) return error
  const where = url.href.replace(/\/$/, '')
  switch (error.code) {
    case 'ECONNREFUSED':
      return new Unavailable(
        `no broker answers at ${where}: start one with \`stele start\` or say --server URL`,
      )
    case 'ECONNRESET':
    case 'EPIPE':
      return new Unavailable(`the broker at ${where} broke the connection`, 'Look whether it still runs.')
    case 'ETIMEDOUT':
      return new Unavailable(
        `the broker at ${where} does not answer`,
        'It may be paused or cut off: ask another one with --server URL.',
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Failure(`there is no host ${url.hostname}`, 'Check --server or STELE_SERVER.')
    default:
      if (String(error.code).startsWith('HPE_')) return notStele(url)
      return new Failure(`no connection to ${where}: ${error.message}`)
  }
}

function refusalIn(content: string, status: number, url: URL): Failure {
  const { code, message, todo } = errorIn(content) ?? {}
  if (code === undefined || message === undefined) return notStele(url, status)
  const Kind = status === 503 ? Unavailable : Failure
  return new Kind(`${message} (${code})`, todo)
}

function errorIn(content: string): Partial<ErrorBody> | undefined {
  try {
    return (JSON.parse(content) as { error?: Partial<ErrorBody> }).error
  } catch {
    return undefined
  }
}

const notStele = (url: URL, status?: number): Failure =>
  new Failure(
    `what answers at ${url.href} is not the HTTP door of a Stele broker${status === undefined ? '' : ` (status ${status})`}`,
    'Check --server or STELE_SERVER.',
  )

function parseJson(content: string, url: URL): unknown {
  try {
    return JSON.parse(content)
  } catch {
    throw notStele(url)
  }
}

/** The path of a topic, its name encoded. */
export const topicPath = (topic: string): string => pathOf('topics', topic)

/** The path of a group, its name encoded. */
export const groupPath = (group: string): string => pathOf('groups', group)

function pathOf(kind: 'topics' | 'groups', name: string): string {
  if (name === '') throw usageFailure(`the name of a ${kind.slice(0, -1)} is not empty`)
  return `/v1/${kind}/${encodeURIComponent(name)}`
}

export type TopicRow = {
  readonly name: string
  readonly topic_id: string
  readonly partitions: number
  readonly replication_factor: number
  readonly internal: boolean
}
export type TopicDescription = {
  readonly name: string
  readonly topic_id: string
  readonly partitions: readonly {
    readonly partition: number
    readonly leader: number | null
    readonly leader_epoch: number
    readonly replicas: readonly number[]
    readonly isr: readonly number[]
    /** Null, as the next two: its leader does not say, or there is none. */
    readonly log_start_offset: number | null
    readonly high_watermark: number | null
    readonly size_bytes: number | null
    /** Replicas that are not in sync yet, and what each still lacks; brokers of before do not say. */
    readonly copying?: readonly { readonly broker: number; readonly bytes_left: number }[]
    /** While replicas move: those that are new, and those that go; missing otherwise. */
    readonly adding?: readonly number[]
    readonly removing?: readonly number[]
    /** Why nobody serves it, and what to do; missing while it is served. */
    readonly offline?: string
    readonly todo?: string
  }[]
  readonly config: Readonly<Record<string, { readonly value: string; readonly source: string }>>
}
