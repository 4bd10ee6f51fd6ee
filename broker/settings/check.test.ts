import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Refusal } from '../../base/refusals.ts'
import { checkTopicSettings, planAlteration, planReplacement } from './check.ts'
import type { Alteration } from './check.ts'

const none = { dynamic: {}, static: {} }
const messageOf = (act: () => unknown): string => {
  try {
    act()
    return 'not refused'
  } catch (error) {
    if (error instanceof Refusal) return `${error.code}: ${error.message}`
    throw error
  }
}
const topicMessage = (name: string, value: string | null) =>
  messageOf(() => checkTopicSettings(Object.fromEntries([[name, value]])))
const brokerMessage = (name: string, value: string | null) =>
  messageOf(() => planAlteration('broker', [{ name, op: 'set', value }], none))

test.each([
  ['segment.bytes', 'abc', 'segment.bytes must be a whole number of at least 14, not "abc"'],
  ['segment.bytes', '13', 'segment.bytes must be a whole number of at least 14, not "13"'],
  ['segment.bytes', '1.5', 'segment.bytes must be a whole number of at least 14, not "1.5"'],
  ['segment.bytes', '', 'segment.bytes must be a whole number of at least 14, not ""'],
  ['segment.bytes', null, 'segment.bytes needs a value'],
  [
    'segment.bytes',
    '2147483648',
    'segment.bytes must be a whole number of at most 2147483647, not "2147483648"',
  ],
  ['retention.ms', '-2', 'retention.ms must be a whole number of at least 0, or -1 for no limit, not "-2"'],
  [
    'cleanup.policy',
    'compacted',
    'cleanup.policy must be a list of one or more of delete, compact, not "compacted"',
  ],
  [
    'min.cleanable.dirty.ratio',
    '1.01',
    'min.cleanable.dirty.ratio must be a number of at least 0 and at most 1, not "1.01"',
  ],
  [
    'min.cleanable.dirty.ratio',
    'half',
    'min.cleanable.dirty.ratio must be a number of at least 0 and at most 1, not "half"',
  ],
  [
    'compression.type',
    'zstd',
    'compression.type must be producer, not "zstd": batches are stored as they come',
  ],
  ['stele.flush', 'never', 'stele.flush must be one of fsync, os, not "never"'],
  ['segment.byte', '1', '"segment.byte" is not a setting of a topic; did you mean segment.bytes?'],
  ['Retention-MS', '1', '"Retention-MS" is not a setting of a topic; did you mean retention.ms?'],
  ['constructor', '1', '"constructor" is not a setting of a topic'],
  ['__proto__', '1', '"__proto__" is not a setting of a topic'],
  ['flush.ms', '1', 'flush.ms is not a setting here: writes are synced as stele.flush says'],
  [
    'log.retention.hours',
    '1',
    "log.retention.hours is a setting of the broker, not of the topic; the topic's is retention.ms",
  ],
  ['num.partitions', '1', 'num.partitions is a setting of the broker, not of the topic'],
])('a topic cannot have %s = %j', (name, value, message) => {
  expect(topicMessage(name, value)).toBe(`INVALID_CONFIG: ${message}`)
})

test.each([
  ['num.partitions', '2', 'num.partitions cannot change while the broker runs: start it with another value'],
  [
    'log.retention.hours',
    '2',
    'log.retention.hours cannot change while the broker runs: change log.retention.ms',
  ],
  [
    'segment.bytes',
    '100',
    "segment.bytes is a setting of the topic, not of the broker; the broker's is log.segment.bytes",
  ],
  [
    'log.retention.ms',
    'x',
    'log.retention.ms must be a whole number of at least 0, or -1 for no limit, not "x"',
  ],
])('a running broker cannot be given %s = %s', (name, value, message) => {
  expect(brokerMessage(name, value)).toBe(`INVALID_CONFIG: ${message}`)
})

test('good settings are answered as they will be kept', () => {
  const wanted = {
    'segment.bytes': ' 100 ',
    'cleanup.policy': 'compact, delete',
    'min.cleanable.dirty.ratio': '1e-1',
  }
  expect(checkTopicSettings(wanted)).toEqual({ ...wanted, 'segment.bytes': '100' })
})

test('alterations become one change', () => {
  const alterations: Alteration[] = [
    { name: 'segment.bytes', op: 'set', value: '100' },
    { name: 'retention.ms', op: 'delete', value: null },
    { name: 'cleanup.policy', op: 'append', value: 'compact' },
  ]
  expect(planAlteration('topic', alterations, none)).toEqual({
    set: { 'segment.bytes': '100', 'cleanup.policy': 'delete,compact' },
    unset: ['retention.ms'],
  })
})

test.each<[Alteration[], string]>([
  [
    [
      { name: 'retention.ms', op: 'delete', value: null },
      { name: 'retention.ms', op: 'set', value: '1' },
    ],
    'INVALID_REQUEST: retention.ms is altered twice',
  ],
  [[{ name: 'no', op: 'delete', value: null }], 'INVALID_CONFIG: "no" is not a setting of a topic'],
  [
    [{ name: 'segment.bytes', op: 'append', value: '1' }],
    'INVALID_CONFIG: segment.bytes is not a list: set it instead of using append',
  ],
  [
    [{ name: 'cleanup.policy', op: 'append', value: 'both' }],
    'INVALID_CONFIG: cleanup.policy must be a list of one or more of delete, compact, not "delete,both"',
  ],
  [
    [{ name: 'cleanup.policy', op: 'subtract', value: 'delete' }],
    'INVALID_CONFIG: cleanup.policy must be a list of one or more of delete, compact, not ""',
  ],
  [[{ name: 'cleanup.policy', op: 'subtract', value: null }], 'INVALID_CONFIG: cleanup.policy needs a value'],
])('%j is refused', (alterations, message) => {
  expect(messageOf(() => planAlteration('topic', alterations, none))).toBe(message)
})

test('a replacement takes away what it does not name', () => {
  const now = { 'segment.bytes': '100', 'retention.ms': '1' }
  expect(planReplacement('topic', { 'segment.bytes': '200' }, now)).toEqual({
    set: { 'segment.bytes': '200' },
    unset: ['retention.ms'],
  })
})

test('whatever is asked for, the answer is a change or a short refusal', () => {
  const text = fc.string({ unit: 'binary', maxLength: 1_000 })
  fc.assert(
    fc.property(fc.oneof(text, fc.constantFrom('segment.bytes', 'cleanup.policy')), text, (name, value) => {
      expect(topicMessage(name, value).length).toBeLessThan(3_000)
    }),
  )
})
