import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { assert } from '../../base/assert.ts'
import { javaBatches } from './java-batches.fixture.ts'
import { MalformedRecords } from './malformed.ts'
import { batchHeaderBytes, checkBatch, codecs, sealBatch } from './record-batch.ts'
import { buildBatch, readRecords, type NewRecord } from './records.ts'

const mib = 1_048_576
const bytes: fc.Arbitrary<Buffer> = fc.uint8Array({ maxLength: 300 }).map(b => Buffer.from(b))
const nullableBytes: fc.Arbitrary<Buffer | null> = fc.option(bytes)
const record: fc.Arbitrary<NewRecord> = fc.record({
  key: nullableBytes,
  value: nullableBytes,
  headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 9 }), nullableBytes), {
    maxLength: 3,
  }),
  timestamp: fc.integer({ min: -1, max: 2 ** 45 }),
})
const someRecords = fc.array(record, { minLength: 1, maxLength: 20 })

test.each(Object.entries(javaBatches))('a batch that Java packed with %s', (codec, base64) => {
  const batch = Buffer.from(base64, 'base64')
  expect(checkBatch(batch, 0, batch.length)).toBeUndefined()
  const value = Buffer.from(codec === 'none' ? '' : 'abcde'.repeat(8000))
  expect([...readRecords(batch, 0, mib)]).toEqual([
    {
      offset: 42,
      timestamp: 1_700_000_000_000,
      key: Buffer.from('key'),
      value: Buffer.from('value'),
      headers: [
        ['h', Buffer.from('x')],
        ['h', null],
      ],
    },
    { offset: 43, timestamp: 1_699_999_999_000, key: null, value: null, headers: [] },
    { offset: 44, timestamp: 1_700_000_005_000, key: Buffer.from('zürich'), value, headers: [] },
  ])
})

test.each(codecs)('records packed with %s come back as they went', codec => {
  fc.assert(
    fc.property(someRecords, records => {
      const batch = buildBatch(records, { codec, producer: { id: 3, epoch: 0, baseSequence: 9 } })
      expect(checkBatch(batch, 0, batch.length)).toBeUndefined()
      expect([...readRecords(batch, 0, mib)]).toEqual(records.map((r, offset) => ({ ...r, offset })))
    }),
    { numRuns: 40 },
  )
})

test('with LogAppendTime every record has the time of the batch', () => {
  const batch = Buffer.from(javaBatches.none, 'base64')
  batch.writeInt16BE(0x08, 21)
  expect([...readRecords(batch, 0, mib)].map(r => r.timestamp)).toEqual(Array(3).fill(1_700_000_005_000))
})

test.each([1, 3])('a record whose offset delta is %i in a batch of one is refused', delta => {
  const batch = buildBatch([{ key: null, value: Buffer.from('v'), headers: [], timestamp: 1 }])
  const offsetDeltaAt = batchHeaderBytes + 3
  batch.writeUInt8(delta, offsetDeltaAt)
  sealBatch(batch, 0)
  expect(() => [...readRecords(batch, 0, mib)]).toThrow(MalformedRecords)
})

/** Reads to the end; anything thrown but MalformedRecords fails the test. */
function read(batch: Buffer): 'sound' | 'malformed' {
  try {
    for (const { offset } of readRecords(batch, 0, mib))
      assert(Number.isFinite(offset), 'an offset is a number')
    return 'sound'
  } catch (error) {
    if (!(error instanceof MalformedRecords)) throw error
    return 'malformed'
  }
}

test.each(codecs)('damaged records packed with %s never do worse than being refused', codec => {
  fc.assert(
    fc.property(
      someRecords,
      fc.nat(),
      fc.uint8Array({ minLength: 1, maxLength: 6 }),
      (records, where, damage) => {
        const batch = buildBatch(records, { codec })
        const room = batch.length - batchHeaderBytes
        batch.set(damage.subarray(0, room), batchHeaderBytes + (where % Math.max(1, room - damage.length)))
        expect(read(batch)).toMatch(/^(sound|malformed)$/u)
      },
    ),
    { numRuns: 200 },
  )
})

/** Three records, and a change to their batch that no CRC tells. */
function three(change: (b: Buffer) => void): Buffer {
  const b = Buffer.from(javaBatches.none, 'base64')
  change(b)
  return b
}

test('records that end early, late, or not at all', () => {
  expect(read(three(b => b.writeInt32BE(2, 57)))).toBe('malformed')
  expect(read(three(b => b.writeInt32BE(4, 57)))).toBe('malformed')
  expect(read(three(b => b.writeInt32BE(0x7fffffff, 57)))).toBe('malformed')
  expect(read(three(b => b.fill(0xff, batchHeaderBytes)))).toBe('malformed')
  expect(read(three(b => b.fill(0, batchHeaderBytes)))).toBe('malformed')
  expect(read(three(b => b.writeInt16BE(6, 21)))).toBe('malformed')
})

test('a varint of eleven bytes is refused, one of ten is read', () => {
  const header = buildBatch([{ key: null, value: null, headers: [], timestamp: 0 }]).subarray(
    0,
    batchHeaderBytes,
  )
  const withDelta = (hex: string): Buffer => {
    const inner = Buffer.from(`00${hex}00010100`, 'hex')
    const batch = Buffer.concat([header, Buffer.from([inner.length * 2]), inner])
    batch.writeInt32BE(batch.length - 12, 8)
    sealBatch(batch, 0)
    return batch
  }
  expect(read(withDelta('feffffffffffffffff01'))).toBe('sound')
  expect(read(withDelta('feffffffffffffffffff01'))).toBe('malformed')
  expect([...readRecords(withDelta('8080c0a0f160'), 0, mib)]).toMatchObject([
    { timestamp: 1_664_468_123_648 },
  ])
})

test('a header count or a key length that the record cannot hold is refused', () => {
  const batch = buildBatch([{ key: Buffer.from('k'), value: null, headers: [], timestamp: 0 }])
  const at = batchHeaderBytes
  for (const [where, byte] of [
    [at + 4, 0x7e],
    [at + 7, 0x7e],
    [at + 7, 0x01],
  ] as const) {
    const damaged = Buffer.from(batch)
    damaged[where] = byte
    expect(read(damaged)).toBe('malformed')
  }
})
