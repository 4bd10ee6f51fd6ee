import { expect, test } from 'vitest'
import { brokerId, epoch, incarnation, type BrokerId } from '../../base/quantities.ts'
import type { Found, TabletAssignment } from '../../control/model.ts'
import { isLed, mayLeadWith, type Word } from './out-of-sync.ts'

const now = 8
/** All were in sync in run 7, and run as 8 now. */
const tablet = (more: Partial<TabletAssignment> = {}, inSync = [0, 1, 2]): TabletAssignment => ({
  epoch: epoch(5),
  version: 9,
  leader: brokerId(0),
  replicas: [0, 1, 2].map(brokerId),
  adding: [],
  removing: [],
  isr: inSync.map(broker => ({ broker: brokerId(broker), incarnation: incarnation(now - 1) })),
  ...more,
})
const has = (broker: number, at: number, end: number, more: Partial<Found> = {}): Found => ({
  broker: brokerId(broker),
  incarnation: incarnation(now),
  epoch: at,
  end,
  ...more,
})
const lost = { trouble: 'lost' } as const
const offline = { trouble: 'offline' } as const
const around = (...silent: number[]) => ({
  runOf: () => incarnation(now),
  isSilent: (broker: BrokerId) => silent.includes(broker),
})
type Wants = Parameters<typeof mayLeadWith>[3]
const os: Wants = { os: true, topicAllows: false }
const allows: Wants = { os: false, topicAllows: true }
const nothing: Wants = { os: false, topicAllows: false }

/** Who may lead, by whose word. */
const leaders = (assignment: TabletAssignment, wants: Wants, ...silent: number[]): (Word | undefined)[] =>
  [0, 1, 2].map(id =>
    mayLeadWith(
      assignment,
      { broker: brokerId(id), incarnation: incarnation(now) },
      around(...silent),
      wants,
    ),
  )
const nobody = [undefined, undefined, undefined]

test('when all that were in sync lost their tails, the one with the greatest epoch and end leads', () => {
  const found = [has(0, 4, 90), has(1, 5, 70), has(2, 5, 80)]
  expect(leaders(tablet({ found }), os)).toEqual([undefined, undefined, 'all lost'])
  expect(leaders(tablet({ found }), nothing)).toEqual(nobody)
  const equal = [has(0, 5, 80), has(1, 5, 70), has(2, 5, 80)]
  expect(leaders(tablet({ found: equal }), os)).toEqual(['all lost', undefined, 'all lost'])
})

test('nobody leads before every member of the set was heard in a later run', () => {
  const two = [has(1, 5, 70), has(2, 5, 80)]
  expect(leaders(tablet({ found: two }), os)).toEqual(nobody)
  const same = [...two, has(0, 5, 60, { incarnation: incarnation(now - 1) })]
  expect(leaders(tablet({ found: same }), os)).toEqual(nobody)
  // It may hold everything, and come back.
  expect(leaders(tablet({ found: [...two, has(0, -1, 0, offline)] }), os)).toEqual(nobody)
})

test('who was not in sync neither leads nor is waited for after a power cut', () => {
  const found = [has(0, 5, 60), has(1, 5, 70), has(2, 5, 80)]
  expect(leaders(tablet({ found }, [0, 1]), os)).toEqual([undefined, 'all lost', undefined])
  expect(leaders(tablet({ found: found.slice(0, 2) }, [0, 1]), os)).toEqual([
    undefined,
    'all lost',
    undefined,
  ])
})

test('a disk that is gone counts as nothing, and where all are gone nobody leads', () => {
  expect(leaders(tablet({ found: [has(0, 5, 60), has(1, 5, 50), has(2, -1, 0, lost)] }), os)).toEqual([
    'all lost',
    undefined,
    undefined,
  ])
  const all = [0, 1, 2].map(id => has(id, -1, 0, lost))
  expect(leaders(tablet({ found: all }), os)).toEqual(nobody)
  expect(leaders(tablet({ found: all }), allows)).toEqual(nobody)
  expect(leaders(tablet({ found: all, unclean: true }), nothing)).toEqual(['owner', 'owner', 'owner'])
  // A tablet that never had any records may begin.
  expect(leaders(tablet({ found: [0, 1, 2].map(id => has(id, -1, 0)) }), os)).toEqual([
    'all lost',
    'all lost',
    'all lost',
  ])
})

test('by the owner’s word, or the topic’s, the one with most of those that are there leads', () => {
  const found = [has(1, 5, 70), has(2, 4, 80)]
  expect(leaders(tablet({ found, unclean: true }, [0]), nothing, 0)).toEqual([undefined, 'owner', undefined])
  expect(leaders(tablet({ found }, [0]), allows, 0)).toEqual([undefined, 'topic', undefined])
  expect(leaders(tablet({ found }, [0]), nothing, 0)).toEqual(nobody)
  // What a broker that is gone has said does not hold anybody up.
  const before = [...found, has(0, 5, 99)]
  expect(leaders(tablet({ found: before, unclean: true }), nothing, 0)).toEqual([
    undefined,
    'owner',
    undefined,
  ])
})

test('whoever is there is heard before, and may say that it cannot be served', () => {
  const found = [has(1, 5, 70), has(2, 4, 80)]
  expect(leaders(tablet({ found, unclean: true }, [0]), nothing)).toEqual(nobody)
  const earlier = [...found, has(0, 5, 60, { incarnation: incarnation(now - 1) })]
  expect(leaders(tablet({ found: earlier, unclean: true }, [0]), nothing)).toEqual(nobody)
  const heard = [...found, has(0, -1, 0, offline)]
  expect(leaders(tablet({ found: heard, unclean: true }, [0]), nothing)).toEqual([
    undefined,
    'owner',
    undefined,
  ])
})

test('a replica without records does not lead while one that is away may have some', () => {
  const found = [has(1, -1, 0), has(2, -1, 0, lost)]
  expect(leaders(tablet({ found, unclean: true }), allows, 0)).toEqual(nobody)
  const all = [...found, has(0, -1, 0)]
  expect(leaders(tablet({ found: all }), allows)).toEqual(['topic', 'topic', undefined])
})

test('a tablet is led by a run that is there and has not said that it cannot', () => {
  const runs = tablet({}, [0]).isr.map(entry => ({ ...entry, incarnation: incarnation(now) }))
  expect(isLed(tablet({ isr: runs }), around())).toBe(true)
  expect(isLed(tablet({ isr: runs }), around(0))).toBe(false)
  expect(isLed(tablet({ isr: runs, found: [has(0, -1, 0, offline)] }), around())).toBe(false)
  expect(isLed(tablet(), around())).toBe(false)
  expect(isLed(tablet({ leader: undefined, isr: runs }), around())).toBe(false)
})
