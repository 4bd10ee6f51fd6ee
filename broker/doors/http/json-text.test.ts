import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseJson, parseJsonText, parseKeepingNumbers, whereJsonBreaks } from './json-text.ts'

test.each([
  ['abc', 0, '"a" stands where something else is expected, at column 1'],
  ['', 0, 'it ends where something else is expected, at column 1'],
  ['{"a":1,}', 7, '"}" stands where something else is expected, at column 8'],
  ['{"a":', 5, 'it ends where something else is expected, at column 6'],
  ['{"a" 1}', 5, ''],
  ['[1 2]', 3, ''],
  ['[1,]', 3, ''],
  ['[,1]', 1, ''],
  ['{\n  "a": tru\n}', 9, '"t" stands where something else is expected, at line 2, column 8'],
  ['{"a":"x\ty"}', 7, ''],
  [String.raw`"\q"`, 1, ''],
  [String.raw`"\u12G4"`, 1, ''],
  ['"open', 5, ''],
  ['{} {}', 3, ''],
  ['[}', 1, ''],
  ['{1:2}', 1, ''],
  ['01', 0, ''],
  ['[[[]]', 5, ''],
  ['{"a":1]', 6, ''],
])('%j breaks at %i', (text, at, words) => {
  expect(whereJsonBreaks(text)).toBe(at)
  expect(() => parseJsonText(text, 'The body')).toThrow(`The body is not JSON: ${words}`)
})

test('a place is found exactly in what is not JSON', () => {
  const broken = fc.tuple(
    fc.json(),
    fc.nat(),
    fc.constantFrom('', ',', '"', '}', ']', ':', '\\', 'x', '1', ' ', '\n'),
  )
  fc.assert(
    fc.property(broken, ([json, place, put]) => {
      const cut = place % (json.length + 1)
      const text = json.slice(0, cut) + put + json.slice(cut + 1)
      let sound = true
      try {
        JSON.parse(text)
      } catch {
        sound = false
      }
      const at = whereJsonBreaks(text)
      // A sound text "ends too early" for a scanner that only looks for the break.
      expect(sound ? at : text.length).toBe(text.length)
      // Whatever stands before the place is the beginning of some JSON: nothing in it is to blame.
      expect(whereJsonBreaks(text.slice(0, at))).toBe(at)
    }),
    { numRuns: 2000 },
  )
})

test('bytes that are not UTF-8 are refused', () => {
  expect(() => parseJson(Buffer.from([0x22, 0xff, 0x22]), 'Line 3')).toThrow('Line 3 is not UTF-8')
})

test('numbers keep their digits', () => {
  const text = '{"id":12345678901234567890,"big":1e400,"plain":[1,2.5,true,null,"12345678901234567890"]}'
  expect(JSON.stringify(parseKeepingNumbers(text))).toBe(text)
})

test('text that is nothing but brackets is refused before it is parsed', () => {
  const deep = (depth: number): Buffer =>
    Buffer.from('['.repeat(depth) + ' '.repeat(9000) + ']'.repeat(depth))
  expect(parseJson(deep(1000), 'The body')).toBeInstanceOf(Array)
  expect(() => parseJson(deep(1001), 'The body')).toThrow('more than 1000 deep')
  const quoted = JSON.stringify(['['.repeat(20_000), '\\"['.repeat(2000)])
  expect(parseJson(Buffer.from(quoted), 'The body')).toHaveLength(2)
})

test('more objects than memory should be spent on are refused before they are parsed', () => {
  const many = (count: number): Buffer => Buffer.from(`[${Array(count).fill('{}').join(',')}]`)
  expect(parseJson(many(99_999), 'The body')).toHaveLength(99_999)
  expect(() => parseJson(many(100_000), 'The body')).toThrow('holds 100001 objects and arrays')
})
