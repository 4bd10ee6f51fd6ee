import { expect, test } from 'vitest'
import { Refusal } from '../../../base/refusals.ts'
import { Advice } from './errors.ts'
import { recordOf } from './record-in.ts'

const refused = (json: unknown, encoding: 'text' | 'base64' = 'text'): Refusal => {
  try {
    recordOf(json, encoding)
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}

test('the smallest record is a value', () => {
  expect(recordOf({ value: 'v' }, 'text')).toEqual({
    key: null,
    value: Buffer.from('v'),
    headers: [],
    timestampMs: undefined,
    partition: undefined,
  })
})

test('a record with everything, as it would be read back', () => {
  const json = {
    partition: 3,
    offset: 17,
    timestamp: '2025-01-01T00:00:00Z',
    key: 'ké',
    value: '',
    headers: [
      ['a', '1'],
      ['a', null],
    ],
    encoding: 'text',
  }
  expect(recordOf(json, 'base64')).toEqual({
    key: Buffer.from('ké'),
    value: Buffer.alloc(0),
    headers: [
      ['a', Buffer.from('1')],
      ['a', null],
    ],
    timestampMs: 1735689600000,
    partition: 3,
  })
})

test.each([
  [null, null],
  [{ a: [1] }, '{"a":[1]}'],
  [[1, 'x', null], '[1,"x",null]'],
  [1.5, '1.5'],
  [false, 'false'],
  ['{"a": 1}', '{"a": 1}'],
])('the value %j', (value, stored) => {
  expect(recordOf({ value }, 'text').value?.toString() ?? null).toBe(stored)
})

test('base64', () => {
  const record = recordOf({ key: '/wA=', value: 'AAEC', headers: { h: '' } }, 'base64')
  expect(record.key).toEqual(Buffer.from([255, 0]))
  expect(record.value).toEqual(Buffer.from([0, 1, 2]))
  expect(record.headers).toEqual([['h', Buffer.alloc(0)]])
  expect(recordOf({ value: 'AAEC', encoding: 'base64' }, 'text').value).toEqual(Buffer.from([0, 1, 2]))
  expect(recordOf({ value: '_-', encoding: 'text' }, 'base64').value).toEqual(Buffer.from('_-'))
  for (const value of ['A', 'AA', 'AAA', 'AA==AA==', 'A A=', '_-8=', '====', 'AAEC\n']) {
    expect(refused({ value }, 'base64').message).toBe('value is not base64')
  }
})

test.each([
  ['x', 'a record must be an object with a value, not a string'],
  [null, 'a record must be an object with a value, not null'],
  [[{ value: 1 }], 'a record must be an object with a value, not an array'],
  [{ key: 'k' }, 'value is missing'],
  [{ value: 1, key: 5 }, 'key must be a string or null, not a number'],
  [{ value: 1, key: {} }, 'key must be a string or null, not an object'],
  [{ value: 1, headers: 'x' }, 'headers must be an object or an array of [name, value] pairs, not a string'],
  [{ value: 1, headers: null }, 'headers must be an object or an array of [name, value] pairs, not null'],
  [{ value: 1, headers: { a: 1 } }, 'headers.a must be a string or null, not a number'],
  [{ value: 1, headers: [['a']] }, 'headers[0] must be a pair [name, value]'],
  [{ value: 1, headers: [['a', 'b'], 'c'] }, 'headers[1] must be a pair [name, value]'],
  [{ value: 1, headers: [['a', 'b', 'c']] }, 'headers[0] must be a pair [name, value]'],
  [{ value: 1, headers: [['a', 2]] }, 'headers[0][1] must be a string or null, not a number'],
  [{ value: 1, timestamp: 1.5 }, 'timestamp must be whole milliseconds'],
  [{ value: 1, timestamp: -2 }, 'timestamp must be whole milliseconds'],
  [{ value: 1, timestamp: '2025-01-01T00:00:00' }, 'timestamp must be whole milliseconds'],
  [{ value: 1, timestamp: null }, 'timestamp must be whole milliseconds'],
  [{ value: 1, partition: -1 }, 'partition must be a whole number from 0, not -1'],
  [{ value: 1, partition: '0' }, 'partition must be a whole number from 0, not "0"'],
  [{ value: 1, partition: 2 ** 31 }, 'partition must be a whole number from 0, not 2147483648'],
  [{ value: 1, encoding: 'hex' }, 'encoding must be "text" or "base64"'],
  [{ value: 'x\ud800' }, 'value holds half of a surrogate pair'],
  [{ value: 1, key: '\udc00' }, 'key holds half of a surrogate pair'],
  [{ value: 1, headers: [['\udc00', '']] }, 'headers[0][0] holds half of a surrogate pair'],
])('%j is refused', (json, message) => {
  const refusal = refused(json)
  expect(refusal.code).toBe('INVALID_REQUEST')
  expect(refusal.message).toContain(message)
})

test('a misspelt field is refused with what was probably meant', () => {
  const refusal = refused({ valeu: 1 })
  expect(refusal.message).toBe('"valeu" is no field of a record')
  expect(refusal instanceof Advice && refusal.todo).toContain('Did you mean value?')
})

test('a value in base64 is a string', () => {
  expect(refused({ value: 5 }, 'base64').message).toBe('value must be a base64 string or null, not a number')
})
