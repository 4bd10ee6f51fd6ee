/** The next leader after one that was killed: nobody waits longer for it than its disks and the network take. */
import { expect, test } from 'vitest'
import { nextLeader } from './next-leader.ts'

const stories = Number(process.env['STELE_HISTORIES'] ?? 8)
const firstSeed = Number(process.env['STELE_SEED'] ?? 1)
const limits = { timeout: 120_000 }
const seeds = Array.from({ length: stories }, (_, i) => firstSeed + i)

test.each(seeds)(
  'the follower that is left copies from the next leader at once (seed %i)',
  limits,
  async seed => {
    const found = await nextLeader(seed)
    expect(found).toMatchObject({ stayed: true })
    expect(found.heldMs).toBeLessThan(450)
  },
)

test.each(seeds.slice(0, stories / 2))(
  'of two that die together none is waited for (seed %i)',
  limits,
  async seed => {
    const found = await nextLeader(seed, { together: true })
    expect(found.heldMs).toBeLessThan(1_500)
  },
)
