import { describe, expect, test } from 'vitest'
import { KIB, offset } from '../../base/quantities.ts'
import { simWorld } from '../../test/sim/world.ts'
import {
  add,
  batchOf,
  fileOf,
  oneSegment,
  openSim,
  read,
  readAll,
  sharedOf,
  smallSegments,
  spied,
  syncAll,
  write,
} from './log.fixture.ts'
import { LogBroken } from './log.ts'

const code = (code: string) => expect.objectContaining({ code })

async function opened(settings = oneSegment) {
  const sim = simWorld({ seed: 4 })
  const { log } = await openSim(sim, { settings })
  return { sim, log }
}

describe.each(['ENOSPC', 'EIO'])('a write that fails with %s', failure => {
  test.each([
    ['of a few small batches', [100, 200, 100]],
    ['of more than a chunk', Array.from({ length: 60 }, () => 900)],
    ['of a large batch behind small ones', [100, 100, 200 * KIB]],
  ])('%s leaves the log as it was', async (_, sizes) => {
    for (let round = 0; round < 10; round++) {
      const { sim, log } = await opened()
      write(log, batchOf({ value: 'a' }), batchOf({ value: 'b' }))
      const { end, sizeBytes } = log
      const before = await readAll(sim, log)
      for (let i = 0; i < round; i++) sim.disk.random.below(10)
      sim.disk.failNext('write', failure, /\.log$/)
      expect(() => {
        for (const bytes of sizes) add(log, batchOf({ bytes, value: 'lost' }))
        log.flush()
      }).toThrow(code(failure))
      expect([log.end, log.nextOffset, log.sizeBytes, log.hasStaged]).toEqual([end, 2, sizeBytes, false])
      expect(sim.world.disk.stat(fileOf(0))?.sizeBytes).toBe(sizeBytes)
      expect(await readAll(sim, log)).toEqual(before)
      write(log, batchOf({ value: 'c' }))
      expect(await readAll(sim, log)).toEqual([...before, '2=c#0'])
    }
  })
})

test('a full disk: what fits is taken, and the rest when there is room again', async () => {
  const { sim, log } = await opened()
  const size = batchOf().length
  sim.disk.capacityBytes = 10 * size
  const outcomes = Array.from({ length: 20 }, () => {
    try {
      write(log, batchOf())
      return 'written'
    } catch {
      return 'refused'
    }
  })
  expect(outcomes.lastIndexOf('written')).toBe(outcomes.indexOf('refused') - 1)
  expect(outcomes.indexOf('refused')).toBeGreaterThan(5)
  const held = outcomes.indexOf('refused')
  expect(await readAll(sim, log)).toHaveLength(held)
  sim.disk.capacityBytes = 2 ** 30
  write(log, batchOf())
  expect(await readAll(sim, log)).toHaveLength(held + 1)
})

test('a file that cannot be cut back is said to be broken', async () => {
  const { sim, log } = await opened()
  write(log, batchOf({ value: 'a' }))
  sim.disk.failNext('write', 'EIO')
  sim.disk.failNext('truncate', 'EIO')
  expect(() => write(log, batchOf())).toThrow(LogBroken)
  expect(await readAll(sim, log)).toEqual(['0=a#0'])
})

describe('a roll that fails', () => {
  test.each(['log', 'index', 'timeindex'])(
    'at its .%s leaves the log as it was, also for the next start',
    async kind => {
      const { sim, log } = await opened(smallSegments)
      const names: string[] = []
      const name = (value: string): void => void names.push(`${names.length}=${value}#0`)
      for (let i = 0; i < 6; i++) {
        write(log, batchOf({ bytes: 400, value: 'a' }))
        name('a')
      }
      sim.disk.failNext('open', 'ENOSPC', new RegExp(`6\\.${kind}$`))
      expect(() => log.roll()).toThrow(code('ENOSPC'))
      // A small batch still fits into the old segment; a large one rolls again, at another offset.
      write(log, batchOf({ bytes: 100, value: 'b' }))
      name('b')
      for (let i = 0; i < 10; i++) {
        write(log, batchOf({ bytes: 400, value: 'c' }))
        name('c')
      }
      expect(await readAll(sim, log)).toEqual(names)
      await syncAll(sim, log)
      sim.crash('keep')
      const { log: again, cut } = await openSim(sim)
      expect(cut).toBeUndefined()
      expect(await readAll(sim, again)).toEqual(names)
    },
  )

  test('can be tried again at once, with what the first attempt left', async () => {
    const { sim, log } = await opened(smallSegments)
    write(log, batchOf({ bytes: 400, value: 'a' }))
    sim.disk.failNext('open', 'ENOSPC', /1\.timeindex$/)
    expect(() => log.roll()).toThrow(code('ENOSPC'))
    log.roll()
    write(log, batchOf({ value: 'b' }))
    await sim.clock.runFor(1000)
    await syncAll(sim, log)
    sim.crash('lose')
    const { log: again } = await openSim(sim)
    expect(await readAll(sim, again)).toEqual(['0=a#0', '1=b#0'])
  })
})

describe('a sync', () => {
  test('that fails says so', async () => {
    const { sim, log } = await opened()
    write(log, batchOf())
    sim.disk.failNext('sync', 'EIO', /\.log$/)
    await expect(sim.clock.finish(log.sync())).rejects.toThrow('EIO')
  })

  test('of a sealed segment does not need room for its indexes, and writes them when there is some', async () => {
    const { sim, log } = await opened(smallSegments)
    for (let i = 0; i < 10; i++) write(log, batchOf({ bytes: 400, timestamp: 1000 + i }))
    expect(log.unsyncedSegments).toBeGreaterThan(0)
    sim.disk.capacityBytes = 0
    expect(await sim.clock.finish(log.sync())).toEqual(log.end)
    expect(log.unsyncedSegments).toBeGreaterThan(0)
    await expect(sim.clock.finish(log.syncIndexes())).rejects.toEqual(code('ENOSPC'))
    sim.disk.capacityBytes = 2 ** 30
    await sim.clock.finish(log.sync())
    expect(log.unsyncedSegments).toBe(0)
    expect(sim.world.disk.stat(fileOf(0, 'timeindex'))?.sizeBytes).toBeGreaterThan(0)
  })

  test('of indexes is not done while those of a sealed segment are not written', async () => {
    const { sim, log } = await opened(smallSegments)
    for (let i = 0; i < 10; i++) write(log, batchOf({ bytes: 400 }))
    sim.disk.failShare('write', 1, 'ENOSPC', /0{20}\.(?:time)?index$/)
    await sim.clock.finish(log.sync())
    await expect(sim.clock.finish(log.syncIndexes())).rejects.toEqual(code('ENOSPC'))
    sim.disk.heal()
    await sim.clock.finish(log.syncIndexes())
    sim.crash('lose')
    expect(sim.world.disk.stat(fileOf(0, 'timeindex'))?.sizeBytes).toBeGreaterThan(0)
  })

  test('of indexes that fails breaks the log: what is on the disk is not known', async () => {
    const { sim, log } = await opened(smallSegments)
    write(log, batchOf({ bytes: 400 }))
    await sim.clock.finish(log.sync())
    sim.disk.failNext('sync', 'EIO', /index$/)
    await expect(sim.clock.finish(log.syncIndexes())).rejects.toThrow(LogBroken)
  })

  test('survives that the log is closed meanwhile, at any of its steps', async () => {
    for (let afterMs = 0; afterMs < 12; afterMs += 0.5) {
      const { sim, log } = await opened(smallSegments)
      for (let i = 0; i < 30; i++) write(log, batchOf({ bytes: 400 }))
      const syncing = log.sync().then(
        () => 'ended',
        (error: NodeJS.ErrnoException) => error.code,
      )
      await sim.clock.runFor(afterMs)
      log.close()
      expect(['ended', 'EBADF']).toContain(await sim.clock.finish(syncing))
    }
  })

  test('survives that retention drops every segment meanwhile, at any of its steps', async () => {
    for (let afterMs = 0; afterMs < 12; afterMs += 0.5) {
      const { sim, log } = await opened(smallSegments)
      for (let i = 0; i < 30; i++) write(log, batchOf({ bytes: 400 }))
      const syncing = log.sync()
      await sim.clock.runFor(afterMs)
      log.roll()
      log.dropBefore(log.end.offset)
      await sim.clock.finish(syncing)
      await sim.clock.finish(log.sync())
      expect(log.segmentCount).toBe(1)
      write(log, batchOf({ value: 'next' }))
      expect(await readAll(sim, log)).toEqual(['30=next#0'])
    }
  })

  test('covers what was written before it and a new segment with its name', async () => {
    const { sim, log } = await opened(smallSegments)
    for (let i = 0; i < 20; i++) write(log, batchOf({ bytes: 400, value: `v${i}` }))
    const end = await sim.clock.finish(log.sync())
    expect(end).toEqual(log.end)
    write(log, batchOf({ value: 'unsynced' }))
    sim.crash('lose')
    const { log: again } = await openSim(sim)
    expect(await readAll(sim, again)).toEqual(Array.from({ length: 20 }, (_, i) => `${i}=v${i}#0`))
  })
})

test.each([
  ['the active file', 2 ** 30],
  ['a sealed one', 3000],
])(
  'a read of %s that fails is an error, and the next one is not; no memory stays behind',
  async (_, segmentBytes) => {
    const sim = simWorld({ seed: 4 })
    const shared = sharedOf(sim, { tailBytes: 0 })
    const { log } = await openSim(sim, { settings: { ...smallSegments, segmentBytes }, shared })
    for (let i = 0; i < 120; i++) write(log, batchOf({ bytes: 400 }))
    await sim.clock.finish(log.sync())
    sim.disk.failNext('read', 'EIO', /\.log$/)
    await expect((async () => read(sim, log, 2))()).rejects.toEqual(code('EIO'))
    expect((await read(sim, log, 2)).length).toBeGreaterThan(0)
    expect(shared.readBuffers.lentBytes).toBe(0)
  },
)

test('a file that became shorter than its readable end is damage, not an endless read', async () => {
  const sim = simWorld({ seed: 4 })
  const spy = spied(sim)
  const { log } = await openSim(sim, { settings: smallSegments, shared: sharedOf(spy) })
  for (let i = 0; i < 20; i++) write(log, batchOf({ bytes: 400 }))
  await sim.clock.finish(log.sync())
  sim.world.disk.open(fileOf(0), 'write').truncate(500)
  expect((await read(sim, log, 0)).length).toBeGreaterThan(0)
  for (const from of [2, 3])
    await expect(read(sim, log, from)).rejects.toMatchObject({ damaged: { from: offset(1) } })
})
