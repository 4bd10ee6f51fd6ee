import { builtinModules } from 'node:module'
import type { Source } from './sources.ts'

const product = ['protocol', 'control', 'base']
/** In the broker the arrows point down this list. */
const floors = ['doors', 'queues', 'router', 'groups', 'tablet', 'replication', 'log'].map(
  floor => `broker/${floor}`,
)

/** The project's folders, and which others each may import. */
const mayImport = new Map<string, readonly string[]>([
  ['base', []],
  ['protocol', ['base']],
  ['kube', ['base']],
  ['control', ['base', 'kube']],
  ['broker/world', ['base']],
  ['broker/settings', product],
  ...floors.map((floor, index): [string, string[]] => [
    floor,
    [...floors.slice(index + 1), 'broker/settings', ...product],
  ]),
  ['broker', [...floors, 'broker/settings', 'broker/world', ...product]],
  ['crds', ['kube', ...product]],
  ['operator', ['kube', ...product]],
  ['cli', ['broker', 'operator', ...floors, 'broker/settings', 'broker/world', 'kube', ...product]],
])
/** They import what they need. */
const free = new Set(['test', 'bench', ''])

/** These touch sockets, files, timers, the clock and chance; everything else gets them handed in. */
const worldly = new Set(['broker/world', 'kube', 'cli', 'crds', ...free])
/** A door owns its sockets. */
const socketModules = new Set(['node:net', 'node:http', 'node:https', 'node:http2', 'node:tls'])
/** Modules that only compute, or load code. */
const pureModules = new Set(
  [
    'assert',
    'buffer',
    'events',
    'module',
    'path',
    'path/posix',
    'stream',
    'stream/promises',
    'string_decoder',
    'url',
    'util',
    'zlib',
  ].map(name => `node:${name}`),
)

/** The packages that the core stands on; the doors and what lies above them choose theirs freely. */
const packages = new Map<string, readonly string[]>([
  ['base', ['@node-rs/crc32']],
  ['protocol', ['snappy', 'lz4-napi']],
  ['kube', ['@kubernetes/client-node']],
  ['control', ['fastest-levenshtein', 'zod/mini', 'zod/v4/locales/en.js']],
  ['broker/world', ['fs-native-extensions']],
  ['broker/settings', []],
  ...floors.slice(1).map((floor): [string, string[]] => [floor, ['pino']]),
])

/** The layer a file belongs to: its folder, in the broker the folder below; '' for the root. */
export function layerOf(path: string): string {
  const [first = '', second, third] = path.split('/')
  if (second === undefined) return ''
  return first === 'broker' && third !== undefined ? `${first}/${second}` : first
}

/** What stands beside the code for its tests may use the simulator, the real world and whatever else it needs. */
const isTest = (path: string): boolean => /\.(?:test|fixture)\.ts$/.test(path)

export function wrongImports({ path, imports }: Source): string[] {
  const layer = layerOf(path)
  if (isTest(path) || free.has(layer)) return []
  const allowed = mayImport.get(layer)
  if (allowed === undefined) return [`${path}: the folder ${layer} has no place in layers.ts`]
  return imports
    .filter(name => name.endsWith('.ts'))
    .filter(name => isTest(name) || (layerOf(name) !== layer && !allowed.includes(layerOf(name))))
    .map(name => `${path} imports ${name}`)
}

export function strangePackages({ path, imports }: Source): string[] {
  const allowed = packages.get(layerOf(path))
  if (isTest(path) || allowed === undefined) return []
  return imports
    .filter(name => !name.endsWith('.ts') && !name.startsWith('node:') && !builtinModules.includes(name))
    .filter(name => !allowed.includes(name))
    .map(name => `${path} imports ${name}`)
}

export function foreignDoors({ path, imports }: Source): string[] {
  const door = /^broker\/doors\/(\w+)\//.exec(path)?.[1]
  if (door === undefined || isTest(path)) return []
  return imports
    .filter(name => /^broker\/doors\/\w+\//.test(name) && !name.startsWith(`broker/doors/${door}/`))
    .map(name => `${path} imports ${name}`)
}

export function worldlyModules({ path, imports }: Source): string[] {
  const layer = layerOf(path)
  if (isTest(path) || worldly.has(layer)) return []
  return imports
    .filter(name => name.startsWith('node:') || builtinModules.includes(name))
    .filter(name => !pureModules.has(name) && !(layer === 'broker/doors' && socketModules.has(name)))
    .map(name => `${path} imports ${name}`)
}

const worldlyWords =
  /\b(?:setTimeout|setInterval|setImmediate|Date\.now|Date\(\)|performance\.(?:now|timeOrigin)|Math\.random|process\.(?:hrtime|getBuiltinModule)|crypto\.(?:randomUUID|getRandomValues)|fetch\(|new WebSocket)/g

export function worldlyCalls({ path, code }: Source): string[] {
  if (isTest(path) || worldly.has(layerOf(path))) return []
  return [...code.matchAll(worldlyWords)]
    .filter(match => !/(?<!\bglobalThis)[.#]$/.test(code.slice(0, match.index)))
    .map(match => `${path}: ${match[0]}`)
}
