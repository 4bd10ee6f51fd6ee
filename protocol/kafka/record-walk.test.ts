import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MalformedRecords } from './malformed.ts'
import { batchHeaderBytes, checkBatch, codecs } from './record-batch.ts'
import { walkRecords } from './record-walk.ts'
import { buildBatch, readRecords, type NewRecord } from './records.ts'

const bytes = fc.uint8Array({ maxLength: 40 }).map(b => Buffer.from(b))
const nullable = fc.option(bytes, { nil: null })
const record: fc.Arbitrary<NewRecord> = fc.record({
  key: nullable,
  value: nullable,
  headers: fc.array(fc.tuple(fc.string({ maxLength: 5 }), nullable), { maxLength: 3 }),
  timestamp: fc.integer({ min: 0, max: 2 ** 45 }),
})
const records = fc.array(record, { minLength: 1, maxLength: 20 })

describe('walking records', () => {
  test('says of each record what reading it says', () => {
    fc.assert(
      fc.property(records, fc.constantFrom(...codecs), (records, codec) => {
        const batch = buildBatch(records, { codec })
        const walk = walkRecords(batch, 0, 2 ** 20)
        let end = 0
        for (const read of readRecords(batch, 0, 2 ** 20)) {
          expect(walk.next()).toBe(true)
          expect(walk.start).toBe(end)
          end = walk.end
          expect(walk.offsetDelta).toBe(read.offset)
          expect(walk.timestampDelta + (records[0]?.timestamp ?? 0)).toBe(read.timestamp)
          const key = walk.bytes.subarray(walk.keyStart, walk.keyStart + Math.max(walk.keyBytes, 0))
          expect(walk.keyBytes < 0 ? null : key).toEqual(read.key)
          expect(walk.hasValue).toBe(read.value !== null)
        }
        expect(walk.next()).toBe(false)
        expect(end).toBe(walk.bytes.length)
      }),
    )
  })

  test('of bytes that were changed ends, or is refused', () => {
    fc.assert(
      fc.property(records, fc.nat(), fc.integer({ min: 0, max: 255 }), (records, where, byte) => {
        const batch = buildBatch(records)
        batch[batchHeaderBytes + (where % (batch.length - batchHeaderBytes))] = byte
        try {
          const walk = walkRecords(batch, 0, 2 ** 20)
          let before = -1
          while (walk.next()) {
            expect(walk.offsetDelta).toBeGreaterThan(before)
            expect(walk.offsetDelta).toBeLessThan(records.length)
            expect(walk.keyStart + walk.keyBytes).toBeLessThanOrEqual(walk.end)
            before = walk.offsetDelta
          }
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedRecords)
        }
      }),
    )
  })

  test('refuses offsets that the batch does not have', () => {
    const batch = buildBatch([1, 2, 3].map(n => ({ key: null, value: null, headers: [], timestamp: n })))
    const offsetOfSecond = batchHeaderBytes + 7 + 3
    for (const delta of [0, 3, 100]) {
      batch[offsetOfSecond] = delta * 2
      expect(checkBatch(batch, 0, batch.length)).toBe('CORRUPT_MESSAGE')
      const walk = walkRecords(batch, 0, 100)
      expect(walk.next()).toBe(true)
      expect(() => walk.next()).toThrow(/offset \d+ of the batch behind offset 0/)
    }
  })
})
