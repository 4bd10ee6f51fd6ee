import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { brokerId, epoch, GIB } from '../base/quantities.ts'
import type { BrokerId } from '../base/quantities.ts'
import { Refusal } from '../base/refusals.ts'
import { carryTopic, checkAssignment, loadsOf, place } from './placement.ts'
import type { Loads } from './placement.ts'

const brokers = (count: number) => Array.from({ length: count }, (_, at) => brokerId(at + 1))
const on = (tablet: number) => ({ tablet, replicas: [brokerId(1)] })
const codeOf = (act: () => unknown): string | undefined => {
  try {
    act()
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error.code
    throw error
  }
}

const topicOn = (places: readonly BrokerId[][]) => ({
  name: 'orders',
  id: 'x',
  settings: {},
  tablets: places.map(replicas => ({
    epoch: epoch(0),
    version: 0,
    leader: undefined,
    replicas,
    adding: [],
    removing: [],
    isr: [],
  })),
})
const carryPlaces = (loads: Loads, places: BrokerId[][]) => carryTopic(loads, topicOn(places))

test('goes round the brokers', () => {
  expect(place(loadsOf(brokers(3), []), 4, 2)).toEqual([
    [1, 2],
    [2, 3],
    [3, 1],
    [1, 3],
  ])
})

test('leaders are even, whatever is placed one after the other', () => {
  const topics = fc.array(fc.record({ tablets: fc.integer({ min: 1, max: 9 }), wide: fc.nat(4) }), {
    maxLength: 9,
  })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), topics, (count, topics) => {
      const loads: Loads = loadsOf(brokers(count), [])
      for (const { tablets, wide } of topics) {
        const replication = 1 + (wide % count)
        const places = place(loads, tablets, replication)
        expect(places).toHaveLength(tablets)
        carryPlaces(loads, places)
        for (const replicas of places) expect(new Set(replicas).size).toBe(replication)
      }
      expect(spread(loads, 'leads')).toBeLessThanOrEqual(1)
    }),
  )
})

test('replicas are even where all topics have as many', () => {
  const topics = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 9 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.nat(4), topics, (count, wide, topics) => {
      const loads: Loads = loadsOf(brokers(count), [])
      for (const tablets of topics) carryPlaces(loads, place(loads, tablets, 1 + (wide % count)))
      expect(spread(loads, 'holds')).toBeLessThanOrEqual(2)
    }),
  )
})

function spread(loads: Loads, count: 'leads' | 'holds'): number {
  const counts = [...loads.values()].map(load => load[count])
  return Math.max(...counts) - Math.min(...counts)
}

test('a new broker gets the next leaders', () => {
  const topic = topicOn([[brokerId(1)], [brokerId(1)]])
  expect(place(loadsOf(brokers(2), [topic]), 3, 1)).toEqual([[2], [2], [1]])
})

test.each([
  [0, 1, 'INVALID_PARTITIONS'],
  [-1, 1, 'INVALID_PARTITIONS'],
  [1.5, 1, 'INVALID_PARTITIONS'],
  [10_001, 1, 'INVALID_PARTITIONS'],
  [1, 0, 'INVALID_REPLICATION_FACTOR'],
  [1, 3, 'INVALID_REPLICATION_FACTOR'],
  [1, 1.5, 'INVALID_REPLICATION_FACTOR'],
])('%d tablets with %d replicas on two brokers: %s', (tablets, replication, code) => {
  const loads = loadsOf(brokers(2), [])
  expect(codeOf(() => place(loads, tablets, replication))).toBe(code)
  expect(loads).toEqual(loadsOf(brokers(2), []))
})

test('nothing can be placed without brokers', () => {
  expect(codeOf(() => place(loadsOf([], []), 1, 1))).toBe('INVALID_REPLICATION_FACTOR')
})

test('an assignment continues where the topic ends', () => {
  const known = { first: 2, brokers: new Set(brokers(2)), replication: 1 }
  expect(checkAssignment([on(3), on(2)], known)).toEqual([[1], [1]])
  expect(codeOf(() => checkAssignment([on(2)], { ...known, replication: 2 }))).toBe(
    'INVALID_REPLICA_ASSIGNMENT',
  )
  for (const wrong of [[on(2), on(2)], [on(3)], [on(2), on(4)], [on(1), on(2)]]) {
    expect(codeOf(() => checkAssignment(wrong, known))).toBe('INVALID_REPLICA_ASSIGNMENT')
  }
})

test('replicas lie in as many zones as there are', () => {
  const zones = ['a', 'a', 'a', 'b', 'b', 'c']
  const zoneOf = (id: BrokerId) => zones[id - 1]
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 6 }), (tablets, replication) => {
      for (const replicas of place(loadsOf(brokers(6), []), tablets, replication, { zoneOf })) {
        expect(new Set(replicas).size).toBe(replication)
        expect(new Set(replicas.map(zoneOf)).size).toBe(Math.min(3, replication))
      }
    }),
  )
})

test('only those lead who may, and somebody when nobody may', () => {
  const loads = loadsOf(brokers(3), [])
  const leaders = (may: (id: BrokerId) => boolean) =>
    place(loads, 4, 2, { mayLead: may }).map(([leader]) => leader)
  expect(new Set(leaders(id => id !== 2))).toEqual(new Set([1, 3]))
  expect(new Set(leaders(() => false))).toEqual(new Set([1, 2, 3]))
})

describe('bytes', () => {
  /** Six brokers in three zones, with loads, bytes and readiness by chance. */
  const grounds = fc.record({
    tablets: fc.integer({ min: 1, max: 40 }),
    replication: fc.integer({ min: 1, max: 6 }),
    bytes: fc.array(fc.nat(20 * GIB), { minLength: 6, maxLength: 6 }),
    ready: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
    first: fc.nat(100),
  })
  const zones = ['a', 'a', 'b', 'b', 'c', 'c']
  const zoneOf = (id: BrokerId) => zones[id - 1]
  const terrainOf = ({ bytes, ready, first }: { bytes: number[]; ready: boolean[]; first: number }) => ({
    zoneOf,
    bytesOf: (id: BrokerId) => bytes[id - 1],
    mayLead: (id: BrokerId) => ready[id - 1] === true,
    first,
  })

  test('never make leaders uneven, never go before zones, and the same ground gives the same places', () => {
    fc.assert(
      fc.property(grounds, ground => {
        const { tablets, replication, ready } = ground
        const loads = loadsOf(brokers(6), [])
        const places = place(loads, tablets, replication, terrainOf(ground))
        expect(place(loads, tablets, replication, terrainOf(ground))).toEqual(places)
        carryPlaces(loads, places)
        const may = brokers(6).filter(id => !ready.includes(true) || ready[id - 1] === true)
        const leads = may.map(id => loads.get(id)?.leads ?? 0)
        expect(Math.max(...leads) - Math.min(...leads)).toBeLessThanOrEqual(1)
        expect(leads.reduce((sum, count) => sum + count, 0)).toBe(tablets)
        for (const replicas of places) {
          expect(new Set(replicas).size).toBe(replication)
          expect(new Set(replicas.map(zoneOf)).size).toBe(Math.min(3, replication))
        }
      }),
    )
  })

  test('decide who gets what is left over: the emptier brokers', () => {
    const bytes = [50 * GIB, 3 * GIB, 0, 80 * GIB]
    const bytesOf = (id: BrokerId) => bytes[id - 1]
    expect(place(loadsOf(brokers(4), []), 6, 1, { bytesOf }).flat()).toEqual([3, 2, 1, 4, 3, 2])
    expect(place(loadsOf(brokers(4), []), 1, 3, { bytesOf })).toEqual([[3, 2, 1]])
  })

  test('that differ by less than a GiB, or are not known, change nothing', () => {
    const without = place(loadsOf(brokers(4), []), 20, 3)
    const few = (id: BrokerId) => (id % 2 === 0 ? undefined : GIB - id)
    expect(place(loadsOf(brokers(4), []), 20, 3, { bytesOf: few })).toEqual(without)
  })

  test('do not keep a full broker from its share for long: replicas differ by two at most', () => {
    const bytesOf = (id: BrokerId) => (id === 3 ? 0 : 100 * GIB)
    const loads = loadsOf(brokers(4), [])
    carryPlaces(loads, place(loads, 40, 2, { bytesOf }))
    expect(spread(loads, 'holds')).toBeLessThanOrEqual(2)
    expect(loads.get(brokerId(3))?.holds).toBeGreaterThan(20)
  })
})
