/** What a leader concludes, step by step: the high watermark, and who belongs to the set. */
import { expect, test } from 'vitest'
import { brokerId, epoch, incarnation, offset, type BrokerId } from '../../base/quantities.ts'
import type { TabletAssignment } from '../../control/model.ts'
import { Leadership, mayBeSpared, type Limits, type Liveness } from './leadership.ts'

const run = (broker: number, of = 1) => ({ broker: brokerId(broker), incarnation: incarnation(of) })
const limits: Limits = { lagMsMax: 1_000, minInsync: 2, alone: false }

function assigned(isr: readonly ReturnType<typeof run>[], version = 0): TabletAssignment {
  return {
    epoch: epoch(3),
    version,
    leader: brokerId(0),
    replicas: [0, 1, 2].map(brokerId),
    adding: [],
    removing: [],
    isr,
  }
}

const all = [run(0), run(1), run(2)]
const live: Liveness = {
  askedMs: () => 0,
  isGone: () => false,
  runOf: () => incarnation(1),
  isLeaving: () => false,
}

/** Broker 0 leads from offset 10 on; the log ends there. */
function leading(assignment = assigned(all)): Leadership {
  return new Leadership({
    self: run(0),
    assignment,
    epochStart: offset(10),
    highWatermark: offset(8),
    ownEnd: offset(10),
    nowMs: 0,
  })
}

const names = (to: TabletAssignment | undefined) =>
  to?.isr.map(({ broker, incarnation: of }) => `${broker}/${of}`)

test('the high watermark is where the last of the set is, and never goes back', () => {
  const leadership = leading()
  expect(leadership.advance(limits)).toBe(false)
  leadership.fetched(run(1), offset(10), 1)
  expect(leadership.advance(limits)).toBe(false)
  leadership.fetched(run(2), offset(9), 1)
  expect(leadership.advance(limits)).toBe(true)
  expect([leadership.highWatermark, leadership.hasPassedStart]).toEqual([9, false])
  leadership.fetched(run(2), offset(10), 2)
  leadership.advance(limits)
  expect([leadership.highWatermark, leadership.hasPassedStart]).toEqual([10, true])
  leadership.grown(offset(15), offset(12), live)
  leadership.fetched(run(1), offset(15), 4)
  leadership.fetched(run(2), offset(15), 4)
  leadership.advance(limits)
  // Its own disk is not there yet.
  expect(leadership.highWatermark).toBe(12)
  leadership.fetched(run(2), offset(11), 5)
  expect(leadership.advance(limits)).toBe(false)
})

test('another run of a member does not count as the member', () => {
  const leadership = leading()
  leadership.fetched(run(1), offset(10), 1)
  leadership.fetched(run(2, 2), offset(10), 1)
  expect(leadership.advance(limits)).toBe(false)
  leadership.assigned(assigned([run(0), run(1), run(2, 2)], 1), 2)
  expect(leadership.advance(limits)).toBe(true)
  // Nor does the run before.
  leadership.fetched(run(2, 1), offset(0), 3)
  expect(leadership.advance(limits)).toBe(false)
  expect(leadership.highWatermark).toBe(10)
})

test('while a change is under way both sets must hold it', () => {
  const leadership = leading()
  leadership.fetched(run(1), offset(10), 1)
  leadership.begun(assigned([run(0), run(1)], 1))
  expect(leadership.advance(limits)).toBe(false)
  leadership.assigned(assigned([run(0), run(1)], 1), 2)
  expect(leadership.advance(limits)).toBe(true)
  leadership.begun(assigned(all, 2))
  leadership.grown(offset(20), offset(20), live)
  leadership.fetched(run(1), offset(20), 4)
  leadership.fetched(run(2), offset(17), 4)
  leadership.advance(limits)
  expect(leadership.highWatermark).toBe(17)
})

test('with fewer than the effective minimum it does not move, and acks=all is not taken', () => {
  const leadership = leading(assigned([run(0), run(1)]))
  leadership.fetched(run(1), offset(10), 1)
  expect(leadership.enough(limits)).toBe(true)
  leadership.begun(assigned([run(0)], 1))
  expect(leadership.enough(limits)).toBe(false)
  expect(leadership.advance(limits)).toBe(false)
  leadership.dropped()
  expect(leadership.advance(limits)).toBe(true)
  expect(leading(assigned([run(0)])).enough({ ...limits, minInsync: 1 })).toBe(true)
})

test('best effort: the leader alone', () => {
  const leadership = leading()
  expect(leadership.advance({ ...limits, alone: true })).toBe(true)
  expect(leadership.highWatermark).toBe(10)
})

test('who has not had everything for too long leaves the set', () => {
  const leadership = leading()
  leadership.fetched(run(1), offset(10), 5)
  leadership.fetched(run(2), offset(10), 5)
  const asking = { ...live, askedMs: (broker: BrokerId) => (broker === 1 ? 5_000 : 5) }
  expect(names(leadership.wants(assigned(all), asking, 900, limits))).toBeUndefined()
  // Broker 2 has everything too, but has not asked any more.
  expect(names(leadership.wants(assigned(all), asking, 5_000, limits))).toEqual(['0/1', '1/1'])
  leadership.grown(offset(20), offset(20), asking)
  leadership.fetched(run(1), offset(15), 5_100)
  expect(names(leadership.wants(assigned([run(0), run(1)]), asking, 5_500, limits))).toBeUndefined()
  expect(names(leadership.wants(assigned([run(0), run(1)]), asking, 6_500, limits))).toEqual(['0/1'])
})

test('who is always a little behind and always moves is in sync', () => {
  const leadership = leading(assigned([run(0), run(1)]))
  let end = 10
  for (let nowMs = 0; nowMs < 10_000; nowMs += 100) {
    leadership.fetched(run(1), offset(end), nowMs)
    end += 5
    leadership.grown(offset(end), offset(end), live)
    expect(leadership.wants(assigned([run(0), run(1)]), live, nowMs + 2, limits)).toBeUndefined()
  }
})

test('whose connection is gone leaves at once', () => {
  const leadership = leading()
  leadership.fetched(run(1), offset(10), 1)
  const without = { ...live, isGone: (broker: BrokerId) => broker === 1 }
  expect(names(leadership.wants(assigned(all), without, 2, limits))).toEqual(['0/1', '2/1'])
})

test.each<[string, number, Partial<Liveness>, boolean]>([
  ['at the high watermark and the start of the epoch', 10, {}, true],
  ['before the start of the epoch', 9, {}, false],
  ['as an older run than the one that counts', 10, { runOf: () => incarnation(2) }, false],
  ['gone', 10, { isGone: () => true }, false],
  ['leaving', 10, { isLeaving: () => true }, false],
])('who comes back %s', (_what, end, but, joins) => {
  const alone = assigned([run(0)])
  const leadership = leading(alone)
  leadership.fetched(run(2), offset(end), 1)
  leadership.fetched(run(2), offset(end), 2)
  const to = leadership.wants(alone, { ...live, ...but }, 3, limits)
  expect(names(to)).toEqual(joins ? ['0/1', '2/1'] : undefined)
  expect(to?.version).toBe(joins ? 1 : undefined)
})

test('a new run of a member is let in once the old one is out of it, and given a moment to renew itself', () => {
  const leadership = leading()
  leadership.fetched(run(1), offset(10), 1)
  leadership.fetched(run(2, 2), offset(10), 1)
  const counts = { ...live, runOf: (broker: BrokerId) => incarnation(broker === 2 ? 2 : 1) }
  expect(leadership.wants(assigned(all), counts, 100, limits)).toBeUndefined()
  expect(names(leadership.wants(assigned(all), counts, 400, limits))).toEqual(['0/1', '1/1', '2/2'])
})

test('a leader that gets no answer for too long is stale, until one comes', () => {
  const leadership = leading()
  leadership.unanswered(0)
  expect(leadership.isStale(5_000, limits)).toBe(false)
  leadership.begun(assigned([run(0)], 1))
  leadership.unanswered(100)
  leadership.unanswered(900)
  expect(leadership.isStale(1_000, limits)).toBe(false)
  expect(leadership.isStale(1_200, limits)).toBe(true)
  leadership.assigned(assigned(all, 1), 1_300)
  expect(leadership.isStale(1_400, limits)).toBe(false)
})

test('a replica that was taken away and comes anew has to say again what it holds', () => {
  const two = [run(0), run(1)]
  const ids = (...numbers: number[]) => numbers.map(brokerId)
  const leadership = leading(assigned(two))
  for (const id of [1, 2]) leadership.fetched(run(id), offset(10), 1)
  expect(names(leadership.wants(assigned(two), live, 2, limits))).toEqual(['0/1', '1/1', '2/1'])
  leadership.assigned({ ...assigned(two, 1), removing: ids(2) }, 3)
  // The leader may see it gone and back in one step.
  const back = { ...assigned(two, 3), replicas: ids(2, 0, 1), adding: ids(2) }
  expect(leadership.wants(back, live, 3, limits)).toBeUndefined()
  expect(leadership.assigned(back, 3)).toBe(true)
  expect(leadership.wants(back, live, 4, limits)).toBeUndefined()
  leadership.fetched(run(2), offset(0), 5)
  expect(leadership.wants(back, live, 5, limits)).toBeUndefined()
  leadership.fetched(run(2), offset(10), 6)
  expect(names(leadership.wants(back, live, 6, limits))).toEqual(['0/1', '1/1', '2/1'])
})

test('a move ends when all that is new is in sync; a leader that goes hands over first, and the next one ends it', () => {
  const ids = (...numbers: number[]) => numbers.map(brokerId)
  const move = { replicas: ids(2, 1, 0), adding: ids(2), removing: ids(0) }
  const before = { ...assigned([run(0), run(1)]), ...move }
  const leadership = leading(before)
  for (const id of [1, 2]) leadership.fetched(run(id), offset(10), 1)
  expect(leadership.mustHandOver(before, limits)).toBe(false)
  expect(names(leadership.wants(before, live, 1, limits))).toEqual(['0/1', '1/1', '2/1'])
  const joined = { ...before, version: 1, isr: all }
  leadership.assigned(joined, 2)
  expect(leadership.mustHandOver(joined, limits)).toBe(true)
  expect(leadership.wants(joined, live, 2, limits)).toBeUndefined()
  leadership.advance(limits)
  const handOver = { to: brokerId(2), leaves: false, sinceMs: 2 }
  const led = leadership.handsOver(joined, handOver, live, 3, limits)
  if (led === undefined) throw new Error('it is not handed over')
  expect(led).toEqual({ ...joined, version: 2, epoch: 4, leader: 2 })
  const [self, end] = [run(2), offset(10)]
  const at = { epochStart: end, highWatermark: end, ownEnd: end, nowMs: 4 }
  const next = new Leadership({ self, assignment: led, ...at })
  expect(next.mustHandOver(led, limits)).toBe(false)
  expect(next.wants(led, live, 4, limits)).toEqual({
    epoch: 4,
    version: 3,
    leader: 2,
    replicas: ids(2, 1),
    adding: [],
    removing: [],
    isr: [run(1), run(2)],
  })
})

const over = { to: brokerId(1), leaves: true, sinceMs: 0 }

test('a tablet is handed over when the successor has the whole log; the others are waited for, but not for long', () => {
  const leadership = leading()
  const wanted = (nowMs: number, more = {}) =>
    leadership.handsOver(assigned(all), { ...over, ...more }, live, nowMs, limits)
  leadership.fetched(run(1), offset(9), 1)
  expect(wanted(1)).toBeUndefined()
  leadership.fetched(run(1), offset(10), 1)
  expect([wanted(1), wanted(199)]).toEqual([undefined, undefined])
  expect(wanted(200)).toMatchObject({ epoch: 4, version: 1, leader: 1, isr: [run(1), run(2)] })
  leadership.fetched(run(2), offset(10), 2)
  leadership.advance(limits)
  expect(names(wanted(3))).toEqual(['1/1', '2/1'])
  expect(names(wanted(3, { leaves: false }))).toEqual(['0/1', '1/1', '2/1'])
})

test('who has only just come leads after the others: clients may not reach it yet', () => {
  const leadership = leading()
  leadership.fetched(run(2), offset(10), 1)
  leadership.fetched(run(1), offset(10), 4_000)
  leadership.fetched(run(2), offset(10), 4_000)
  const next = (nowMs: number) => leadership.successors(live, nowMs, Infinity).map(Number)
  expect(next(4_000)).toEqual([1, 2])
  expect(next(6_000)).toEqual([2, 1])
  expect(next(9_000)).toEqual([1, 2])
})

test('who is gone, leaving, out of sync or of another run is no successor', () => {
  const leadership = leading(assigned([run(0), run(1)]))
  leadership.fetched(run(1), offset(10), 1)
  leadership.fetched(run(2), offset(10), 1)
  leadership.advance(limits)
  const names = (liveness: Partial<Liveness>) =>
    leadership.successors({ ...live, ...liveness }, 1, Infinity).map(Number)
  expect(names({})).toEqual([1])
  expect(leadership.hasHeirs(live)).toBe(true)
  const others: Partial<Liveness>[] = [
    { isGone: () => true },
    { isLeaving: () => true },
    { runOf: () => incarnation(2) },
  ]
  for (const other of others) {
    expect(names(other)).toEqual([])
    expect(leadership.hasHeirs({ ...live, ...other })).toBe(false)
    const isr = [run(0), run(1)]
    const wanted = leadership.handsOver(assigned(isr), over, { ...live, ...other }, 500, limits)
    expect(wanted).toBeUndefined()
  }
})

test('who hands over stays in a set that needs it', () => {
  const isr = [run(0), run(1)]
  const leadership = leading(assigned(isr))
  leadership.fetched(run(1), offset(10), 1)
  leadership.advance(limits)
  expect(names(leadership.handsOver(assigned(isr), over, live, 1, limits))).toEqual(['0/1', '1/1'])
  const one = { ...limits, minInsync: 1 }
  expect(names(leadership.handsOver(assigned(isr), over, live, 1, one))).toEqual(['1/1'])
})

test.each([
  [3, 2, false, true],
  [2, 2, false, false],
  [2, 1, false, true],
  [1, 1, false, false],
  [2, 3, false, false],
  [2, 2, true, true],
  [1, 1, true, false],
] as const)(
  'of %i in sync where %i are wanted (best effort: %s) one can be spared: %s',
  (count, minInsync, alone, spared) => {
    expect(mayBeSpared(assigned(all.slice(0, count)), { ...limits, minInsync, alone })).toBe(spared)
  },
)

test('a change by which another leads is seen as such, and an old set counts until it is over', () => {
  const leadership = leading()
  for (const id of [1, 2]) leadership.fetched(run(id), offset(10), 1)
  leadership.advance(limits)
  const to = leadership.handsOver(assigned(all), over, live, 1, limits)
  if (to === undefined) throw new Error('it is not handed over')
  leadership.begun(to)
  expect([leadership.isGivingUp, leadership.counts(run(0)), leadership.counts(run(1, 2))]).toEqual([
    true,
    true,
    false,
  ])
  leadership.dropped()
  expect(leadership.isGivingUp).toBe(false)
})
