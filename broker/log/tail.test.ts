import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KIB } from '../../base/quantities.ts'
import { chunkBytesMax, chunkBytesMin, TailMemory } from './tail-memory.ts'
import { Tail, type TailSlice } from './tail.ts'

/** Bytes that say whose they are and where they stand. */
function patternOf(tail: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = (tail * 31 + (position + i) * 7) & 0xff
  return bytes
}

const put = (tail: Tail, number: number, position: number, length: number): void =>
  void tail.add(patternOf(number, position, length), 0, length, position)

type Held = { readonly slice: TailSlice; readonly due: Buffer }
const expectWhole = ({ slice, due }: Held): void => {
  expect(slice.bytes).toBe(due.length)
  expect(Buffer.concat(slice.pieces).equals(due)).toBe(true)
}

test('many tails share one bound; what is pinned stays as it is, whatever happens to its tail', () => {
  const step = fc.record({
    tail: fc.nat(11),
    act: fc.constantFrom(
      'add',
      'add',
      'add',
      'write',
      'write',
      'discard',
      'pin',
      'pin',
      'unpin',
      'restart',
      'close',
    ),
    size: fc.integer({ min: 1, max: 60 * KIB }),
  })
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 400, size: 'max' }), steps => {
      const bound = 512 * KIB
      const memory = new TailMemory(bound)
      const tails = Array.from({ length: 12 }, () => new Tail(memory, 0))
      const ends = tails.map(() => ({ added: 0, written: 0 }))
      const held: Held[] = []
      let wrong = 0
      for (const { tail: number, act, size } of steps) {
        const tail = tails[number] ?? new Tail(memory, 0)
        const end = ends[number] ?? { added: 0, written: 0 }
        const heldBefore = memory.bytesHeld
        if (act === 'add' && end.added - end.written < 100 * KIB) {
          put(tail, number, end.added, size)
          end.added += size
          const due = patternOf(number, end.written, end.added - end.written)
          wrong += Buffer.concat(tail.unwritten()).equals(due) ? 0 : 1
        }
        if (act === 'write') tail.written((end.written = end.added))
        if (act === 'discard') {
          tail.discardUnwritten()
          end.added = end.written
          wrong += tail.unwritten().length
        }
        if (act === 'pin' && tail.from < tail.writtenTo) {
          const from = tail.from + (size % (tail.writtenTo - tail.from))
          const to = Math.min(tail.writtenTo, from + size)
          held.push({ slice: tail.slice(from, to), due: patternOf(number, from, to - from) })
        }
        if (act === 'unpin') held.splice(size % (held.length || 1), 1)[0]?.slice.release()
        if ((act === 'restart' || act === 'close') && end.added === end.written) {
          if (act === 'restart') tail.restart(end.written)
          else tail.close()
        }
        expect(tail.from).toBeLessThanOrEqual(tail.writtenTo)
        for (const one of held) expectWhole(one)
        // Whoever takes more gives up what is over the bound, but nobody gives up what is not written yet.
        const waiting = ends.filter(({ added, written }) => added > written)
        const unwritten = waiting.reduce(
          (sum, { added, written }) => sum + added - written + chunkBytesMax,
          0,
        )
        const over = memory.bytesHeld > Math.max(bound, unwritten + chunkBytesMax)
        wrong += over && memory.bytesHeld > heldBefore ? 1 : 0
      }
      expect(wrong).toBe(0)
      for (const { slice } of held) slice.release()
      for (const tail of tails) {
        tail.discardUnwritten()
        tail.close()
      }
      expect(memory.bytesHeld).toBe(0)
    }),
    { numRuns: 40 },
  )
})

describe('a tail', () => {
  test('begins small, and doubles its chunks while it is busy', () => {
    const memory = new TailMemory(64 * chunkBytesMax)
    const tail = new Tail(memory, 0)
    let position = 0
    const sizes = new Set<number>()
    while (position < 2_000 * KIB) {
      put(tail, 0, position, 8 * KIB)
      position += 8 * KIB
      tail.written(position)
      sizes.add(tail.stretchAt(position - 1).chunk.bytes.length / chunkBytesMin)
    }
    expect([...sizes]).toEqual([1, 2, 4, 8, 16])
    // At most eight chunks, so a busy tail keeps its newest two megabytes or so.
    expect(position - tail.from).toBeGreaterThan(1_500 * KIB)
    expect(memory.bytesHeld).toBeLessThanOrEqual(8 * chunkBytesMax)
  })

  test('takes a chunk that is large enough, and never splits a batch', () => {
    const tail = new Tail(new TailMemory(chunkBytesMax * 8), 0)
    put(tail, 0, 0, 10 * KIB)
    put(tail, 0, 10 * KIB, 100 * KIB)
    tail.written(110 * KIB)
    expect(tail.slice(10 * KIB, 110 * KIB).pieces).toHaveLength(1)
    expect(tail.stretchAt(10 * KIB).position).toBe(10 * KIB)
    expect(tail.stretchAt(10 * KIB - 1).position).toBe(0)
  })

  test('gives memory up that others need more: the one that was appended to longest ago first', () => {
    const memory = new TailMemory(4 * chunkBytesMin)
    const tails = Array.from({ length: 6 }, () => new Tail(memory, 0))
    for (const [number, tail] of tails.entries()) {
      put(tail, number, 0, 10 * KIB)
      tail.written(10 * KIB)
    }
    expect(tails.map(tail => tail.from)).toEqual([10 * KIB, 10 * KIB, 0, 0, 0, 0])
  })

  test('never gives up what is not written', () => {
    const memory = new TailMemory(chunkBytesMin)
    const [first, second] = [new Tail(memory, 0), new Tail(memory, 0)]
    put(first, 1, 0, 10 * KIB)
    put(second, 2, 0, 10 * KIB)
    expect(Buffer.concat(first.unwritten()).equals(patternOf(1, 0, 10 * KIB))).toBe(true)
    first.written(10 * KIB)
    second.written(10 * KIB)
    put(second, 2, 10 * KIB, 10 * KIB)
    expect(first.from).toBe(10 * KIB)
  })

  test('memory that is being sent is not used again until it is sent', () => {
    const memory = new TailMemory(64 * chunkBytesMin)
    const tail = new Tail(memory, 0)
    put(tail, 1, 0, 10 * KIB)
    tail.written(10 * KIB)
    const sent = tail.slice(0, 10 * KIB)
    const twice = tail.slice(0, 1 * KIB)
    const chunk = tail.stretchAt(0).chunk.bytes
    tail.close()
    const other = new Tail(memory, 0)
    put(other, 2, 0, 10 * KIB)
    other.written(1)
    expect(other.stretchAt(0).chunk.bytes).not.toBe(chunk)
    sent.release()
    const third = new Tail(memory, 0)
    put(third, 3, 0, 10 * KIB)
    third.written(1)
    expect(third.stretchAt(0).chunk.bytes).not.toBe(chunk)
    twice.release()
    const fourth = new Tail(memory, 0)
    put(fourth, 4, 0, 10 * KIB)
    fourth.written(1)
    expect(fourth.stretchAt(0).chunk.bytes).toBe(chunk)
  })
})
