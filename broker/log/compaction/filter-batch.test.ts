import { describe, expect, test } from 'vitest'
import { MIB } from '../../../base/quantities.ts'
import { deleteHorizonOf, emptiedBatch } from '../../../protocol/kafka/compacted-batch.ts'
import {
  baseSequenceOf,
  batchHeaderBytes,
  checkBatch,
  codecOf,
  codecs,
  countOf,
  isLogAppendTime,
  lastOffsetDeltaOf,
  lastOffsetOf,
  maxTimestampOf,
  placeBatch,
  producerIdOf,
  stampLogAppendTime,
  type CodecName,
} from '../../../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords, type NewRecord } from '../../../protocol/kafka/records.ts'
import { filterBatch, FilterCounts, type FilterRules } from './filter-batch.ts'
import { OffsetMap } from './offset-map.ts'

const base = 1000
const producer = { id: 7, epoch: 1, baseSequence: 40 }

/** A record a letter of `keys`, from offset 1000 on, a millisecond apart; a small letter is a tombstone, a dot has no key. */
function batchOf(keys: string, codec: CodecName = 'none'): Buffer {
  const records = Array.from(keys, (letter, i): NewRecord => {
    const isTombstone = letter !== letter.toUpperCase()
    return {
      key: letter === '.' ? null : Buffer.from(letter.toUpperCase()),
      value: isTombstone ? null : Buffer.from(`value ${i}`),
      headers: [['n', Buffer.from([i])]],
      timestamp: 5000 + i,
    }
  })
  const batch = buildBatch(records, { codec, producer })
  placeBatch(batch, 0, base, 3)
  return batch
}

/** The newest offsets of keys; everything below `endOffset` was seen. */
function rulesOf(newest: Record<string, number>, rules: Partial<FilterRules> = {}): FilterRules {
  const map = new OffsetMap(MIB, Buffer.alloc(16))
  for (const [key, offset] of Object.entries(newest)) map.put(Buffer.from(key), 0, 1, offset)
  return { newest: map, endOffset: 2000, nowMs: 1_000_000, deleteRetentionMs: 500, ...rules }
}

/** What is left, as offset and key: the batch is sound, and what matters of its header is as it was. */
function leftOf(
  before: Buffer,
  rules: FilterRules,
  counts = new FilterCounts(),
): { batch: Buffer; left: string[] } {
  const filtered = filterBatch(before, 0, rules, counts)
  const batch =
    filtered.kind === 'same' ? before : filtered.kind === 'reduced' ? filtered.batch : emptiedBatch(before, 0)
  expect(checkBatch(batch, 0, batch.length)).toBeUndefined()
  for (const field of [lastOffsetOf, lastOffsetDeltaOf, baseSequenceOf, producerIdOf, isLogAppendTime])
    expect(field(batch, 0)).toBe(field(before, 0))
  if (filtered.kind !== 'emptied') expect(codecOf(batch, 0)).toBe(codecOf(before, 0))
  const all = [...readRecords(before, 0, MIB)]
  const left = [...readRecords(batch, 0, MIB)]
  expect(left).toEqual(all.filter(({ offset }) => left.some(record => record.offset === offset)))
  return { batch, left: left.map(({ offset, key }) => `${offset}${key === null ? '.' : String(key)}`) }
}

describe('of a batch stays', () => {
  test.each(codecs)('the newest record of each key, with codec %s', codec => {
    const rules = rulesOf({ A: 1004, B: 1001, C: 1500 })
    const { batch, left } = leftOf(batchOf('ABACA', codec), rules)
    expect(left).toEqual(['1001B', '1004A'])
    expect(maxTimestampOf(batch, 0)).toBe(5004)
  })

  test('nothing of it but its header, when all its records are old', () => {
    const { batch, left } = leftOf(batchOf('ABA', 'zstd'), rulesOf({ A: 1500, B: 1501 }))
    expect(left).toEqual([])
    expect(batch.length).toBe(batchHeaderBytes)
    expect(countOf(batch, 0)).toBe(0)
    expect(maxTimestampOf(batch, 0)).toBe(5002)
    expect(filterBatch(batch, 0, rulesOf({}), new FilterCounts()).kind).toBe('emptied')
  })

  test('all of it, byte for byte, when nothing is old', () => {
    const counts = new FilterCounts()
    expect(filterBatch(batchOf('ABC'), 0, rulesOf({ A: 1000, B: 1001 }), counts)).toEqual({ kind: 'same' })
    expect(counts).toMatchObject({ records: 3, removed: 0, horizonMs: Infinity })
  })

  test('no record without a key', () => {
    expect(leftOf(batchOf('A.B.'), rulesOf({})).left).toEqual(['1000A', '1002B'])
  })

  test('what stands behind the keys that were learnt', () => {
    const rules = rulesOf({ A: 1001 }, { endOffset: 1002 })
    expect(leftOf(batchOf('AAA.'), rules).left).toEqual(['1001A', '1002A', '1003.'])
    expect(leftOf(batchOf('A.'), rulesOf({ A: 1500 }, { endOffset: 1000 })).left).toEqual(['1000A', '1001.'])
  })
})

describe('tombstones', () => {
  test('are given their time when they are first met, and go when it is over', () => {
    const counts = new FilterCounts()
    const first = leftOf(batchOf('aBc'), rulesOf({ A: 1000, B: 1001, C: 1500 }), counts)
    expect(first.left).toEqual(['1000A', '1001B'])
    expect(deleteHorizonOf(first.batch, 0)).toBe(1_000_500)
    expect(counts).toMatchObject({ horizonMs: 1_000_500, tombstonesRemoved: 0, removed: 1 })

    const early = new FilterCounts()
    expect(filterBatch(first.batch, 0, rulesOf({}, { nowMs: 1_000_499 }), early)).toEqual({ kind: 'same' })
    expect(early.horizonMs).toBe(1_000_500)

    const late = new FilterCounts()
    const last = leftOf(first.batch, rulesOf({}, { nowMs: 1_000_500 }), late)
    expect(last.left).toEqual(['1001B'])
    expect(late).toMatchObject({ horizonMs: Infinity, tombstonesRemoved: 1, removed: 1 })
  })

  test('have no time to count while older records of their keys may be there', () => {
    const counts = new FilterCounts()
    const rules = rulesOf({ A: 1000 }, { endOffset: 1001 })
    expect(filterBatch(batchOf('aB'), 0, rules, counts)).toEqual({ kind: 'same' })
    expect(counts.horizonMs).toBe(Infinity)
  })

  test('go at once when a newer record of the key is there', () => {
    expect(leftOf(batchOf('aB'), rulesOf({ A: 1200 })).left).toEqual(['1001B'])
  })

  test('keep the time at which they were appended', () => {
    const before = batchOf('aB')
    stampLogAppendTime(before, 0, 7777)
    const { batch, left } = leftOf(before, rulesOf({}))
    expect(left).toEqual(['1000A', '1001B'])
    expect(deleteHorizonOf(batch, 0)).toBe(1_000_500)
    expect(maxTimestampOf(batch, 0)).toBe(7777)
  })
})

test('a batch whose records cannot be read stays as it is', () => {
  const counts = new FilterCounts()
  const batch = batchOf('ABC', 'gzip')
  batch[batchHeaderBytes] = 99
  expect(filterBatch(batch, 0, rulesOf({ A: 1500, B: 1500, C: 1500 }), counts)).toEqual({ kind: 'same' })
  expect(counts).toMatchObject({ unreadable: 1, removed: 0 })
})
