/** How the API server is reached and what it is told about who we are. In a pod that is read from the files Kubernetes mounts. */
import { existsSync, readFileSync } from 'node:fs'
import type { Agent, OutgoingHttpHeaders } from 'node:http'
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

type Credentials = { readonly headers: OutgoingHttpHeaders; readonly agent: Agent }

const mountedDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'
/** The kubelet renews a pod's token when a fifth of its life, an hour as a rule, is left. */
const rereadMs = 60_000
/** API servers close connections that are idle for 90 s; a request on one that is being closed would fail. */
const idleSocketMs = 30_000

export const usualAgentOptions = { keepAlive: true, timeout: idleSocketMs }

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
