import { randomBytes } from 'node:crypto'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'
import { expect, test } from 'vitest'
import { assert } from '../../base/assert.ts'
import { compress, decompress } from './compression.ts'
import { MalformedRecords } from './malformed.ts'
import { codecs, type CodecName } from './record-batch.ts'

const mib = 1_048_576
const packing = codecs.filter(codec => codec !== 'none')
const samples = [
  Buffer.alloc(0),
  Buffer.from('one line\n'),
  Buffer.alloc(200_000, 'a line that comes again\n'),
  Buffer.alloc(5000),
  randomBytes(150_000),
]

test.each(codecs)('%s gives back what it packed', codec => {
  for (const sample of samples)
    expect(decompress(codec, compress(codec, sample), mib).equals(sample)).toBe(true)
})

test.each(packing)('%s unpacks up to the bound and refuses one byte more', codec => {
  for (const sample of samples.slice(1)) {
    const packed = compress(codec, sample)
    expect(decompress(codec, packed, sample.length)).toHaveLength(sample.length)
    expect(() => decompress(codec, packed, sample.length - 1)).toThrow(
      `more than ${sample.length - 1} bytes unpacked`,
    )
  }
})

const bomb = Buffer.alloc(256 * mib)
const bombs = {
  gzip: () => gzipSync(bomb, { level: 1 }),
  snappy: () => compressSync(bomb),
  lz4: () => compressFrameSync(bomb),
  zstd: () => zstdCompressSync(bomb),
}

test.each(Object.entries(bombs))('a bomb of %s is refused without being unpacked', (codec, make) => {
  const packed = make()
  const before = process.memoryUsage().rss
  expect(() => decompress(codec as keyof typeof bombs, packed, mib)).toThrow(
    /more than 1048576 bytes unpacked/,
  )
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * mib)
})

test.each(packing)('bytes that are not %s are malformed', codec => {
  for (const bytes of [Buffer.from('no such format at all'), randomBytes(100), Buffer.alloc(30, 0xff)]) {
    expect(() => decompress(codec, bytes, mib)).toThrow(MalformedRecords)
  }
})

test.each(packing)('%s cut off is malformed', codec => {
  const packed = compress(codec, samples[2] ?? Buffer.alloc(0))
  for (let end = 1; end < packed.length; end += 7) {
    expect(unpackedOrRefused(codec, packed.subarray(0, end))).toBeLessThan(200_000)
  }
})

/** How many bytes came out before the end; 0 when it was refused. */
function unpackedOrRefused(codec: CodecName, packed: Buffer): number {
  try {
    return decompress(codec, packed, mib).length
  } catch (error) {
    assert(error instanceof MalformedRecords, 'bad bytes are refused as such')
    return 0
  }
}

test('snappy as one raw block, as librdkafka sends it', () => {
  const sample = Buffer.alloc(100_000, 'raw snappy ')
  const packed = compressSync(sample)
  expect(decompress('snappy', packed, mib).equals(sample)).toBe(true)
  expect(() => decompress('snappy', packed, 99_999)).toThrow(MalformedRecords)
})
