import { expect, test } from 'vitest'
import { InvariantViolation } from '../../base/assert.ts'
import { groupStates, nextGroupState } from './group-states.ts'

test('every state is left as Kafka leaves it', () => {
  expect(nextGroupState('Empty', 'prepare')).toBe('PreparingRebalance')
  expect(nextGroupState('PreparingRebalance', 'joined')).toBe('CompletingRebalance')
  expect(nextGroupState('PreparingRebalance', 'emptied')).toBe('Empty')
  expect(nextGroupState('CompletingRebalance', 'assigned')).toBe('Stable')
  expect(nextGroupState('Stable', 'prepare')).toBe('PreparingRebalance')
  for (const state of groupStates) expect(nextGroupState(state, 'end')).toBe('Dead')
})

test('what cannot happen stops the process', () => {
  expect(() => nextGroupState('Dead', 'prepare')).toThrow(InvariantViolation)
  expect(() => nextGroupState('Stable', 'assigned')).toThrow(InvariantViolation)
})
