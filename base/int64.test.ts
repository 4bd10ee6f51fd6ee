import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readInt64, writeInt64 } from './int64.ts'

const exact = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })
const edges = [
  0,
  1,
  -1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
  2 ** 32,
  -(2 ** 32),
  -(2 ** 32) - 1,
  2 ** 53 - 1,
  -(2 ** 53) + 1,
]

test('writes what Node writes for the same number as a bigint, and nothing beside it', () => {
  fc.assert(
    fc.property(fc.oneof(exact, fc.constantFrom(...edges)), fc.nat(8), (value, at) => {
      const ours = Buffer.alloc(16, 0xaa)
      const nodes = Buffer.alloc(16, 0xaa)
      writeInt64(ours, value, at)
      nodes.writeBigInt64BE(BigInt(value), at)
      expect(ours).toEqual(nodes)
    }),
  )
})

test('reads back every exact number', () => {
  fc.assert(
    fc.property(fc.oneof(exact, fc.constantFrom(...edges)), value => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(BigInt(value))
      expect(readInt64(bytes, 0)).toBe(value)
    }),
  )
})

test('rounds what is beyond the exact numbers, and never into them', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), value => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(value)
      expect(readInt64(bytes, 0)).toBe(Number(value))
    }),
  )
})

test('reads and writes only inside the buffer', () => {
  expect(() => readInt64(Buffer.alloc(8), 1)).toThrow(RangeError)
  expect(() => writeInt64(Buffer.alloc(8), 1, 1)).toThrow(RangeError)
})

test.each([
  [2 ** 63, 2n ** 63n - 1n],
  [Infinity, 2n ** 63n - 1n],
  [-(2 ** 63), -(2n ** 63n)],
  [-(2 ** 64), -(2n ** 63n)],
])('what 64 bits do not hold is written as the nearest they do: %d', (value, nearest) => {
  const bytes = Buffer.alloc(8, 0xaa)
  writeInt64(bytes, value, 0)
  expect(bytes.readBigInt64BE()).toBe(nearest)
})
