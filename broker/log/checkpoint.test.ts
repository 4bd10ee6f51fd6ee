import { describe, expect, test } from 'vitest'
import { incarnation, offset } from '../../base/quantities.ts'
import { simWorld } from '../../test/sim/world.ts'
import { Checkpoints } from './checkpoint.ts'

const at = (recoveryPoint: number, segment = 0, position = recoveryPoint * 100) => ({
  offset: offset(recoveryPoint),
  segment: offset(segment),
  position,
})
const path = '/data/recovery-point.json'

function opened() {
  const sim = simWorld({ seed: 7 })
  sim.world.disk.makeDirectory('/data')
  const reopen = () => Checkpoints.open(sim.world.disk, '/data')
  return { sim, reopen, ...reopen() }
}

test('nothing is known at first, and that is no damage', () => {
  const { checkpoints, damaged } = opened()
  expect([checkpoints.of('a'), damaged]).toEqual([undefined, false])
})

test('what was set is there after a power cut, for each tablet', async () => {
  const { sim, checkpoints, reopen } = opened()
  await sim.clock.finish(
    Promise.all([
      checkpoints.setRecoveryPoint('a', at(5)),
      checkpoints.setRecoveryPoint('b', at(9, 7, 13)),
      checkpoints.setLogStart('b', offset(3)),
    ]),
  )
  sim.crash('lose')
  const { checkpoints: again, damaged } = reopen()
  expect(damaged).toBe(false)
  expect(again.of('a')).toEqual({
    recoveryPoint: 5,
    segment: 0,
    position: 500,
    logStart: 0,
    syncFailed: false,
    highWatermark: 0,
    bornIn: 0,
  })
  expect(again.of('b')).toEqual({
    recoveryPoint: 9,
    segment: 7,
    position: 13,
    logStart: 3,
    syncFailed: false,
    highWatermark: 0,
    bornIn: 0,
  })
  await sim.clock.finish(again.delete('a'))
  sim.crash('lose')
  expect(reopen().checkpoints.of('a')).toBeUndefined()
})

test('the log start never goes back', async () => {
  const { sim, checkpoints } = opened()
  await sim.clock.finish(checkpoints.setLogStart('a', offset(7)))
  await sim.clock.finish(checkpoints.setLogStart('a', offset(4)))
  await sim.clock.finish(checkpoints.setRecoveryPoint('a', at(9)))
  expect(checkpoints.of('a')?.logStart).toBe(7)
})

test('a promise resolves only when its change is durable; changes that come meanwhile share one write', async () => {
  const { sim, checkpoints, reopen } = opened()
  let writes = 0
  sim.disk.onCall = call => (writes += call === 'rename' ? 1 : 0)
  const first = checkpoints.setRecoveryPoint('a', at(1))
  const rest = Array.from({ length: 100 }, (_, i) => checkpoints.setRecoveryPoint(`t${i}`, at(i)))
  await sim.clock.finish(first)
  await sim.clock.finish(Promise.all(rest))
  expect(writes).toBe(2)
  sim.disk.onCall = undefined
  sim.crash('lose')
  expect(reopen().checkpoints.of('t99')?.recoveryPoint).toBe(99)
})

test('a write that fails is told to who asked, and the next one has both changes', async () => {
  const { sim, checkpoints, reopen } = opened()
  sim.disk.failNext('sync', 'EIO')
  const first = checkpoints.setRecoveryPoint('a', at(1))
  const second = checkpoints.setRecoveryPoint('b', at(2))
  await expect(sim.clock.finish(first)).rejects.toThrow('EIO')
  await sim.clock.finish(second)
  sim.crash('lose')
  const { checkpoints: again } = reopen()
  expect([again.of('a')?.recoveryPoint, again.of('b')?.recoveryPoint]).toEqual([1, 2])
})

test('a failed sync is remembered until the recovery point has moved on', async () => {
  const { sim, checkpoints, reopen } = opened()
  await sim.clock.finish(checkpoints.setRecoveryPoint('a', at(5)))
  await sim.clock.finish(checkpoints.setSyncFailed('a'))
  await sim.clock.finish(checkpoints.setLogStart('a', offset(2)))
  expect(reopen().checkpoints.of('a')).toMatchObject({ recoveryPoint: 5, logStart: 2, syncFailed: true })
  await sim.clock.finish(checkpoints.setRecoveryPoint('a', at(6)))
  expect(reopen().checkpoints.of('a')?.syncFailed).toBe(false)
})

test('what is retained no more is not written any more', async () => {
  const { sim, checkpoints, reopen } = opened()
  await sim.clock.finish(checkpoints.setRecoveryPoint('a', at(1)))
  checkpoints.retain(name => name !== 'a')
  await sim.clock.finish(checkpoints.setRecoveryPoint('b', at(1)))
  expect([reopen().checkpoints.of('a'), reopen().checkpoints.of('b')?.recoveryPoint]).toEqual([undefined, 1])
})

async function written() {
  const all = opened()
  await all.sim.clock.finish(all.checkpoints.setRecoveryPoint('a', at(12_345)))
  all.checkpoints.saveNow()
  const file = all.sim.world.disk.open(path, 'write')
  return { ...all, file, size: file.sizeBytes() }
}

describe('a file', () => {
  test('with any bit flipped is damaged, or says the same', async () => {
    const { file, size, reopen } = await written()
    const due = reopen().checkpoints.of('a')
    const byte = Buffer.alloc(1)
    const found = new Set<string>()
    for (let bit = 0; bit < size * 8; bit++) {
      file.read(byte, bit >>> 3)
      file.write([Buffer.from([byte.readUInt8(0) ^ (1 << (bit & 7))])], bit >>> 3)
      const { checkpoints, damaged } = reopen()
      found.add(damaged ? 'damaged' : JSON.stringify(checkpoints.of('a')))
      file.write([byte], bit >>> 3)
    }
    // White space and the like may change.
    found.delete(JSON.stringify(due))
    expect([...found]).toEqual(['damaged'])
  })

  test.each(['', '{', '[]', 'null', '{"version":1}', '{"version":1,"tablets":{"a":[1,2]}}'])(
    '%j is damaged',
    async text => {
      const { file, reopen } = await written()
      file.truncate(0)
      file.write([Buffer.from(text)], 0)
      const { checkpoints, damaged } = reopen()
      expect([checkpoints.of('a'), damaged]).toEqual([undefined, true])
    },
  )
})

test('what began anew forgets where it was and remembers in which run it was born', async () => {
  const { sim, checkpoints, reopen } = opened()
  expect(checkpoints.noteAll(incarnation(3))).toBe(3)
  await sim.clock.finish(checkpoints.setRecoveryPoint('a', at(5)))
  await sim.clock.finish(checkpoints.beginAnew('a', incarnation(4)))
  expect(checkpoints.of('a')).toMatchObject({ recoveryPoint: 0, bornIn: 4 })
  await sim.clock.finish(checkpoints.setRecoveryPoint('a', at(2)))
  await sim.clock.finish(checkpoints.begin('b'))
  sim.crash('lose')
  const { checkpoints: again } = reopen()
  expect(again.of('a')).toMatchObject({ recoveryPoint: 2, bornIn: 4 })
  expect(again.of('b')).toMatchObject({ recoveryPoint: 0, bornIn: 0 })
  expect(again.noteAll(incarnation(9))).toBe(3)
})
