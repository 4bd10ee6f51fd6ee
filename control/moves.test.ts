import { expect, test } from 'vitest'
import { countedReplicas, isMoving, movedBack, movedTo, targetOf } from './moves.ts'

const still = (...replicas: number[]) => ({ replicas, adding: [], removing: [] })

test('a move has the target first, and behind it those on their way out', () => {
  const moving = { replicas: [3, 1, 0, 2], adding: [3], removing: [0, 2] }
  expect(movedTo(still(0, 1, 2), [3, 1])).toEqual(moving)
  expect(targetOf(moving)).toEqual([3, 1])
  expect(isMoving(moving)).toBe(true)
})

test('what is there already, or under way, is no move; another order is a change without one', () => {
  expect(movedTo(still(0, 1), [0, 1])).toBeUndefined()
  expect(movedTo({ replicas: [3, 0], adding: [3], removing: [0] }, [3])).toBeUndefined()
  expect(movedTo(still(0, 1), [1, 0])).toEqual(still(1, 0))
})

test('another target takes the place of one that was not reached: what is still copied is still new', () => {
  const moving = { replicas: [3, 1, 0], adding: [3], removing: [0] }
  expect(movedTo(moving, [4, 1])).toEqual({ replicas: [4, 1, 3, 0], adding: [4], removing: [3, 0] })
  expect(movedTo(moving, [3, 4])).toEqual({ replicas: [3, 4, 1, 0], adding: [3, 4], removing: [1, 0] })
})

test('a move that is taken back drops what was new', () => {
  expect(movedBack({ replicas: [3, 1, 0], adding: [3], removing: [0] })).toEqual({
    replicas: [1, 0, 3],
    adding: [],
    removing: [3],
  })
  expect(movedBack(still(0))).toBeUndefined()
})

test('what is being copied does not count as missing, nor what is to go as needed', () => {
  expect(countedReplicas(still(0, 1, 2))).toBe(3)
  expect(countedReplicas({ replicas: [1, 0], adding: [1], removing: [0] })).toBe(1)
  expect(countedReplicas({ replicas: [0, 1, 2], adding: [1, 2], removing: [] })).toBe(1)
  expect(countedReplicas({ replicas: [0, 1, 2], adding: [], removing: [1, 2] })).toBe(1)
})
