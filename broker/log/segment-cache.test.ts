import { describe, expect, test } from 'vitest'
import { KIB, offset } from '../../base/quantities.ts'
import { Seeded } from '../../test/sim/seeded.ts'
import { simWorld } from '../../test/sim/world.ts'
import {
  batchOf,
  bytesOf,
  openSim,
  read,
  readAll,
  sharedOf,
  smallSegments,
  spied,
  syncAll,
  write,
} from './log.fixture.ts'
import type { Log } from './log.ts'

const filesOfSegment = 3
const onePerSegment = { ...smallSegments, segmentBytes: 100 }
/** A read of a batch as large as this takes two steps when little was asked for. */
const largeBytes = 20 * KIB

async function filled(segments: number, openMax: number, bytes = 100) {
  const sim = simWorld({ seed: 2 })
  const spy = spied(sim)
  const shared = sharedOf(spy, { openMax })
  const { log } = await openSim(sim, { shared, settings: onePerSegment })
  for (let i = 0; i < segments; i++) {
    write(log, batchOf({ value: `v${i}`, bytes }))
    if (i % 50 === 49) await sim.clock.finish(log.sync())
  }
  await sim.clock.finish(log.sync())
  return { sim, spy, shared, log }
}

const valueAt = (bytes: Buffer): string | undefined => /v\d+#0/.exec(bytes.toString('latin1'))?.[0]
const later = (log: Log, from: number) => Promise.resolve(log.read(offset(from), log.end, 1, true))

test('no more sealed segments are open than allowed, the least recently read are closed first', async () => {
  const { sim, spy, shared, log } = await filled(20, 3)
  expect(shared.segmentCache.size).toBe(3)
  spy.forgetMost()
  for (const from of [5, 6, 7, 5, 8]) expect(valueAt(await read(sim, log, from))).toBe(`v${from}#0`)
  expect(shared.segmentCache.size).toBe(3)
  expect(
    spy
      .openNow()
      .filter(path => path.endsWith('.log'))
      .map(path => Number(path.slice(-24, -4))),
  ).toEqual(expect.arrayContaining([19, 7, 5, 8]))
  expect(spy.openNow()).toHaveLength(4 * filesOfSegment)
  const { hits, misses } = shared.segmentCache
  await read(sim, log, 8)
  await read(sim, log, 6)
  expect([shared.segmentCache.hits - hits, shared.segmentCache.misses - misses]).toEqual([1, 1])
})

test(
  'ten thousand segments are written, opened again and read with few descriptors',
  { timeout: 60_000 },
  async () => {
    const { sim, spy, log } = await filled(10_000, 4)
    expect(log.segmentCount).toBe(10_000)
    const checkpoint = await syncAll(sim, log)
    // Those that no sync has covered yet are open too.
    expect(spy.openMost).toBeLessThanOrEqual((4 + 51) * filesOfSegment)
    sim.kill()
    const again = spied(sim)
    const { log: reopened } = await openSim(sim, {
      shared: sharedOf(again),
      settings: onePerSegment,
      checkpoint,
      clean: true,
    })
    const random = new Seeded(1)
    for (let i = 0; i < 200; i++) {
      const from = random.below(10_000)
      expect(valueAt(await read(sim, reopened, from))).toBe(`v${from}#0`)
    }
    expect(again.openMost).toBeLessThanOrEqual((4 + 2) * filesOfSegment)
  },
)

test('recovery of all segments opens one after the other', async () => {
  const { sim, log } = await filled(300, 4)
  const values = await readAll(sim, log)
  sim.kill()
  const spy = spied(sim)
  const { log: again } = await openSim(sim, { shared: sharedOf(spy), settings: onePerSegment })
  expect(spy.openMost).toBeLessThanOrEqual(2 * filesOfSegment)
  expect(await readAll(sim, again)).toEqual(values)
})

describe('segments that are being read', () => {
  test('stay open although there are too many, and are closed when the reads are done', async () => {
    const { sim, spy, shared, log } = await filled(20, 2, largeBytes)
    const reads = Array.from({ length: 10 }, (_, from) => later(log, from))
    expect(spy.openNow().length).toBeGreaterThanOrEqual(10)
    const found = await sim.clock.finish(Promise.all(reads))
    expect(found.map(batches => valueAt(bytesOf(batches)))).toEqual(found.map((_, i) => `v${i}#0`))
    expect(shared.segmentCache.size).toBe(2)
    expect(spy.openNow()).toHaveLength(3 * filesOfSegment)
  })

  test('are read to the end although retention drops them, and are closed then', async () => {
    const { sim, spy, log } = await filled(20, 2, largeBytes)
    const reads = [later(log, 3), later(log, 3), later(log, 4), later(log, 17)]
    const names = log.dropBefore(offset(10))
    expect(names.filter(name => name.endsWith('.log.deleted'))).toHaveLength(10)
    const found = await sim.clock.finish(Promise.all(reads))
    expect(found.map(batches => valueAt(bytesOf(batches)))).toEqual(['v3#0', 'v3#0', 'v4#0', 'v17#0'])
    expect(spy.openNow().filter(path => /0000[0-9]\.\w+$/.test(path))).toEqual([])
    expect(sim.world.disk.list('/data/t-0.x').filter(name => /0000[0-9]\.\w+$/.test(name))).toEqual([])
  })

  test('are read to the end although the log is closed, and then nothing is open', async () => {
    const { sim, spy, log } = await filled(20, 2, largeBytes)
    const reads = [later(log, 3), later(log, 18)]
    log.close()
    const found = await sim.clock.finish(Promise.all(reads))
    expect(found.map(batches => valueAt(bytesOf(batches)))).toEqual(['v3#0', 'v18#0'])
    expect(spy.openNow()).toEqual([])
  })

  test('an error while opening leaves nothing open and the next read tries again', async () => {
    for (const kind of ['log', 'index', 'timeindex']) {
      const { sim, spy, log } = await filled(20, 2)
      sim.disk.failNext('open', 'EMFILE', new RegExp(`03\\.${kind}$`))
      await expect(sim.clock.finish(later(log, 3))).rejects.toThrow('EMFILE')
      expect(spy.openNow()).toHaveLength(3 * filesOfSegment)
      expect(valueAt(await read(sim, log, 3))).toBe('v3#0')
    }
  })
})
