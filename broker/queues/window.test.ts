import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Room } from './room.ts'
import { ownRecords, Window, windowRecordsMax, type Holder } from './window.ts'

const place = { id: 'w', topic: 't', topicId: 'T', partition: 0 }
const roomFor = (records = 1_000_000) => new Room(records, { full: () => undefined, freed: () => undefined })
const open = (start = 0) => new Window(place, { start, durable: start, room: roomFor() })
const holder = (): Holder => ({ unacknowledged: 0 })

/** Hands out everything below `end` that is to be handed out, and answers the offsets. */
function take(window: Window, to: Holder, end: number, untilMs = 100): number[] {
  const taken: number[] = []
  for (let next = window.wanted(0, end); next !== undefined; next = window.wanted(next, end)) {
    window.handOut(next, to, untilMs)
    taken.push(next)
  }
  return taken
}

test('each record goes to one holder, in order, and the base is the oldest that is not acknowledged', () => {
  const [window, a] = [open(5), holder()]
  expect(take(window, a, 9)).toEqual([5, 6, 7, 8])
  expect([take(window, a, 9), a.unacknowledged, window.base]).toEqual([[], 4, 5])
  expect(window.acknowledge(6, 1, a)).toBeUndefined()
  expect(window.base).toBe(5)
  expect(window.acknowledge(5, 1, a)).toBeUndefined()
  expect([window.base, a.unacknowledged]).toEqual([7, 2])
  for (const offset of [8, 7]) window.acknowledge(offset, 1, a)
  expect([window.base, window.next, a.unacknowledged, window.held]).toEqual([9, 9, 0, 0])
})

test('what is not acknowledged in time comes again and is counted; what is above stays where it is', () => {
  const [window, a, b] = [open(), holder(), holder()]
  take(window, a, 3, 100)
  expect(window.extend(1, 1, a, 200)).toBeUndefined()
  expect([window.expire(99), window.expire(100), window.dueMs]).toEqual([false, true, 200])
  expect([window.deliveriesOf(0), take(window, b, 3, 300)]).toEqual([1, [0, 2]])
  expect([a.unacknowledged, b.unacknowledged, window.deliveriesOf(2)]).toEqual([1, 2, 2])
  expect(window.acknowledge(0, 1, a)).toMatch(/was handed out again/)
  expect(window.acknowledge(0, 2, a)).toMatch(/was handed out again/)
  expect([window.base, window.acknowledge(0, 2, b), window.base]).toEqual([0, undefined, 1])
})

test('what was released is free at once, and speaking of it again changes nothing', () => {
  const [window, a] = [open(), holder()]
  take(window, a, 2)
  expect(window.release(1, 1, a)).toBeUndefined()
  expect(window.release(1, 1, a)).toMatch(/goes to who asks next/)
  expect(window.extend(1, 1, a, 500)).toMatch(/goes to who asks next/)
  expect(window.acknowledge(1, 1, a)).toMatch(/goes to who asks next/)
  expect(window.acknowledge(7, 1, a)).toMatch(/goes to who asks next/)
  expect([a.unacknowledged, take(window, a, 2)]).toEqual([1, [1]])
  window.releaseAllOf(a)
  expect([a.unacknowledged, take(window, a, 2)]).toEqual([0, [0, 1]])
})

test('who says again that he is done is answered the same, also when it is committed', () => {
  const [window, a] = [open(), holder()]
  take(window, a, 3)
  for (const offset of [0, 2, 0, 2]) expect(window.acknowledge(offset, 1, a)).toBeUndefined()
  window.durable = window.base
  expect([window.base, window.acknowledge(0, 1, a), window.acknowledge(0, 1, holder())]).toEqual([
    1,
    undefined,
    undefined,
  ])
  expect(window.release(0, 1, a)).toMatch(/is acknowledged already/)
  expect(window.release(2, 1, a)).toMatch(/is acknowledged already/)
})

test('who was too late is told so, also when who had it next has acknowledged it', () => {
  const [window, a, b] = [open(), holder(), holder()]
  take(window, a, 2)
  window.expire(100)
  take(window, b, 2, 200)
  for (const offset of [0, 1]) expect(window.acknowledge(offset, 2, b)).toBeUndefined()
  window.durable = window.base
  expect([window.base, window.acknowledge(0, 2, b)]).toEqual([2, undefined])
  expect(window.acknowledge(0, 1, a)).toMatch(/is acknowledged already/)
})

test('records that are not in the log any more are nobody’s', () => {
  const [window, a] = [open(), holder()]
  take(window, a, 4)
  window.releaseAllOf(a)
  window.hasNone(0, 2)
  expect([window.base, take(window, a, 4)]).toEqual([2, [2, 3]])
  window.hasNone(4, 10)
  expect([window.next, window.wanted(0, 11)]).toEqual([10, 10])
  window.dropBelow(3)
  expect([window.base, a.unacknowledged]).toEqual([3, 1])
  window.dropBelow(20)
  expect([window.base, window.next, a.unacknowledged, window.held]).toEqual([20, 20, 0, 0])
})

test('at the bound nothing new is handed out until the oldest is acknowledged; what is free comes again', () => {
  const room = roomFor(windowRecordsMax + 5)
  const [window, other] = [0, 1].map(() => new Window(place, { start: 0, durable: 0, room }))
  const a = holder()
  if (window === undefined || other === undefined) throw new Error('there are two')
  expect(take(window, a, 1_000_000)).toHaveLength(windowRecordsMax)
  for (let offset = 1; offset < windowRecordsMax; offset++) window.acknowledge(offset, 1, a)
  expect([window.wanted(0, Infinity), a.unacknowledged]).toEqual([undefined, 1])
  // However little room the others leave, each has some.
  expect([take(other, a, 1_000_000).length, room.left]).toEqual([ownRecords, 5 - ownRecords])
  window.release(0, 1, a)
  expect(take(window, a, 1_000_000)).toEqual([0])
  window.acknowledge(0, 2, a)
  expect(window.base).toBe(windowRecordsMax)
  expect(take(window, a, 1_000_000)).toHaveLength(windowRecordsMax + 5 - ownRecords)
  window.close()
  other.close()
  expect([room.left, a.unacknowledged]).toEqual([windowRecordsMax + 5, 0])
  expect([window.wanted(0, 9), window.acknowledge(0, 2, a)]).toEqual([
    undefined,
    'this broker no longer hands out t-0',
  ])
})

test('runs of records that nobody wants are read over when they are short', () => {
  const [window, a] = [open(), holder()]
  take(window, a, 400)
  for (const offset of [0, 50, 399]) window.release(offset, 1, a)
  const verdicts = [0, 1, 50, 51, 290, 299, 399, 400].map(offset => window.verdict(offset))
  expect(verdicts.join()).toBe('hand out,pass over,hand out,stop,stop,pass over,hand out,hand out')
})

/** What a window should say, in the plainest way. */
class Model {
  readonly state = new Map<number, { by: number; deliveries: number; untilMs: number } | 'free' | 'done'>()
  readonly counts = new Map<number, number>()
  next = 0
  base(): number {
    for (let offset = 0; offset < this.next; offset++) if (this.state.get(offset) !== 'done') return offset
    return this.next
  }
  wanted(end: number): number | undefined {
    for (let offset = 0; offset < this.next; offset++) if (this.state.get(offset) === 'free') return offset
    return this.next < end ? this.next : undefined
  }
}

test('any history of a window is that of the plainest model', () => {
  const step = fc.record({
    what: fc.constantFrom('take', 'take', 'acknowledge', 'release', 'extend', 'time', 'gone'),
    by: fc.nat(2),
    offset: fc.nat(30),
    deliveries: fc.integer({ min: 1, max: 3 }),
    ms: fc.nat(50),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const room = roomFor(1000)
      const window = new Window(place, { start: 0, durable: 0, room })
      const model = new Model()
      const holders = [holder(), holder(), holder()]
      let nowMs = 0
      for (const { what, by, offset, deliveries, ms } of steps) {
        const to = holders[by] ?? holder()
        const at = model.state.get(offset)
        const mine = typeof at === 'object' && at.by === by && at.deliveries === deliveries
        if (what === 'take') {
          const next = window.wanted(0, 30)
          expect(next).toBe(model.wanted(30))
          if (next === undefined) continue
          const times = (model.counts.get(next) ?? 0) + 1
          expect(window.deliveriesOf(next)).toBe(times - 1)
          window.handOut(next, to, nowMs + ms)
          model.counts.set(next, times)
          model.state.set(next, { by, deliveries: times, untilMs: nowMs + ms })
          model.next = Math.max(model.next, next + 1)
        } else if (what === 'acknowledge') {
          const times = model.counts.get(offset)
          const again = at === 'done' && (times === deliveries || (times === 1 && offset < window.base))
          expect(window.acknowledge(offset, deliveries, to) === undefined).toBe(mine || again)
          if (mine) model.state.set(offset, 'done')
        } else if (what === 'release') {
          expect(window.release(offset, deliveries, to) === undefined).toBe(mine)
          if (mine) model.state.set(offset, 'free')
        } else if (what === 'extend') {
          expect(window.extend(offset, deliveries, to, nowMs + ms) === undefined).toBe(mine)
          if (mine) at.untilMs = nowMs + ms
        } else if (what === 'gone') {
          window.releaseAllOf(to)
          for (const [one, state] of model.state)
            if (typeof state === 'object' && state.by === by) model.state.set(one, 'free')
        } else {
          nowMs += ms
          window.expire(nowMs)
          for (const [one, state] of model.state)
            if (typeof state === 'object' && state.untilMs <= nowMs) model.state.set(one, 'free')
        }
        expect(window.base).toBe(model.base())
        for (const [index, one] of holders.entries()) {
          const held = [...model.state.values()].filter(
            state => typeof state === 'object' && state.by === index,
          )
          expect(one.unacknowledged).toBe(held.length)
          expect([...window.heldBy(one)]).toHaveLength(held.length)
        }
        expect(room.left).toBe(1000 - (model.next - model.base()))
      }
    }),
    { numRuns: 300 },
  )
})
