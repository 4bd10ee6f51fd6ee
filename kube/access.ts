/**
 * How the API server is reached and what it is told about who we are. In a pod that is read from the files Kubernetes mounts, without
 * @kubernetes/client-node (which costs tens of megabytes); outside the client library reads the kubeconfig.
 */
import { existsSync, readFileSync } from 'node:fs'
import { Agent as HttpAgent, type OutgoingHttpHeaders } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'

export type Access = {
  /** The API server's address; paths are put behind it. */
  readonly server: string
  /** Where objects are looked for when nobody says: the pod's namespace or the context's. */
  readonly namespace: string
  /** What the next request needs. Rejects when credentials cannot be had. */
  credentials(): Promise<Credentials>
  /** The server did not accept them: read or ask for them anew. */
  refresh(): void
}

export type Credentials = { readonly headers: OutgoingHttpHeaders; readonly agent: HttpAgent }

const mountedDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'
/** The kubelet renews a pod's token when a fifth of its life, an hour as a rule, is left. */
const rereadMs = 60_000
/** API servers close connections that are idle for 90 s; a request on one that is being closed would fail. */
const idleSocketMs = 30_000

const usualAgentOptions = { keepAlive: true, timeout: idleSocketMs }

/** In a pod: by its ServiceAccount. Undefined outside. */
export function podAccess(
  environment: NodeJS.ProcessEnv = process.env,
  directory = mountedDirectory,
): Access | undefined {
  const host = environment['KUBERNETES_SERVICE_HOST']
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443'
  if (host === undefined || !existsSync(join(directory, 'token'))) return undefined
  const read = (file: string): string => readFileSync(join(directory, file), 'utf8').trim()
  let known: { readonly ca: string; readonly credentials: Credentials } | undefined
  let readAtMs = -Infinity
  return {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    namespace: existsSync(join(directory, 'namespace')) ? read('namespace') : 'default',
    async credentials() {
      if (known !== undefined && performance.now() - readAtMs < rereadMs) return known.credentials
      const ca = read('ca.crt')
      const agent = known?.ca === ca ? known.credentials.agent : new HttpsAgent({ ...usualAgentOptions, ca })
      known = { ca, credentials: { headers: { authorization: `Bearer ${read('token')}` }, agent } }
      readAtMs = performance.now()
      return known.credentials
    },
    refresh() {
      readAtMs = -Infinity
    },
  }
}

export type KubeConfigOptions = {
  /** Undefined: `$KUBECONFIG`, else `~/.kube/config`. */
  readonly file?: string
  /** Undefined: the current one. */
  readonly context?: string
}

/**
 * By a kubeconfig, with all that the client library knows: client certificates, tokens, programs that give them, proxies.
 * @throws Error when there is none, or it has no such context
 */
export async function kubeConfigAccess({ file, context }: KubeConfigOptions = {}): Promise<Access> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  if (file === undefined) config.loadFromDefault()
  else config.loadFromFile(file)
  if (context !== undefined) config.setCurrentContext(context)
  const cluster = config.getCurrentCluster()
  if (cluster === null)
    throw new Error(`the kubeconfig has no cluster for context ${config.getCurrentContext()}`)
  const plain = cluster.server.startsWith('http:')
  let known: { readonly sign: string; readonly agent: HttpAgent } | undefined
  return {
    server: cluster.server.replace(/\/+$/, ''),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
    async credentials() {
      const options: TlsOptions = { headers: {} }
      if (plain)
        return { headers: {}, agent: (known ??= { sign: '', agent: new HttpAgent(usualAgentOptions) }).agent }
      await config.applyToHTTPSOptions(options as Parameters<typeof config.applyToHTTPSOptions>[0])
      const { ca, cert, key, rejectUnauthorized, servername } = options
      const headers = { ...options.headers, ...basicOf(options.auth) }
      if (cluster.proxyUrl !== undefined && options.agent !== undefined)
        return { headers, agent: options.agent }
      const tls = { ca, cert, key, rejectUnauthorized, servername }
      const sign = JSON.stringify(tls)
      if (known?.sign !== sign)
        known = { sign, agent: new HttpsAgent({ ...usualAgentOptions, ...given(tls) }) }
      return { headers, agent: known.agent }
    },
    refresh: () => undefined,
  }
}

/** What the client library fills in, of what it may. */
type TlsOptions = {
  headers: OutgoingHttpHeaders
  auth?: string
  agent?: HttpAgent
  ca?: string | Buffer
  cert?: string | Buffer
  key?: string | Buffer
  rejectUnauthorized?: boolean
  servername?: string
}

const basicOf = (auth: string | undefined): OutgoingHttpHeaders =>
  auth === undefined ? {} : { authorization: `Basic ${Buffer.from(auth).toString('base64')}` }

const given = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
