#!/usr/bin/env node
// Starts the command from dist/, which in a checkout is made again when a source is newer. When the Node that runs this is too
// old, the one that the package brings along (npm package `node`) takes over, with the same input, output, signals and exit code.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import * as nodeModule from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const self = fileURLToPath(import.meta.url)
const root = dirname(dirname(self))
const bundle = join(root, 'dist', 'stele.mjs')
const source = join(root, 'cli', 'main.ts')
const [major, minor] = process.versions.node.split('.').map(Number)

// 22.18 and 24 have both: TypeScript run as it is, and zstd in node:zlib.
if (major > 23 || (major === 22 && minor >= 18)) {
  nodeModule.enableCompileCache?.()
  const installed = dirname(self).split(/[\\/]/).includes('node_modules')
  const inCheckout = !installed && existsSync(source)
  await import(pathToFileURL(inCheckout ? bundleOfNow() : bundle).href)
} else {
  const node = broughtAlong()
  if (node === undefined) refuse()
  else runWith(node)
}

/**
 * The bundle starts in half the time of the source and takes two thirds of its memory. When it cannot be made the source runs
 * all the same, and says what is wrong with it.
 */
function bundleOfNow() {
  if (existsSync(bundle) && !sourcesSince(statSync(bundle).mtimeMs)) return bundle
  const { status } = spawnSync(process.execPath, [join(root, 'build.ts')], { stdio: 'ignore' })
  return status === 0 ? bundle : source
}

function sourcesSince(ms) {
  const newer = path => statSync(path).mtimeMs > ms
  return (
    ['build.ts', 'package-lock.json'].some(file => newer(join(root, file))) ||
    ['base', 'protocol', 'kube', 'control', 'broker', 'operator', 'cli'].some(folder =>
      readdirSync(join(root, folder), { recursive: true, withFileTypes: true }).some(
        entry => entry.isFile() && newer(join(entry.parentPath, entry.name)),
      ),
    )
  )
}

function broughtAlong() {
  try {
    const manifest = createRequire(import.meta.url).resolve('node/package.json')
    const binary = join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
    if (existsSync(binary)) return binary
  } catch {
    // Not installed.
  }
  return undefined
}

function refuse() {
  process.stderr.write(
    `stele: needs Node 22.18, 24 or newer, this is ${process.versions.node}, and the npm package node that would bring one along is missing: install one of the two\n`,
  )
  process.exit(1)
}

function runWith(node) {
  const child = spawn(node, [self, ...process.argv.slice(2)], { stdio: 'inherit' })
  const passOn = signal => child.kill(signal)
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, passOn)
  child.on('error', error => {
    process.stderr.write(`stele: cannot run ${node}: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}
