import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MIB, offset } from '../../base/quantities.ts'
import { gapBatch } from '../../protocol/kafka/compacted-batch.ts'
import { batchHeaderBytes, lastOffsetOf, placeBatch, sealBatch } from '../../protocol/kafka/record-batch.ts'
import { simWorld } from '../../test/sim/world.ts'
import { batchOf } from './log.fixture.ts'
import { Segment } from './segment.ts'
import { Digest, Stretches, type Stretch } from './stretches.ts'

const segment = new Segment(simWorld({ seed: 1 }).world.disk, '/tablet', offset(0), 0)

/** Batches back to back from offset 0 on, a null is a byte that is none. */
function stretchesOf(batches: readonly (Buffer | null)[], from = 0, to = 1e9): Stretch[] {
  const found: Stretch[] = []
  const stretches = new Stretches(offset(from), offset(to), one => found.push(one))
  let [position, next] = [0, 0]
  for (const batch of batches) {
    if (batch !== null) {
      placeBatch(batch, 0, next, 3)
      next = lastOffsetOf(batch, 0) + 1
      stretches.add({ bytes: batch, at: 0, end: batch.length, position }, segment)
    } else next++
    position += batch?.length ?? 1
  }
  stretches.end()
  return found
}
const offsetsOf = (stretches: readonly Stretch[]): number[][] => stretches.map(({ from, to }) => [from, to])
const small = (value = 'v'): Buffer => Buffer.from(batchOf({ value }))

test('batches back to back are one stretch, from the log start up to the high watermark', () => {
  const batches = [small(), small(), small(), small()]
  const size = small().length
  expect(stretchesOf(batches, 1, 3)).toEqual([
    { of: segment, from: 1, to: 3, position: size, endPosition: 3 * size, digest: expect.any(String) },
  ])
  const two = (): Buffer => Buffer.from(batchOf({ count: 2 }))
  expect(offsetsOf(stretchesOf([two(), small(), small(), two()], 1, 5))).toEqual([[2, 4]])
})

test('what is damaged, compacted or large ends a stretch', () => {
  expect(offsetsOf(stretchesOf([small(), null, small(), small()]))).toEqual([
    [0, 1],
    [2, 4],
  ])
  expect(offsetsOf(stretchesOf([small(), gapBatch(0, 5, 0), small()]))).toEqual([
    [0, 1],
    [6, 7],
  ])
  const large = (): Buffer => small('x'.repeat(MIB / 2))
  expect(offsetsOf(stretchesOf([large(), large(), large()]))).toEqual([
    [0, 2],
    [2, 3],
  ])
})

test('a digest says every bit of every header, and the order', () => {
  const digestOf = (...batches: Buffer[]): string => {
    const digest = new Digest()
    for (const batch of batches) digest.add(batch, 0)
    return digest.toString()
  }
  const [a, b] = [small('a'), small('b')]
  expect(digestOf(a, b)).toBe(digestOf(small('a'), small('b')))
  expect(digestOf(b, a)).not.toBe(digestOf(a, b))
  expect(digestOf(a)).not.toBe(digestOf(a, b))
  // Brokers of two versions must come to the same.
  const zeros = Buffer.alloc(batchHeaderBytes)
  expect(digestOf(zeros, zeros)).toBe('e146128ff6ee2da49c0ca0758d0be879')
  fc.assert(
    fc.property(fc.integer({ min: 0, max: batchHeaderBytes * 8 - 1 }), bit => {
      const flipped = Buffer.from(a)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(digestOf(flipped, b)).not.toBe(digestOf(a, b))
    }),
  )
  const other = small('c')
  sealBatch(other, 0)
  expect(digestOf(other, b)).not.toBe(digestOf(a, b))
})
