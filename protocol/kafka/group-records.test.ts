import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  groupRecord,
  offsetRecord,
  readGroupRecord,
  type StoredGroup,
  type StoredOffset,
} from './group-records.ts'
import { MalformedRequest } from './malformed.ts'

const name = fc.string({ unit: 'grapheme', maxLength: 20 })
const time = fc.integer({ min: 0, max: 2 ** 45 })
const blob = fc.uint8Array({ maxLength: 30 }).map(bytes => Buffer.from(bytes))

const committed: fc.Arbitrary<StoredOffset> = fc.record({
  offset: fc.integer({ min: -1, max: 2 ** 50 }),
  leaderEpoch: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
  metadata: name,
  commitTimestamp: time,
  expireTimestamp: fc.constant(-1),
})

const stored: fc.Arbitrary<StoredGroup> = fc.record({
  protocolType: name,
  generation: fc.nat(),
  protocol: fc.option(name),
  leader: fc.option(name),
  currentStateTimestamp: time,
  members: fc.array(
    fc.record({
      memberId: name,
      groupInstanceId: fc.option(name),
      clientId: name,
      clientHost: name,
      rebalanceTimeout: fc.nat(),
      sessionTimeout: fc.nat(),
      subscription: blob,
      assignment: blob,
    }),
    { maxLength: 4 },
  ),
})

test('an offset comes back as it was kept', () => {
  fc.assert(
    fc.property(name, name, fc.nat(), committed, (group, topic, partition, value) => {
      const { key, value: bytes } = offsetRecord(group, topic, partition, value)
      expect(readGroupRecord(key, bytes)).toMatchObject({ kind: 'offset', group, topic, partition, value })
    }),
  )
})

test('an offset with its own expiry keeps it, and gives up its leader epoch, as in Kafka', () => {
  const value = { offset: 7, leaderEpoch: 3, metadata: 'm', commitTimestamp: 1000, expireTimestamp: 2000 }
  const record = offsetRecord('g', 't', 0, value)
  expect(record.value?.readInt16BE(0)).toBe(1)
  expect(readGroupRecord(record.key, record.value)).toMatchObject({ value: { ...value, leaderEpoch: -1 } })
})

test('a group comes back as it was kept', () => {
  fc.assert(
    fc.property(name, stored, (group, value) => {
      const { key, value: bytes } = groupRecord(group, value)
      expect(readGroupRecord(key, bytes)).toEqual({ kind: 'group', group, value })
    }),
  )
})

test('a null value takes away', () => {
  const offset = offsetRecord('g', 't', 4, null)
  expect(readGroupRecord(offset.key, offset.value)).toEqual({
    kind: 'offset',
    group: 'g',
    topic: 't',
    partition: 4,
    value: null,
  })
  const group = groupRecord('g', null)
  expect(readGroupRecord(group.key, group.value)).toEqual({ kind: 'group', group: 'g', value: null })
})

// As a Kafka broker wrote it: layout 4 is what newer ones write, its topic id in a tag.
test('layouts beyond our own are read, unknown ones are told apart', () => {
  const { key } = offsetRecord('g', 't', 0, null)
  const four = Buffer.concat([
    Buffer.from('0004000000000000002a00000005', 'hex'),
    Buffer.from('026d', 'hex'),
    Buffer.from('00000000000003e8', 'hex'),
    Buffer.from('010010' + '11'.repeat(16), 'hex'),
  ])
  expect(readGroupRecord(key, four)).toMatchObject({
    value: { offset: 42, leaderEpoch: 5, metadata: 'm', commitTimestamp: 1000 },
  })
  expect(readGroupRecord(key, Buffer.from('0063', 'hex'))).toBeUndefined()
  expect(readGroupRecord(Buffer.from('0003000167', 'hex'), null)).toBeUndefined()
})

const outcome = (key: Buffer, value: Buffer | null): unknown => {
  try {
    readGroupRecord(key, value)
    return undefined
  } catch (error) {
    return error
  }
}

test('damaged records are refused, never misread or worse', () => {
  expect(() => readGroupRecord(Buffer.from('00', 'hex'), null)).toThrow(MalformedRequest)
  expect(() => readGroupRecord(Buffer.from('0001ffff', 'hex'), null)).toThrow(MalformedRequest)
  fc.assert(
    fc.property(blob, fc.option(blob), (key, value) => {
      const error = outcome(key, value)
      expect(error === undefined || error instanceof MalformedRequest).toBe(true)
    }),
  )
})
