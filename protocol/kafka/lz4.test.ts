import * as fc from 'fast-check'
import { compressFrameSync } from 'lz4-napi'
import { expect, test } from 'vitest'
import { assert } from '../../base/assert.ts'
import { unpackLz4 } from './lz4.ts'
import { MalformedRecords } from './malformed.ts'

const header = (flags: string): string => `04224d18${flags}40ff`

function unpack(hex: string, bytesMax = 1000): string {
  return unpackLz4(Buffer.from(hex.replaceAll(' ', ''), 'hex'), bytesMax).toString()
}

test('a block may copy from the block before it', () => {
  const first = '07000000 60 616263646566'
  const linked = '07000000 02 0600 30 787a79'
  expect(unpack(header('40') + first + linked + '00000000')).toBe('abcdefabcdefxzy')
})

test('a stored block, checksums, a content size, and two frames', () => {
  const frame = '04224d185c40 0300000000000000 ff 03000080 616263 cccccccc 00000000 cccccccc'
  expect(unpack(frame)).toBe('abc')
  expect(unpack(frame + frame)).toBe('abcabc')
})

test('a match may overlap what it writes, near and far', () => {
  const block = '06000000 1f61 0100 05 00'
  expect(unpack(header('60') + block + '00000000')).toBe('a'.repeat(25))
})

test.each([
  ['no magic', 'aabbccdd604000 00000000'],
  ['another version', '04224d188040ff 00000000'],
  ['a dictionary', header('41') + '00000000'],
  ['no end', header('60')],
  ['a block behind the end', header('60') + 'ff000000 00'],
  ['literals behind the block', header('60') + '02000000 f061 00000000'],
  ['half a distance', header('60') + '03000000 106101 00000000'],
  ['a distance of nothing', header('60') + '04000000 10610000 00000000'],
  ['a distance to before the frame', header('60') + '04000000 10610200 00000000'],
])('%s is malformed', (_, hex) => {
  expect(() => unpack(hex)).toThrow(MalformedRecords)
})

test('a match stays within its own frame', () => {
  const abc = header('60') + '04000000 30616263 00000000'
  const reachesBack = header('60') + '04000000 1061 0300 00000000'
  expect(() => unpack(abc + reachesBack)).toThrow('before the data')
})

test('what the library packs unpacks, however it repeats', () => {
  const piece = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 90 }), fc.integer({ min: 1, max: 400 }))
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      const plain = Buffer.concat(pieces.map(([bytes, times]) => Buffer.alloc(bytes.length * times, bytes)))
      const packed = compressFrameSync(plain, { contentChecksum: true, blockChecksums: true })
      expect(unpackLz4(packed, Math.max(1, plain.length)).equals(plain)).toBe(true)
    }),
  )
})

test('damaged frames are refused or read, never worse', () => {
  const packed = compressFrameSync(Buffer.alloc(3000, 'some text that repeats, '))
  fc.assert(
    fc.property(fc.nat(packed.length - 1), fc.nat(255), (at, byte) => {
      const damaged = Buffer.from(packed)
      damaged[at] = byte
      expect(unpackedOrRefused(damaged)).toBeLessThanOrEqual(10_000)
    }),
    { numRuns: 500 },
  )
})

function unpackedOrRefused(packed: Buffer): number {
  try {
    return unpackLz4(packed, 10_000).length
  } catch (error) {
    assert(error instanceof MalformedRecords, 'bad bytes are refused as such')
    return 0
  }
}
