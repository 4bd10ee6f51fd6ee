import type { FastifyInstance } from 'fastify'
import { Counter, Gauge, type Registry } from 'prom-client'

/** Counts requests by route and keeps an eye on the connections. */
export function countRequests(
  app: FastifyInstance,
  metrics: Registry,
  connections: { readonly count: number },
): void {
  const registers = [metrics]
  const requests = new Counter({
    name: 'stele_http_requests_total',
    help: 'Requests answered over HTTP, by method, route and status.',
    labelNames: ['method', 'route', 'status'],
    registers,
  })
  void new Gauge({
    name: 'stele_http_connections',
    help: 'Open HTTP connections.',
    registers,
    collect(this: Gauge) {
      this.set(connections.count)
    },
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    requests.inc({ method: request.method, route, status: reply.raw.statusCode })
  })
}
