import { expect, test } from 'vitest'
import { Lanes } from './lanes.ts'

test('so many at once and no more, in the order they came, also after one that failed', async () => {
  const lanes = new Lanes(2)
  const begun: number[] = []
  let now = 0
  let most = 0
  const work = (n: number): Promise<number> =>
    lanes.run(async () => {
      begun.push(n)
      most = Math.max(most, ++now)
      await new Promise(resolve => setImmediate(resolve))
      now -= 1
      if (n === 0) throw new Error('the first')
      return n
    })
  const done = await Promise.allSettled([0, 1, 2, 3, 4].map(work))
  expect(done.map(({ status }) => status)).toEqual(['rejected', ...Array<string>(4).fill('fulfilled')])
  expect(begun).toEqual([0, 1, 2, 3, 4])
  expect(most).toBe(2)
  expect(await work(5)).toBe(5)
})
