import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { simWorld, type SimWorld } from '../test/sim/world.ts'
import { readFile, replaceFile, replaceFileNow } from './files.ts'
import type { Disk } from './world.ts'

const path = '/data/checkpoint'
const replacements = [
  ['replaceFile', replaceFile],
  ['replaceFileNow', async (disk: Disk, at: string, content: Buffer) => replaceFileNow(disk, at, content)],
] as const

/** A world with the old content in the file, durable; or without the file when it is undefined. */
async function worldWith(seed: number, old: Buffer | undefined): Promise<SimWorld> {
  const sim = simWorld({ seed })
  sim.world.disk.makeDirectory('/data')
  if (old !== undefined) await sim.clock.finish(replaceFile(sim.world.disk, path, old))
  return sim
}

/** Ends the process just before disk call number `count` from now. */
function dieAtCall(sim: SimWorld, count: number, die: () => void): void {
  let left = count
  sim.disk.onCall = () => {
    left -= 1
    if (left === 0) die()
  }
}

test('a file that is not there is undefined, and an empty one is empty', async () => {
  const sim = await worldWith(1, undefined)
  expect(readFile(sim.world.disk, path)).toBeUndefined()
  replaceFileNow(sim.world.disk, path, Buffer.alloc(0))
  expect(readFile(sim.world.disk, path)).toEqual(Buffer.alloc(0))
})

test.each(replacements)(
  '%s leaves the new content when it is done, whatever happens then',
  async (_, replace) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.uint8Array(),
        fc.uint8Array({ maxLength: 9_000 }),
        async (seed, old, content) => {
          const sim = await worldWith(seed, Buffer.from(old))
          await sim.clock.finish(replace(sim.world.disk, path, Buffer.from(content)))
          sim.crash()
          expect(readFile(sim.world.disk, path)).toEqual(Buffer.from(content))
          expect(sim.world.disk.list('/data')).toEqual(['checkpoint'])
        },
      ),
      { numRuns: 50 },
    )
  },
)

const oldContent = fc.option(
  fc.constantFrom(Buffer.alloc(0), Buffer.from('old'), Buffer.alloc(9_000, 'old')),
  {
    nil: undefined,
  },
)

test.each(replacements)(
  '%s leaves the old or the new content, whole, wherever it dies',
  async (_, replace) => {
    const content = Buffer.alloc(5_000, 'new')
    const left = { old: 0, new: 0 }
    await fc.assert(
      fc.asyncProperty(fc.nat(), oldContent, fc.nat(14), fc.boolean(), async (seed, old, call, kills) => {
        const sim = await worldWith(seed, old)
        dieAtCall(sim, call, () => (kills ? sim.kill() : sim.crash()))
        const replacing = replace(sim.world.disk, path, content).catch(() => undefined)
        await sim.clock.runFor(sim.random.between(0, 5))
        sim.disk.onCall = undefined
        sim.crash()
        const found = readFile(sim.world.disk, path)
        expect([old, content]).toContainEqual(found)
        left[found?.equals(content) === true ? 'new' : 'old'] += 1
        void replacing

        await sim.clock.finish(replace(sim.world.disk, path, Buffer.from('next')))
        sim.crash()
        expect(readFile(sim.world.disk, path)?.toString()).toBe('next')
      }),
      { numRuns: 400 },
    )
    expect(left.old).toBeGreaterThan(20)
    expect(left.new).toBeGreaterThan(20)
  },
)

test.each(replacements)(
  '%s that fails says so and leaves the old content, unless only the last sync failed',
  async (_, replace) => {
    const content = Buffer.from('new')
    for (const call of ['open', 'truncate', 'write', 'sync', 'rename'] as const) {
      const sim = await worldWith(1, Buffer.from('old'))
      sim.disk.failNext(call, 'EIO')
      await expect(sim.clock.finish(replace(sim.world.disk, path, content))).rejects.toMatchObject({
        code: 'EIO',
      })
      expect(readFile(sim.world.disk, path)?.toString()).toBe('old')
    }
    const sim = await worldWith(1, Buffer.from('old'))
    sim.disk.failNext('syncDirectory', 'EIO')
    await expect(sim.clock.finish(replace(sim.world.disk, path, content))).rejects.toMatchObject({
      code: 'EIO',
    })
    expect(readFile(sim.world.disk, path)?.toString()).toBe('new')
  },
)
