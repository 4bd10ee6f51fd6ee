import { expect, test } from 'vitest'
import { explain, Failure } from './failure.ts'
import { table } from './format.ts'
import { printable } from './printable.ts'

test('what a terminal would act on is written out', () => {
  expect(printable('a\u001b[2Jb\r\n\tc\u009b')).toBe('a\\u001b[2Jb\\r\\n\\tc\\u009b')
  expect(printable('left\u202etfel\u2028')).toBe('left\\u202etfel\\u2028')
  expect(printable('späte Züge 🚂 "x"')).toBe('späte Züge 🚂 "x"')
})

test('in tables and messages too', () => {
  expect(table([['NAME'], ['a\nb\u0007']])).toBe('NAME\na\\nb\\u0007\n')
  const failure = new Failure('no group \u001b[31m', 'Did you mean \u001b[32m?')
  expect(explain(failure).text).toBe('stele: no group \\u001b[31m\n       Did you mean \\u001b[32m?\n')
})
