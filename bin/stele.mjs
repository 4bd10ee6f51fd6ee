#!/usr/bin/env node
// Starts the command: from source in a checkout, from dist/ when installed. When the Node that runs this is too old, the one
// that the package brings along (npm package `node`) takes over, with the same input, output, signals and exit code.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import * as nodeModule from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const self = fileURLToPath(import.meta.url)
const [major, minor] = process.versions.node.split('.').map(Number)

// 22.18 and 24 have both: TypeScript run as it is, and zstd in node:zlib.
if (major > 23 || (major === 22 && minor >= 18)) {
  nodeModule.enableCompileCache?.()
  const source = new URL('../cli/main.ts', import.meta.url)
  const installed = dirname(self).split(/[\\/]/).includes('node_modules')
  const inCheckout = !installed && existsSync(source)
  await import(inCheckout ? source.href : new URL('../dist/stele.mjs', import.meta.url).href)
} else {
  const node = broughtAlong()
  if (node === undefined) refuse()
  else runWith(node)
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
