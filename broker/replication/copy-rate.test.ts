import { expect, test } from 'vitest'
import { SimClock } from '../../test/sim/clock.ts'
import { CopyRate } from './copy-rate.ts'

test('what was copied faster than allowed is waited for', async () => {
  const clock = new SimClock(0)
  let bytesPerSecond = 1_000
  const rate = new CopyRate(clock.clockOf({ alive: true }), () => bytesPerSecond)
  expect(rate.took(500)).toBe(500)
  expect(rate.took(1_000)).toBe(1_500)
  await clock.runFor(1_000)
  expect(rate.took(100)).toBe(600)
  await clock.runFor(10_000)
  // What was not copied meanwhile is not made up for.
  expect(rate.took(100)).toBe(100)
  bytesPerSecond = Infinity
  await clock.runFor(100)
  expect(rate.took(1e9)).toBe(0)
})
