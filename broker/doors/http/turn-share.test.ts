import { expect, test } from 'vitest'
import { realClock } from '../../world/clock.ts'
import { TurnShare } from './turn-share.ts'

const turned = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('a turn has so many units and no more, and everyone gets some', async () => {
  const share = new TurnShare(realClock, 10)
  const done = { a: 0, b: 0, c: 0 }
  const perTurn: number[] = []
  const work = (who: keyof typeof done): void => {
    while (done[who] < 25) {
      if (!share.take()) {
        share.wait(() => work(who))
        return
      }
      done[who] += 1
    }
  }
  let early = 0
  work('a')
  work('b')
  work('c')
  for (let turn = 0, before = 0; before < 75 && turn < 100; turn++) {
    const now = done.a + done.b + done.c
    perTurn.push(now - before)
    before = now
    if (turn < 4) early = Math.min(done.a, done.b, done.c)
    await turned()
  }
  expect(early).toBeGreaterThan(0)
  expect(done).toEqual({ a: 25, b: 25, c: 25 })
  expect(Math.max(...perTurn)).toBe(10)
})

test('a turn in which nothing was wanted costs nothing', async () => {
  const share = new TurnShare(realClock, 1)
  expect(share.take()).toBe(true)
  expect(share.take()).toBe(false)
  await turned()
  await turned()
  expect(share.take()).toBe(true)
})
