import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KIB, offset, type Offset } from '../../base/quantities.ts'
import { baseOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import {
  add,
  batchOf,
  bytesOf,
  countCalls,
  fileOf,
  logDirectory,
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
import type { Log, LogPosition, LogSettings } from './log.ts'
import { readSegmentLater } from './read.ts'
import { Segment } from './segment.ts'
import { offsetEntries } from './sparse-index.ts'

type Written = {
  readonly base: number
  readonly last: number
  readonly bytes: Buffer
  readonly segment: number
}

/** Writes batches of these shapes, several to a flush, and remembers what stands where. */
function fill(log: Log, shapes: readonly { count: number; bytes: number; flush: boolean }[]): Written[] {
  const written: Written[] = []
  for (const { count, bytes, flush } of shapes) {
    const batch = batchOf({ count, bytes })
    const base = log.nextOffset
    add(log, batch)
    written.push({ base, last: base + count - 1, bytes: Buffer.from(batch), segment: -1 })
    if (flush) log.flush()
  }
  log.flush()
  return written
}

const segmentsOf = (sim: SimWorld, written: readonly Written[]): Written[] => {
  const names = sim.world.disk.list('/data/t-0.x').filter(name => name.endsWith('.log'))
  const bases = names.map(name => Number(name.slice(0, 20)))
  return written.map(batch => ({ ...batch, segment: bases.findLast(base => base <= batch.base) ?? 0 }))
}

/** What a read may answer at most: whole batches of one segment, below `to`. */
function due(
  written: readonly Written[],
  from: number,
  to: number,
  bytesMax: number,
  atLeastOne: boolean,
): Buffer[] {
  const first = written.findIndex(batch => batch.last >= from)
  const taken: Buffer[] = []
  let bytes = 0
  for (const batch of written.slice(first)) {
    if (batch.segment !== written[first]?.segment || batch.base >= to) break
    bytes += batch.bytes.length
    if (bytes > bytesMax && !(taken.length === 0 && atLeastOne)) break
    taken.push(batch.bytes)
  }
  return taken
}

const shapes = fc.array(
  fc.record({
    count: fc.integer({ min: 1, max: 4 }),
    bytes: fc.integer({ min: 80, max: 900 }),
    flush: fc.boolean(),
  }),
  { minLength: 1, maxLength: 120, size: 'max' },
)

const paths = { tail: 0, file: 0, later: 0 }

async function readOnce(
  sim: SimWorld,
  log: Log,
  from: number,
  to: LogPosition,
  bytesMax: number,
  atLeastOne: boolean,
) {
  const calls = countCalls(sim, /\.log$/)
  const reading = log.read(offset(from), to, bytesMax, atLeastOne)
  const path = reading instanceof Promise ? 'later' : (calls.get('read') ?? 0) > 0 ? 'file' : 'tail'
  const bytes = bytesOf(await sim.clock.finish(Promise.resolve(reading)))
  sim.disk.onCall = undefined
  paths[path] += 1
  return bytes
}

describe('a read at any offset, of any size, up to any batch', () => {
  const settings: [string, LogSettings, number][] = [
    ['of small segments', smallSegments, 1 << 20],
    ['of one segment with a small tail', oneSegment, 16 * KIB],
    [
      'of segments that the tail does not reach back to',
      { ...smallSegments, segmentBytes: 30_000 },
      16 * KIB,
    ],
  ]

  test.each(settings)('%s: whole batches, exactly those that fit', async (_, logSettings, tailBytes) => {
    const around = fc.array(fc.tuple(fc.nat(1000), fc.nat(1000), fc.nat(4000), fc.boolean()), {
      minLength: 20,
      maxLength: 20,
    })
    await fc.assert(
      fc.asyncProperty(shapes, around, async (wanted, asked) => {
        const sim = simWorld({ seed: 1 })
        const shared = sharedOf(sim, { tailBytes })
        const { log } = await openSim(sim, { settings: logSettings, shared })
        // The tails of two more tablets want memory too.
        const written = segmentsOf(sim, fill(log, wanted))
        await sim.clock.finish(log.sync())
        const end = log.end.offset
        for (const [fromDraw, toDraw, bytesMax, atLeastOne] of asked) {
          const from = fromDraw % end
          const held = written.filter(batch => batch.base > from)
          const cutAt = held[toDraw % (held.length + 1)]
          const to = cutAt === undefined ? log.end : placeOf(written, cutAt)
          const found = await readOnce(sim, log, from, to, bytesMax, atLeastOne)
          expect(found.equals(Buffer.concat(due(written, from, to.offset, bytesMax, atLeastOne)))).toBe(true)
        }
      }),
      { numRuns: 25 },
    )
  })

  test('takes all three ways: the tail, the active file, sealed files', () => {
    expect(Math.min(paths.tail, paths.file, paths.later)).toBeGreaterThan(30)
  })
})

describe('a replay', () => {
  test('shows every batch that begins between two offsets', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.nat(400), fc.nat(400), async (wanted, fromDraw, toDraw) => {
        const sim = simWorld({ seed: 1 })
        const { log } = await openSim(sim)
        const written = fill(log, wanted)
        const [from, to] = [fromDraw, toDraw].map(draw => offset(draw % (log.nextOffset + 1))) as [
          Offset,
          Offset,
        ]
        const shown: number[] = []
        await sim.clock.finish(log.replay((bytes, at) => shown.push(baseOffsetOf(bytes, at)), from, to))
        const bases = written.map(({ base }) => base)
        expect(shown).toEqual(bases.filter(base => base >= from && base < to))
      }),
    )
  })

  test('of the end of a large segment does not read it from its beginning', async () => {
    const sim = simWorld({ seed: 1 })
    const { log } = await openSim(sim, { settings: oneSegment })
    fill(
      log,
      Array.from({ length: 1_000 }, () => ({ count: 1, bytes: 10_000, flush: true })),
    )
    const calls = countCalls(sim, /\.log$/)
    let shown = 0
    await sim.clock.finish(log.replay(() => shown++, offset(995), log.nextOffset))
    expect(shown).toBe(5)
    // The header that the index names, and the rest of the file.
    expect(calls.get('readLater') ?? calls.get('read')).toBe(2)
  })
})

/** The place before this batch, as a high watermark there would be. */
function placeOf(written: readonly Written[], batch: Written): LogPosition {
  const before = written.filter(other => other.segment === batch.segment && other.base < batch.base)
  const position = before.reduce((sum, other) => sum + other.bytes.length, 0)
  return { offset: offset(batch.base), segment: offset(batch.segment), position }
}

test('a batch far larger than what was asked comes whole, or not at all', async () => {
  const sim = simWorld({ seed: 1 })
  const { log } = await openSim(sim, { settings: oneSegment })
  const written = segmentsOf(
    sim,
    fill(
      log,
      [100, 300 * KIB, 100, 1500 * KIB, 100].map(bytes => ({ count: 1, bytes, flush: true })),
    ),
  )
  for (const [i, { base, bytes }] of written.entries()) {
    expect(
      bytesOf(await sim.clock.finish(Promise.resolve(log.read(offset(base), log.end, 1, true)))).equals(
        bytes,
      ),
    ).toBe(true)
    expect((await sim.clock.finish(Promise.resolve(log.read(offset(base), log.end, 50, false)))).bytes).toBe(
      0,
    )
    const two = written.slice(i, i + 2).map(batch => batch.bytes)
    const size = two.reduce((sum, one) => sum + one.length, 0)
    const found = await sim.clock.finish(Promise.resolve(log.read(offset(base), log.end, size, true)))
    expect(Buffer.concat(two).subarray(0, found.bytes).equals(bytesOf(found))).toBe(true)
    expect(found.bytes).toBeGreaterThan(0)
  }
})

test('what this run wrote is read from the page cache at once, also behind a roll; what it found is not', async () => {
  const sim = simWorld({ seed: 1 })
  const shared = sharedOf(sim, { tailBytes: 0 })
  const settings = { ...smallSegments, segmentBytes: 60_000 }
  const { log } = await openSim(sim, { settings, shared })
  const isLater = (now: Log, from: number): boolean => {
    const reading = now.read(offset(from), now.end, 1000, true)
    if (reading instanceof Promise) void reading.then(batches => batches.release())
    else reading.release()
    return reading instanceof Promise
  }
  while (log.segmentCount < 2 || log.end.position < 40_000) write(log, batchOf({ bytes: 900 }))
  expect([0, log.end.segment, log.end.offset - 1].map(from => isLater(log, from))).toEqual([
    true,
    false,
    false,
  ])
  const checkpoint = await syncAll(sim, log)
  sim.kill()
  const again = (await openSim(sim, { settings, checkpoint, clean: true, shared: sharedOf(sim) })).log
  write(again, batchOf())
  expect([again.end.segment, again.end.offset - 1].map(from => isLater(again, from))).toEqual([true, false])
  again.roll()
  while (again.end.position < 40_000) write(again, batchOf({ bytes: 900 }))
  expect(isLater(again, again.end.segment)).toBe(false)
})

test('bytes that are not written yet are never read', async () => {
  const sim = simWorld({ seed: 1 })
  const { log } = await openSim(sim)
  write(log, batchOf({ value: 'a' }))
  add(log, batchOf({ value: 'b' }))
  expect(await readAll(sim, log)).toEqual(['0=a#0'])
})

/** Entry number `at` of the first segment's index. */
function index(sim: SimWorld, at: number) {
  const entry = Buffer.alloc(8)
  sim.world.disk.open(fileOf(0, 'index'), 'read').read(entry, at * 8)
  return { key: offsetEntries.key(entry, 0), value: offsetEntries.value(entry, 0) }
}

async function filled(seed = 3) {
  const sim = simWorld({ seed })
  const { log } = await openSim(sim, { settings: { ...smallSegments, segmentBytes: 20_000 } })
  for (let i = 0; i < 200; i++)
    write(log, batchOf({ count: 1 + (i % 3), bytes: 100 + ((i * 97) % 700), timestamp: 1000 + i }))
  const checkpoint = await syncAll(sim, log)
  const values = await readAll(sim, log)
  return { sim, log, checkpoint, values }
}
const reopened = async (sim: SimWorld, checkpoint: Parameters<typeof openSim>[1]) => {
  sim.kill()
  return (await openSim(sim, { settings: { ...smallSegments, segmentBytes: 20_000 }, ...checkpoint })).log
}

describe('index files', () => {
  test('deleting all of them changes nothing', async () => {
    const { sim, checkpoint, values } = await filled()
    for (const name of sim.world.disk.list('/data/t-0.x'))
      if (name.endsWith('index')) await sim.clock.finish(sim.world.disk.remove(`/data/t-0.x/${name}`))
    const log = await reopened(sim, { checkpoint, clean: true })
    expect(await readAll(sim, log)).toEqual(values)
    expect(await sim.clock.finish(log.lookUps.maxTimestamp())).toMatchObject({ ms: 1199 + 1 })
    for (const name of sim.world.disk.list('/data/t-0.x').filter(name => name.endsWith('.log')))
      expect(sim.world.disk.stat(`/data/t-0.x/${name.replace('.log', '.index')}`)?.sizeBytes).toBeGreaterThan(
        0,
      )
  })

  test.each(['zeros', 'noise', 'EIO'])('making %s of them changes nothing; they are made anew', async how => {
    const { sim, checkpoint, values } = await filled()
    for (const name of sim.world.disk.list('/data/t-0.x').filter(name => name.endsWith('index'))) {
      if (how === 'EIO') continue
      const file = sim.world.disk.open(`/data/t-0.x/${name}`, 'write')
      const bytes = how === 'zeros' ? Buffer.alloc(file.sizeBytes()) : sim.random.bytes(file.sizeBytes())
      file.write([bytes], 0)
      file.close()
    }
    if (how === 'EIO') for (let i = 0; i < 50; i++) sim.disk.failNext('read', 'EIO', /index$/)
    const log = await reopened(sim, { checkpoint, clean: true })
    sim.disk.heal()
    expect(await readAll(sim, log)).toEqual(values)
    const index = Buffer.alloc(8)
    sim.world.disk.open(fileOf(0, 'index'), 'read').read(index, 0)
    expect(offsetEntries.key(index, 0)).toBeGreaterThan(0)
    expect(offsetEntries.key(index, 0)).toBeLessThan(100)
  })

  test('that point behind the end of the log are made anew', async () => {
    const { sim, checkpoint, values } = await filled()
    const entry = Buffer.alloc(8)
    offsetEntries.write(entry, 0, 0, 1_000_000)
    const file = sim.world.disk.open(fileOf(0, 'index'), 'write')
    file.truncate(0)
    file.write([entry], 0)
    const log = await reopened(sim, { checkpoint, clean: true })
    expect(await readAll(sim, log)).toEqual(values)
  })

  test('that rise but lie do not hide a batch', async () => {
    const { sim, log, checkpoint, values } = await filled()
    const places: [number, number][] = []
    for (const at of [30, 40]) {
      const { key, value } = index(sim, at)
      places.push([key - 25, value])
    }
    const file = sim.world.disk.open(fileOf(0, 'index'), 'write')
    file.truncate(0)
    for (const [i, [key, value]] of places.entries()) {
      const entry = Buffer.alloc(8)
      offsetEntries.write(entry, 0, Math.max(i, key), value)
      file.write([entry], i * 8)
    }
    log.close()
    const again = await reopened(sim, { checkpoint, clean: true })
    for (const from of [0, 5, 20, 30])
      expect((await read(sim, again, from, { bytesMax: 1 })).length).toBeGreaterThan(0)
    expect(await readAll(sim, again)).toEqual(values)
  })

  test('that were made anew are whole or not there after a power cut: retention trusts their newest time', async () => {
    for (let seed = 0; seed < 30; seed++) {
      const { sim, checkpoint } = await filled(seed)
      for (const name of sim.world.disk.list('/data/t-0.x'))
        if (name.endsWith('index')) await sim.clock.finish(sim.world.disk.remove(`/data/t-0.x/${name}`))
      const times = async (log: Log): Promise<unknown[]> => {
        const all: unknown[] = []
        const facts = log.lookUps.segmentFacts()
        for (;;) {
          const { done, value } = await sim.clock.finish(facts.next())
          if (done === true) return all
          all.push(value.maxTimestampMs)
        }
      }
      const due = await times(await reopened(sim, { checkpoint, clean: true }))
      sim.crash('tear')
      const { log } = await openSim(sim, { settings: { ...smallSegments, segmentBytes: 20_000 }, checkpoint })
      expect(await times(log)).toEqual(due)
    }
  })

  test('a rebuild that is under way does not mislead other reads', async () => {
    const { sim, checkpoint, values } = await filled()
    await sim.clock.finish(sim.world.disk.remove(fileOf(0, 'index')))
    const log = await reopened(sim, { checkpoint, clean: true })
    const reads = [0, 20, 5, 30, 10].map(async from =>
      bytesOf(await log.read(offset(from), log.end, 500, true)),
    )
    const found = await sim.clock.finish(Promise.all(reads))
    for (const [i, from] of [0, 20, 5, 30, 10].entries()) {
      const again = bytesOf(
        await sim.clock.finish(Promise.resolve(log.read(offset(from), log.end, 500, true))),
      )
      expect(found[i]?.equals(again)).toBe(true)
    }
    expect(await readAll(sim, log)).toEqual(values)
  })

  test('on a full disk a lost index is rebuilt in memory, and reads go on', async () => {
    const { sim, checkpoint, values } = await filled()
    for (const kind of ['index', 'timeindex'] as const)
      await sim.clock.finish(sim.world.disk.remove(fileOf(0, kind)))
    sim.disk.capacityBytes = 0
    const log = await reopened(sim, { checkpoint, clean: true })
    expect(await readAll(sim, log)).toEqual(values)
  })
})

describe('a reader who goes on where he ended', () => {
  const settings: LogSettings = { ...smallSegments, segmentBytes: 30_000 }

  test('reads every byte of a sealed segment once', async () => {
    const sim = simWorld({ seed: 1 })
    const spy = spied(sim)
    const { log } = await openSim(sim, { settings, shared: sharedOf(spy, { tailBytes: 16 * KIB }) })
    const written = fill(
      log,
      Array.from({ length: 200 }, () => ({ count: 2, bytes: 800, flush: true })),
    )
    const first = segmentsOf(sim, written).filter(({ segment }) => segment === 0)
    const batchBytes = first[0]?.bytes.length ?? 0
    spy.reads.length = 0
    for (let n = 0; n < first.length; n += 4) {
      const four = first.slice(n, n + 4)
      const bytes = await read(sim, log, four[0]?.base ?? -1, { bytesMax: 4 * batchBytes })
      expect(bytes).toEqual(Buffer.concat(four.map(({ bytes }) => bytes)))
    }
    const reads = spy.reads.filter(({ path }) => path === fileOf(0)).slice(1)
    expect(reads.length).toBeGreaterThan(4)
    expect(reads.map(({ at }) => at)).toEqual(reads.map((_, n) => (n + 1) * 4 * batchBytes))
    for (const { bytes } of reads) expect(bytes).toBeLessThanOrEqual(4 * batchBytes)
    log.close()
  })

  test('is served by the index when no sound batch stands there any more', async () => {
    const sim = simWorld({ seed: 2 })
    const shared = sharedOf(sim)
    const { log } = await openSim(sim, { settings: oneSegment, shared })
    const written = fill(
      log,
      Array.from({ length: 20 }, () => ({ count: 2, bytes: 800, flush: true })),
    )
    await syncAll(sim, log)
    for (const wrong of [17, written[0]?.bytes.length ?? 0, log.sizeBytes - 70]) {
      const segment = new Segment(sim.world.disk, logDirectory, offset(0), log.sizeBytes)
      segment.noteStart(10, wrong)
      const range = { from: offset(10), endPosition: log.sizeBytes, endOffset: log.end.offset }
      const request = { segment, ...range, bytesMax: 100, atLeastOne: true }
      const batches = await sim.clock.finish(readSegmentLater(shared, request))
      expect(bytesOf(batches)).toEqual(written[5]?.bytes)
      expect(segment.startOf(10)).toBe(undefined)
      shared.segmentCache.drop(segment)
    }
    log.close()
  })

  test('is one of a few that a segment remembers', () => {
    const segment = new Segment(simWorld({ seed: 3 }).world.disk, logDirectory, offset(0), 0)
    for (let n = 0; n < 100; n++) segment.noteStart(n, 1000 * n)
    const known = Array.from({ length: 100 }, (_, n) => segment.startOf(n)).filter(at => at !== undefined)
    expect(known).toEqual(Array.from({ length: 16 }, (_, n) => 1000 * (84 + n)))
  })
})
