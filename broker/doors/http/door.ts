/**
 * The HTTP door: records, topics and health over HTTP/1.1 with JSON. In come requests, out go appends and reads on the
 * tablets of this broker. Always holds: every error is the API's error JSON, and what a client does not read or finish takes a
 * bounded amount of memory.
 */
import fastify, { type FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { MIB } from '../../../base/quantities.ts'
import type { World } from '../../../base/world.ts'
import type { Queues } from '../../queues/queues.ts'
import type { Router } from '../../router/router.ts'
import { listenOn, parseAddress, type Listening } from '../listening.ts'
import { answerError, answerErrors } from './answering.ts'
import { addBatches } from './batches-in.ts'
import { Budget } from './budget.ts'
import { addCluster, addHealth, refuseUnlessReady } from './cluster.ts'
import { Connections } from './connections.ts'
import { shapes } from './docs-shapes.ts'
import { forwardToLeaders } from './elsewhere.ts'
import { addEnds, Ends } from './ends.ts'
import { Forwarding } from './forwarding.ts'
import { addGroups } from './groups.ts'
import { lingerFor } from './lingering.ts'
import { countRequests } from './request-metrics.ts'
import { addFollowed } from './leaders.ts'
import { addMetrics } from './metrics.ts'
import { addOpenapi } from './openapi.ts'
import { addOverview } from './overview.ts'
import { addPlacement } from './placement.ts'
import type { Peers } from './peers.ts'
import { addQueues } from './queues.ts'
import { addRecordsIn } from './records-in.ts'
import { addRecordsOut } from './records-out.ts'
import { answerUnknownRoutes } from './routes.ts'
import { withoutCompilers } from './schemas.ts'
import type { Serving } from './serving.ts'
import { addShortWays } from './short-ways.ts'
import { Stopping } from './stopping.ts'
import { addStream } from './stream.ts'
import { addTopics } from './topics.ts'
import { unpackingBytesMax } from './unpacking.ts'
import { TurnShare } from './turn-share.ts'
import { isLoopbackOnly, refusalOfPage, type Door } from './web-pages.ts'
import { Spread } from './writing.ts'

/** About ten milliseconds' work, over all streams. */
const linesPerTurn = 3000

/** So many bytes of JSON bodies are objects at a time; small records take some forty times their text. */
const parsingBytesMax = 2 * MIB

/** Requests under way get so long to end when the door closes. */
const stopMsMax = 5000

export type HttpDoorOptions = {
  readonly world: World
  readonly router: Router
  /** The consumers of groups that come through this door. */
  readonly queues: Queues
  /** The other brokers; closed with the door. */
  readonly peers: Peers
  readonly log: Logger
  /** What else is to be seen at /metrics. */
  readonly metrics: Registry
  /** HOST:PORT; localhost is 127.0.0.1 and ::1, port 0 any free one. */
  readonly address: string
  readonly version: string
}

export type HttpDoor = {
  readonly addresses: readonly Listening[]
  /** Ends streams, finishes what is under way, cuts off what takes longer than five seconds. */
  stop(): Promise<void>
}

/**
 * Opens the door. Probes and metrics are answered from then on, everything else when the router is ready.
 * @throws Error with a sentence for the user when it cannot listen on `address`
 */
export async function openHttpDoor(options: HttpDoorOptions): Promise<HttpDoor> {
  const { world, router, queues, peers, log, metrics, address, version } = options
  const stopping = new Stopping()
  const forwarding = new Forwarding({ peers, stopping })
  const serving: Serving = {
    world,
    router,
    queues,
    log,
    metrics,
    version,
    startedAtMs: world.clock.monotonicMs(),
    bodies: new Budget(() => router.settings.queuedMaxRequestBytes),
    parsing: new Budget(() => parsingBytesMax),
    unpacking: new Budget(() => unpackingBytesMax),
    spread: new Spread(),
    lines: new TurnShare(world.clock, linesPerTurn),
    stopping,
    forwarding,
    ends: new Ends({ router, peers }),
  }
  const connections = new Connections({
    connectionsMax: () => router.settings.maxConnections,
    idleMsMax: router.settings.connectionsMaxIdleMs,
  })
  // Until they are known nobody has come.
  let addresses: readonly Listening[] = []
  const app = await buildApp(serving, connections, () => ({
    loopbackOnly: isLoopbackOnly(addresses.map(({ host }) => host)),
    names: [parseAddress(address), ...router.settings.advertisedListeners].map(({ host }) => host),
  }))
  addresses = await listenOn(address, { name: 'HTTP', option: '--http' }, () =>
    connections.newServer((request, response) => app.routing(request, response)),
  )
  log.info({ addresses }, 'the HTTP door is open')
  return { addresses, stop: () => stop(options, serving, connections, app) }
}

async function buildApp(
  serving: Serving,
  connections: Connections,
  door: () => Door,
): Promise<FastifyInstance> {
  const app = fastify({
    ...withoutCompilers,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 1000, ignoreTrailingSlash: true },
    frameworkErrors: (error, request, reply) => {
      answerError(error, request, reply, serving)
    },
  })
  // Who asks in a shell finds the next prompt on its own line.
  app.setReplySerializer(answer => `${JSON.stringify(answer)}\n`)
  countRequests(app, serving.metrics, connections)
  answerErrors(app, serving)
  answerUnknownRoutes(app, serving)
  takeBodiesAsTheyCome(app)
  app.addHook('onRequest', async ({ method, headers }) => {
    const refusal = refusalOfPage({ method, headers }, door())
    if (refusal !== undefined) throw refusal
  })
  app.addHook('onResponse', async request => {
    lingerFor(serving.world.clock, request.raw)
    if (serving.stopping.begun) connections.closeIdle()
  })
  for (const shape of shapes) app.addSchema(shape)
  addProbes(app, serving)
  await app.register(async data => {
    data.addHook('onRequest', async () => refuseUnlessReady(serving))
    forwardToLeaders(data, serving)
    addData(data, serving)
  })
  addOpenapi(app, serving.version, docs => {
    addData(docs, serving)
    addProbes(docs, serving)
  })
  await app.ready()
  return app
}

/** Routes read their bodies themselves: with the limits that hold now, or as a stream. */
function takeBodiesAsTheyCome(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
}

function addProbes(app: FastifyInstance, serving: Serving): void {
  addOverview(app)
  addHealth(app, serving)
  addMetrics(app, serving)
}

function addData(app: FastifyInstance, serving: Serving): void {
  addShortWays(app, serving)
  addRecordsIn(app, serving)
  addRecordsOut(app, serving)
  addStream(app, serving)
  addTopics(app, serving)
  addPlacement(app, serving)
  addGroups(app, serving)
  addQueues(app, serving)
  addCluster(app, serving)
  addBatches(app, serving)
  addEnds(app, serving)
  addFollowed(app, serving)
}

async function stop(
  { peers }: HttpDoorOptions,
  serving: Serving,
  connections: Connections,
  app: FastifyInstance,
): Promise<void> {
  serving.stopping.begin()
  const late = serving.world.clock.after(stopMsMax, () => connections.destroyAll())
  const closed = connections.close()
  connections.closeIdle()
  await closed
  late.cancel()
  peers.close()
  await app.close()
}
