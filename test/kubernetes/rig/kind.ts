// The same tests where a Docker engine runs: kind makes the nodes, its own images come from where Docker pulls them.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { coredns, kind } from './binaries.ts'
import { run } from './commands.ts'
import { makeImages } from './images.ts'
import { cache } from './layout.ts'
import { parts } from './packages.ts'

const name = 'stele'
const directory = join(cache, 'kind')
const configuration = {
  kind: 'Cluster',
  apiVersion: 'kind.x-k8s.io/v1alpha4',
  nodes: [{ role: 'control-plane' }, { role: 'worker' }, { role: 'worker' }, { role: 'worker' }],
}

/** Brings a cluster up, and gives the path of its kubeconfig. One that is up gets the images of now. */
export async function kindUp(): Promise<string> {
  const kubeconfig = join(directory, 'kubeconfig')
  await mkdir(directory, { recursive: true })
  const program = await kind()
  const clusters = (await run(program, ['get', 'clusters'])).split('\n')
  if (!clusters.includes(name)) {
    const args = [
      'create',
      'cluster',
      '--name',
      name,
      '--kubeconfig',
      kubeconfig,
      '--config',
      '-',
      '--wait',
      '120s',
    ]
    await run(program, args, { input: JSON.stringify(configuration) })
  }
  const archive = await makeImages(directory, { debian: await parts(), coredns: await coredns() })
  await run(program, ['load', 'image-archive', archive, '--name', name])
  return kubeconfig
}

export async function kindDown(): Promise<void> {
  await run(await kind(), ['delete', 'cluster', '--name', name])
}
