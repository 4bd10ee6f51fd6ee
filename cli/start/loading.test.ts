import { join } from 'node:path'
import { build } from 'esbuild'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')

/** Files of ours that are loaded with `entry`, without what is imported later on. */
async function loadedWith(entry: string): Promise<Set<string>> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    outdir: 'out',
    logLevel: 'silent',
  })
  const loaded = new Set<string>()
  const visit = (path: string): void => {
    if (loaded.has(path)) return
    loaded.add(path)
    for (const { path: next, kind } of metafile.inputs[path]?.imports ?? [])
      if (kind === 'import-statement') visit(next)
  }
  visit(entry)
  return loaded
}

const isKubernetes = (path: string): boolean => /^(?:kube|control\/kubernetes|@kubernetes)\//.test(path)

test('a broker without Kubernetes loads nothing of it', async () => {
  const loaded = [...(await loadedWith('cli/start/start.ts'))]
  expect(loaded).toContain('broker/main.ts')
  expect(loaded.filter(isKubernetes)).toEqual([])
})

test('in a pod the client library is not loaded', async () => {
  const loaded = [...(await loadedWith('control/kubernetes/in-cluster.ts'))]
  expect(loaded).toContain('kube/client.ts')
  expect(loaded.filter(path => path.startsWith('@kubernetes/'))).toEqual([])
})
