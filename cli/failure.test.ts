import { expect, test } from 'vitest'
import { InvariantViolation } from '../base/assert.ts'
import { Refusal } from '../base/refusals.ts'
import { explain, Failure, usageFailure } from './failure.ts'

test('a failure is its sentence and what to do', () => {
  expect(explain(new Failure('it is late', 'Sleep.'))).toEqual({
    text: 'stele: it is late\n       Sleep.\n',
    exitCode: 1,
  })
  expect(explain(usageFailure('what?'))).toEqual({ text: 'stele: what?\n', exitCode: 2 })
})

test('a refusal brings what to do from the table', () => {
  const { text, exitCode } = explain(new Refusal('INVALID_CONFIG', 'no such setting'))
  expect(text).toMatch(/^stele: no such setting\n {7}Check the name/)
  expect(exitCode).toBe(1)
})

test('what the system says is a sentence, a bug shows its stack', () => {
  const system = Object.assign(new Error('ENOSPC: no space left'), { syscall: 'write', code: 'ENOSPC' })
  expect(explain(system).text).toBe('stele: ENOSPC: no space left\n')
  expect(explain(new InvariantViolation('this must hold: up is up')).text).toMatch(/up is up\n +at /)
})
