import { expect, test } from 'vitest'
import { FetchBudget } from './fetch-budget.ts'

test('who waits goes on in order, as long as something is left', () => {
  const budget = new FetchBudget(100)
  budget.use(120)
  expect(budget.leftBytes).toBe(-20)
  const went: string[] = []
  budget.wait(() => {
    went.push('first')
    budget.use(90)
  })
  const leave = budget.wait(() => went.push('left'))
  budget.wait(() => {
    went.push('second')
    budget.use(5)
  })
  budget.wait(() => went.push('third'))
  leave()
  budget.giveBack(10)
  expect(went).toEqual([])
  budget.giveBack(110)
  expect(went).toEqual(['first', 'second', 'third'])
  expect(budget.waiting).toBe(0)
  budget.use(10)
  budget.wait(() => went.push('fourth'))
  budget.giveBack(2)
  expect(went).toHaveLength(3)
  budget.giveBack(10)
  expect(went.at(-1)).toBe('fourth')
})
