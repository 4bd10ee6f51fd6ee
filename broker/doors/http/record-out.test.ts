import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { StoredRecord } from '../../../protocol/kafka/records.ts'
import { recordOf } from './record-in.ts'
import { renderRecord } from './record-out.ts'

const bytes = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 20 }).map(array => Buffer.from(array)),
  fc.string({ unit: 'binary', maxLength: 20 }).map(text => Buffer.from(text)),
)

const stored: fc.Arbitrary<StoredRecord> = fc.record({
  offset: fc.maxSafeNat(),
  timestamp: fc.maxSafeNat(),
  key: bytes,
  value: bytes,
  headers: fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 5 }), bytes), {
    maxLength: 4,
  }),
})

test('what is read can be written again as it is', () => {
  fc.assert(
    fc.property(
      stored,
      fc.nat(),
      fc.constantFrom(undefined, 'text' as const, 'base64' as const),
      (record, partition, forced) => {
        const line = renderRecord(partition, record, forced)
        expect(line).not.toContain('\n')
        const json: unknown = JSON.parse(line)
        expect(recordOf(json, 'text')).toEqual({
          key: record.key,
          value: record.value,
          headers: record.headers,
          timestampMs: record.timestamp,
          partition,
        })
      },
    ),
    { numRuns: 2000 },
  )
})

test('text where it is text, base64 for the whole record where not', () => {
  const record = { offset: 7, timestamp: 5, key: Buffer.from('k"é'), value: null, headers: [] }
  expect(renderRecord(2, record, undefined)).toBe(
    '{"partition":2,"offset":7,"timestamp":5,"key":"k\\"é","value":null,"headers":[],"encoding":"text"}',
  )
  expect(renderRecord(2, record, 'base64')).toContain(
    '"key":"ayLDqQ==","value":null,"headers":[],"encoding":"base64"',
  )
  const headers = [['h', Buffer.from([0xff])]] as const
  expect(renderRecord(2, { ...record, headers }, 'text')).toContain(
    '"key":"ayLDqQ==","value":null,"headers":[["h","/w=="]],"encoding":"base64"',
  )
})
