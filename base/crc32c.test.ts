import { expect, test } from 'vitest'
import { crc32c } from './crc32c.ts'

// The vectors of RFC 3720, appendix B.4, and the usual check value.
test.each([
  ['the digits', Buffer.from('123456789'), 0xe3069283],
  ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
  ['32 ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['rising bytes', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
  ['nothing', Buffer.alloc(0), 0],
])('%s have the published checksum', (_, bytes, checksum) => {
  expect(crc32c(bytes)).toBe(checksum)
})

test('a part of a buffer is summed alone', () => {
  expect(crc32c(Buffer.from('..123456789..').subarray(2, 11))).toBe(0xe3069283)
})
