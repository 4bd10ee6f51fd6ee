import { expect, test } from 'vitest'
import { crc32c } from '../../base/crc32c.ts'
import { javaBatches } from './java-batches.fixture.ts'
import * as batch from './record-batch.ts'
import { buildBatch } from './records.ts'

const { checkBatch, checkProduced, sealBatch } = batch
const java = (): Buffer => Buffer.from(javaBatches.gzip, 'base64')
const ours = (count = 3): Buffer =>
  buildBatch(
    Array.from({ length: count }, (_, i) => ({
      key: null,
      value: Buffer.from(`v${i}`),
      headers: [],
      timestamp: 1000 + i,
    })),
    { producer: { id: 77, epoch: 2, baseSequence: 40 } },
  )

/** A batch with one field changed and its CRC right again. */
function changed(change: (b: Buffer) => void): Buffer {
  const b = ours()
  change(b)
  sealBatch(b, 0)
  return b
}

test('the fields of a batch that Java wrote', () => {
  const b = Buffer.concat([Buffer.alloc(5), java()])
  const at = 5
  expect({
    baseOffset: batch.baseOffsetOf(b, at),
    bytes: batch.batchBytesOf(b, at),
    leaderEpoch: batch.leaderEpochOf(b, at),
    magic: batch.magicOf(b, at),
    crc: batch.crcOf(b, at),
    codec: batch.codecOf(b, at),
    appendTime: batch.isLogAppendTime(b, at),
    transactional: batch.isTransactional(b, at),
    control: batch.isControl(b, at),
    lastOffset: batch.lastOffsetOf(b, at),
    baseTimestamp: batch.baseTimestampOf(b, at),
    maxTimestamp: batch.maxTimestampOf(b, at),
    producerId: batch.producerIdOf(b, at),
    producerEpoch: batch.producerEpochOf(b, at),
    baseSequence: batch.baseSequenceOf(b, at),
    count: batch.countOf(b, at),
  }).toEqual({
    baseOffset: 42,
    bytes: b.length - at,
    leaderEpoch: 7,
    magic: 2,
    crc: crc32c(b.subarray(at + 21)),
    codec: 'gzip',
    appendTime: false,
    transactional: false,
    control: false,
    lastOffset: 44,
    baseTimestamp: 1_700_000_000_000,
    maxTimestamp: 1_700_000_005_000,
    producerId: 9,
    producerEpoch: 2,
    baseSequence: 5,
    count: 3,
  })
  expect(checkBatch(b, at, b.length)).toBeUndefined()
})

test('the leader places a batch without touching what the CRC covers', () => {
  const b = ours()
  batch.placeBatch(b, 0, 2 ** 40 + 1, 12)
  expect([batch.baseOffsetOf(b, 0), batch.leaderEpochOf(b, 0)]).toEqual([2 ** 40 + 1, 12])
  expect(checkBatch(b, 0, b.length)).toBeUndefined()
})

test('stamping with the append time keeps the batch sound', () => {
  const b = ours()
  batch.stampLogAppendTime(b, 0, 5000)
  expect(batch.isLogAppendTime(b, 0)).toBe(true)
  expect(batch.maxTimestampOf(b, 0)).toBe(5000)
  expect(checkBatch(b, 0, b.length)).toBeUndefined()
})

test('a batch cut off anywhere or with any bit flipped under its CRC is corrupt', () => {
  const b = ours()
  for (let end = 0; end < b.length; end++) expect(checkBatch(b, 0, end)).toBe('CORRUPT_MESSAGE')
  for (let bit = 17 * 8; bit < b.length * 8; bit++) {
    const damaged = Buffer.from(b)
    damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    expect(checkBatch(damaged, 0, damaged.length)).toBe('CORRUPT_MESSAGE')
  }
})

test.each([
  ['length below the header', (b: Buffer) => b.writeInt32BE(48, 8), 'CORRUPT_MESSAGE'],
  ['negative length', (b: Buffer) => b.writeInt32BE(-1, 8), 'CORRUPT_MESSAGE'],
  ['huge length', (b: Buffer) => b.writeInt32BE(0x7fffffff, 8), 'CORRUPT_MESSAGE'],
  ['magic 1', (b: Buffer) => b.writeInt8(1, 16), 'UNSUPPORTED_FOR_MESSAGE_FORMAT'],
  ['magic 0', (b: Buffer) => b.writeInt8(0, 16), 'UNSUPPORTED_FOR_MESSAGE_FORMAT'],
  ['magic 3', (b: Buffer) => b.writeInt8(3, 16), 'CORRUPT_MESSAGE'],
])('%s is refused by the frame of the batch', (_, change, refusal) => {
  const b = ours()
  change(b)
  expect(checkBatch(b, 0, b.length)).toBe(refusal)
})

test.each([
  ['a negative count', (b: Buffer) => b.writeInt32BE(-3, 57), 'INVALID_RECORD'],
  ['more records than offsets', (b: Buffer) => b.writeInt32BE(4, 57), 'INVALID_RECORD'],
  ['an unknown codec', (b: Buffer) => b.writeInt16BE(5, 21), 'UNSUPPORTED_COMPRESSION_TYPE'],
])('%s is refused under a right CRC', (_, change, refusal) => {
  const b = changed(change)
  expect(checkBatch(b, 0, b.length)).toBe(refusal)
  expect(checkProduced(b, 0, b.length)).toBe(refusal)
})

test.each([
  ['no records', (b: Buffer) => b.writeInt32BE(0, 57)],
  ['fewer records than offsets', (b: Buffer) => b.writeInt32BE(2, 57)],
  ['more offsets than records', (b: Buffer) => b.writeInt32BE(7, 23)],
  ['a control batch', (b: Buffer) => b.writeInt16BE(0x20, 21)],
  ['a negative producer epoch', (b: Buffer) => b.writeInt16BE(-1, 51)],
  ['a negative sequence', (b: Buffer) => b.writeInt32BE(-1, 53)],
])('%s may stand in a log but not come from a producer', (_, change) => {
  const b = changed(change)
  expect(checkBatch(b, 0, b.length)).toBeUndefined()
  expect(checkProduced(b, 0, b.length)).toBe('INVALID_RECORD')
})

test('a producer sends exactly one batch', () => {
  const one = ours()
  expect(checkProduced(one, 0, one.length)).toBeUndefined()
  const two = Buffer.concat([one, one])
  expect(checkProduced(two, 0, two.length)).toBe('INVALID_RECORD')
})
