import { expect, test } from 'vitest'
import { Refusal, refusals } from './refusals.ts'

test.each(Object.entries(refusals))(
  '%s has an HTTP status that says no, and tells what to do',
  (code, refusal) => {
    expect(code).toMatch(/^[A-Z_]+$/)
    expect(refusal.http).toBeGreaterThanOrEqual(400)
    expect(refusal.http).toBeLessThan(600)
    expect(refusal.todo).toMatch(/^[A-Z].*\.$/)
  },
)

test('a refusal carries its code and what was refused', () => {
  const refusal = new Refusal('TOPIC_ALREADY_EXISTS', 'There is a topic orders already.')
  expect(refusal).toMatchObject({
    name: 'Refusal',
    code: 'TOPIC_ALREADY_EXISTS',
    message: 'There is a topic orders already.',
  })
})
