/** An API server that answers as a test says, over real sockets. */
import { once } from 'node:events'
import { Agent, type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Access } from './access.ts'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

export class BadServer {
  answer: Answer = (_, response) => response.destroy()
  readonly requests: string[] = []
  /** How often new credentials were asked for. */
  refreshed = 0
  readonly #sockets = new Set<Socket>()
  readonly #agent = new Agent({ keepAlive: true })
  readonly #server = createServer((request, response) => {
    this.requests.push(`${request.method} ${request.url}`)
    this.answer(request, response)
  })

  async listen(): Promise<void> {
    this.#server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => undefined)
    })
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get access(): Access {
    const { port } = this.#server.address() as AddressInfo
    return {
      server: `http://127.0.0.1:${port}`,
      namespace: 'default',
      credentials: async () => ({ headers: { authorization: 'Bearer x' }, agent: this.#agent }),
      refresh: () => {
        this.refreshed += 1
      },
    }
  }

  /** Connections that are open, as the server sees them. */
  get connections(): number {
    return this.#sockets.size
  }

  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.#agent.destroy()
    this.cutAll()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

export function answered(
  response: ServerResponse,
  code: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(code, { 'content-type': 'application/json', ...headers })
  response.end(text)
}

export const status = (code: number, reason: string, details: object = {}) => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  message: `it is ${reason}`,
  reason,
  details,
  code,
})

/** Waits until `holds`, a little at a time, and not for ever. */
export async function until(holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000
  while (!holds()) {
    if (performance.now() > endMs) throw new Error('what was waited for did not come in 10 s')
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}
