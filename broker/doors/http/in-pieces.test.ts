import { expect, test } from 'vitest'
import { realClock } from '../../world/clock.ts'
import { inPieces } from './in-pieces.ts'

const collected = async (body: AsyncIterable<Buffer>): Promise<Buffer[]> => {
  const pieces: Buffer[] = []
  for await (const piece of body) pieces.push(piece)
  return pieces
}

test('all that is written arrives, in pieces of bounded size', async () => {
  const bits = Array.from({ length: 5_000 }, (_, n) => (n % 3 === 0 ? '' : `größe ${n} `.repeat(n % 7)))
  const pieces = await collected(inPieces(realClock, bits))
  expect(Buffer.concat(pieces).toString()).toBe(bits.join(''))
  expect(pieces.length).toBeGreaterThan(1)
  expect(Math.max(...pieces.map(piece => piece.length))).toBeLessThan(256 * 1024)
})

test('nothing at all is an empty body', async () => {
  expect(await collected(inPieces(realClock, ['', '']))).toEqual([])
})

test('no more is made than is read, and others get their turn meanwhile', async () => {
  let made = 0
  function* endless(): Generator<string, void> {
    while (true) {
      made += 1
      yield 'x'.repeat(32_000)
    }
  }
  const body = inPieces(realClock, endless())
  await new Promise<void>(readable => body.once('readable', readable))
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
  expect(made).toBeLessThan(100)
  body.destroy()
})

test('bits without text end a turn too', async () => {
  let others = 0
  function* work(): Generator<string, void> {
    for (let n = 0; n < 10_000; n++) yield ''
    yield String(others > 0)
  }
  const body = inPieces(realClock, work())
  setImmediate(() => (others += 1))
  expect(Buffer.concat(await collected(body)).toString()).toBe('true')
})
