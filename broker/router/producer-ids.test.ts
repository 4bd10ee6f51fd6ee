import { expect, test } from 'vitest'
import { brokerId, incarnation } from '../../base/quantities.ts'
import { ProducerIds } from './producer-ids.ts'

const firstOf = (broker: number, run: number): number =>
  new ProducerIds(brokerId(broker), incarnation(run)).next()

test('ids of one run differ', () => {
  const ids = new ProducerIds(brokerId(3), incarnation(5))
  const given = Array.from({ length: 10_000 }, () => ids.next())
  expect(new Set(given).size).toBe(10_000)
})

test('the ids of each run of each broker lie in a stretch of their own', () => {
  const firsts: number[] = []
  for (const broker of [0, 1, 2, 500, 1023])
    for (const run of [1, 2, 3, 4000, 32_767]) firsts.push(firstOf(broker, run))
  firsts.sort((a, b) => a - b)
  for (const [i, first] of firsts.entries())
    expect(first - (firsts[i - 1] ?? -(2 ** 28))).toBeGreaterThanOrEqual(2 ** 28)
})

test('they are never negative and stay exact numbers', () => {
  for (const [broker, run] of [
    [0, 0],
    [1023, 32_767],
    [2 ** 31 - 1, 2 ** 40],
  ] as const) {
    expect(firstOf(broker, run)).toBeGreaterThanOrEqual(0)
    expect(Number.isSafeInteger(firstOf(broker, run) + 2 ** 28 - 1)).toBe(true)
  }
})
