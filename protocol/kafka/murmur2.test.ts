import { expect, test } from 'vitest'
import { murmur2, partitionForKey } from './murmur2.ts'

// The values that Kafka's own UtilsTest expects.
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('murmur2 of %s', (key, hash) => {
  expect(murmur2(Buffer.from(key))).toBe(hash)
})

test('a key goes to a partition that exists, always the same', () => {
  expect(partitionForKey(Buffer.from('21'), 10)).toBe((-973932308 & 0x7fffffff) % 10)
  expect(partitionForKey(Buffer.from('abc'), 7)).toBe(479470107 % 7)
  for (let length = 0; length < 20; length++) {
    const partition = partitionForKey(Buffer.alloc(length, 0xff), 3)
    expect([0, 1, 2]).toContain(partition)
  }
})
