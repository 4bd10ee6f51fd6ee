/**
 * One HTTP request to an API server: a description enters; an answer with a bounded body, or its lines one by one, comes out.
 * What always holds: it ends in its time; whatever goes wrong is an ApiError; a request that is given up frees its socket.
 */
import {
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request as httpRequest,
} from 'node:http'
import { request as httpsRequest } from 'node:https'
import { MIB } from '../base/quantities.ts'
import type { Access } from './access.ts'
import { ApiError } from './api.ts'

export type Asked = {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly body?: { readonly type: string; readonly value: unknown }
  /** From the beginning to the end of the answer; of a watch to its beginning. */
  readonly timeoutMs: number
}

const bodyBytesMax = 256 * MIB
/** An object has 1.5 MiB at most, in another notation. */
const lineBytesMax = 16 * MIB
/** The kernel asks the other side after so long, then ten times each second, then the connection is dead. */
const probeMs = 5_000

export type Around = { readonly access: Access; readonly userAgent: string }

/**
 * The answer's JSON.
 * @throws ApiError for any answer that is no success, is no JSON or does not come
 */
export async function ask(around: Around, asked: Asked): Promise<unknown> {
  const connection = await begin(around, asked)
  try {
    const text = await textOf(connection.answer)
    return meaningOf(connection.answer, text, around)
  } catch (error) {
    throw asApiError(error, connection.why())
  } finally {
    connection.end()
  }
}

/**
 * The answer as text.
 * @throws ApiError for any answer that is no success or does not come
 */
export async function askForText(around: Around, asked: Asked): Promise<string> {
  const connection = await begin(around, asked)
  try {
    const text = await textOf(connection.answer)
    if (!isSuccess(connection.answer)) meaningOf(connection.answer, text, around)
    return text
  } catch (error) {
    throw asApiError(error, connection.why())
  } finally {
    connection.end()
  }
}

/**
 * The values of a body that is one JSON a line; the first value is undefined: the answer has begun. It is over when the body is, or
 * when `signal` is aborted.
 * @throws ApiError
 */
export async function* askForLines(
  around: Around,
  asked: Asked,
  { idleMs, signal }: { readonly idleMs: number; readonly signal: AbortSignal },
): AsyncGenerator {
  if (signal.aborted) return
  let connection: Connection | undefined
  const cut = (): void => connection?.end()
  signal.addEventListener('abort', cut)
  try {
    connection = await begin(around, asked, signal)
    const { answer } = connection
    if (answer.statusCode !== 200) {
      const text = await textOf(answer)
      meaningOf(answer, text, around)
      throw new ApiError(`a watch is answered with ${answer.statusCode}`, { code: 0 })
    }
    connection.idleAfter(idleMs)
    yield undefined
    for await (const line of linesOf(answer)) yield jsonOf(line)
  } catch (error) {
    if (!signal.aborted) throw asApiError(error, connection?.why())
  } finally {
    signal.removeEventListener('abort', cut)
    connection?.end()
  }
}

type Connection = {
  readonly answer: IncomingMessage
  /** From now on only silence of so long ends it. */
  idleAfter(idleMs: number): void
  /** Why we ended it ourselves. */
  why(): string | undefined
  end(): void
}

/** Resolves when the head of the answer is there. */
async function begin({ access, userAgent }: Around, asked: Asked, signal?: AbortSignal): Promise<Connection> {
  const { headers, agent } = await access.credentials().catch((error: unknown) => {
    throw new ApiError('there are no credentials for the API server', { code: 0, cause: error })
  })
  const text = asked.body === undefined ? undefined : JSON.stringify(asked.body.value)
  const options: RequestOptions = {
    method: asked.method,
    agent,
    headers: {
      ...headers,
      accept: 'application/json',
      'user-agent': userAgent,
      ...(text === undefined
        ? {}
        : { 'content-type': asked.body?.type, 'content-length': Buffer.byteLength(text) }),
    },
  }
  const request = requestOf(access.server + asked.path, options)
  let why: string | undefined
  const giveUp = (reason: string): void => {
    why ??= reason
    request.destroy()
  }
  const timer = setTimeout(() => giveUp(`no answer in ${asked.timeoutMs} ms`), asked.timeoutMs)
  timer.unref()
  let idle: NodeJS.Timeout | undefined
  const end = (): void => {
    clearTimeout(timer)
    clearTimeout(idle)
    request.destroy()
  }
  const cut = (): void => giveUp('it is not wanted any more')
  signal?.addEventListener('abort', cut)
  if (signal?.aborted === true) cut()
  try {
    const answer = await answerOf(request, text)
    // Whoever reads it is told; when nobody does, it must not end the process.
    answer.on('error', () => undefined)
    return {
      answer,
      idleAfter(idleMs) {
        clearTimeout(timer)
        answer.socket.setKeepAlive(true, probeMs)
        idle = setTimeout(() => giveUp(`silent for ${idleMs} ms`), idleMs)
        idle.unref()
        answer.on('data', () => idle?.refresh())
      },
      why: () => why,
      end() {
        // A body that was read to its end leaves the socket to the next request.
        if (answer.complete) {
          clearTimeout(timer)
          clearTimeout(idle)
        } else end()
      },
    }
  } catch (error) {
    end()
    throw asApiError(error, why)
  } finally {
    signal?.removeEventListener('abort', cut)
  }
}

/** What throws here is a broken address or certificate. */
function requestOf(url: string, options: RequestOptions): ClientRequest {
  try {
    return url.startsWith('https:') ? httpsRequest(url, options) : httpRequest(url, options)
  } catch (error) {
    throw asApiError(error, undefined)
  }
}

const answerOf = (request: ClientRequest, text: string | undefined): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    request.on('response', resolve)
    request.on('error', reject)
    request.on('close', () => reject(new Error('the connection was closed')))
    request.end(text)
  })

async function textOf(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > bodyBytesMax) throw new Error(`the answer has more than ${bodyBytesMax} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

async function* linesOf(answer: IncomingMessage): AsyncGenerator<string> {
  let begun: Buffer[] = []
  let bytes = 0
  for await (const piece of answer as AsyncIterable<Buffer>) {
    let from = 0
    for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, from)) {
      begun.push(piece.subarray(from, at))
      const line = Buffer.concat(begun).toString('utf8')
      begun = []
      bytes = 0
      from = at + 1
      if (line.trim() !== '') yield line
    }
    const rest = piece.subarray(from)
    bytes += rest.length
    if (bytes > lineBytesMax) throw new Error(`a line has more than ${lineBytesMax} bytes`)
    if (rest.length > 0) begun.push(rest)
  }
  if (bytes > 0) throw new Error('the answer ends within a line')
}

const isSuccess = ({ statusCode = 0 }: IncomingMessage): boolean => statusCode >= 200 && statusCode < 300

/** The JSON of a success; everything else is an error. */
function meaningOf(answer: IncomingMessage, text: string, { access }: Around): unknown {
  const code = answer.statusCode ?? 0
  if (isSuccess(answer)) return jsonOf(text)
  if (code === 401) access.refresh()
  throw errorOf(statusOf(text), { code, text, retryAfter: answer.headers['retry-after'] })
}

/** Kubernetes' meta/v1 Status, as far as it matters. */
export type Status = {
  readonly code?: number
  readonly reason?: string
  readonly message?: string
  readonly details?: { readonly name?: string; readonly retryAfterSeconds?: number }
}

function statusOf(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Status & { readonly kind?: string }
    return value?.kind === 'Status' ? value : undefined
  } catch {
    return undefined
  }
}

/** What a Status means; without one the answer is not the API server's, but a proxy's, say. */
export function errorOf(
  status: Status | undefined,
  answer: { readonly code: number; readonly text?: string; readonly retryAfter?: string | undefined },
): ApiError {
  const code = status?.code ?? answer.code
  const seconds = Number(answer.retryAfter ?? status?.details?.retryAfterSeconds)
  const begin = (answer.text ?? '').slice(0, 200)
  return new ApiError(status?.message ?? `the answer ${code} is not the API server's: ${begin}`, {
    code,
    reason: status?.reason ?? '',
    ...(Number.isFinite(seconds) && seconds > 0 ? { retryAfterSeconds: seconds } : {}),
    cause: status,
  })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ApiError(`an answer is no JSON: ${text.slice(0, 200)}`, { code: 0, cause: error })
  }
}

function asApiError(error: unknown, why: string | undefined): ApiError {
  if (error instanceof ApiError) return error
  const message = why ?? (error instanceof Error ? error.message : String(error))
  return new ApiError(`the API server does not answer: ${message}`, { code: 0, cause: error })
}
