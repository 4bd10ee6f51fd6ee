import { describe, expect, test } from 'vitest'
import { MIB } from '../../base/quantities.ts'
import { batchHeaderBytes, codecs, sealBatch } from '../../protocol/kafka/record-batch.ts'
import { buildBatch } from '../../protocol/kafka/records.ts'
import { resolveTopic } from '../settings/resolve.ts'
import { refuseBatch } from './admission.ts'

const settingsOf = (policy: string) =>
  resolveTopic({ topic: { 'cleanup.policy': policy }, dynamic: {}, static: {} })

const refused = (policy: string, batch: Buffer) =>
  refuseBatch('t', settingsOf(policy), batch, 0, batch.length, 1000)?.message

const batchOf = (keys: readonly (string | null)[], codec: (typeof codecs)[number] = 'none') =>
  buildBatch(
    keys.map(key => ({
      key: key === null ? null : Buffer.from(key),
      value: null,
      headers: [],
      timestamp: 1000,
    })),
    { codec },
  )

describe('a compacted topic', () => {
  test.each(codecs)('takes only records with keys, with codec %s', codec => {
    const batch = batchOf(['a', '', null], codec)
    const why = 'record 2 of the batch has no key, and t is compacted: every record needs one'
    expect(refused('compact', batch)).toBe(why)
    expect(refused('delete,compact', batch)).toBe(why)
    expect(refused('delete', batch)).toBeUndefined()
    expect(refused('compact', batchOf(['a', ''], codec))).toBeUndefined()
  })

  test.each(['gzip', 'zstd'] as const)(
    'takes no batch of %s that unpacks to many times of what it may have',
    codec => {
      const bomb = (bytes: number) =>
        buildBatch([{ key: Buffer.from('a'), value: Buffer.alloc(bytes), headers: [], timestamp: 1000 }], {
          codec,
        })
      expect(refused('compact', bomb(3 * MIB))).toBeUndefined()
      expect(refused('compact', bomb(5 * MIB))).toMatch(/^the records of the batch cannot be read/)
    },
  )

  test('takes only records that can be read', () => {
    const batch = batchOf(['a', 'b'])
    batch[batchHeaderBytes] = 100
    sealBatch(batch, 0)
    expect(refused('compact', batch)).toMatch(/^the records of the batch cannot be read: a length of 50/)
    expect(refused('delete', batch)).toBeUndefined()
  })
})
