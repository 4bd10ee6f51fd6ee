// Makes dist/ from source: what the npm package holds. Enters: cli/main.ts and the program of the compacting thread, with all they
// import. Leaves: both, the chunks they load when a command needs them, and the licenses of what is bundled. What is native or brings files of its own
// stays an npm dependency.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'esbuild'

const root = import.meta.dirname
const dist = join(root, 'dist')
// Beside dist/ until it is whole: whoever starts meanwhile finds the old one or the new one.
const outdir = join(root, '.cache', `dist-${process.pid}`)
const startedAt = new Date()
const external = ['@fastify/swagger-ui', '@node-rs/crc32', 'fs-native-extensions', 'lz4-napi', 'snappy']

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { stele: 'cli/main.ts', 'compaction-worker': 'broker/compaction-worker.ts' },
  outdir,
  outExtension: { '.js': '.mjs' },
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  external,
  // Names stay, so that stack traces can be read. All else goes; without comments the text is ASCII, which takes half the
  // memory in V8 of what any other letter in it would cost.
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'external',
  // Packages in CommonJS that are bundled still ask for Node's own modules with require.
  banner: {
    js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
  },
  metafile: true,
  logLevel: 'warning',
})
const packages = bundledPackages(Object.keys(metafile.inputs))
writeFileSync(join(outdir, 'LICENSES.txt'), packages.map(license).join(`\n${'-'.repeat(80)}\n\n`))
for (const [file, { bytes }] of Object.entries(metafile.outputs)) {
  if (file.endsWith('.mjs'))
    console.log(`${String(Math.ceil(bytes / 1024)).padStart(6)} KiB  ${basename(file)}`)
}
// A source that was changed while this ran is newer than what was made of it.
utimesSync(join(outdir, 'stele.mjs'), startedAt, startedAt)
replace(dist, outdir)

function replace(old: string, made: string): void {
  const aside = `${made}-old`
  if (existsSync(old)) renameSync(old, aside)
  renameSync(made, old)
  rmSync(aside, { recursive: true, force: true })
}

/** The directories of the packages that `inputs` come from. */
function bundledPackages(inputs: readonly string[]): string[] {
  const found = new Set<string>()
  for (const input of inputs) {
    const directory = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]
    if (directory !== undefined) found.add(directory)
  }
  return [...found].sort()
}

function license(directory: string): string {
  const path = join(root, directory)
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Record<
    string,
    string
  >
  const file = readdirSync(path).find(entry => /^(licen[cs]e|copying)/i.test(entry))
  const text =
    file !== undefined && existsSync(join(path, file)) ? readFileSync(join(path, file), 'utf8') : ''
  return `${name} ${version} (${license})\n\n${text.trim()}\n`
}
