/** Of the container image: that what .dockerignore lets through is enough to make it, and what it holds. */
import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const checkout = join(import.meta.dirname, '../..')
const run = promisify(execFile)
let source = ''
let image = ''

/** The files that a build with Docker sees, and Node's packages. */
function addContext(): void {
  const lines = readFileSync(join(checkout, '.dockerignore'), 'utf8').split('\n')
  const wanted = lines.filter(line => line.startsWith('!')).map(line => line.slice(1))
  const isUnwanted = (path: string): boolean => /\.(?:test|fixture)\.ts$/.test(path)
  expect(lines).toEqual(expect.arrayContaining(['*', '**/*.test.ts', '**/*.fixture.ts']))
  for (const name of wanted.filter(name => existsSync(join(checkout, name))))
    cpSync(join(checkout, name), join(source, name), { recursive: true, filter: path => !isUnwanted(path) })
  symlinkSync(join(checkout, 'node_modules'), join(source, 'node_modules'))
}

beforeAll(async () => {
  mkdirSync(join(checkout, '.cache'), { recursive: true })
  source = mkdtempSync(join(checkout, '.cache', 'image-'))
  image = join(source, 'image')
  addContext()
  for (const args of [['build.ts'], ['image.ts', image]])
    await run(join(checkout, 'node_modules/node/bin/node'), args, { cwd: source })
})
afterAll(() => rmSync(source, { recursive: true }))

test('the image holds Node, Stele and what they load, and nothing to break in with', () => {
  expect(readdirSync(join(image, 'usr/bin')).toSorted()).toEqual(['node', 'stele'])
  expect(existsSync(join(image, 'bin'))).toBe(false)
  expect(readdirSync(join(image, 'stele')).toSorted()).toEqual(['dist', 'node_modules', 'package.json'])
  const files = readdirSync(image, { recursive: true, encoding: 'utf8' })
  expect(files.filter(name => name.endsWith('.node')).length).toBeGreaterThanOrEqual(4)
  expect(files.some(name => /libstdc\+\+\.so/.test(name))).toBe(true)
})

test('the Dockerfile makes it by the same two commands, and starts it as the rig does', async () => {
  const dockerfile = readFileSync(join(checkout, 'Dockerfile'), 'utf8')
  const { entrypoint, user } = (await import('../../image.ts')) as { entrypoint: string[]; user: string }
  expect(dockerfile).toContain('node build.ts && node_modules/.bin/node image.ts /image')
  expect(dockerfile).toContain(`ENTRYPOINT ${JSON.stringify(entrypoint)}`)
  expect(dockerfile).toContain(`USER ${user}`)
})
