import { expect, test } from 'vitest'
import { MIB } from '../../../base/quantities.ts'
import { simWorld } from '../../../test/sim/world.ts'
import { Pace } from './pace.ts'

test('works for its part of the time', async () => {
  const { clock, world } = simWorld({ seed: 1 })
  const pace = new Pace(world.clock, { bytesPerSecond: Infinity, timeShare: 0.25 })
  for (const workMs of [1, 7, 25]) {
    await clock.runFor(workMs)
    const beforeMs = clock.monotonicMs()
    await clock.finish(pace.rest())
    expect(clock.monotonicMs() - beforeMs).toBeCloseTo(3 * workMs)
  }
})

test('work too short for a timer is rested for together', async () => {
  const { clock, world } = simWorld({ seed: 1 })
  const pace = new Pace(world.clock, { bytesPerSecond: Infinity, timeShare: 0.5 })
  const beforeMs = clock.monotonicMs()
  for (let n = 0; n < 100; n++) {
    await clock.runFor(0.1)
    await clock.finish(pace.rest())
  }
  expect(clock.monotonicMs() - beforeMs).toBeGreaterThan(19)
  expect(clock.monotonicMs() - beforeMs).toBeLessThan(21.1)
})

test('no more bytes a second than it may', async () => {
  const { clock, world } = simWorld({ seed: 1 })
  const pace = new Pace(world.clock, { bytesPerSecond: MIB, timeShare: 1 })
  const beforeMs = clock.monotonicMs()
  for (let n = 0; n < 40; n++) {
    pace.did(MIB / 8)
    await clock.runFor(1)
    await clock.finish(pace.rest())
  }
  expect(clock.monotonicMs() - beforeMs).toBeCloseTo(5_000, -1)
})

test('all of the time when that is its part', async () => {
  const { clock, world } = simWorld({ seed: 1 })
  const pace = new Pace(world.clock, { bytesPerSecond: Infinity, timeShare: 1 })
  await clock.runFor(40)
  await clock.finish(pace.rest())
  expect(clock.monotonicMs()).toBe(40)
})

test('who waited for a core, or for the machine to wake up, owes no rest for it', async () => {
  const { clock, world } = simWorld({ seed: 1 })
  const pace = new Pace(world.clock, { bytesPerSecond: Infinity, timeShare: 0.25 })
  await clock.runFor(8 * 3_600_000)
  const beforeMs = clock.monotonicMs()
  await clock.finish(pace.rest())
  expect(clock.monotonicMs() - beforeMs).toBeCloseTo(75)
})
