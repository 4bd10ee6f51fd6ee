import { expect, test } from 'vitest'
import { progressLine, summary } from './progress.ts'

const half = { records: 1000, bytes: 50_000, bytesTotal: 100_000, elapsedMs: 2000 }

test('progress in a file shows a bar, percent and the time left', () => {
  expect(progressLine(half, 100)).toBe(
    '███████████████░░░░░░░░░░░░░░░  50 %  1,000 records  50.0 kB  500/s  25.0 kB/s  2.0 s left',
  )
})

test('progress in a pipe shows what was done', () => {
  expect(progressLine({ ...half, bytesTotal: undefined }, 100)).toBe(
    '1,000 records  50.0 kB  500/s  25.0 kB/s  2.0 s',
  )
})

test('it fits the terminal, and begins without dividing by nothing', () => {
  for (const columns of [10, 40, 79, 200])
    expect(progressLine(half, columns).length).toBeLessThanOrEqual(columns)
  expect(progressLine({ ...half, bytes: 0, records: 0, elapsedMs: 0 }, 100)).not.toMatch(/NaN|Infinity/)
  expect(progressLine({ ...half, bytes: 200_000 }, 100)).toContain('100 %')
})

test('the summary counts what was written and what was not', () => {
  expect(summary({ ...half, records: 1 }, 0)).toMatch(/^1 record written, 50.0 kB in 2.0 s/)
  expect(summary(half, 3)).toMatch(/^1,000 records written, 3 refused, /)
})
