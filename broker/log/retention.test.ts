import { expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { retainedFrom } from './retention.ts'

/** Segments of ten offsets and ten bytes each with records of these times. */
const from = (times: readonly (number | undefined)[], retentionMs: number, retentionBytes = Infinity) =>
  retainedFrom(
    times.map((maxTimestampMs, i) => ({
      baseOffset: offset(10 * i),
      endOffset: offset(10 * i + 10),
      sizeBytes: 10,
      maxTimestampMs,
    })),
    { retentionMs, retentionBytes },
    1000,
    offset(1000),
  )

test('segments go by age, the oldest first, none behind one that stays', () => {
  expect(from([100, 200, 900], 500)).toBe(20)
  expect(from([100, 900, 200], 500)).toBe(10)
  expect(from([900, 100], 500)).toBeUndefined()
  expect(from([100, 200], 500)).toBe(20)
})

test('segments go by size while what is left holds enough', () => {
  expect(from([900, 900, 900], 500, 20)).toBe(10)
  expect(from([900, 900, 900], 500, 25)).toBeUndefined()
})

test('a segment without timestamps goes with the one behind it, and keeps nothing from going', () => {
  expect(from([-1, 100, 900], 500)).toBe(20)
  expect(from([100, -1, 100, 900], 500)).toBe(30)
  expect(from([100, -1, 900], 500)).toBe(10)
  expect(from([-1, -1], 500)).toBeUndefined()
})
