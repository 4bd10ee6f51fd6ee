import { describe, expect, test } from 'vitest'
import { brokerId } from '../../base/quantities.ts'
import { diskError } from '../../test/sim/disk.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import { DataDirectory, DataDirectoryRefused } from './data-directory.ts'

const open = (sim: SimWorld, broker = 1): DataDirectory =>
  DataDirectory.open(sim.world, '/data', brokerId(broker))

const put = (sim: SimWorld, path: string, text: string): void => {
  const file = sim.world.disk.open(path, sim.world.disk.stat(path) === undefined ? 'create' : 'write')
  file.truncate(0)
  file.write([Buffer.from(text)], 0)
  file.close()
}

/** Why it is refused, twice over: a refusal frees the lock. */
function refusal(sim: SimWorld, broker = 1): string {
  const reasons = [1, 2].map(() => {
    try {
      open(sim, broker).release()
    } catch (error) {
      if (error instanceof DataDirectoryRefused) return error.message
      throw error
    }
    return 'it is not refused'
  })
  expect(reasons[0]).toBe(reasons[1])
  return reasons[0] ?? ''
}

test('what was made is found again, also after a power cut', () => {
  const sim = simWorld({ seed: 9 })
  const { meta, wasClean } = open(sim)
  expect(meta).toMatchObject({ formatVersion: 1, brokerId: 1 })
  expect(wasClean).toBe(false)
  sim.crash('lose')
  expect(open(sim).meta).toEqual(meta)
})

test('only a stop that was marked as clean is one, and only once', async () => {
  const sim = simWorld({ seed: 9 })
  const first = open(sim)
  await sim.clock.finish(first.begin())
  first.endCleanly()
  sim.crash('lose')
  const second = open(sim)
  expect(second.wasClean).toBe(true)
  await sim.clock.finish(second.begin())
  sim.crash('lose')
  const third = open(sim)
  expect(third.wasClean).toBe(false)
  await sim.clock.finish(third.begin())
  sim.crash('keep')
  expect(open(sim).wasClean).toBe(false)
})

test('one that is taken away while it is used is noticed once, and not when somebody stopped looking', async () => {
  const sim = simWorld({ seed: 9 })
  let [noticed, late] = [0, 0]
  const directory = open(sim)
  directory.lookAfter(() => noticed++)
  directory.lookAfter(() => late++)()
  await sim.clock.runFor(20_000)
  await sim.clock.finish(sim.world.disk.remove('/data/tablets'))
  await sim.clock.runFor(20_000)
  expect(noticed).toBe(0)
  await sim.clock.finish(sim.world.disk.remove('/data'))
  await sim.clock.runFor(20_000)
  expect([noticed, late]).toEqual([1, 0])
})

describe('is refused', () => {
  test('while another has it, and not afterwards', () => {
    const sim = simWorld({ seed: 9 })
    const first = open(sim)
    expect(refusal(sim)).toMatch(/in use by another running broker/)
    first.release()
    open(sim).release()
    open(sim)
    sim.kill()
    open(sim)
  })

  test('with files of others, which are not touched', () => {
    const sim = simWorld({ seed: 9 })
    sim.world.disk.makeDirectory('/data')
    put(sim, '/data/thesis.txt', 'years of work')
    expect(refusal(sim)).toMatch(/not empty and has no meta\.json.*thesis\.txt/)
    expect(sim.world.disk.stat('/data/thesis.txt')?.sizeBytes).toBe(13)
    expect(sim.world.disk.list('/data')).toEqual(['thesis.txt'])
  })

  test('with tablets whose meta.json is gone', () => {
    const sim = simWorld({ seed: 9 })
    sim.world.disk.makeDirectory('/data/tablets/t-0.x')
    expect(refusal(sim)).toMatch(/no meta\.json/)
  })

  test.each([
    [
      '{"formatVersion":2,"clusterId":"c","diskId":"d","brokerId":1}',
      /format 2.*up to format 1.*newer Stele/,
    ],
    [
      '{"formatVersion":1,"clusterId":"c","diskId":"d","brokerId":7}',
      /belongs to broker 7, and this is broker 1/,
    ],
    ['{"name":"left-pad"}', /not written by Stele/],
    ['{"formatVersion":', /not readable as JSON/],
  ])('with %s', (text, sentence) => {
    const sim = simWorld({ seed: 9 })
    open(sim).release()
    put(sim, '/data/meta.json', text)
    expect(refusal(sim)).toMatch(sentence)
  })

  test.each([
    ['EACCES', /cannot be written/],
    ['EROFS', /cannot be written/],
    ['ENOSPC', /disk is full/],
  ])('when the disk says %s', (code, sentence) => {
    const sim = simWorld({ seed: 9 })
    sim.disk.onCall = call => {
      if (call === 'open') throw diskError(code, call, '/data')
    }
    expect(refusal(sim)).toMatch(sentence)
  })

  test('when a file stands in its place', () => {
    const sim = simWorld({ seed: 9 })
    put(sim, '/data', '')
    expect(refusal(sim)).toMatch(/not a directory/)
  })
})

test('a start that was cut off at any call begins anew', () => {
  for (const kind of ['lose', 'keep', 'tear'] as const) {
    for (let at = 1; ; at++) {
      const sim = simWorld({ seed: at })
      let calls = 0
      sim.disk.onCall = () => {
        if (++calls === at) sim.crash(kind)
      }
      try {
        open(sim)
      } catch {
        // The process died.
      }
      sim.disk.onCall = undefined
      sim.kill()
      const { meta } = open(sim)
      sim.crash('lose')
      expect(open(sim).meta).toEqual(meta)
      if (calls < at) break
    }
  }
})

test('tablets without a control store are not taken for a new start', () => {
  const sim = simWorld({ seed: 9 })
  const directory = open(sim)
  const required = (): void => directory.requireControlStore('/data/control.json')
  required()
  sim.world.disk.makeDirectory('/data/tablets/gone-0.id.stray')
  required()
  sim.world.disk.makeDirectory('/data/tablets/orders-0.id')
  expect(required).toThrow('/data/control.json is missing')
  put(sim, '/data/control.json', '{}')
  required()
})
