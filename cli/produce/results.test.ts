import { expect, test } from 'vitest'
import { Results } from './results.ts'

test('answers are counted, and refusals told with the number of their line', () => {
  const told: string[] = []
  const results = new Results((line, error) => told.push(`${line} ${error.code}`))
  const good = '{"partition":0,"offset":1}\n'
  const bad = '{"error":{"code":"MESSAGE_TOO_LARGE","message":"too large"},"line":9}\n'
  results.take(Buffer.from(good + good))
  results.take(Buffer.from(good + bad + good + bad))
  expect(told).toEqual(['4 MESSAGE_TOO_LARGE', '6 MESSAGE_TOO_LARGE'])
  expect([results.written, results.refused, results.answered]).toEqual([4, 2, 6])
})
