/**
 * A simulated API server over HTTP, for real processes: requests enter as the API's own, are done on a `SimKube`, and answers leave in the API's words. As much
 * of it as brokers and tools use. What a pod answers through the server's proxy, a test says.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { logClusters } from '../../control/kubernetes/resources/log-cluster.ts'
import { logTopics } from '../../control/kubernetes/resources/log-topic.ts'
import { tabletSlices } from '../../control/kubernetes/resources/tablet-slice.ts'
import {
  ApiError,
  type JsonPatch,
  type KubeApi,
  type KubeObject,
  type ObjectKey,
  type Resource,
} from '../../kube/api.ts'
import { configMaps, leases, persistentVolumeClaims, pods } from '../../kube/resources.ts'

const resources: readonly Resource[] = [
  logClusters,
  logTopics,
  tabletSlices,
  leases,
  configMaps,
  pods,
  persistentVolumeClaims,
]

export type KubeServer = {
  /** As a file of kubectl has it. */
  readonly kubeconfig: string
  close(): Promise<void>
}

/** `podAt` answers where the pod's ports really are: http://host:port. */
export async function serveKube(api: KubeApi, podAt: (pod: string) => string): Promise<KubeServer> {
  const server = createServer((request, response) => {
    void answer(api, podAt, request, response).catch((error: unknown) => fail(response, error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const kubeconfig = JSON.stringify({
    clusters: [{ name: 'sim', cluster: { server: `http://127.0.0.1:${port}` } }],
    users: [{ name: 'me', user: {} }],
    contexts: [{ name: 'sim', context: { cluster: 'sim', user: 'me', namespace: 'default' } }],
    'current-context': 'sim',
  })
  return {
    kubeconfig,
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

const proxied = /^\/api\/v1\/namespaces\/[^/]+\/pods\/([^/:]+):\d+\/proxy(\/.*)$/
const asked = /^\/apis?\/(?:[^/]+\/)?v1\w*(?:\/namespaces\/([^/]+))?\/([a-z]+)(?:\/([^/]+))?$/

async function answer(
  api: KubeApi,
  podAt: (pod: string) => string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://server')
  const [, pod, path] = proxied.exec(pathname) ?? []
  if (pod !== undefined) {
    response.end(await (await fetch(podAt(pod) + path)).text())
    return
  }
  const [, namespace = '', plural, name = ''] = asked.exec(pathname) ?? []
  const resource = resources.find(one => one.plural === plural)
  if (resource === undefined) throw new ApiError(`nothing is at ${pathname}`, { code: 404 })
  if (searchParams.get('watch') === 'true') return watch(api, resource, namespace, searchParams, response)
  const labelSelector = searchParams.get('labelSelector') ?? ''
  const body = await bodyOf(request)
  const value = await carriedOut(
    api,
    resource,
    request.method ?? '',
    { namespace, name },
    body,
    labelSelector,
  )
  if (value === undefined) throw new ApiError('not found', { code: 404, cause: name })
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(value))
}

async function carriedOut(
  api: KubeApi,
  resource: Resource,
  method: string,
  key: ObjectKey,
  body: unknown,
  labelSelector: string,
): Promise<unknown> {
  if (method === 'POST') return api.create(resource, body as KubeObject)
  if (method === 'PUT') return api.replace(resource, body as KubeObject)
  if (method === 'PATCH') return api.patch(resource, key, body as JsonPatch)
  if (method === 'DELETE') return { deleted: await api.delete(resource, key) }
  if (key.name !== '') return api.get(resource, key)
  const { namespace } = key
  const { items, resourceVersion } = await api.list(resource, { namespace, labelSelector })
  return { kind: `${resource.kind}List`, metadata: { resourceVersion }, items }
}

async function watch(
  api: KubeApi,
  resource: Resource,
  namespace: string,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const end = new AbortController()
  response.on('close', () => end.abort())
  const options = {
    namespace,
    labelSelector: query.get('labelSelector') ?? '',
    resourceVersion: query.get('resourceVersion') ?? '',
    timeoutSeconds: Number(query.get('timeoutSeconds')),
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.flushHeaders()
  for await (const event of api.watch(resource, options, end.signal)) {
    const { resourceVersion } = event.type === 'BOOKMARK' ? event : { resourceVersion: '' }
    const object = event.type === 'BOOKMARK' ? { metadata: { resourceVersion } } : event.object
    response.write(`${JSON.stringify({ type: event.type, object })}\n`)
  }
  response.end()
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const piece of request as AsyncIterable<Buffer>) text += String(piece)
  return text === '' ? undefined : JSON.parse(text)
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const { code, reason, message, cause } =
    error instanceof ApiError ? error : { code: 500, reason: '', message: String(error), cause: undefined }
  const details = typeof cause === 'string' ? { name: cause } : {}
  response.writeHead(code === 0 ? 500 : code, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ kind: 'Status', status: 'Failure', code, reason, message, details }))
}
