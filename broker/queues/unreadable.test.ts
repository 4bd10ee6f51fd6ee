import { expect, test } from 'vitest'
import { SimQueues, values } from './queues.fixture.ts'

test('records that cannot be read hold back what lies behind them, and nothing below', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, ['a', 'b', 'c', 'd'])
  const one = await all.consumer()
  const got = await all.receive(one, 2)
  all.brokenAt = 2
  expect(await all.refused(all.receiving(one, 100, 0))).toBe('CORRUPT_MESSAGE')
  one.queue.release(one.consumer, got[0] === undefined ? [] : [got[0].receipt])
  expect(values(await all.receive(one, 100, 0))).toEqual(['a'])
  expect(await all.refused(all.receiving(one, 100, 0))).toBe('CORRUPT_MESSAGE')
  all.brokenAt = Infinity
  expect(values(await all.receive(one, 100, 20_000))).toEqual(['c', 'd'])
  expect(await all.receive(one, 100, 0)).toEqual([])
})

test('when handing out breaks down, the partition is not lost for those who come next', async () => {
  const all = await SimQueues.start({ partitions: 1 })
  await all.write(0, ['a'])
  const one = await all.consumer()
  const breaks = all.receiving(one, 1, 10_000, undefined, () => {
    throw new TypeError('broken')
  })
  await expect(all.done(breaks)).rejects.toThrow('broken')
  expect(values(await all.receive(one))).toEqual(['a'])
})
