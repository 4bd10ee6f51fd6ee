import { expect, test } from 'vitest'
import { inParallel } from './parallel.ts'

test('so many at once and no more, results in order', async () => {
  let now = 0
  let most = 0
  const doubled = await inParallel([1, 2, 3, 4, 5], 2, async item => {
    now += 1
    most = Math.max(most, now)
    await Promise.resolve()
    now -= 1
    return item * 2
  })
  expect(doubled).toEqual([2, 4, 6, 8, 10])
  expect(most).toBe(2)
  expect(await inParallel([], 2, () => Promise.resolve(1))).toEqual([])
})

test('after a failure nothing more is begun, and what is under way ends first', async () => {
  const begun: number[] = []
  const ended: number[] = []
  const work = inParallel([1, 2, 3, 4], 2, async item => {
    begun.push(item)
    if (item === 1) throw new Error('the first')
    await new Promise(resolve => setImmediate(resolve))
    ended.push(item)
  })
  await expect(work).rejects.toThrow('the first')
  expect(begun).toEqual([1, 2])
  expect(ended).toEqual([2])
})
