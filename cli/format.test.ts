import { describe, expect, test } from 'vitest'
import { bytes, count, duration, plural, table, shortened } from './format.ts'

describe('numbers for people', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [9_995, '10.0 kB'],
    [99_949, '99.9 kB'],
    [99_950, '100 kB'],
    [999_500, '1.00 MB'],
    [1_500_000_000, '1.50 GB'],
    [5e15, '5000 TB'],
  ])('%d bytes are %s', (n, text) => expect(bytes(n)).toBe(text))

  test.each([
    [0, '0.0 s'],
    [59_900, '59.9 s'],
    [59_960, '1:00'],
    [63_500, '1:04'],
    [3_600_000, '1:00:00'],
    [3_723_000, '1:02:03'],
  ])('%d ms are %s', (ms, text) => expect(duration(ms)).toBe(text))

  test('thousands are parted and nouns agree', () => {
    expect(count(1_234_567)).toBe('1,234,567')
    expect([plural(1, 'record'), plural(0, 'record'), plural(2000, 'record')]).toEqual([
      '1 record',
      '0 records',
      '2,000 records',
    ])
  })
})

test('a table puts words left and numbers right', () => {
  const rows = [
    ['TOPIC', 'PARTITIONS'],
    ['orders', 3],
    ['x', 12],
  ]
  expect(table(rows)).toBe('TOPIC   PARTITIONS\norders           3\nx               12\n')
})

test('a long text is shortened in its middle', () => {
  expect(shortened('billing', 7)).toBe('billing')
  expect(shortened('billing-eu', 7)).toBe('bil…-eu')
  expect(shortened('🚂🚃🚃🚃', 3)).toBe('🚂…🚃')
})
