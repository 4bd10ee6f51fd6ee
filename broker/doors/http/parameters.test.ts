import { expect, test } from 'vitest'
import { Refusal, type RefusalCode } from '../../../base/refusals.ts'
import { Advice } from './errors.ts'
import {
  acksOf,
  encodingOf,
  nearest,
  parametersOf,
  partitionOf,
  timestampMsOf,
  wholeNumber,
} from './parameters.ts'

const refused = (act: () => unknown): { code: RefusalCode; message: string; todo: string } => {
  try {
    act()
  } catch (error) {
    if (error instanceof Refusal) {
      return { code: error.code, message: error.message, todo: error instanceof Advice ? error.todo : '' }
    }
    throw error
  }
  throw new Error('nothing was refused')
}

test('a query is decoded', () => {
  expect([
    ...parametersOf('/append?key=a+b%2Bc%C3%A9&acks&&partition=', ['key', 'acks', 'partition']),
  ]).toEqual([
    ['key', 'a b+cé'],
    ['acks', ''],
    ['partition', ''],
  ])
  expect(parametersOf('/append', ['key']).size).toBe(0)
  expect(parametersOf('/append?', ['key']).size).toBe(0)
})

test('what a route does not know is refused, with what was probably meant', () => {
  const ask = (query: string) =>
    refused(() => parametersOf(`/x?${query}`, ['offset', 'max_bytes', 'wait_ms']))
  expect(ask('ofset=1')).toEqual({
    code: 'INVALID_REQUEST',
    message: 'This route has no query parameter "ofset"',
    todo: 'Did you mean offset? It takes offset, max_bytes, wait_ms.',
  })
  expect(ask('colour=1').todo).toBe('It takes offset, max_bytes, wait_ms.')
  expect(ask('offset=1&offset=2').message).toContain('twice')
  expect(ask('offset=%E9').message).toContain('percent-encoding')
  expect(ask('offset=%').message).toContain('"%"')
  expect(refused(() => parametersOf('/x?a=1', [])).todo).toBe('It takes none.')
})

test.each(['-1', '1.5', '', 'x', '1e3', ' 1', '2147483648', '99999999999999999999'])('partition %j', text => {
  expect(refused(() => partitionOf(text))).toMatchObject({
    code: 'INVALID_REQUEST',
    message: `partition must be a whole number from 0 to 2147483647, not ${JSON.stringify(text)}`,
  })
})

test('numbers have bounds', () => {
  expect(wholeNumber('n', '5', 1, 5)).toBe(5)
  expect(wholeNumber('n', '007', 0, 9)).toBe(7)
  expect(wholeNumber('n', '9007199254740991', 0, Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER)
  expect(() => wholeNumber('n', '9007199254740992', 0, Number.MAX_SAFE_INTEGER)).toThrow('from 0, not')
  expect(() => wholeNumber('n', '0', 1, 5)).toThrow('n must be a whole number from 1 to 5')
})

const acks = (query: string) => acksOf(parametersOf(query, ['acks']))
const encoding = (query: string) => encodingOf(parametersOf(query, ['encoding']))

test('acks', () => {
  expect(['', '?acks=all', '?acks=-1', '?acks=1', '?acks=0'].map(acks)).toEqual([-1, -1, -1, 1, 0])
  expect(refused(() => acks('?acks=2')).code).toBe('INVALID_REQUIRED_ACKS')
  expect(refused(() => acks('?acks=')).code).toBe('INVALID_REQUIRED_ACKS')
})

test('encoding', () => {
  expect(['', '?encoding=text', '?encoding=base64'].map(encoding)).toEqual([undefined, 'text', 'base64'])
  expect(refused(() => encoding('?encoding=hex')).message).toBe('encoding must be text or base64, not "hex"')
})

test('timestamps', () => {
  expect(timestampMsOf('1735689600000')).toBe(1735689600000)
  expect(timestampMsOf('2025-01-01')).toBe(1735689600000)
  expect(timestampMsOf('2025-01-01T02:00:00 02:00')).toBe(1735689600000)
  expect(timestampMsOf('2025-01-01T00:00:00.000Z')).toBe(1735689600000)
  for (const wrong of ['', 'yesterday', '-5', '2025-01-01T00:00:00', '2025-13-01', '1969-01-01', '1.5']) {
    expect(refused(() => timestampMsOf(wrong)).code).toBe('INVALID_REQUEST')
  }
})

test('the nearest name is one that is about as long', () => {
  expect(nearest('biling', ['orders', 'billing', 'b'.repeat(10_000)])).toBe('billing')
  expect(nearest('b'.repeat(32_000), ['b'.repeat(32_000)])).toBeUndefined()
  expect(nearest('a'.repeat(249), ['a'.repeat(248)])).toBe('a'.repeat(248))
})

test('of endless names that are as long, only so many are compared', () => {
  let looked = 0
  function* names(): Generator<string, void> {
    while (true) {
      looked += 1
      yield 'n'.repeat(200)
    }
  }
  expect(nearest('m'.repeat(200), names())).toBeUndefined()
  expect(looked).toBeLessThan(1_000)
})
