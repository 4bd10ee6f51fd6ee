import { expect, test } from 'vitest'
import { brokerId, type BrokerId } from '../../base/quantities.ts'
import { Copies, type Copied, type Copying } from './copies.ts'

const two = brokerId(2)
const copying = (bytesLeft: number, more: Partial<Copying> = {}): Copying => ({
  broker: two,
  bytesLeft,
  bytesHeld: 0,
  isAdded: false,
  ...more,
})
const tablet = (one?: Copying, ...inSync: BrokerId[]): Copied => ({
  inSync,
  copying: one === undefined ? [] : [one],
})

/** Looks every two seconds. */
function looking() {
  const copies = new Copies()
  let nowMs = 0
  return {
    look: (led: Record<string, Copied>) => copies.look(new Map(Object.entries(led)), (nowMs += 2_000)),
    report: () => copies.report(nowMs),
  }
}

test('a copy is told of when it takes a while: what is done, what is left, and how fast', () => {
  const { look, report } = looking()
  for (let left = 10_000; left >= 8_000; left -= 1_000) look({ a: tablet(copying(left)) })
  expect(report()).toEqual([])
  look({ a: tablet(copying(7_000)) })
  expect(report()).toEqual([
    { broker: two, tablets: 1, tabletsDone: 0, bytes: 10_000, bytesLeft: 7_000, bytesPerSecond: 500 },
  ])
  // What is written meanwhile is to be copied, too: it is the end that comes nearer.
  look({ a: tablet(copying(7_500)) })
  expect(report()).toMatchObject([{ bytes: 10_500, bytesLeft: 7_500 }])
  expect(report()[0]?.bytesPerSecond).toBeLessThan(500)
})

test('a new replica began with nothing, whoever led while it copied the first half', () => {
  const { look, report } = looking()
  for (let round = 0; round < 4; round++)
    look({ a: tablet(copying(4_000, { bytesHeld: 6_000, isAdded: true })) })
  expect(report()).toMatchObject([{ bytes: 10_000, bytesLeft: 4_000, bytesPerSecond: 0 }])
})

test('tablets that follow one another are one work, which is forgotten after a pause', () => {
  const { look, report } = looking()
  look({ a: tablet(copying(4_000)), b: tablet() })
  look({ a: tablet(copying(2_000)), b: tablet() })
  look({ a: tablet(undefined, two), b: tablet(copying(3_000)) })
  look({ a: tablet(undefined, two), b: tablet(copying(1_000)) })
  expect(report()).toMatchObject([{ tablets: 1, tabletsDone: 1, bytes: 7_000, bytesLeft: 1_000 }])
  for (let round = 0; round < 4; round++) look({ a: tablet(undefined, two), b: tablet(undefined, two) })
  expect(report()).toMatchObject([{ tablets: 0, tabletsDone: 2, bytes: 7_000, bytesLeft: 0 }])
  for (let round = 0; round < 2; round++) look({ a: tablet(undefined, two), b: tablet(undefined, two) })
  expect(report()).toEqual([])
})

test('what another leads now, and who went away, is not done', () => {
  const { look, report } = looking()
  for (let round = 0; round < 4; round++) look({ a: tablet(copying(4_000)), b: tablet(copying(2_000)) })
  look({ b: tablet() })
  expect(report()).toMatchObject([{ tablets: 0, tabletsDone: 0, bytes: 0, bytesLeft: 0 }])
})

test('the broker that lacks most comes first', () => {
  const { look, report } = looking()
  const other = brokerId(5)
  const both = { inSync: [], copying: [copying(10), copying(20, { broker: other })] }
  for (let round = 0; round < 4; round++) look({ a: both })
  expect(report().map(({ broker }) => broker)).toEqual([other, two])
})
