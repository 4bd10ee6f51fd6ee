import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Disk, DiskFile } from '../../base/world.ts'
import type { CrashKind } from './disk.ts'
import { Seeded } from './seeded.ts'
import { simWorld, type SimWorld } from './world.ts'

const crashKinds = ['lose', 'keep', 'tear'] as const
const withCode = (code: string) => expect.objectContaining({ code })

/** A world in which `/file` stands, durable, with this content. */
function worldWith(content: string, seed = 1): { sim: SimWorld; file: DiskFile } {
  const sim = simWorld({ seed, sectorBytes: 512 })
  const file = sim.world.disk.open('/file', 'create')
  file.write([Buffer.from(content)], 0)
  file.syncNow()
  sim.world.disk.syncDirectoryNow('/')
  return { sim, file }
}

function contentOf(disk: Disk, path: string): Buffer {
  const file = disk.open(path, 'read')
  const content = Buffer.alloc(file.sizeBytes())
  file.read(content, 0)
  file.close()
  return content
}

/** What was since the last sync, as far as this crash can bring it back. */
const possibleAfter = <Moment>(how: CrashKind, moments: readonly Moment[]): readonly Moment[] =>
  ({ lose: moments.slice(0, 1), keep: moments.slice(-1), tear: moments })[how]

/** A part of a file as it was at some moment; zeros where it had nothing. */
function sectorOf(moment: Buffer, from: number, lengthBytes: number): Buffer {
  const sector = Buffer.alloc(lengthBytes)
  moment.subarray(from).copy(sector)
  return sector
}

type Listing = ReadonlyMap<string, string>
const listingOf = (disk: Disk): Listing =>
  new Map(disk.list('/d').map(one => [one, contentOf(disk, `/d/${one}`).toString()]))

async function apply(sim: SimWorld, one: { kind: string; name?: string; to?: string }, id: number) {
  const { disk } = sim.world
  const there = one.name !== undefined && disk.stat(`/d/${one.name}`) !== undefined
  if (one.kind === 'sync') await sim.clock.finish(disk.syncDirectory('/d'))
  if (one.kind === 'rename' && there) disk.rename(`/d/${one.name}`, `/d/${one.to}`)
  if (one.kind === 'remove') await sim.clock.finish(disk.remove(`/d/${one.name}`))
  if (one.kind === 'create' && !there) {
    const file = disk.open(`/d/${one.name}`, 'create')
    file.write([Buffer.from(`${id}`)], 0)
    file.syncNow()
    file.close()
  }
}

/** A program that lives through everything, and all that it saw. */
async function history(seed: number): Promise<string[]> {
  const sim = simWorld({ seed })
  const random = new Seeded(7)
  const seen: string[] = []
  sim.disk.onCall = (call, path) => seen.push(`${sim.clock.monotonicMs()} ${call} ${path}`)
  sim.disk.failShare('sync', 0.1, 'EIO')
  for (let life = 0; life < 5; life += 1) {
    const { disk, clock } = sim.world
    const file = disk.open(`/${life}`, 'create')
    for (let step = 0; step < 10; step += 1) {
      file.write([sim.world.random.bytes(600)], step * 600)
      void file.sync().then(
        () => seen.push(`${clock.monotonicMs()} synced ${step}`),
        () => seen.push(`${clock.monotonicMs()} not synced ${step}`),
      )
      await sim.clock.runFor(random.fraction())
    }
    sim.crash(random.pick<CrashKind>(['tear', 'lose']))
    for (const name of sim.world.disk.list('/'))
      seen.push(`${name} ${contentOf(sim.world.disk, `/${name}`).toString('base64')}`)
    if (sim.world.disk.stat(`/${life}`) === undefined) sim.world.disk.open(`/${life}`, 'create').close()
  }
  return seen
}

const outcomes = (act: (seed: number) => string): Set<string> =>
  new Set(Array.from({ length: 400 }, (_, seed) => act(seed)))

describe('a crash', () => {
  const change = fc.oneof(
    fc.record({
      kind: fc.constant('write' as const),
      at: fc.nat(3000),
      lengthBytes: fc.integer({ min: 1, max: 2500 }),
    }),
    fc.record({ kind: fc.constant('truncate' as const), at: fc.nat(4000) }),
    fc.record({ kind: fc.constant('sync' as const) }),
    fc.record({ kind: fc.constant('kill' as const) }),
  )

  test.each(crashKinds)(
    '(%s) leaves each sector and the size as they were at some moment since the last sync',
    how => {
      fc.assert(
        fc.property(fc.nat(), fc.array(change, { maxLength: 12 }), (seed, changes) => {
          const { sim, file: first } = worldWith('', seed)
          let file = first
          let moments: Buffer[] = [Buffer.alloc(0)]
          const remember = () => moments.push(contentOf(sim.world.disk, '/file'))
          for (const [index, one] of changes.entries()) {
            if (one.kind === 'write') file.write([Buffer.alloc(one.lengthBytes, index + 1)], one.at)
            if (one.kind === 'truncate') file.truncate(one.at)
            if (one.kind === 'sync') file.syncNow()
            if (one.kind === 'kill') {
              sim.kill()
              file = sim.world.disk.open('/file', 'write')
            }
            remember()
            if (one.kind === 'sync') moments = moments.slice(-1)
          }
          sim.crash(how)
          const found = contentOf(sim.world.disk, '/file')
          const possible = possibleAfter(how, moments)
          expect(possible.map(moment => moment.length)).toContain(found.length)
          for (let from = 0; from < found.length; from += 512) {
            const sector = found.subarray(from, from + 512)
            const candidates = possible.map(moment => sectorOf(moment, from, sector.length))
            expect(
              candidates.some(candidate => candidate.equals(sector)),
              `the sector at ${from}`,
            ).toBe(true)
          }
        }),
        { numRuns: 300 },
      )
    },
  )

  test('does to an unsynced write of three sectors all that disks do', () => {
    const found = outcomes(seed => {
      const { sim, file } = worldWith('', seed)
      file.write([Buffer.alloc(512, 'a'), Buffer.alloc(512, 'b'), Buffer.alloc(10, 'c')], 0)
      sim.crash()
      const content = contentOf(sim.world.disk, '/file').toString('latin1')
      const sectors = [content[0], content[512], content[1024]].filter(sector => sector !== undefined)
      return sectors.join('').replaceAll('\0', '0')
    })
    expect([...found].sort()).toEqual(['', '000', '00c', '0b0', '0bc', 'a00', 'a0c', 'ab0', 'abc'])
  })

  test('can lose the first of two unsynced writes and keep the second', () => {
    const found = outcomes(seed => {
      const { sim, file } = worldWith('', seed)
      file.write([Buffer.alloc(512, 'a')], 0)
      file.write([Buffer.alloc(512, 'b')], 512)
      sim.crash()
      const content = contentOf(sim.world.disk, '/file').toString('latin1')
      return `${content[0] ?? '-'}${content[512] ?? '-'}`
    })
    expect([...found].map(one => one.replaceAll('\0', '0')).sort()).toEqual([
      '--',
      '0-',
      '00',
      '0b',
      'a-',
      'a0',
      'ab',
    ])
  })

  test('ends the process: its files are dead, its locks free, its timers and syncs never come', async () => {
    const { sim, file } = worldWith('abc')
    const before = sim.world
    const came: string[] = []
    before.clock.after(1, () => came.push('timer'))
    before.clock.endOfTurn(() => came.push('end of turn'))
    file.sync().then(
      () => came.push('sync'),
      () => came.push('sync failed'),
    )
    expect(before.disk.lock('/lock')).toBeDefined()
    sim.crash('keep')
    await sim.clock.runFor(1_000)
    expect(came).toEqual([])
    expect(() => file.write([Buffer.from('x')], 0)).toThrow(withCode('EBADF'))
    expect(() => file.sizeBytes()).toThrow(withCode('EBADF'))
    expect(() => before.disk.list('/')).toThrow(withCode('EBADF'))
    file.close()
    expect(sim.world.disk.lock('/lock')).toBeDefined()
    expect(contentOf(sim.world.disk, '/file').toString()).toBe('abc')
  })

  test('can be made just before any call', () => {
    const { sim } = worldWith('abc')
    sim.disk.onCall = (call, path) => {
      if (call === 'rename' && path === '/file') sim.crash('keep')
    }
    const { disk } = sim.world
    expect(() => disk.rename('/file', '/other')).toThrow(withCode('EBADF'))
    sim.disk.onCall = undefined
    expect(sim.world.disk.list('/')).toEqual(['file'])
  })
})

describe('a sync', () => {
  test('covers what was written before the call, when it is done and not before', async () => {
    const lost = { early: 0, during: 0, later: 0 }
    for (let seed = 0; seed < 100; seed += 1) {
      const { sim, file } = worldWith('', seed)
      sim.disk.syncMs = { min: 50, max: 50 }
      let done = false
      const syncing = async (): Promise<void> => {
        await file.sync()
        done = true
      }
      file.write([Buffer.from('early')], 0)
      void syncing()
      file.write([Buffer.from('later')], 512)
      const inFlight = seed % 2 === 0
      await sim.clock.runFor(inFlight ? 49 : 51)
      expect(done).toBe(!inFlight)
      sim.crash()
      const content = contentOf(sim.world.disk, '/file').toString('latin1')
      if (!content.startsWith('early')) lost[inFlight ? 'during' : 'early'] += 1
      if (!inFlight && content.slice(512) !== 'later') lost.later += 1
    }
    expect(lost.early).toBe(0)
    expect(lost.during).toBeGreaterThan(0)
    expect(lost.later).toBeGreaterThan(0)
  })

  test('in flight beside another covers its own part', async () => {
    const { sim, file } = worldWith('')
    const put = (text: string, at: number): void => file.write([Buffer.from(text)], at)
    sim.disk.syncMs = { min: 10, max: 10 }
    put('first ', 0)
    const first = file.sync()
    await sim.clock.runFor(5)
    put('second', 6)
    const second = file.sync()
    await sim.clock.finish(first)
    put('third', 12)
    await sim.clock.finish(second)
    sim.crash('lose')
    expect(contentOf(sim.world.disk, '/file').toString()).toBe('first second')
  })

  test('that fails loses or keeps what it should have written, is still seen, and is not made good by the next', () => {
    const found = outcomes(seed => {
      const { sim, file } = worldWith('old', seed)
      file.write([Buffer.from('new')], 0)
      sim.disk.failNext('sync', 'EIO')
      expect(() => file.syncNow()).toThrow(withCode('EIO'))
      file.syncNow()
      expect(contentOf(sim.world.disk, '/file').toString()).toBe('new')
      sim.crash('keep')
      return contentOf(sim.world.disk, '/file').toString()
    })
    expect([...found].sort()).toEqual(['new', 'old'])
  })
})

describe('names', () => {
  const names = ['a', 'b', 'c'] as const
  const name = fc.constantFrom(...names)
  const change = fc.oneof(
    fc.record({ kind: fc.constant('create' as const), name }),
    fc.record({ kind: fc.constant('rename' as const), name, to: name }),
    fc.record({ kind: fc.constant('remove' as const), name }),
    fc.record({ kind: fc.constant('sync' as const) }),
  )

  test.each(crashKinds)(
    'after a crash (%s) mean what they meant at some moment since the last sync',
    async how => {
      await fc.assert(
        fc.asyncProperty(fc.nat(), fc.array(change, { maxLength: 15 }), async (seed, changes) => {
          const sim = simWorld({ seed })
          sim.world.disk.makeDirectory('/d')
          let moments: Listing[] = [new Map()]
          for (const [index, one] of changes.entries()) {
            await apply(sim, one, index)
            moments = one.kind === 'sync' ? [] : moments
            moments.push(listingOf(sim.world.disk))
          }
          sim.crash(how)
          const found = listingOf(sim.world.disk)
          const possible = possibleAfter(how, moments)
          for (const one of names) expect(possible.map(moment => moment.get(one))).toContain(found.get(one))
          expect(new Set(found.values()).size, 'no file has two names').toBe(found.size)
          expect([...found.keys()].every(one => moments.some(moment => moment.has(one)))).toBe(true)
        }),
        { numRuns: 300 },
      )
    },
  )

  test('that moved between directories moved for good when one of the two is synced', () => {
    const sim = simWorld({ seed: 1 })
    const { disk } = sim.world
    disk.makeDirectory('/a')
    disk.makeDirectory('/b')
    disk.open('/a/file', 'create').close()
    disk.rename('/a/file', '/b/file')
    disk.syncDirectoryNow('/b')
    sim.crash('keep')
    expect(sim.world.disk.list('/a')).toEqual([])
    expect(sim.world.disk.list('/b')).toEqual(['file'])
  })

  test('that were made, moved and not synced may be lost, each for itself, and a rename never halves', () => {
    const found = outcomes(seed => {
      const { sim } = worldWith('abc', seed)
      sim.world.disk.open('/made', 'create').close()
      sim.world.disk.rename('/file', '/moved')
      sim.crash()
      return sim.world.disk.list('/').join(' ')
    })
    expect([...found].sort()).toEqual(['file', 'file made', 'made moved', 'moved'])
  })

  test.each(crashKinds)(
    'of directories that makeDirectory made are durable (%s), even if a process died making them',
    how => {
      const sim = simWorld({ seed: 3 })
      const { disk } = sim.world
      let calls = 0
      sim.disk.onCall = call => {
        if (call === 'fsync' && (calls += 1) === 2) sim.kill()
      }
      expect(() => disk.makeDirectory('/a/b/c')).toThrow(withCode('EBADF'))
      sim.disk.onCall = undefined
      expect(sim.world.disk.stat('/a/b')).toBeDefined()
      sim.world.disk.makeDirectory('/a/b/c')
      sim.crash(how)
      expect(sim.world.disk.stat('/a/b/c')).toMatchObject({ kind: 'directory' })
    },
  )
})

describe('a kill', () => {
  test('loses nothing now, and a crash after it everything that is still unsynced', () => {
    const { sim, file } = worldWith('old')
    file.write([Buffer.from('new')], 0)
    sim.kill()
    expect(() => file.syncNow()).toThrow(withCode('EBADF'))
    expect(contentOf(sim.world.disk, '/file').toString()).toBe('new')
    sim.crash('lose')
    expect(contentOf(sim.world.disk, '/file').toString()).toBe('old')
  })

  test('leaves a removal half done', async () => {
    const { sim } = worldWith('')
    const { disk } = sim.world
    disk.makeDirectory('/d')
    for (const name of ['a', 'b', 'c']) disk.open(`/d/${name}`, 'create').close()
    void disk.remove('/d')
    await sim.clock.runUntil(() => sim.world.disk.list('/d').length === 1)
    sim.kill()
    await sim.clock.runFor(1_000)
    expect(sim.world.disk.list('/d')).toEqual(['c'])
  })
})

describe('a failure', () => {
  test('of a write leaves a part of it', () => {
    const parts = outcomes(seed => {
      const { sim, file } = worldWith('', seed)
      sim.disk.failNext('write', 'EIO')
      expect(() => file.write([Buffer.from('ab'), Buffer.from('cd')], 0)).toThrow(withCode('EIO'))
      return contentOf(sim.world.disk, '/file').toString()
    })
    expect([...parts].sort()).toEqual(['', 'a', 'ab', 'abc'])
  })

  test('comes once, on the path it was asked for', () => {
    const { sim, file } = worldWith('')
    const other = sim.world.disk.open('/other', 'create')
    sim.disk.failNext('write', 'ENOSPC', /^\/file$/)
    other.write([Buffer.from('x')], 0)
    expect(() => file.write([Buffer.from('x')], 0)).toThrow(withCode('ENOSPC'))
    file.write([Buffer.from('x')], 0)
  })

  test('can be asked for of a share of the calls, until the disk is healed', async () => {
    const { sim, file } = worldWith('abc')
    sim.disk.failShare('read', 0.25, 'EIO')
    const into = Buffer.alloc(3)
    let failed = 0
    for (let left = 400; left > 0; left -= 1)
      await sim.clock.finish(file.readLater(into, 0)).catch(() => {
        failed += 1
      })
    expect(failed).toBeGreaterThan(60)
    expect(failed).toBeLessThan(140)
    sim.disk.heal()
    for (let left = 100; left > 0; left -= 1) file.read(into, 0)
  })

  test('a full disk takes what it has room for, tells its space, and has room again after a removal', async () => {
    const { sim, file } = worldWith('')
    const { disk } = sim.world
    sim.disk.capacityBytes = 1_000
    disk.open('/other', 'create').write([Buffer.alloc(400)], 0)
    expect(() => file.write([Buffer.alloc(700)], 0)).toThrow(withCode('ENOSPC'))
    expect(file.sizeBytes()).toBe(600)
    expect(disk.space('/')).toEqual({ freeBytes: 0, totalBytes: 1_000 })
    file.write([Buffer.alloc(600, 1)], 0)
    await sim.clock.finish(disk.remove('/other'))
    file.write([Buffer.alloc(400)], 600)
    expect(disk.space('/').freeBytes).toBe(0)
  })

  test('flipped bits lie where they were asked for, and survive a crash', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(1_900), fc.integer({ min: 1, max: 100 }), (seed, at, lengthBytes) => {
        const { sim } = worldWith('.'.repeat(2_000), seed)
        sim.disk.flipBits('/file', at, lengthBytes)
        sim.crash()
        const found = contentOf(sim.world.disk, '/file')
        const changed = [...found.entries()].filter(([, byte]) => byte !== 0x2e).map(([where]) => where)
        expect(changed.length).toBeGreaterThan(0)
        expect(changed.every(where => where >= at && where < at + lengthBytes)).toBe(true)
      }),
    )
  })
})

describe('a seed', () => {
  test('gives one history, and another seed another', async () => {
    const first = await history(11)
    expect(first.length).toBeGreaterThan(100)
    expect(await history(11)).toEqual(first)
    expect(await history(12)).not.toEqual(first)
  })
})
