import fastify, { type FastifyInstance } from 'fastify'
import { assert } from '../../../base/assert.ts'
import { shapes } from './docs-shapes.ts'
import { withoutCompilers } from './schemas.ts'

/**
 * The description of the API at /openapi.json and the page to read it at /docs. Both come from the schemas of the routes that
 * `addRoutes` adds. They are built in an instance of their own on first use: a broker that nobody asks starts faster
 * and keeps the memory.
 */
export function addOpenapi(
  app: FastifyInstance,
  version: string,
  addRoutes: (app: FastifyInstance) => void,
): void {
  let building: Promise<FastifyInstance> | undefined
  const built = (): Promise<FastifyInstance> => (building ??= buildDocs(version, addRoutes))
  app.addHook('onClose', async () => {
    if (building !== undefined) await (await building).close()
  })
  for (const url of ['/openapi.json', '/docs', '/docs/*']) {
    app.get(url, { schema: { hide: true } }, async (request, reply) => {
      const docs = await built()
      reply.hijack()
      docs.routing(request.raw, reply.raw)
      return reply
    })
  }
}

async function buildDocs(
  version: string,
  addRoutes: (app: FastifyInstance) => void,
): Promise<FastifyInstance> {
  const [{ default: swagger }, { default: swaggerUi }] = await Promise.all([
    import('@fastify/swagger'),
    import('@fastify/swagger-ui'),
  ])
  const app = fastify({ ...withoutCompilers, exposeHeadRoutes: false })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Stele',
        version,
        description:
          'A distributed append-only log. Records that are written here are read by Kafka clients, and the other way round. Pages of other sites may not write: a request other than GET and HEAD whose Origin is not the Host it goes to is refused (403), and so is, on a broker that listens on loopback addresses alone, a Host that is neither localhost, nor an IP address, nor a name from its listeners.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/', description: 'This broker.' }],
      tags: [
        { name: 'short ways', description: 'One request, no JSON to write.' },
        { name: 'records', description: 'Write and read records.' },
        { name: 'topics', description: 'Topics and their settings.' },
        { name: 'groups', description: 'Consumer groups and how far they are behind.' },
        { name: 'queues', description: 'Consumers that receive batches and acknowledge them.' },
        { name: 'cluster', description: 'The cluster and the state of this broker.' },
      ],
    },
    refResolver: { buildLocalReference: shape => shape['$id'] as string },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // Without it the page asks a validator on the internet.
    uiConfig: { validatorUrl: null, docExpansion: 'list', tryItOutEnabled: true },
    theme: { title: 'Stele: HTTP API' },
  })
  for (const shape of shapes) app.addSchema(shape)
  addRoutes(app)
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  await app.ready()
  assert(Object.keys(app.swagger().paths ?? {}).length > 0, 'the description has routes')
  return app
}
