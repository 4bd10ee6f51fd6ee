import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { realWorld } from './world.ts'

// What a world alone in one process cannot show; the rest is in test/contract.

const world = JSON.stringify(new URL('world.ts', import.meta.url).href)
let directory = ''
let children: ChildProcess[] = []

beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/stele-world-`)
})
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  rmSync(directory, { recursive: true })
})

/** Another process that runs `code` with a real world of its own. */
function start(code: string) {
  const program = `const { realWorld } = await import(${world})\n${code}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  return child
}

test('a lock keeps other processes out, and a killed one frees it', async () => {
  const { disk } = realWorld()
  const path = `${directory}/lock`
  const holder = start(`globalThis.held = realWorld().disk.lock(${JSON.stringify(path)})
    console.log(held === undefined ? 'refused' : 'taken')
    setInterval(() => {}, 1000)`)
  const [said] = await once(holder.stdout, 'data')
  expect(String(said)).toBe('taken\n')
  expect(disk.lock(path)).toBeUndefined()
  holder.kill('SIGKILL')
  await once(holder, 'exit')

  const mine = disk.lock(path)
  expect(mine).toBeDefined()
  const second = start(
    `console.log(realWorld().disk.lock(${JSON.stringify(path)}) === undefined ? 'refused' : 'taken')`,
  )
  const [answer] = await once(second.stdout, 'data')
  expect(String(answer)).toBe('refused\n')
  mine?.release()
})

test('a timer does not keep the process alive', async () => {
  const child = start(`realWorld().clock.after(3_600_000, () => {})`)
  const [code] = await once(child, 'exit')
  expect(code).toBe(0)
})

test('no two draws of chance are alike', () => {
  const { random } = realWorld()
  expect(random.bytes(16)).toHaveLength(16)
  expect(random.bytes(16).equals(random.bytes(16))).toBe(false)
})

test('ten thousand files opened and closed leave no descriptor behind', async () => {
  const { disk } = realWorld()
  const descriptors = () => disk.list('/dev/fd').length
  disk.open(`${directory}/file`, 'create').close()
  const before = descriptors()
  const syncs: Promise<void>[] = []
  for (let count = 0; count < 10_000; count += 1) {
    const file = disk.open(`${directory}/file`, 'read')
    if (count % 1_000 === 0) syncs.push(file.sync())
    file.close()
  }
  await Promise.all(syncs)
  expect(descriptors()).toBe(before)
})
