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

const refused = (sim: SimWorld, sentence: RegExp, broker = 1): void => {
  expect(() => open(sim, broker)).toThrow(DataDirectoryRefused)
  expect(() => open(sim, broker)).toThrow(sentence)
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

describe('is refused', () => {
  test('while another has it, and not afterwards', () => {
    const sim = simWorld({ seed: 9 })
    const first = open(sim)
    refused(sim, /in use by another running broker/)
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
    refused(sim, /not empty and has no meta\.json.*thesis\.txt/)
    expect(sim.world.disk.stat('/data/thesis.txt')?.sizeBytes).toBe(13)
    expect(sim.world.disk.stat('/data/meta.json')).toBeUndefined()
  })

  test('with tablets whose meta.json is gone', () => {
    const sim = simWorld({ seed: 9 })
    sim.world.disk.makeDirectory('/data/tablets/t-0.x')
    refused(sim, /no meta\.json/)
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
    refused(sim, sentence)
    // A refusal frees the lock.
    refused(sim, sentence)
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
    refused(sim, sentence)
  })

  test('when a file stands in its place', () => {
    const sim = simWorld({ seed: 9 })
    put(sim, '/data', '')
    refused(sim, /not a directory/)
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
