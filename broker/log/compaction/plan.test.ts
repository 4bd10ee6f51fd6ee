import { describe, expect, test } from 'vitest'
import { offset } from '../../../base/quantities.ts'
import {
  cleanedWithin,
  hasteOf,
  planCompaction,
  type CompactionFacts,
  type CompactionSettings,
} from './plan.ts'

const settings: CompactionSettings = {
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Infinity,
  deleteRetentionMs: 1000,
}

/** Segments of ten offsets each, of so many bytes; each has records of the time that its end offset says. */
const facts = (sizes: readonly number[], more: Partial<CompactionFacts> = {}): CompactionFacts => ({
  segments: sizes.map((sizeBytes, i) => ({
    baseOffset: offset(10 * i),
    endOffset: offset(10 * (i + 1)),
    sizeBytes,
    maxTimestampMs: 10 * (i + 1),
  })),
  cleaned: offset(0),
  horizons: new Map(),
  earliestDirtyMs: undefined,
  nowMs: 1000,
  ...more,
})

/** The plan by base offsets. */
function planned(given: CompactionFacts, changed: Partial<CompactionSettings> = {}) {
  const { dirtyRatio, dirty, filter } = planCompaction(given, { ...settings, ...changed })
  return { dirtyRatio, dirty: dirty.map(s => s.baseOffset), filter: filter.map(s => s.baseOffset) }
}

describe('a log is due', () => {
  test('when more of it is dirty than the ratio allows, and then is filtered from its start', () => {
    const enough = planned(facts([40, 30, 30], { cleaned: offset(10) }))
    expect(enough).toEqual({ dirtyRatio: 0.6, dirty: [10, 20], filter: [0, 10, 20] })
    const little = planned(facts([50, 30, 20], { cleaned: offset(10) }))
    expect(little).toEqual({ dirtyRatio: 0.5, dirty: [], filter: [] })
    expect(planned(facts([40, 30, 30], { cleaned: offset(30) })).filter).toEqual([])
    expect(planned(facts([]))).toEqual({ dirtyRatio: 0, dirty: [], filter: [] })
  })

  test('when something is dirty for too long', () => {
    const given = facts([90, 10], { cleaned: offset(10), earliestDirtyMs: 500 })
    expect(planned(given, { maxCompactionLagMs: 500 }).filter).toEqual([])
    expect(planned(given, { maxCompactionLagMs: 499 })).toMatchObject({ dirty: [10], filter: [0, 10] })
  })

  test('never for what is too young', () => {
    const given = facts([10, 10, 10], { nowMs: 30 })
    expect(planned(given, { minCompactionLagMs: 10 })).toMatchObject({ dirty: [0, 10], filter: [0, 10] })
    expect(planned(given, { minCompactionLagMs: 21 })).toMatchObject({ dirty: [], filter: [] })
  })

  test('when tombstones have had their time, and then only where they are', () => {
    const horizons = new Map([
      [0, 1000],
      [10, 1001],
      [20, 900],
    ])
    const given = facts([10, 10, 10], { cleaned: offset(30), horizons })
    expect(planned(given)).toMatchObject({ dirty: [], filter: [0, 20] })
    expect(planned({ ...given, cleaned: offset(20) })).toMatchObject({ dirty: [], filter: [0] })
  })
})

test('what was noted counts only within the log', () => {
  expect(cleanedWithin(undefined, offset(5), offset(9))).toBe(5)
  expect(cleanedWithin(offset(7), offset(5), offset(9))).toBe(7)
  expect(cleanedWithin(offset(4), offset(5), offset(9))).toBe(5)
  expect(cleanedWithin(offset(10), offset(5), offset(9))).toBe(5)
})

test('a log that gets dirty faster than it is compacted gets more of the time, and less again when it does not', () => {
  const dirty = [100, 120, 200, 400, 700, 1_000, 600, 900, 900]
  const hastes: number[] = []
  for (const [i, bytes] of dirty.entries()) hastes.push(hasteOf(hastes.at(-1) ?? 1, dirty[i - 1] ?? 0, bytes))
  expect(hastes).toEqual([1, 1, 2, 4, 8, 4, 2, 1, 1])
  expect(hasteOf(128, 1, 1_000)).toBe(128)
})
