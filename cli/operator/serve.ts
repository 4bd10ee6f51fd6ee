import { createServer, type Server } from 'node:http'
import type { Operator } from '../../operator/main.ts'

/** /metrics, /livez and /readyz of an operator at `place` (HOST:PORT). Rejects when the address is in use. */
export async function serve(place: string, operator: Pick<Operator, 'isReady' | 'metrics'>): Promise<Server> {
  const at = place.lastIndexOf(':')
  const host = place.slice(0, at).replace(/^\[(.*)\]$/, '$1')
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type }).end(text)
    }
    switch (request.url) {
      case '/livez':
        answer(200, 'ok\n')
        break
      case '/readyz':
        if (operator.isReady()) answer(200, 'ok\n')
        else answer(503, 'not everything was listed yet\n')
        break
      case '/metrics':
        operator.metrics().then(
          text => answer(200, text, 'text/plain; version=0.0.4; charset=utf-8'),
          () => answer(500, 'no metrics\n'),
        )
        break
      case undefined:
      default:
        answer(404, 'there are /metrics, /livez and /readyz\n')
    }
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ port: Number(place.slice(at + 1)), ...(host !== '' && { host }) }, resolve)
  await promise
  return server
}
