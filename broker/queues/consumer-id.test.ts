import { expect, test } from 'vitest'
import type { ConsumerWish } from './consumer.ts'
import { consumerId, readConsumerId } from './consumer-id.ts'

const wish: ConsumerWish = {
  topics: ['orders', 'a.b_c-d'],
  visibilityTimeoutMs: 30_000,
  maxUnacknowledged: 7,
  offsetReset: 'latest',
}

test('a name says how the consumer was made', () => {
  const id = consumerId('fJ2qkqPYlXc0Zt3u', 3, wish)
  expect(id).toBe('fJ2qkqPYlXc0Zt3u~3~30000~7~latest~orders~a.b_c-d')
  expect(encodeURIComponent(id)).toBe(id)
  expect(readConsumerId(id)).toEqual({ epoch: 3, wish })
})

test('one that would be too long says nothing', () => {
  const topics = Array.from({ length: 4 }, (_, n) => `${n}`.repeat(200))
  expect(consumerId('fJ2qkqPYlXc0Zt3u', 3, { ...wish, topics })).toBe('fJ2qkqPYlXc0Zt3u')
})

test('what nobody can have made is nothing', () => {
  for (const id of [
    '',
    'fJ2qkqPYlXc0Zt3u',
    'x~3~30000~7~latest',
    '~3~30000~7~latest~t',
    'x~-1~30000~7~latest~t',
    'x~3~99~7~latest~t',
    'x~3~30000~10001~latest~t',
    'x~3~3e4~7~latest~t',
    'x~3~30000~7~newest~t',
    `x~3~30000~7~latest${'~t'.repeat(101)}`,
    `x~3~30000~7~latest~${'t'.repeat(600)}`,
  ])
    expect(readConsumerId(id), id).toBeUndefined()
})
