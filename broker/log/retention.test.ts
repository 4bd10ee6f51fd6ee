import { describe, expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { retainedFrom, type SegmentFacts } from './retention.ts'

type Facts = [endOffset: number, sizeBytes: number, ageMs: number | undefined]
const nowMs = 1_000_000

async function start(all: Facts[], limits: { ms?: number; bytes?: number }, highWatermark = Infinity) {
  let seen = 0
  async function* segments(): AsyncGenerator<SegmentFacts, void> {
    let base = 0
    for (const [endOffset, sizeBytes, ageMs] of all) {
      seen += 1
      const baseOffset = offset(base)
      base = endOffset
      yield {
        baseOffset,
        endOffset: offset(endOffset),
        sizeBytes,
        maxTimestampMs: ageMs === undefined ? undefined : nowMs - ageMs,
      }
    }
  }
  const total = all.reduce((sum, [, sizeBytes]) => sum + sizeBytes, 0)
  const { ms = Infinity, bytes = Infinity } = limits
  const limitsOf = { retentionMs: ms, retentionBytes: bytes }
  const found = await retainedFrom(segments(), total, limitsOf, nowMs, offset(highWatermark))
  return { found, seen }
}

const four: Facts[] = [
  [10, 100, 5000],
  [20, 100, 4000],
  [30, 100, 3000],
  [40, 50, 10],
]

describe('by time', () => {
  test.each([
    [6000, undefined],
    [5000, undefined],
    [4999, 10],
    [3500, 20],
    [1000, 30],
    [9, 40],
    [0, 40],
  ])('%d ms keep from %s on', async (ms, found) => expect((await start(four, { ms })).found).toBe(found))

  test('one that is young enough keeps all behind it', async () => {
    const mixed: Facts[] = [
      [10, 100, 5000],
      [20, 100, 100],
      [30, 100, 5000],
    ]
    expect((await start(mixed, { ms: 1000 })).found).toBe(10)
  })

  test.each<[Facts[], number | undefined]>([
    [
      [
        [10, 10, nowMs + 1],
        [20, 10, 900],
        [30, 10, 100],
      ],
      20,
    ],
    [
      [
        [10, 10, 900],
        [20, 10, nowMs + 1],
        [30, 10, 900],
        [40, 10, 100],
      ],
      30,
    ],
    [
      [
        [10, 10, 900],
        [20, 10, nowMs + 1],
        [30, 10, 100],
      ],
      10,
    ],
    [
      [
        [10, 10, nowMs + 1],
        [20, 10, nowMs + 1],
      ],
      undefined,
    ],
  ])('one without timestamps goes with the one behind it, and keeps nothing from going', async (all, found) =>
    expect((await start(all, { ms: 500 })).found).toBe(found),
  )

  test('records without a time never grow old', async () => {
    expect((await start([[10, 100, nowMs + 1]], { ms: 0 })).found).toBeUndefined()
  })
})

describe('by size', () => {
  test.each([
    [351, undefined],
    [350, undefined],
    [251, undefined],
    [250, 10],
    [51, 20],
    [50, 30],
    [1, 30],
    [0, 40],
  ])('%d bytes keep from %s on: never less than that', async (bytes, found) => {
    expect((await start(four, { bytes })).found).toBe(found)
  })
})

test('nothing above the high watermark goes', async () => {
  expect((await start(four, { ms: 0 }, 29)).found).toBe(20)
  expect((await start(four, { bytes: 0 }, 39)).found).toBe(30)
})

test('an empty segment between others is no obstacle', async () => {
  const lost: Facts[] = [
    [10, 100, 5000],
    [20, 0, undefined],
    [30, 100, 5000],
    [30, 0, undefined],
  ]
  expect((await start(lost, { ms: 1000 })).found).toBe(30)
})

test('segments behind the first that stays are not looked at', async () => {
  expect(await start(four, { ms: 4999 })).toEqual({ found: 10, seen: 2 })
})
