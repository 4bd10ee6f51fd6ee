import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Disk } from '../../base/world.ts'
import { simWorld } from '../../test/sim/world.ts'
import { offsetEntries, SparseIndex, timeEntries, type IndexEntry } from './sparse-index.ts'

const everything = { key: Infinity, value: Infinity }
const layouts = { offsets: offsetEntries, times: timeEntries }
const perBlock = 512

/** Entries that rise, as (step of the key, step of the value). */
const steps = (maxLength: number) =>
  fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 9 })), {
    maxLength,
    size: 'max',
  })

function rising(from: readonly (readonly [number, number])[]): IndexEntry[] {
  let [key, value] = [0, 0]
  return from.map(([keyStep, valueStep]) => ({ key: (key += keyStep), value: (value += valueStep) }))
}

function indexOf(disk: Disk, entries: readonly IndexEntry[], layout = offsetEntries): SparseIndex {
  const index = SparseIndex.create(disk, '/index', layout)
  for (const { key, value } of entries) index.append(key, value)
  return index
}

/** Asks around the keys and values of some forty entries, and answers what differs from a list of them. */
function differences(index: SparseIndex, entries: readonly IndexEntry[]): unknown[] {
  const stride = Math.max(1, Math.floor(entries.length / 40))
  const asked = entries.filter((_, i) => i % stride === 0 || i === entries.length - 1)
  const found: [unknown, unknown][] = [
    [index.count, entries.length],
    [index.first, entries[0]],
    [index.last, entries.at(-1)],
  ]
  for (const near of [{ key: 0, value: 0 }, ...asked]) {
    for (const by of [-1, 0, 1]) {
      found.push([index.floor(near.key + by), entries.findLast(entry => entry.key <= near.key + by)])
      const value = near.value + by
      found.push([index.floorByValue(value), entries.findLast(entry => entry.value <= value)])
    }
  }
  return found.filter(([is, due]) => JSON.stringify(is) !== JSON.stringify(due))
}

describe.each(Object.entries(layouts))('an index of %s', (_, layout) => {
  test('finds what a list of its entries finds, in memory and over blocks of its file', () => {
    fc.assert(
      fc.property(fc.oneof(steps(30), steps(3 * perBlock)), from => {
        const entries = rising(from)
        expect(differences(indexOf(simWorld({ seed: 1 }).world.disk, entries, layout), entries)).toEqual([])
      }),
      { numRuns: 40 },
    )
  })

  test('opened again it is the same; with limits it ends before the first entry that reaches one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(steps(30), steps(3 * perBlock)),
        fc.nat(12_000),
        fc.nat(12_000),
        async (from, keyLimit, valueLimit) => {
          const sim = simWorld({ seed: 1 })
          const entries = rising(from)
          indexOf(sim.world.disk, entries, layout).persist()
          const open = (limit: IndexEntry) =>
            sim.clock.finish(SparseIndex.open(sim.world.disk, '/index', layout, limit))
          const whole = await open(everything)
          expect(whole && differences(whole, entries)).toEqual([])
          const limit = { key: keyLimit, value: valueLimit }
          const end = entries.findIndex(entry => entry.key >= keyLimit || entry.value >= valueLimit)
          const kept = entries.slice(0, end < 0 ? undefined : end)
          const cut = await open(limit)
          expect(cut).toBeDefined()
          if (cut === undefined) return
          expect(differences(cut, kept)).toEqual([])
          // What was left out is gone once new entries stand there.
          cut.append(100_000, 100_000)
          cut.persist()
          const again = await open(everything)
          expect(again && differences(again, [...kept, { key: 100_000, value: 100_000 }])).toEqual([])
        },
      ),
      { numRuns: 30 },
    )
  })
})

const many = rising(Array.from({ length: 3 * perBlock + 7 }, () => [2, 3] as const))

test('memory holds less than two blocks of entries; a look-up reads at most one block', () => {
  const sim = simWorld({ seed: 1 })
  const index = indexOf(sim.world.disk, many)
  expect(sim.world.disk.stat('/index')?.sizeBytes).toBe(3 * perBlock * 8)
  let reads = 0
  sim.disk.onCall = call => (reads += call === 'read' ? 1 : 0)
  expect(index.floor(many[100]?.key ?? 0)).toEqual(many[100])
  expect(reads).toBe(1)
  expect(index.floor(many.at(-1)?.key ?? 0)).toEqual(many.at(-1))
  expect(reads).toBe(1)
})

test('a key that does not rise is left out', () => {
  const index = indexOf(simWorld({ seed: 1 }).world.disk, [])
  for (const key of [5, 5, 4, 6]) index.append(key, key)
  const due = [
    { key: 5, value: 5 },
    { key: 6, value: 6 },
  ]
  expect(differences(index, due)).toEqual([])
})

test('on a full disk blocks stay in memory, and go to the file when there is room', () => {
  const sim = simWorld({ seed: 1 })
  const index = indexOf(sim.world.disk, many.slice(0, 10))
  sim.disk.capacityBytes = 1000
  for (const { key, value } of many.slice(10, 2 * perBlock + 3)) index.append(key, value)
  expect(differences(index, many.slice(0, 2 * perBlock + 3))).toEqual([])
  expect(() => index.persist()).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
  sim.disk.capacityBytes = 2 ** 30
  for (const { key, value } of many.slice(2 * perBlock + 3)) index.append(key, value)
  expect(differences(index, many)).toEqual([])
  expect(sim.world.disk.stat('/index')?.sizeBytes).toBe(3 * perBlock * 8)
})

const put = (disk: Disk, bytes: Buffer) => {
  const file = disk.open('/index', 'create')
  file.write([bytes], 0)
  file.close()
}
const entry = (key: number, value: number): Buffer => {
  const bytes = Buffer.alloc(8)
  offsetEntries.write(bytes, 0, key, value)
  return bytes
}

const opened = async (bytes: Buffer | undefined) => {
  const sim = simWorld({ seed: 1 })
  if (bytes !== undefined) put(sim.world.disk, bytes)
  return sim.clock.finish(SparseIndex.open(sim.world.disk, '/index', offsetEntries, everything))
}

describe('a file that makes no sense is refused', () => {
  test.each([
    ['there is none', undefined],
    ['a key that does not rise', Buffer.concat([entry(5, 10), entry(5, 20)])],
    ['a value that falls', Buffer.concat([entry(5, 10), entry(6, 9)])],
    ['a sector of zeros', Buffer.concat([entry(5, 10), Buffer.alloc(512)])],
  ])('%s', async (_, bytes) => expect(await opened(bytes)).toBeUndefined())

  test('but half an entry at its end is only left out', async () => {
    const index = await opened(Buffer.concat([entry(5, 10), entry(6, 20).subarray(0, 5)]))
    expect(index?.last).toEqual({ key: 5, value: 10 })
    index?.append(7, 30)
    index?.persist()
    expect(index?.floor(7)).toEqual({ key: 7, value: 30 })
  })

  test('and one that cannot be read is an error that leaves nothing open', async () => {
    const sim = simWorld({ seed: 1 })
    put(sim.world.disk, entry(5, 10))
    sim.disk.failNext('read', 'EIO')
    const opening = SparseIndex.open(sim.world.disk, '/index', offsetEntries, everything)
    await expect(sim.clock.finish(opening)).rejects.toThrow('EIO')
  })
})
