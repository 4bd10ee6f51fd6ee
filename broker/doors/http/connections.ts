import type { RequestListener, Server, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { Refusal } from '../../../base/refusals.ts'
import { errorBody, invalid, statusOf } from './errors.ts'

// As an ES module, node:http reads all its exports, one of which loads Node’s client for fetch: 3 MB and 45 ms.
const { createServer, STATUS_CODES } = createRequire(import.meta.url)(
  'node:http',
) as typeof import('node:http')

/** A client that has not sent its whole request head by then is cut off. */
const headMsMax = 15_000
const headBytesMax = 16 * 1024
const timerMsMax = 2 ** 31 - 1

export type ConnectionLimits = {
  /** Over all servers. */
  readonly connectionsMax: () => number
  /** A connection without a request is closed after so long. */
  readonly idleMsMax: number
}

/** The servers of one door and their connections. */
export class Connections {
  readonly #limits: ConnectionLimits
  readonly #servers = new Set<Server>()
  readonly #open = new Set<Socket>()
  /** The answer that is on its way over a connection. */
  readonly #answering = new WeakMap<Socket, ServerResponse>()

  constructor(limits: ConnectionLimits) {
    this.#limits = limits
  }

  newServer(handle: RequestListener): Server {
    const server = createServer({
      // Who is gone without a word is noticed, also where nothing is to be sent.
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
      // A stream of lines may last for ever; other bodies have their own limit.
      requestTimeout: 0,
      headersTimeout: headMsMax,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: headBytesMax,
      keepAliveTimeout: Math.min(this.#limits.idleMsMax, timerMsMax),
    })
    server.on('request', (request, response) => {
      this.#answering.set(request.socket, response)
      handle(request, response)
    })
    server.on('connection', socket => this.#admit(socket))
    server.on('clientError', (error: NodeJS.ErrnoException, socket) =>
      this.#refuseMalformed(error, socket as Socket),
    )
    this.#servers.add(server)
    return server
  }

  /** Open connections. */
  get count(): number {
    return this.#open.size
  }

  /** Ends connections on which no request is under way. */
  closeIdle(): void {
    for (const server of this.#servers) server.closeIdleConnections()
  }

  /** Takes no new connections; resolves when the last one is gone. */
  async close(): Promise<void> {
    const closing = [...this.#servers].map(
      server => new Promise<void>(closed => (server.listening ? server.close(() => closed()) : closed())),
    )
    await Promise.all(closing)
  }

  destroyAll(): void {
    for (const socket of this.#open) socket.destroy()
  }

  #admit(socket: Socket): void {
    this.#open.add(socket)
    // Pipelined requests that wait each listen for its end.
    socket.setMaxListeners(0)
    socket.on('close', () => this.#open.delete(socket))
    if (this.#open.size <= this.#limits.connectionsMax()) return
    const refusal = new Refusal(
      'TOO_MANY_CONNECTIONS',
      `The broker has ${this.#open.size} HTTP connections already`,
    )
    answerRaw(socket, refusal)
  }

  #refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
    const response = this.#answering.get(socket)
    const midAnswer = response?.headersSent === true && !response.writableFinished
    if (!socket.writable || midAnswer || error.code === 'ECONNRESET') socket.destroy()
    else answerRaw(socket, refusalFor(error))
  }
}

function refusalFor({ code, message }: NodeJS.ErrnoException): Refusal {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Refusal(
        'REQUEST_HEAD_TOO_LARGE',
        `The address and headers are larger than ${headBytesMax} bytes`,
      )
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refusal(
        'REQUEST_TOO_SLOW',
        `The head of the request had not come whole after ${headMsMax / 1000} s`,
      )
    case undefined:
    default:
      return invalid(`This is no HTTP request: ${message.replace(/^Parse Error: /, '')}`, 'Send HTTP/1.1.')
  }
}

/** Answers a connection that has no request to answer, and closes it. */
function answerRaw(socket: Socket, refusal: Refusal): void {
  const status = statusOf(refusal)
  const body = JSON.stringify(errorBody(refusal))
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
  // Its parser must not see another byte of it.
  socket.removeAllListeners('data')
  socket.resume()
  socket.once('finish', () => socket.destroySoon())
}
