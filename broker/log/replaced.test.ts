import { expect, test } from 'vitest'
import { readFile } from '../../base/files.ts'
import { offset } from '../../base/quantities.ts'
import { simWorld } from '../../test/sim/world.ts'
import { batchOf } from './log.fixture.ts'
import { differingPart, keepBeside } from './replaced.ts'

test('what differs goes from the first to the last batch that does', () => {
  const batches = ['aa', 'bb', 'cc', 'dd'].map(value => batchOf({ value }))
  const other = batchOf({ value: 'xx' })
  const [size = 0] = batches.map(({ length }) => length)
  const whole = Buffer.concat(batches)
  const changedAt = (...places: number[]): Buffer =>
    Buffer.concat(batches.map((one, n) => (places.includes(n) ? other : one)))
  expect(differingPart(whole, changedAt())).toBeUndefined()
  expect(differingPart(changedAt(1), whole)).toEqual({ from: size, to: 2 * size })
  expect(differingPart(changedAt(0, 2), whole)).toEqual({ from: 0, to: 3 * size })
  expect(differingPart(changedAt(3), whole)).toEqual({ from: 3 * size, to: 4 * size })
})

test('what is kept is kept under names of its own, sixteen times', async () => {
  const sim = simWorld({ seed: 1 })
  const { disk } = sim.world
  disk.makeDirectory('/tablet')
  const keep = (n: number) =>
    sim.clock.finish(keepBeside(disk, '/tablet', offset(7), Buffer.from(`what stood there ${n}`)))
  for (let n = 0; n < 16; n++) expect(await keep(n)).toBe(true)
  expect(await keep(16)).toBe(false)
  expect(disk.list('/tablet')).toHaveLength(16)
  expect(readFile(disk, '/tablet/00000000000000000007.log.0.differs')?.toString()).toBe('what stood there 0')
  await sim.clock.finish(disk.remove('/tablet/00000000000000000007.log.4.differs'))
  expect(await keep(17)).toBe(true)
  expect(readFile(disk, '/tablet/00000000000000000007.log.4.differs')?.toString()).toBe('what stood there 17')
})
