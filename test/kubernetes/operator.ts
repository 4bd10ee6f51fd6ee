// The operator as users install it: by Helm, from the chart of this checkout. It leaves no trace: definitions go too, and with them all
// clusters and topics.
import { join } from 'node:path'
import { inject } from 'vitest'
import { images, isRig, kubectl, Namespace } from './cluster.ts'
import { helm as builtHelm } from './rig/binaries.ts'
import { run } from './rig/commands.ts'

export const operatorNamespace = new Namespace('stele-system')
const release = 'stele'
export const chart = join(import.meta.dirname, '../../charts/stele')

/** What Helm answers. Throws with what it says when it fails. */
export const helm = async (...args: string[]): Promise<string> =>
  run(isRig ? await builtHelm() : 'helm', ['--kubeconfig', inject('kubeconfig'), ...args])

export type Values = Readonly<Record<string, unknown>>

const imageValues = (image: string): Values => {
  const colon = image.lastIndexOf(':')
  return {
    'image.repository': image.slice(0, colon),
    'image.tag': image.slice(colon + 1),
    'image.pullPolicy': 'Never',
  }
}

const set = (values: Values): string[] =>
  Object.entries(values).flatMap(([name, value]) => ['--set-json', `${name}=${JSON.stringify(value)}`])

const upgrade = ['upgrade', release, chart, '--install', '--namespace', operatorNamespace.name]

/** `helm upgrade --install`, until its pods are ready. */
export const install = (values: Values = {}): Promise<string> =>
  helm(...upgrade, '--wait', '--timeout', '120s', ...set({ ...imageValues(images.stele), ...values }))

/** In a namespace of its own, made new. */
export async function installOperator(values: Values = {}): Promise<void> {
  await removeOperator()
  await operatorNamespace.create()
  await install(values).catch(async (error: unknown) => {
    const seen = await Promise.all([
      operatorNamespace.kubectl('get', 'pods', '-o', 'wide'),
      operatorNamespace.kubectl('get', 'events', '--sort-by=.lastTimestamp'),
      operatorNamespace
        .kubectl('logs', '-l', 'app.kubernetes.io/component=operator', '--tail=20')
        .catch(String),
    ])
    throw new Error(`${String(error)}\n${seen.join('\n')}`, { cause: error })
  })
}

/** Another image of the operator, and so of the brokers of new clusters. */
export const upgradeOperator = async (image: string): Promise<void> => {
  await install(imageValues(image))
}

export const definitions = ['logclusters', 'logtopics', 'tabletslices'].map(plural => `${plural}.stele.dev`)

export async function removeOperator(): Promise<void> {
  await helm('uninstall', release, '--namespace', operatorNamespace.name, '--ignore-not-found', '--wait')
  await kubectl(['delete', 'customresourcedefinitions', ...definitions, '--ignore-not-found'])
  await operatorNamespace.remove()
}
