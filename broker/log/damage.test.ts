import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { batchBytesOf, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import {
  add,
  batchOf,
  fileOf,
  openSim,
  read,
  readAll,
  sharedOf,
  smallSegments,
  syncAll,
} from './log.fixture.ts'
import type { Log } from './log.ts'
import { StoredBatchDamaged } from './read.ts'

type Written = {
  readonly base: number
  readonly last: number
  readonly position: number
  readonly bytes: Buffer
}

const settings = { ...smallSegments, segmentBytes: 45_000, indexIntervalBytes: 2000 }
/** The leader epoch of a batch: outside the CRC, and told by nothing else in the file. */
const uncovered = (at: number): boolean => at >= 12 && at < 16

/** The first bytes of the active segment are not in memory any more. */
const activeFileBytes = 14_000

/** A sealed segment and an active one. */
async function filled(seed = 5) {
  const sim = simWorld({ seed })
  const { log } = await openSim(sim, { settings, shared: sharedOf(sim, { tailBytes: 0 }) })
  const written: Written[] = []
  for (let i = 0; log.segmentCount < 2 || log.end.position < 40_000; i++) {
    const batch = batchOf({ count: 1 + (i % 4), bytes: 80 + ((i * 131) % 700), value: `batch ${i}` })
    const base = log.nextOffset
    add(log, batch)
    log.flush()
    const position = log.end.position - batch.length
    written.push({ base, last: log.end.offset - 1, position, bytes: Buffer.from(batch) })
  }
  const checkpoint = await syncAll(sim, log)
  const sealed = written.filter(({ base }) => base < log.end.segment)
  const active = written
    .slice(sealed.length)
    .filter(({ position, bytes }) => position + bytes.length < activeFileBytes)
  return { sim, log, written, sealed, active, checkpoint }
}

/** Changes bytes on the disk below the program. */
function spoil(sim: SimWorld, path: string, at: number, change: (bytes: Buffer) => void, length = 1): void {
  const file = sim.world.disk.open(path, 'write')
  const bytes = Buffer.alloc(length)
  file.read(bytes, at)
  change(bytes)
  file.write([bytes], at)
  file.close()
}

/** Every offset gives its own batch, or an error that names exactly the offsets of the damaged one. Answers what does not. */
async function wrongReads(
  sim: SimWorld,
  log: Log,
  written: readonly Written[],
  damaged: Written,
  bytesMax: number,
): Promise<string[]> {
  const wrong: string[] = []
  const number = written.indexOf(damaged)
  for (const batch of written.slice(Math.max(0, number - 12), number + 12)) {
    for (const from of new Set([batch.base, batch.last])) {
      const found = await read(sim, log, from, { bytesMax }).catch((error: unknown) => error)
      const right = batch === damaged ? namesIt(found, damaged, from) : isRow(found, written, batch, damaged)
      if (!right)
        wrong.push(`offset ${from}: ${Buffer.isBuffer(found) ? found.toString('hex') : String(found)}`)
    }
  }
  return wrong
}

function namesIt(found: unknown, damaged: Written, from: number): boolean {
  if (!(found instanceof StoredBatchDamaged) || found.code !== 'CORRUPT_MESSAGE') return false
  const { from: first, to } = found.damaged
  const range = first === damaged.base && (to === undefined || to === damaged.last + 1)
  return range && found.message.includes(`holds offset ${from} is damaged`)
}

/** Begins with `batch`, holds nothing of the damaged one, and nothing out of place behind it. */
function isRow(found: unknown, written: readonly Written[], batch: Written, damaged: Written): boolean {
  if (!Buffer.isBuffer(found) || found.length === 0) return false
  let next = batch.base
  for (let at = 0; at < found.length; at += batchBytesOf(found, at)) {
    const due = written.find(({ base }) => base === next)
    if (due === undefined || due === damaged) return false
    if (!due.bytes.equals(found.subarray(at, at + due.bytes.length))) return false
    next = lastOffsetOf(found, at) + 1
  }
  return true
}

describe.each(['sealed', 'active'] as const)('any flipped bit of the %s segment', which => {
  test.each(['with its index', 'with an index made anew'])(
    '%s hides one batch, and nothing else',
    async index => {
      const all = await filled()
      const { sim, checkpoint, written } = all
      let { log } = all
      await fc.assert(
        fc.asyncProperty(
          fc.nat(all[which].length - 1),
          fc.nat(),
          fc.boolean(),
          fc.nat(7),
          async (i, where, header, bit) => {
            const victim = all[which][i]
            if (victim === undefined) throw new Error('there are batches')
            const at = where % (header ? 61 : victim.bytes.length)
            fc.pre(!uncovered(at))
            const base = which === 'sealed' ? 0 : log.end.segment
            const flip = (bytes: Buffer): void => {
              bytes[0] = (bytes[0] ?? 0) ^ (1 << bit)
            }
            spoil(sim, fileOf(base), victim.position + at, flip)
            if (index === 'with an index made anew') {
              await sim.clock.finish(sim.world.disk.remove(fileOf(base, 'index')))
              log.close()
              log = (
                await openSim(sim, {
                  settings,
                  checkpoint,
                  clean: true,
                  shared: sharedOf(sim, { tailBytes: 0 }),
                })
              ).log
            }
            expect(await wrongReads(sim, log, written, victim, 1 + (where % 3000))).toEqual([])
            spoil(sim, fileOf(base), victim.position + at, flip)
          },
        ),
        { numRuns: 60 },
      )
    },
  )
})

test('an offset that changed, which no CRC covers, is noticed wherever a read begins', async () => {
  const { sim, log, written } = await filled()
  for (const victim of written.slice(0, 14)) {
    for (const bit of [0, 1, 2, 3, 5, 8, 20, 40]) {
      const flip = (bytes: Buffer): void => {
        bytes[0] = (bytes[0] ?? 0) ^ (1 << (bit & 7))
      }
      spoil(sim, fileOf(0), victim.position + 7 - (bit >>> 3), flip)
      expect(await wrongReads(sim, log, written, victim, 1)).toEqual([])
      spoil(sim, fileOf(0), victim.position + 7 - (bit >>> 3), flip)
    }
  }
})

test('a lost sector hides the batches that stand in it, and nothing else', async () => {
  const { sim, log, sealed } = await filled()
  for (const position of [0, 512, 3000, 5120, 41_000]) {
    const bytes: Buffer[] = []
    spoil(sim, fileOf(0), position, sector => void bytes.push(Buffer.from(sector), sector.fill(0)), 512)
    const hit = sealed.filter(
      batch => batch.position < position + 512 && batch.position + batch.bytes.length > position,
    )
    const range = { from: hit[0]?.base, to: (hit.at(-1)?.last ?? 0) + 1 }
    for (const batch of hit)
      await expect(read(sim, log, batch.base)).rejects.toMatchObject({ damaged: range })
    for (const batch of sealed.filter(batch => !hit.includes(batch)))
      expect(batch.bytes.equals(await read(sim, log, batch.base, { bytesMax: 1 }))).toBe(true)
    spoil(sim, fileOf(0), position, sector => void bytes[0]?.copy(sector), 512)
  }
})

test('any flipped bit of an index never makes a read fail or answer what was not asked', async () => {
  const { sim, log, sealed, checkpoint } = await filled()
  const sizeBytes = sim.world.disk.stat(fileOf(0, 'index'))?.sizeBytes ?? 0
  expect(sizeBytes).toBeGreaterThan(30)
  log.close()
  for (let bit = 0; bit < sizeBytes * 8; bit += 5) {
    const flip = (bytes: Buffer): void => {
      bytes[0] = (bytes[0] ?? 0) ^ (1 << (bit & 7))
    }
    spoil(sim, fileOf(0, 'index'), bit >>> 3, flip)
    const { log: again } = await openSim(sim, {
      settings,
      clean: true,
      shared: sharedOf(sim),
      checkpoint,
    })
    for (const { base, bytes } of sealed.filter((_, i) => i % 9 === bit % 9))
      expect(bytes.equals(await read(sim, again, base, { bytesMax: 1 }))).toBe(true)
    again.close()
    const file = sim.world.disk.stat(fileOf(0, 'index'))
    if (file?.sizeBytes === sizeBytes) spoil(sim, fileOf(0, 'index'), bit >>> 3, flip)
  }
})

test('a log with damage below the recovery point opens, keeps it in place, and goes on', async () => {
  const { sim, written, sealed, checkpoint } = await filled()
  const victim = sealed[3]
  if (victim === undefined) throw new Error('there are batches')
  spoil(sim, fileOf(0), victim.position + 70, bytes => void bytes.fill(0xaa), 4)
  sim.crash('lose')
  spoil(sim, fileOf(0), victim.position + 70, bytes => void bytes.fill(0xaa), 4)
  const { log, cut, lost } = await openSim(sim, { settings, checkpoint })
  expect([cut, lost]).toEqual([undefined, []])
  expect(await wrongReads(sim, log, written, victim, 500)).toEqual([])
  await expect(readAll(sim, log)).rejects.toBeInstanceOf(StoredBatchDamaged)
})
