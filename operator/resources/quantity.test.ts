import { expect, test } from 'vitest'
import { quantityOf } from './quantity.ts'

test.each<[string | number, number | undefined]>([
  ['10Gi', 10 * 2 ** 30],
  ['1024Mi', 2 ** 30],
  ['500m', 0.5],
  ['0.5', 0.5],
  ['1e3', 1_000],
  ['2E', 2e18],
  [3, 3],
  ['', undefined],
  ['ten', undefined],
  ['10 Gi', undefined],
])('%j is %d', (text, number) => {
  expect(quantityOf(text)).toBe(number)
})
