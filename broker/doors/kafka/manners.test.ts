import { expect, test } from 'vitest'
import { Manners, type Doing } from './manners.ts'

const nothing: Doing = {
  halfRequest: false,
  unread: false,
  idle: false,
  bytesIn: 0,
  bytesOut: 0,
  requests: 0,
}
const nobody = { requestMemory: false, answerMemory: false }

/** The verdict after sweeps at these seconds. */
function verdict(
  sweeps: readonly (readonly [seconds: number, doing: Partial<Doing>])[],
  wanted = nobody,
): string | undefined {
  const manners = new Manners(0)
  let last: string | undefined
  for (const [seconds, doing] of sweeps) {
    last = manners.judge(seconds * 1_000, { ...nothing, ...doing }, wanted, 600_000)
  }
  return last
}

test('half a request may come slowly, but it must come', () => {
  const half = { halfRequest: true, bytesIn: 10 }
  expect(
    verdict([
      [5, half],
      [34, half],
    ]),
  ).toBeUndefined()
  expect(
    verdict([
      [5, half],
      [35, half],
    ]),
  ).toBe('half a request, then nothing for 30 s')
  expect(
    verdict([
      [5, half],
      [34, { ...half, bytesIn: 11 }],
      [63, { ...half, bytesIn: 11 }],
    ]),
  ).toBeUndefined()
})

test('a request that we did not read on gets its time afterwards', () => {
  const half = { halfRequest: true, bytesIn: 10 }
  const paused = { halfRequest: false, bytesIn: 10 }
  expect(
    verdict([
      [5, half],
      [20, paused],
      [90, paused],
      [95, half],
      [124, half],
    ]),
  ).toBeUndefined()
  expect(
    verdict([
      [5, half],
      [20, paused],
      [90, paused],
      [95, half],
      [125, half],
    ]),
  ).toMatch(/half a request/)
})

test('answers may be read slowly, but they must be read', () => {
  const unread = { unread: true, bytesOut: 10 }
  expect(
    verdict([
      [5, unread],
      [34, unread],
    ]),
  ).toBeUndefined()
  expect(
    verdict([
      [5, unread],
      [35, unread],
    ]),
  ).toBe('reads none of its answers for 30 s')
  expect(
    verdict([
      [5, unread],
      [34, { ...unread, bytesOut: 11 }],
      [63, { ...unread, bytesOut: 11 }],
    ]),
  ).toBeUndefined()
  expect(
    verdict([
      [5, unread],
      [20, { unread: false, bytesOut: 10 }],
      [49, unread],
    ]),
  ).toBeUndefined()
})

const half = (bytesIn: number, requests = 0) => ({ halfRequest: true, bytesIn, requests })
const unread = (bytesOut: number) => ({ unread: true, bytesOut })

test('while others wait for memory, it must come at 16 KiB a second', () => {
  const wanted = { requestMemory: true, answerMemory: false }
  expect(
    verdict(
      [
        [5, half(1_000)],
        [20, half(2_000)],
        [36, half(400_000)],
      ],
      wanted,
    ),
  ).toMatch(/comes too slowly/)
  expect(
    verdict(
      [
        [5, half(1_000)],
        [20, half(2_000)],
        [36, half(600_000)],
      ],
      wanted,
    ),
  ).toBeUndefined()
  expect(
    verdict([
      [5, half(1_000)],
      [20, half(2_000)],
      [36, half(3_000)],
    ]),
  ).toBeUndefined()
  expect(
    verdict(
      [
        [5, half(1_000)],
        [20, half(2_000, 1)],
        [36, half(3_000, 2)],
      ],
      wanted,
    ),
    'other requests',
  ).toBeUndefined()
})

test('while others wait for memory, it must be read at 16 KiB a second', () => {
  const wanted = { requestMemory: false, answerMemory: true }
  expect(
    verdict(
      [
        [5, unread(1_000)],
        [20, unread(2_000)],
        [36, unread(400_000)],
      ],
      wanted,
    ),
  ).toMatch(/reads its answers too slowly/)
  expect(
    verdict(
      [
        [5, unread(1_000)],
        [20, unread(2_000)],
        [36, unread(600_000)],
      ],
      wanted,
    ),
  ).toBeUndefined()
})

test('only who does nothing is idle', () => {
  expect(
    verdict([
      [5, { idle: true }],
      [601, { idle: true }],
    ]),
  ).toBe('idle')
  expect(
    verdict([
      [5, {}],
      [601, {}],
    ]),
  ).toBeUndefined()
  expect(
    verdict([
      [5, { idle: true }],
      [500, { idle: true, bytesIn: 1 }],
      [601, { idle: true, bytesIn: 1 }],
    ]),
  ).toBeUndefined()
})
