import { expect, test } from 'vitest'
import { assert, InvariantViolation, unreachable } from './assert.ts'

test('what holds passes, and what does not is named', () => {
  assert(true, 'one is one')
  expect(() => assert(false, 'offsets leave no gap')).toThrow(
    new InvariantViolation('this must hold: offsets leave no gap'),
  )
})

test('the branch that cannot be reached names what reached it', () => {
  expect(() => unreachable({ kind: 'new' } as never)).toThrow(
    new InvariantViolation('no case for {"kind":"new"}'),
  )
})
