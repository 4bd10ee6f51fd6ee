/** Random histories of commits under kills, power cuts and failing disks, each checked against what its committers were told. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { SimGroups } from '../../broker/groups/groups.fixture.ts'

const groups = ['a', 'b', 'c', 'd']
const partitions = [0, 1, 2, 3]

/** By group and partition: what was sent, and the last that was answered as kept. */
class Ledger {
  readonly #sent = new Map<string, number[]>()
  readonly #kept = new Map<string, number>()
  #next = 1

  sends(group: string, partition: number): number {
    const offset = this.#next++
    const key = `${group} ${partition}`
    this.#sent.set(key, [...(this.#sent.get(key) ?? []), offset])
    return offset
  }

  kept(group: string, partition: number, offset: number): void {
    const key = `${group} ${partition}`
    this.#kept.set(key, Math.max(offset, this.#kept.get(key) ?? 0))
  }

  /** Why `found` cannot be, if it cannot: older than what was kept, or never sent. */
  wrong(group: string, partition: number, found: number | undefined): string | undefined {
    const key = `${group} ${partition}`
    const least = this.#kept.get(key)
    if (least !== undefined && (found ?? 0) < least) return `${key}: ${found}, but ${least} was kept`
    if (found !== undefined && !this.#sent.get(key)?.includes(found)) return `${key}: ${found} was never sent`
    return undefined
  }
}

async function history(seed: number): Promise<{ kept: number; ends: number }> {
  const s = await SimGroups.start({ seed, settings: { 'offsets.topic.segment.bytes': '2000' } })
  const { random, clock, disk } = s.sim
  const ledger = new Ledger()
  let kept = 0
  let ends = 0
  for (let step = 0; step < 60; step++) {
    const group = random.pick(groups as [string, ...string[]])
    if (random.chance(0.05)) disk.failNext('write', 'ENOSPC')
    const offsets = Object.fromEntries(
      partitions
        .filter(() => random.chance(0.5))
        .map(partition => [partition, ledger.sends(group, partition)]),
    )
    const committing = s.committing(group, offsets)
    if (random.chance(0.12)) {
      // It ends in the middle of the write, or of the sync.
      void committing.catch(() => undefined)
      await clock.runFor(random.between(0, 3))
      disk.heal()
      await s.restart(random.pick(['kill', 'crash', 'crash', 'stop']))
      ends += 1
    } else if ((await s.done(committing)) === undefined) {
      for (const [partition, offset] of Object.entries(offsets)) ledger.kept(group, Number(partition), offset)
      kept += 1
    }
    disk.heal()
    for (const one of groups) {
      const committed = s.committed(one)
      const wrong = partitions.flatMap(n => ledger.wrong(one, n, committed[`t-${n}`]) ?? [])
      if (wrong.length > 0) throw new Error(wrong.join('\n'))
    }
  }
  return { kept, ends }
}

test('what was answered as kept is there, whatever ends the broker, and nothing is there that nobody sent', async () => {
  const seen = { kept: 0, ends: 0 }
  await fc.assert(
    fc.asyncProperty(fc.nat(), async seed => {
      const { kept, ends } = await history(seed)
      seen.kept += kept
      seen.ends += ends
    }),
    { numRuns: 25 },
  )
  expect(seen.kept).toBeGreaterThan(500)
  expect(seen.ends).toBeGreaterThan(50)
}, 60_000)
