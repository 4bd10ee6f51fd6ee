import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import type { CrashKind } from '../../test/sim/disk.ts'
import { placeBatch } from '../../protocol/kafka/record-batch.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import {
  add,
  batchOf,
  checkpointAt,
  fileOf,
  logDirectory,
  openSim,
  read,
  readAll,
  sharedOf,
  spied,
  syncAll,
  write,
} from './log.fixture.ts'
import type { Log } from './log.ts'

const values = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}=v${i}#0`)

/** A log with `count` batches of one record, numbered. */
async function filled(count: number, bytes = 400, sim = simWorld({ seed: 6 })) {
  const { log } = await openSim(sim)
  for (let i = 0; i < count; i++) write(log, batchOf({ bytes, value: `v${i}` }))
  return { sim, log }
}

const more = (log: Log, from: number, count: number): void => {
  for (let i = from; i < from + count; i++) write(log, batchOf({ bytes: 400, value: `v${i}` }))
}

const contentOf = (sim: SimWorld, path: string): Buffer => {
  const file = sim.world.disk.open(path, 'read')
  const bytes = Buffer.alloc(file.sizeBytes())
  file.read(bytes, 0)
  file.close()
  return bytes
}

const put = (sim: SimWorld, path: string, at: number, bytes: Buffer): void => {
  const file = sim.world.disk.open(path, 'write')
  file.write([bytes], at)
  file.syncNow()
  file.close()
}

test('a last batch whose offset has changed is cut off, however much of the log is kept', async () => {
  const { sim, log } = await filled(1)
  const checkpoint = await syncAll(sim, log)
  more(log, 1, 2)
  const at = log.end.position
  more(log, 3, 1)
  await sim.clock.finish(log.sync())
  log.close()
  // No CRC covers it.
  put(sim, fileOf(0), at + 4, Buffer.from([1]))
  const recovered = await openSim(sim, { checkpoint, kept: true })
  expect(recovered.log.end.offset).toBe(3)
  expect(recovered.cut).toMatchObject({ offset: 3, isUnfinished: false })
})

describe('after a clean stop', () => {
  test('no byte of the log is read', async () => {
    const { sim, log } = await filled(50)
    const checkpoint = await syncAll(sim, log)
    sim.kill()
    const spy = spied(sim)
    const recovered = await openSim(sim, { shared: sharedOf(spy), checkpoint, clean: true })
    expect(spy.reads.filter(({ path }) => path.endsWith('.log'))).toEqual([])
    expect(recovered).toMatchObject({ checkedBytes: 0, cut: undefined, lost: [] })
    expect(recovered.log.end).toEqual(log.end)
    expect(await readAll(sim, recovered.log)).toEqual(values(50))
    more(recovered.log, 50, 10)
    expect(await readAll(sim, recovered.log)).toEqual(values(60))
  })

  test('behind a roll whose segment is still empty', async () => {
    const { sim, log } = await filled(5)
    const checkpoint = await syncAll(sim, log)
    log.roll()
    sim.kill()
    const recovered = await openSim(sim, { checkpoint, clean: true })
    expect(recovered).toMatchObject({ checkedBytes: 0, cut: undefined, lost: [] })
    more(recovered.log, 5, 3)
    expect(await readAll(sim, recovered.log)).toEqual(values(8))
  })

  test('files that are not as the checkpoint says are recovered all the same', async () => {
    const { sim, log } = await filled(5)
    const checkpoint = await syncAll(sim, log)
    more(log, 5, 3)
    sim.kill()
    const recovered = await openSim(sim, { checkpoint, clean: true })
    expect(recovered.checkedBytes).toBeGreaterThan(0)
    expect(await readAll(sim, recovered.log)).toEqual(values(8))
  })

  test('a checkpoint that is missing costs a check of everything, nothing else', async () => {
    const { sim, log } = await filled(50)
    await syncAll(sim, log)
    sim.kill()
    const visited: number[] = []
    const recovered = await openSim(sim, { clean: true, visited })
    expect(visited).toEqual(Array.from({ length: 50 }, (_, i) => i))
    expect(await readAll(sim, recovered.log)).toEqual(values(50))
  })
})

describe('after a crash', () => {
  test('bytes below the recovery point are not read, those above it once', async () => {
    const { sim, log } = await filled(50)
    const checkpoint = await syncAll(sim, log)
    more(log, 50, 20)
    sim.kill()
    const spy = spied(sim)
    const visited: number[] = []
    const recovered = await openSim(sim, { shared: sharedOf(spy), checkpoint, visited })
    for (const { path, at } of spy.reads.filter(({ path }) => path.endsWith('.log'))) {
      expect(path >= fileOf(checkpoint.segment)).toBe(true)
      expect(path > fileOf(checkpoint.segment) || at >= checkpoint.position).toBe(true)
    }
    expect(visited).toEqual(Array.from({ length: 20 }, (_, i) => 50 + i))
    expect(recovered.checkedBytes).toBe(20 * batchOf({ bytes: 400, value: 'v10' }).length)
    expect(await readAll(sim, recovered.log)).toEqual(values(70))
  })

  test.each(['lose', 'keep', 'tear'] as CrashKind[])(
    '(%s) what was synced is there, what follows is a row of what was written, and the next run goes on behind it',
    async kind => {
      await fc.assert(
        fc.asyncProperty(
          fc.nat(2 ** 30),
          fc.array(
            fc.tuple(fc.constantFrom('write', 'write', 'write', 'sync', 'checkpoint', 'crash'), fc.nat(900)),
            {
              maxLength: 60,
              size: 'max',
            },
          ),
          async (seed, steps) => {
            const sim = simWorld({ seed })
            let { log } = await openSim(sim)
            let checkpoint: Awaited<ReturnType<typeof syncAll>> | undefined
            let written: string[] = []
            let counter = 0
            let durable = 0
            for (const [step, bytes] of steps) {
              if (step === 'write') {
                const value = `w${counter++}`
                add(log, batchOf({ bytes, value }))
                if (bytes % 3 > 0) log.flush()
                written.push(`${log.nextOffset - 1}=${value}#0`)
              }
              if (step === 'sync') durable = (await sim.clock.finish(log.sync())).offset
              if (step === 'checkpoint') {
                checkpoint = await syncAll(sim, log)
                durable = checkpoint.recoveryPoint
              }
              if (step !== 'crash') continue
              sim.crash(kind)
              const recovered = await openSim(sim, { checkpoint })
              log = recovered.log
              expect(recovered.lost).toEqual([])
              expect(log.end.offset).toBeGreaterThanOrEqual(durable)
              written = written.slice(0, log.end.offset)
              expect(await readAll(sim, log)).toEqual(written)
              durable = log.end.offset
            }
          },
        ),
        { numRuns: 60 },
      )
    },
  )

  test('a torn tail is cut, and its bytes are kept exactly', async () => {
    const { sim, log } = await filled(5)
    await syncAll(sim, log)
    const whole = log.end.position
    const torn = Buffer.concat([batchOf({ bytes: 300 }).subarray(0, 200), Buffer.from('anything behind it')])
    put(sim, fileOf(0), whole, torn)
    sim.kill()
    const { log: again, cut } = await openSim(sim)
    const path = `${fileOf(0)}.${whole}.cut`
    expect(cut).toMatchObject({ path, offset: 5, bytes: torn.length })
    expect(contentOf(sim, path).equals(torn)).toBe(true)
    expect(sim.world.disk.stat(fileOf(0))?.sizeBytes).toBe(whole)
    expect(await readAll(sim, again)).toEqual(values(5))
    more(again, 5, 1)
    sim.kill()
    expect((await openSim(sim)).cut).toBeUndefined()
    expect(contentOf(sim, path).equals(torn)).toBe(true)
  })

  test('a bad batch above the recovery point ends the log, also when good ones stand behind it', async () => {
    const { sim, log } = await filled(5)
    const checkpoint = await syncAll(sim, log)
    more(log, 5, 15)
    await sim.clock.finish(log.sync())
    const files = sim.world.disk.list(logDirectory).filter(name => name.endsWith('.log'))
    expect(files.length).toBeGreaterThan(2)
    put(sim, fileOf(0), checkpoint.position + 100, Buffer.from('?'))
    const behind = contentOf(sim, fileOf(0)).subarray(checkpoint.position)
    sim.kill()
    const { log: again, cut } = await openSim(sim, { checkpoint })
    expect(again.end.offset).toBe(5)
    expect(contentOf(sim, cut?.path ?? '').equals(behind)).toBe(true)
    const aside = files.slice(1).map(name => `${logDirectory}/${name}.cut`)
    const sizes = aside.map(path => sim.world.disk.stat(path)?.sizeBytes ?? NaN)
    expect(cut?.bytes).toBe(sizes.reduce((sum, size) => sum + size, behind.length))
    more(again, 5, 15)
    expect(await readAll(sim, again)).toEqual(values(20))
  })

  test('a segment that does not go on where the one before ends is set aside', async () => {
    const { sim, log } = await filled(20)
    await syncAll(sim, log)
    const [, second] = sim.world.disk.list(logDirectory).filter(name => name.endsWith('.log'))
    await sim.clock.finish(sim.world.disk.remove(`${logDirectory}/${second}`))
    sim.kill()
    const { log: again, cut } = await openSim(sim)
    expect(again.end.offset).toBe(Number(second?.slice(0, 20)))
    expect(cut?.damage).toMatch(/next segment begins at/)
    expect(
      sim.world.disk.list(logDirectory).filter(name => name.endsWith('.log.cut')).length,
    ).toBeGreaterThan(0)
  })

  test('what was recovered from the page cache is durable before it is served', async () => {
    const { sim, log } = await filled(20)
    await sim.clock.finish(log.sync())
    more(log, 20, 30)
    sim.kill()
    const { log: again } = await openSim(sim)
    expect(again.end.offset).toBe(50)
    sim.crash('lose')
    expect(await readAll(sim, (await openSim(sim)).log)).toEqual(values(50))
  })

  test('what a failed sync left in the page cache alone is written again', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { sim, log } = await filled(5, 400, simWorld({ seed }))
      const checkpoint = await syncAll(sim, log)
      more(log, 5, 20)
      // The system drops what it could not write, and still shows it.
      sim.disk.failNext('sync', 'EIO', /\.log$/)
      await expect(sim.clock.finish(log.sync())).rejects.toThrow('EIO')
      sim.kill()
      const { log: again } = await openSim(sim, { checkpoint: { ...checkpoint, syncFailed: true } })
      more(again, 25, 3)
      await sim.clock.finish(again.sync())
      sim.crash('lose')
      expect(await readAll(sim, (await openSim(sim, { checkpoint })).log)).toEqual(values(28))
    }
  })

  test('a sound batch with an offset that is not due ends the log like a torn one', async () => {
    for (const wrong of [4, 6, 1000]) {
      const { sim, log } = await filled(5)
      const checkpoint = await syncAll(sim, log)
      const batch = batchOf()
      placeBatch(batch, 0, wrong, 0)
      put(sim, fileOf(0), checkpoint.position, batch)
      sim.kill()
      const { log: again, cut } = await openSim(sim, { checkpoint })
      const due = [5, batch.length, `offset ${wrong} where 5 is due`]
      expect([again.end.offset, cut?.bytes, cut?.damage]).toEqual(due)
    }
  })

  test.each(['lose', 'keep', 'tear', 'kill'] as const)(
    'the bytes of a torn tail stand in the log or beside it, wherever recovery is cut off (%s)',
    async kind => {
      for (let at = 1, calls = at; calls >= at; at++) {
        const { sim, log } = await filled(3, 400, simWorld({ seed: at }))
        await syncAll(sim, log)
        const whole = log.end.position
        const torn = batchOf({ bytes: 700 }).subarray(0, 600)
        put(sim, fileOf(0), whole, torn)
        sim.kill()
        calls = 0
        sim.disk.onCall = () => {
          if (++calls !== at) return
          if (kind === 'kill') sim.kill()
          else sim.crash(kind)
        }
        const run = { ended: false }
        const end = (): void => void (run.ended = true)
        openSim(sim).then(end, end)
        await sim.clock.runUntil(() => run.ended || calls >= at)
        sim.disk.onCall = undefined
        sim.kill()
        const left = contentOf(sim, fileOf(0)).subarray(whole)
        const beside = `${fileOf(0)}.${whole}.cut`
        const kept = sim.world.disk.stat(beside) === undefined ? Buffer.alloc(0) : contentOf(sim, beside)
        expect(left.equals(torn) || kept.equals(torn)).toBe(true)
      }
    },
  )

  test.each(['index', 'timeindex'] as const)(
    'a torn .%s below the recovery point is made anew',
    async kind => {
      const { sim, log } = await filled(50, 80)
      const checkpoint = await syncAll(sim, log)
      const size = sim.world.disk.stat(fileOf(checkpoint.segment, kind))?.sizeBytes ?? 0
      put(sim, fileOf(checkpoint.segment, kind), 0, Buffer.alloc(Math.max(24, size)))
      sim.kill()
      const { log: again } = await openSim(sim, { checkpoint })
      expect(await readAll(sim, again)).toEqual(values(50))
      expect(contentOf(sim, fileOf(checkpoint.segment, kind)).equals(Buffer.alloc(Math.max(24, size)))).toBe(
        false,
      )
      expect(await sim.clock.finish(again.lookUps.maxTimestamp())).toMatchObject({ ms: 1000 })
    },
  )

  test('on a full disk: the tail is cut, indexes wait in memory, and appends resume when there is room', async () => {
    const { sim, log } = await filled(30)
    const checkpoint = await syncAll(sim, log)
    more(log, 30, 40)
    await sim.clock.finish(log.sync())
    sim.kill()
    sim.disk.capacityBytes = 0
    const { log: again } = await openSim(sim, { checkpoint })
    expect(await readAll(sim, again)).toEqual(values(70))
    expect(() => more(again, 70, 1)).toThrow('ENOSPC')
    await sim.clock.finish(again.sync())
    sim.disk.capacityBytes = 2 ** 30
    more(again, 70, 1)
    await syncAll(sim, again)
    expect(again.unsyncedSegments).toBe(0)
    expect(await readAll(sim, again)).toEqual(values(71))
  })
})

describe('data that was on disk and is gone', () => {
  test('a file shorter than the recovery point: the offsets are reported, refused and never given again', async () => {
    const { sim, log } = await filled(5)
    const checkpoint = await syncAll(sim, log)
    const size = log.end.position / 5
    sim.world.disk.open(fileOf(0), 'write').truncate(3 * size + 50)
    sim.crash('keep')
    const first = await openSim(sim, { checkpoint })
    expect(first).toMatchObject({ cut: undefined, lost: [{ from: 3, to: 5 }] })
    expect(first.log.end.offset).toBe(5)
    more(first.log, 5, 4)
    for (const round of [1, 2]) {
      const again = await openSim(sim, { checkpoint: round === 1 ? checkpoint : checkpointAt(first.log.end) })
      expect(again.log.end.offset).toBe(9)
      for (const from of [3, 4]) {
        await expect(read(sim, again.log, from)).rejects.toMatchObject({
          code: 'CORRUPT_MESSAGE',
          damaged: { from: 3 },
        })
      }
      expect(await readAll(sim, again.log, offset(5))).toEqual(values(9).slice(5))
      expect((await read(sim, again.log, 0)).length).toBe(3 * size)
      sim.kill()
    }
  })

  test('what was written behind the recovery point in further segments stays', async () => {
    const { sim, log } = await filled(7, 400)
    const checkpoint = await syncAll(sim, log)
    log.roll()
    more(log, 7, 20)
    await sim.clock.finish(log.sync())
    sim.world.disk.open(fileOf(checkpoint.segment), 'write').truncate(100)
    sim.crash('keep')
    const { log: again, lost, cut } = await openSim(sim, { checkpoint })
    expect([lost, cut]).toEqual([[{ from: checkpoint.segment, to: 7 }], undefined])
    expect(await readAll(sim, again, offset(7))).toEqual(values(27).slice(7))
  })

  test('the segment of the recovery point is missing: the one before it is left as it is', async () => {
    const { sim, log } = await filled(20)
    const checkpoint = await syncAll(sim, log)
    const before = contentOf(sim, fileOf(0))
    put(sim, fileOf(0), 300, Buffer.from('damaged below the recovery point'))
    await sim.clock.finish(sim.world.disk.remove(fileOf(checkpoint.segment)))
    sim.kill()
    const { log: again, lost, cut } = await openSim(sim, { checkpoint })
    expect(cut).toBeUndefined()
    expect(lost).toContainEqual({ from: checkpoint.segment, to: 20 })
    expect(again.end.offset).toBe(20)
    expect(contentOf(sim, fileOf(0)).length).toBe(before.length)
    more(again, 20, 2)
    expect(await readAll(sim, again, offset(20))).toEqual(values(22).slice(20))
  })

  test('the first segments are missing', async () => {
    const { sim, log } = await filled(40)
    const checkpoint = await syncAll(sim, log)
    const [first, second] = sim.world.disk.list(logDirectory).filter(name => name.endsWith('.log'))
    await sim.clock.finish(sim.world.disk.remove(`${logDirectory}/${first}`))
    sim.kill()
    const start = offset(Number(second?.slice(0, 20)))
    const { log: again, lost } = await openSim(sim, { checkpoint })
    expect(lost).toEqual([{ from: 0, to: start }])
    expect(await readAll(sim, again, start)).toEqual(values(40).slice(start))
  })

  test('all segments are missing: it is said, and nothing is made in their place', async () => {
    const { sim, log } = await filled(10)
    const checkpoint = await syncAll(sim, log)
    await sim.clock.finish(sim.world.disk.remove(logDirectory))
    sim.kill()
    for (const _ of [1, 2]) {
      await expect(openSim(sim, { checkpoint })).rejects.toThrow(/had offsets 0 to 10 and has no segment now/)
      expect(sim.world.disk.list(logDirectory)).toEqual([])
    }
  })
})

test('leftovers are cleared away: deleted segments, half-written files, indexes without a log', async () => {
  const { sim, log } = await filled(20)
  const checkpoint = await syncAll(sim, log, 9)
  const kept = sim.world.disk.list(logDirectory)
  for (const name of ['1.log.deleted', 'leader-epochs.json.tmp', '00000000000000000099.index'])
    sim.world.disk.open(`${logDirectory}/${name}`, 'create').close()
  sim.kill()
  const { log: again } = await openSim(sim, { checkpoint })
  // Segments below the log's start go too: a crash may have brought their names back.
  expect(sim.world.disk.list(logDirectory)).toEqual(
    kept.filter(name => Number(name.slice(0, 20)) >= again.firstOffset),
  )
  expect(again.firstOffset).toBeLessThanOrEqual(9)
  expect(again.firstOffset).toBeGreaterThan(0)
  expect(await readAll(sim, again)).toEqual(values(20).slice(again.firstOffset))
})
