import { describe, expect, test } from 'vitest'
import { epoch, offset } from '../../base/quantities.ts'
import { simWorld } from '../../test/sim/world.ts'
import { LeaderEpochs } from './leader-epochs.ts'

function epochsOf(...entries: [number, number][]) {
  const sim = simWorld({ seed: 8 })
  sim.world.disk.makeDirectory('/t')
  const epochs = LeaderEpochs.none(sim.world.disk, '/t')
  for (const [at, start] of entries) epochs.seen(epoch(at), offset(start))
  return { sim, epochs }
}

const three = () => epochsOf([1, 0], [3, 20], [4, 50])

describe('the end of an epoch (KIP-101)', () => {
  test.each([
    ['the current one ends at the log end', 6, { epoch: 6, end: 90 }],
    ['a later one is not known', 7, undefined],
    ['one that is no epoch is not known', -1, undefined],
    ['the newest that wrote ends there too', 4, { epoch: 4, end: 90 }],
    ['one in which nothing was written is the one before', 5, { epoch: 4, end: 90 }],
    ['one ends where the next begins', 3, { epoch: 3, end: 50 }],
    ['a gap is the one below it', 2, { epoch: 1, end: 20 }],
    ['one before all ends where the first begins', 0, { epoch: 0, end: 0 }],
  ])('%s', (_, asked, found) => {
    expect(three().epochs.endOf(asked, epoch(6), offset(90))).toEqual(found)
  })

  test('of an empty log', () => {
    expect(epochsOf().epochs.endOf(2, epoch(3), offset(0))).toBeUndefined()
    expect(epochsOf().epochs.endOf(3, epoch(3), offset(0))).toEqual({ epoch: 3, end: 0 })
  })
})

test('the epoch of an offset', () => {
  const { epochs } = three()
  expect([0, 19, 20, 49, 50, 1000].map(at => epochs.of(offset(at)))).toEqual([1, 1, 3, 3, 4, 4])
  expect(epochsOf([2, 10]).epochs.of(offset(9))).toBeUndefined()
})

test('an epoch that does not rise is not remembered', () => {
  const { epochs } = three()
  epochs.seen(epoch(4), offset(60))
  epochs.seen(epoch(2), offset(70))
  expect(epochs.endOf(4, epoch(9), offset(90))).toEqual({ epoch: 4, end: 90 })
})

test('after a cut the later ones are forgotten', () => {
  const { epochs } = three()
  epochs.truncate(offset(50))
  expect(epochs.latest).toBe(3)
  epochs.truncate(offset(21))
  expect(epochs.latest).toBe(3)
  epochs.truncate(offset(0))
  expect(epochs.latest).toBeUndefined()
})

test('what stands in a hole again may be of the epoch behind it, before it, or of one that nothing else is of', () => {
  const { epochs } = three()
  epochs.restored(epoch(1), offset(18))
  epochs.restored(epoch(2), offset(19))
  epochs.restored(epoch(4), offset(48))
  expect([17, 19, 20, 47, 48, 50].map(at => epochs.of(offset(at)))).toEqual([1, 2, 3, 3, 4, 4])
})

test('a new log start keeps the epoch that holds it, which begins there', () => {
  const { epochs } = three()
  epochs.startAt(offset(30))
  expect(epochs.of(offset(29))).toBeUndefined()
  expect(epochs.of(offset(30))).toBe(3)
  expect(epochs.endOf(1, epoch(6), offset(90))).toEqual({ epoch: 1, end: 30 })
  epochs.startAt(offset(90))
  expect(epochs.endOf(4, epoch(6), offset(90))).toEqual({ epoch: 4, end: 90 })
  expect(epochs.latest).toBe(4)
  const late = epochsOf([5, 40]).epochs
  late.startAt(offset(30))
  expect(late.of(offset(40))).toBe(5)
})

describe('the file', () => {
  test('is there after a power cut, and is written only when something changed', async () => {
    const { sim, epochs } = three()
    await sim.clock.finish(epochs.save())
    let writes = 0
    sim.disk.onCall = call => (writes += call === 'write' ? 1 : 0)
    await sim.clock.finish(epochs.save())
    expect(writes).toBe(0)
    sim.disk.onCall = undefined
    sim.crash('lose')
    const again = LeaderEpochs.open(sim.world.disk, '/t')
    expect([again?.of(offset(0)), again?.of(offset(20)), again?.latest]).toEqual([1, 3, 4])
  })

  test.each([
    undefined,
    '',
    '{"epochs":[{"epoch":2,"start":0},{"epoch":1,"start":5}]}',
    '{"epochs":[{"epoch":1,"start":5},{"epoch":2,"start":4}]}',
    '{"epochs":[{"epoch":1}]}',
    '{"epochs":7}',
  ])('%j says nothing', text => {
    const { sim } = epochsOf()
    if (text !== undefined)
      sim.world.disk.open('/t/leader-epochs.json', 'create').write([Buffer.from(text)], 0)
    expect(LeaderEpochs.open(sim.world.disk, '/t')).toBeUndefined()
  })
})
