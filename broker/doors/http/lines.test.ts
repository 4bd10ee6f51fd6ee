import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Lines, notText, tooLong, type Line } from './lines.ts'

function linesOf(chunks: Buffer[], lineBytesMax: number): Line[] {
  const lines = new Lines(lineBytesMax)
  const found: Line[] = []
  for (const chunk of chunks) {
    lines.give(chunk)
    for (let line = lines.next(); line !== undefined; line = lines.next()) found.push(line)
  }
  const rest = lines.rest()
  if (rest !== undefined) found.push(rest)
  return found
}

test('any cut of a text gives the same lines', () => {
  const piece = fc.constantFrom('a', 'bcdefgh', '\n', '\r\n', '\r', 'é', '', 'ij')
  const cuts = fc.array(fc.nat({ max: 40 }))
  fc.assert(
    fc.property(fc.array(piece), cuts, fc.integer({ min: 0, max: 12 }), (pieces, places, max) => {
      const text = Buffer.from(pieces.join(''))
      const edges = [0, ...places.filter(at => at < text.length).sort((a, b) => a - b), text.length]
      const chunks = edges.slice(1).map((end, index) => text.subarray(edges[index], end))
      const expected = text.toString().split('\n')
      if (expected.at(-1) === '') expected.pop()
      expect(linesOf(chunks, max)).toEqual(
        expected.map(line => {
          const plain = line.endsWith('\r') ? line.slice(0, -1) : line
          return Buffer.byteLength(plain) > max ? tooLong : plain
        }),
      )
    }),
    { numRuns: 3000 },
  )
})

test('bytes that are no UTF-8 are told apart from a replacement character', () => {
  expect(linesOf([Buffer.from([0x61, 0xff, 0x0a, 0x62, 0x0a, 0xc3])], 10)).toEqual([notText, 'b', notText])
  expect(linesOf([Buffer.from('\ufffd\n')], 10)).toEqual(['\ufffd'])
})

test('one long line takes no more memory than allowed', () => {
  const lines = new Lines(1000)
  const chunk = Buffer.alloc(64 * 1024, 'x')
  for (let i = 0; i < 1000; i++) {
    lines.give(chunk)
    expect(lines.next()).toBeUndefined()
  }
  lines.give(Buffer.from('\nshort\n'))
  expect(lines.next()).toBe(tooLong)
  expect(lines.next()).toBe('short')
})
