/** Logs that are cut back, beside a model that is an array: what is read, and what a crash at any moment leaves. */
import { expect, test } from 'vitest'
import { offset, type Offset } from '../../base/quantities.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import type { TabletCheckpoint } from './checkpoint.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import type { Log } from './log.ts'
import {
  add,
  batchOf,
  checkpointAt,
  fileOf,
  logDirectory,
  openSim,
  readAll,
  syncAll,
  write,
} from './log.fixture.ts'

const record = (at: number, value: string): string => `${at}=${value}`

/** Batches of two records at 0, 2, 4 and so on, in segments of about ten. */
async function filled(sim: SimWorld, batches: number): Promise<Log> {
  const { log } = await openSim(sim)
  for (let n = 0; n < batches; n++) write(log, batchOf({ count: 2, bytes: 300, value: `b${n}` }))
  return log
}

test('it is cut where the batch begins that holds the offset, and goes on there', async () => {
  const sim = simWorld({ seed: 1 })
  const log = await filled(sim, 30)
  const before = await readAll(sim, log)
  await sim.clock.finish(log.truncate(offset(35)))
  expect(log.end.offset).toBe(34)
  expect(await readAll(sim, log)).toEqual(before.slice(0, 34))
  write(log, batchOf({ value: 'new' }))
  expect(await readAll(sim, log)).toEqual([...before.slice(0, 34), record(34, 'new#0')])
})

test('whole segments go, their files renamed, and the one that is left is active', async () => {
  const sim = simWorld({ seed: 2 })
  const log = await filled(sim, 40)
  const segments = log.segmentCount
  expect(segments).toBeGreaterThan(3)
  const names = await sim.clock.finish(log.truncate(offset(1)))
  expect(log.segmentCount).toBe(1)
  expect(names.length).toBe(3 * (segments - 1))
  expect(names.every(name => sim.world.disk.stat(name) !== undefined)).toBe(true)
  expect([log.end.offset, log.sizeBytes, log.firstOffset]).toEqual([0, 0, 0])
  write(log, batchOf({ value: 'again' }))
  expect(await readAll(sim, log)).toEqual([record(0, 'again#0')])
})

test('behind its end there is nothing to cut', async () => {
  const sim = simWorld({ seed: 3 })
  const log = await filled(sim, 5)
  expect(await sim.clock.finish(log.truncate(offset(10)))).toEqual([])
  expect(log.end.offset).toBe(10)
})

test('timestamps are found as if what was cut had never been', async () => {
  const sim = simWorld({ seed: 4 })
  const { log } = await openSim(sim)
  for (let n = 0; n < 30; n++)
    write(log, batchOf({ bytes: 250, timestamp: n === 17 ? 90_000 : 1000 + n, value: `b${n}` }))
  expect((await sim.clock.finish(log.lookUps.maxTimestamp()))?.ms).toBe(90_000)
  await sim.clock.finish(log.truncate(offset(17)))
  expect(await sim.clock.finish(log.lookUps.maxTimestamp())).toEqual({ ms: 1016, offset: 16 })
  expect(await sim.clock.finish(log.lookUps.searchFrom(2000))).toBeUndefined()
  expect(await sim.clock.finish(log.lookUps.searchFrom(1010))).toBeLessThanOrEqual(10)
})

test('a sync that was under way when it was cut does not count what is gone', async () => {
  const sim = simWorld({ seed: 5 })
  const log = await filled(sim, 20)
  const syncing = log.sync()
  const cutting = log.truncate(offset(10))
  const after = log.sync()
  expect((await sim.clock.finish(syncing)).offset).toBe(40)
  await sim.clock.finish(cutting)
  expect((await sim.clock.finish(after)).offset).toBe(10)
})

test('it may be closed while it is cut, at any of its steps', async () => {
  let closedBefore = 0
  for (let afterMs = 0; afterMs < 12; afterMs += 0.25) {
    const sim = simWorld({ seed: 8 })
    const log = await filled(sim, 20)
    let isCut = false
    const cutting = log.truncate(offset(10)).then(
      () => 'ended',
      (error: NodeJS.ErrnoException) => error.code,
    )
    void cutting.then(() => (isCut = true))
    await sim.clock.runFor(afterMs)
    if (!isCut) closedBefore++
    log.close()
    expect(['ended', 'EBADF']).toContain(await sim.clock.finish(cutting))
  }
  expect(closedBefore).toBeGreaterThan(2)
})

test('a log begins again behind its end, and only there after a crash', async () => {
  const sim = simWorld({ seed: 6 })
  const log = await filled(sim, 20)
  let checkpoint: TabletCheckpoint | undefined
  const commit = async (): Promise<void> => {
    checkpoint = checkpointAt({ offset: offset(100), segment: offset(100), position: 0 }, 100)
    await Promise.resolve()
  }
  await sim.clock.finish(log.restartAt(offset(100), commit))
  expect([log.firstOffset, log.end.offset, log.sizeBytes]).toEqual([100, 100, 0])
  write(log, batchOf({ value: 'new' }))
  await sim.clock.finish(log.sync())
  sim.crash('lose')
  const again = await openSim(sim, { checkpoint })
  expect(await readAll(sim, again.log)).toEqual([record(100, 'new#0')])
  expect(sim.world.disk.stat(fileOf(0))).toBeUndefined()
})

test('a log that could not begin again is as it was', async () => {
  const sim = simWorld({ seed: 7 })
  const log = await filled(sim, 20)
  const before = await readAll(sim, log)
  const refused = log.restartAt(offset(100), () => Promise.reject(new Error('no room')))
  await expect(sim.clock.finish(refused)).rejects.toThrow('no room')
  expect(await readAll(sim, log)).toEqual(before)
  sim.kill()
  expect(await readAll(sim, (await openSim(sim)).log)).toEqual(before)
})

test('epochs are forgotten with the log that began again', () => {
  const sim = simWorld({ seed: 8 })
  sim.world.disk.makeDirectory(logDirectory)
  const epochs = LeaderEpochs.none(sim.world.disk, logDirectory)
  epochs.seen(3 as never, offset(0))
  epochs.clear()
  expect(epochs.latest).toBeUndefined()
})

/** The log, what it should hold, and how much of that a crash cannot take. */
class History {
  readonly sim: SimWorld
  log!: Log
  checkpoint: TabletCheckpoint | undefined
  values: string[] = []
  start = 0
  durable = 0
  batches = 0

  constructor(seed: number) {
    this.sim = simWorld({ seed })
  }

  async open(): Promise<void> {
    const opened = await openSim(this.sim, { checkpoint: this.checkpoint })
    this.log = opened.log
  }

  append(): void {
    const { random } = this.sim
    const count = 1 + random.below(3)
    const value = `v${this.batches++}`
    const at = this.log.nextOffset
    add(this.log, batchOf({ count, bytes: 100 + random.below(700), value }))
    for (let i = 0; i < count; i++) this.values.push(record(at + i, `${value}#${i}`))
  }

  /** As a tablet does it: the recovery point goes down first. Answers where the log ends then. */
  async cut(to: Offset): Promise<number> {
    const place = await this.log.placeOf(to)
    if ((this.checkpoint?.recoveryPoint ?? 0) > place.offset)
      this.checkpoint = checkpointAt(place, this.start)
    await this.log.truncate(to)
    return place.offset
  }

  async check(): Promise<void> {
    expect(await readAll(this.sim, this.log)).toEqual(this.values)
  }

  /** A crash: what is found is between what was durable and all there was, or what a cut under way would leave. */
  async crash(lowest: number, cutTo?: number): Promise<void> {
    this.sim.crash()
    await this.open()
    const end = this.log.end.offset - this.start
    expect(end).toBeGreaterThanOrEqual(Math.min(lowest, cutTo ?? Infinity) - this.start)
    expect(await readAll(this.sim, this.log)).toEqual(this.values.slice(0, end))
    this.values.length = end
    this.durable = this.start + end
  }
}

/** Answers how many batches it wrote. */
async function live(seed: number): Promise<number> {
  const history = new History(seed)
  const { sim } = history
  const { random } = sim
  await history.open()
  for (let step = 0; step < 40; step++) {
    const draw = random.below(10)
    if (draw < 5) {
      for (let n = 1 + random.below(4); n > 0; n--) history.append()
      history.log.flush()
    } else if (draw < 6) {
      history.checkpoint = await syncAll(sim, history.log, history.start)
      history.durable = history.log.end.offset
    } else if (draw < 8) {
      const to = offset(history.start + random.below(history.values.length + 3))
      const place = (await sim.clock.finish(history.log.placeOf(to))).offset
      const cutting = history.cut(to)
      if (random.chance(0.4)) {
        await sim.clock.runFor(random.between(0, 6))
        void cutting.catch(() => undefined)
        await history.crash(history.durable, place)
        continue
      }
      expect(await sim.clock.finish(cutting)).toBe(place)
      history.values.length = place - history.start
      history.durable = Math.min(history.durable, place)
    } else if (draw < 9) {
      await history.crash(history.durable)
    } else await history.check()
  }
  await history.check()
  return history.batches
}

const firstSeed = Number(process.env['STELE_SEED'] ?? 1)
const histories = Number(process.env['STELE_HISTORIES'] ?? 150)

test(`${histories} histories of cuts and crashes`, { timeout: 600_000 }, async () => {
  let batches = 0
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
    batches += await live(seed).catch((cause: unknown) => {
      throw new Error(`repeat with STELE_SEED=${seed} STELE_HISTORIES=1`, { cause })
    })
  }
  expect(batches).toBeGreaterThan(histories * 10)
})
