// Makes the root directory of the container image: `node image.ts DIRECTORY`, after build.ts. Enters: Node and the native packages from
// node_modules, and dist/. Leaves: these and the libraries that they load, and nothing else: no shell, no package manager.
// What always holds: it runs as any user, on a read-only root.
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const checkout = import.meta.dirname
export const nodeBinary = join(checkout, 'node_modules/node/bin/node')
export const entrypoint = ['/usr/bin/stele']
/** Who owns nothing. */
export const user = '65532:65532'

/** Node, the libraries that it loads, and a place for what is short-lived. */
export function addNode(root: string): void {
  addFile(nodeBinary, join(root, 'usr/bin/node'))
  addLibraries(root, nodeBinary)
  mkdirSync(join(root, 'tmp'))
  chmodSync(join(root, 'tmp'), 0o1777)
}

/** The program as npm ships it, and the packages that are not bundled. */
export function addStele(root: string): void {
  const home = join(root, 'stele')
  cpSync(join(checkout, 'dist'), join(home, 'dist'), { recursive: true })
  copyFileSync(join(checkout, 'package.json'), join(home, 'package.json'))
  for (const directory of nativePackages())
    cpSync(join(checkout, directory), join(home, directory), {
      recursive: true,
      dereference: true,
      filter: isNeeded,
    })
  for (const file of readdirSync(join(home, 'node_modules'), { recursive: true, encoding: 'utf8' }))
    if (file.endsWith('.node')) addLibraries(root, join(home, 'node_modules', file))
  mkdirSync(join(root, 'usr/bin'), { recursive: true })
  const start = join(root, entrypoint.join(''))
  writeFileSync(start, "#!/usr/bin/node\nvoid import('/stele/dist/stele.mjs')\n")
  chmodSync(start, 0o755)
}

const here = `${process.platform}-${process.arch}`

/** Leaves out other machines' binaries, and what only helps to look at a package's source. */
function isNeeded(path: string): boolean {
  if (/\.(?:map|md|ts|c|cc|h|gyp)$/.test(path)) return false
  return !path.includes('/prebuilds/') || path.includes(`/prebuilds/${here}`)
}

function addFile(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(from, to)
  chmodSync(to, 0o755)
}

function addLibraries(root: string, binary: string): void {
  const found = execFileSync('ldd', [binary], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)
  for (const [, library = ''] of found) addFile(library, join(root, library))
}

/** What build.ts leaves out of the bundle. */
const external = ['@fastify/swagger-ui', '@node-rs/crc32', 'fs-native-extensions', 'lz4-napi', 'snappy']

/** Their directories, and those of all they need. What is optional and not installed is left out. */
function nativePackages(): string[] {
  const found = new Set<string>()
  const waiting = external.map(name => `node_modules/${name}`)
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    const manifest = manifestOf(directory)
    if (manifest === undefined || found.has(directory)) continue
    found.add(directory)
    const needed = { ...manifest.dependencies, ...manifest.optionalDependencies }
    waiting.push(...Object.keys(needed).map(name => `node_modules/${name}`))
  }
  return [...found].sort()
}

type Manifest = Readonly<
  Partial<Record<'dependencies' | 'optionalDependencies', Readonly<Record<string, string>>>>
>

function manifestOf(directory: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(checkout, directory, 'package.json'), 'utf8')) as Manifest
  } catch {
    return undefined
  }
}

if (import.meta.main) {
  const [, , root] = process.argv
  if (root === undefined) throw new Error('say the directory: node image.ts DIRECTORY')
  mkdirSync(root, { recursive: true })
  addNode(root)
  addStele(root)
}
