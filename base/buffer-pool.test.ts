import { expect, test } from 'vitest'
import { BufferPool } from './buffer-pool.ts'

test('what was given back is lent again, to who wants that size', () => {
  const pool = new BufferPool(() => 1000)
  const buffer = pool.take(100)
  expect(buffer.length).toBe(100)
  pool.give(buffer)
  expect(pool.take(200)).not.toBe(buffer)
  expect(pool.take(100)).toBe(buffer)
})

test('keeps nothing beyond the bound', () => {
  const pool = new BufferPool(() => 250)
  const lent = [pool.take(100), pool.take(100), pool.take(100), pool.take(100)]
  for (const buffer of lent) pool.give(buffer)
  expect(pool.lentBytes).toBe(0)
  expect(pool.keptBytes).toBe(200)
})

test('what is lent counts: nothing is kept beside it when the bound is reached', () => {
  const pool = new BufferPool(() => 250)
  const small = pool.take(100)
  const large = pool.take(200)
  pool.give(small)
  expect(pool.keptBytes).toBe(0)
  pool.give(large)
  expect(pool.keptBytes).toBe(200)
})

test('sizes that nobody asks for make room for those that are asked for', () => {
  const pool = new BufferPool(() => 250)
  const before = [pool.take(100), pool.take(100)]
  for (const buffer of before) pool.give(buffer)
  expect(pool.keptBytes).toBe(200)
  const now = pool.take(150)
  expect(pool.keptBytes).toBe(100)
  pool.give(now)
  expect(pool.keptBytes).toBe(250)
})

test('lends beyond the bound', () => {
  const pool = new BufferPool(() => 250)
  expect(pool.take(1000).length).toBe(1000)
  expect(pool.lentBytes).toBe(1000)
})
