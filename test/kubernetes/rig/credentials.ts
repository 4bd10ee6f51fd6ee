// Who may do what: a token each in the API server's list, and a kubeconfig with it. The API server makes its own certificate.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { controlPlane, kubeconfig, nodes, state } from './layout.ts'

const directory = join(state, 'credentials')
export const tokens = join(directory, 'tokens.csv')
export const serviceAccountKey = join(directory, 'service-accounts.key')
export const certificates = join(directory, 'certificates')
/** The certificate of the API server, and that of the authority it made for itself. */
export const authority = join(certificates, 'apiserver.crt')
export const server = `https://${controlPlane.address}:6443`

const users = [
  { name: 'admin', groups: 'system:masters' },
  { name: 'system:kube-controller-manager', groups: '' },
  { name: 'system:kube-scheduler', groups: '' },
  { name: 'system:kube-proxy', groups: '' },
  ...nodes.map(({ name }) => ({ name: `system:node:${name}`, groups: 'system:nodes' })),
]

/** The kubeconfig of a user. */
export const kubeconfigOf = (user: string): string =>
  user === 'admin' ? kubeconfig : join(directory, `${user.replaceAll(':', '-')}.kubeconfig`)

/** What the API server needs before it starts. */
export async function makeTokens(): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const lines = users.map(
    ({ name, groups }) => `${randomBytes(16).toString('hex')},${name},${name},"${groups}"\n`,
  )
  await writeFile(tokens, lines.join(''), { mode: 0o600 })
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await writeFile(serviceAccountKey, privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 })
}

/** What everybody else needs, when the API server has its certificate. */
export async function makeKubeconfigs(): Promise<void> {
  const ca = (await readFile(authority)).toString('base64')
  for (const line of (await readFile(tokens, 'utf8')).trim().split('\n')) {
    const [token = '', user = ''] = line.split(',')
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'stele-rig', cluster: { server, 'certificate-authority-data': ca } }],
      users: [{ name: user, user: { token } }],
      contexts: [{ name: 'stele-rig', context: { cluster: 'stele-rig', user } }],
      'current-context': 'stele-rig',
    }
    await writeFile(kubeconfigOf(user), JSON.stringify(config, null, 2), { mode: 0o600 })
  }
}
