/** Groups of simulated members on simulated time, from a seed. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { GroupHistory } from './group-members.ts'

test('whatever members do, a generation has one leader and one share for each, and all end up together', async () => {
  const seen = { joins: 0, shares: 0, generations: 0 }
  await fc.assert(
    fc.asyncProperty(fc.nat(), async seed => {
      const history = new GroupHistory(seed)
      await history.run(60)
      await history.settle()
      seen.joins += history.witness.joins
      seen.shares += history.witness.shares
      seen.generations += history.witness.latest
    }),
    { numRuns: 60 },
  )
  expect(seen.generations).toBeGreaterThan(200)
  expect(seen.shares).toBeGreaterThan(500)
}, 60_000)
