import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { NameCache } from './names.ts'

test('a cached name is the name, also when names share a slot', () => {
  const names = new NameCache()
  const drawn = fc.array(fc.string({ maxLength: 300, unit: 'grapheme' }), { minLength: 1, maxLength: 2000 })
  fc.assert(
    fc.property(drawn, texts => {
      for (const text of [...texts, ...texts]) {
        const bytes = Buffer.from(`<${text}>`)
        expect(names.text(bytes, 1, bytes.length - 2)).toBe(text)
      }
    }),
    { numRuns: 10 },
  )
})

test('a name outlives the buffer it was read from', () => {
  const names = new NameCache()
  const bytes = Buffer.from('orders')
  names.text(bytes, 0, 6)
  bytes.write('xxxxxx')
  expect(names.text(Buffer.from('orders'), 0, 6)).toBe('orders')
  expect(names.text(bytes, 0, 6)).toBe('xxxxxx')
})
