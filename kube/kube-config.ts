/**
 * Access by a kubeconfig, as people and programs outside of a cluster have it. The client library reads it, which costs tens of
 * megabytes: import this file only where there is no pod's ServiceAccount (`podAccess`), and by import().
 */
import { Agent as HttpAgent, type OutgoingHttpHeaders } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import { type Access, usualAgentOptions } from './access.ts'

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
export function kubeConfigAccess({ file, context }: KubeConfigOptions = {}): Access {
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
