import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { lineBytesMax, linesOf, wholeLines } from './lines.ts'

async function* pieces(list: readonly Uint8Array[]): AsyncGenerator<Buffer> {
  for (const piece of list) yield Buffer.from(piece)
}

// Newlines are frequent, so that they fall on every edge.
const byte = fc.oneof(fc.constant(10), fc.integer({ min: 0, max: 255 }))
const input = fc.array(fc.array(byte).map(bytes => Uint8Array.from(bytes)))

test('however the input is cut, blocks are whole lines and nothing is lost', async () => {
  await fc.assert(
    fc.asyncProperty(input, async list => {
      const blocks = await Array.fromAsync(wholeLines(pieces(list)))
      expect(Buffer.concat(blocks)).toEqual(Buffer.concat(list))
      expect(blocks.every(block => block.length > 0)).toBe(true)
      expect(blocks.slice(0, -1).every(block => block.at(-1) === 10)).toBe(true)
    }),
  )
})

test('the lines of the blocks are the lines of the input', async () => {
  await fc.assert(
    fc.asyncProperty(input, async list => {
      const blocks = await Array.fromAsync(wholeLines(pieces(list)))
      const lines = blocks.flatMap(block => [...linesOf(block)].map(line => line.toString('latin1')))
      const text = Buffer.concat(list).toString('latin1')
      const expected = text.split('\n')
      if (expected.at(-1) === '') expected.pop()
      expect(lines).toEqual(expected)
    }),
  )
})

test('input without newlines does not fill memory', async () => {
  const piece = Buffer.alloc(lineBytesMax / 4)
  const endless = pieces(Array.from({ length: 8 }, () => piece))
  await expect(Array.fromAsync(wholeLines(endless))).rejects.toThrow('longer than 67.1 MB')
})
