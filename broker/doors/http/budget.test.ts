import { expect, test } from 'vitest'
import { Budget } from './budget.ts'

test('who finds the budget used up waits in line', async () => {
  const budget = new Budget(() => 10)
  const order: string[] = []
  const take = async (name: string, bytes: number): Promise<() => void> => {
    const give = await budget.take(bytes)
    order.push(name)
    return give
  }
  const giveA = await take('a', 6)
  const b = take('b', 6)
  const c = take('c', 1) // would fit, but comes behind b
  await Promise.resolve()
  expect(order).toEqual(['a'])
  giveA()
  const giveB = await b
  await c
  expect(order).toEqual(['a', 'b', 'c'])
  expect(giveA).toThrow('memory is given back once')
  giveB()
})

test('a wish larger than the budget is served alone', async () => {
  const budget = new Budget(() => 10)
  const giveSmall = await budget.take(1)
  let served = false
  const large = budget.take(1000).then(give => {
    served = true
    return give
  })
  await Promise.resolve()
  expect(served).toBe(false)
  giveSmall()
  ;(await large)()
  ;(await budget.take(10))()
})
