import type { FastifyInstance } from 'fastify'
import { Refusal } from '../../../base/refusals.ts'
import { clusterDocs, healthDocs, liveDocs, readyDocs } from './docs-cluster.ts'
import { parametersOf } from './parameters.ts'
import type { Serving } from './serving.ts'

/** A disk that failed takes thousands along. */
const shownMax = 20

export function addCluster(app: FastifyInstance, { router, world, version, startedAtMs }: Serving): void {
  app.get('/v1/cluster', { schema: clusterDocs }, async request => {
    parametersOf(request.url, [])
    const brokers = router.brokers().map(({ brokerId, addresses }) => ({
      id: brokerId,
      host: addresses.http?.host ?? null,
      port: addresses.http?.port ?? null,
    }))
    const uptimeMs = Math.round(world.clock.monotonicMs() - startedAtMs)
    return { cluster_id: router.clusterId, brokers, version, uptime_ms: uptimeMs }
  })
}

/** For probes: they are answered while the broker still recovers. */
export function addHealth(app: FastifyInstance, serving: Serving): void {
  app.get('/livez', { schema: liveDocs, exposeHeadRoute: true }, async () => ({ status: 'alive' }))
  app.get('/healthz', { schema: healthDocs, exposeHeadRoute: true }, async () => ({ status: 'ok' }))
  app.get('/readyz', { schema: readyDocs, exposeHeadRoute: true }, async () => {
    refuseUnlessReady(serving)
    refuseWithoutLease(serving)
    // One tablet that is offline is no reason to send nobody here any more.
    const { troubled } = serving.router
    if (troubled.length === 0) return { status: 'ready' }
    return {
      status: 'ready',
      offline: troubled.length,
      partitions: troubled.slice(0, shownMax),
    }
  })
}

/** While the API server is away the Lease is still ours: nobody can have taken it. @throws Refusal LEADER_NOT_AVAILABLE */
function refuseWithoutLease({ router }: Serving): void {
  if (router.leaseAgeMs !== Infinity) return
  throw new Refusal('LEADER_NOT_AVAILABLE', 'The broker is not ready: it does not hold its Lease')
}

/** @throws Refusal BROKER_STOPPING, LEADER_NOT_AVAILABLE */
export function refuseUnlessReady({ router, stopping }: Serving): void {
  if (stopping.begun) throw new Refusal('BROKER_STOPPING', 'The broker is stopping')
  if (!router.ready) {
    throw new Refusal(
      'LEADER_NOT_AVAILABLE',
      `The broker is not ready: ${router.notReadyReason ?? 'it is starting'}`,
    )
  }
}
