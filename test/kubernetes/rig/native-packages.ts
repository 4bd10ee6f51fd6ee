// The npm packages that the bundle loads at run time, with all that they need, as they are installed in a checkout.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

interface Manifest {
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

const manifestOf = async (directory: string): Promise<Manifest | undefined> => {
  const text = await readFile(join(directory, 'package.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as Manifest)
}

/** What build.ts leaves out of the bundle. */
const external = ['@fastify/swagger-ui', '@node-rs/crc32', 'fs-native-extensions', 'lz4-napi', 'snappy']

/** Directories relative to the checkout. What is optional and not installed, such as another machine's binaries, is left out. */
export async function nativePackages(checkout: string): Promise<string[]> {
  const found = new Set<string>()
  const waiting = external.map(name => `node_modules/${name}`)
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    if (found.has(directory)) continue
    const manifest = await manifestOf(join(checkout, directory))
    if (manifest === undefined) continue
    found.add(directory)
    const needed = { ...manifest.dependencies, ...manifest.optionalDependencies }
    waiting.push(...Object.keys(needed).map(name => `node_modules/${name}`))
  }
  return [...found].sort()
}
