import { expect, test } from 'vitest'
import { annotations } from '../../../control/kubernetes/resources/names.ts'
import type { SliceTablet } from '../../../control/kubernetes/resources/tablet-slice.ts'
import { movesOf } from '../../judge/moves.ts'
import type { Observed } from '../../observe/observed.ts'
import {
  byName,
  clusterOf,
  leaseOf,
  running,
  seenOf,
  sliceOf,
  tabletOn,
  topicOf,
} from '../../observed.fixture.ts'
import { moves } from './moves.ts'

const topic = topicOf('orders', 5, { tablets: 8, replication: 2 })

const inSync = (...replicas: number[]): SliceTablet => ({
  ...tabletOn(...replicas),
  isr: replicas.map(broker => ({ broker, incarnation: 1 })),
})

/** Brokers 0 to `ids - 1` run, `brokers` of them are wanted. */
const on = (brokers: number, ids: number, tablets: readonly SliceTablet[], more: Partial<Observed> = {}) =>
  running(
    clusterOf({ brokers }),
    Array.from({ length: ids }, (_, id) => id),
    { topics: byName([topic]), slices: byName([sliceOf(topic, tablets)]), ...more },
  )

const targets = (observed: Observed) =>
  movesOf(seenOf(observed)).next.map(({ at, target }) => `${at} -> ${target.join(',')}`)

test('what is on a broker in excess moves, where its zone has fewest and who holds least', () => {
  const observed = on(2, 3, [inSync(2, 0), inSync(0, 1), inSync(1, 2)])
  expect(targets(observed)).toEqual(['0 -> 1,0', '2 -> 1,0'])
  const [step, ...rest] = moves(seenOf(observed))
  expect(rest).toEqual([])
  expect(step).toMatchObject({
    kind: 'patch',
    patch: [
      { op: 'test', path: '/topic/id' },
      { op: 'test', path: '/tablets/0/epoch', value: 0 },
      { op: 'test', path: '/tablets/0/version', value: 0 },
      { op: 'test', path: '/tablets/2/epoch', value: 0 },
      { op: 'test', path: '/tablets/2/version', value: 0 },
      { op: 'replace', path: '/tablets/0/replicas', value: [1, 0, 2] },
      { op: 'replace', path: '/tablets/0/adding', value: [1] },
      { op: 'replace', path: '/tablets/0/removing', value: [2] },
      { op: 'replace', path: '/tablets/0/version', value: 1 },
      { op: 'replace', path: '/tablets/2/replicas', value: [1, 0, 2] },
      { op: 'replace', path: '/tablets/2/adding', value: [0] },
      { op: 'replace', path: '/tablets/2/removing', value: [2] },
      { op: 'replace', path: '/tablets/2/version', value: 1 },
    ],
  })
})

test('at most four moves at a time for each broker; what has begun is waited for', () => {
  const observed = on(
    2,
    3,
    Array.from({ length: 6 }, () => inSync(2, 0)),
  )
  expect(targets(observed)).toHaveLength(4)
  expect(movesOf(seenOf(observed)).left).toBe(6)
  const moving = { ...inSync(2, 0), replicas: [1, 0, 2], adding: [1], removing: [2] }
  const later = on(2, 3, [moving, moving, moving, moving, inSync(2, 0), inSync(2, 0)])
  expect(targets(later)).toEqual([])
  expect(movesOf(seenOf(later)).left).toBe(6)
})

test('a new broker gets its share, and then nothing moves any more', () => {
  const before = [inSync(0, 1), inSync(1, 0), inSync(0, 1), inSync(1, 0), inSync(0, 1), inSync(1, 0)]
  const observed = on(3, 3, before)
  expect(movesOf(seenOf(observed)).left).toBe(4)
  let tablets: SliceTablet[] = before
  for (;;) {
    const { next } = movesOf(seenOf(on(3, 3, tablets)))
    if (next.length === 0) break
    tablets = tablets.map((tablet, at) => {
      const target = next.find(move => move.at === at)?.target
      return target === undefined ? tablet : inSync(...target)
    })
  }
  const count = (id: number) => tablets.filter(({ replicas }) => replicas.includes(id)).length
  expect([0, 1, 2].map(count)).toEqual([4, 4, 4])
  expect([0, 1, 2].map(id => tablets.filter(({ replicas }) => replicas[0] === id).length)).toEqual([2, 2, 2])
})

test('balance does not bring copies into one zone', () => {
  const observed = on(
    3,
    3,
    Array.from({ length: 6 }, () => inSync(0, 1)),
  )
  const pods = [...observed.pods].map(([name, pod], id) => {
    const spec = { containers: [], nodeName: `node-${id}` }
    return [name, { ...pod, spec }] as const
  })
  const zones = new Map([
    ['node-0', 'a'],
    ['node-1', 'b'],
    ['node-2', 'a'],
  ])
  const found = movesOf(seenOf({ ...observed, pods: new Map(pods), zones })).next
  expect(found.map(({ target }) => target.join(',')).slice(0, 3)).toEqual(['2,1', '2,1', '2,1'])
  expect(found.every(({ target }) => target.includes(1))).toBe(true)
})

test('balance leaves alone what somebody has placed', () => {
  const chosen = {
    ...topic,
    metadata: { ...topic.metadata, annotations: { [annotations.assignment]: '[[0,1]]' } },
  }
  const tablets = Array.from({ length: 6 }, () => inSync(0, 1))
  expect(targets(on(3, 3, tablets)).length).toBeGreaterThan(0)
  expect(targets(on(3, 3, tablets, { topics: byName([chosen]) }))).toEqual([])
})

/** Broker `ids` stopped at the beginning of 2026; it is `minutes` later. */
function stopped(observed: Observed, ids: readonly number[], minutes: number): Observed {
  const pods = new Map(observed.pods)
  for (const [name, pod] of observed.pods) {
    if (!ids.some(id => name === `events-broker-${id}-0`)) continue
    const conditions = [
      { type: 'Ready', status: 'False', lastTransitionTime: '2026-01-01T00:00:00Z' },
    ] as never
    pods.set(name, { ...pod, status: { ...pod.status, conditions } })
  }
  return { ...observed, pods, nowMs: Date.UTC(2026, 0, 1, 0, minutes) }
}

test('the copies of a broker that is gone for longer than replaceAfter are made again elsewhere', () => {
  const observed = on(4, 4, [inSync(0, 1), inSync(1, 2), inSync(2, 3)])
  expect(targets(stopped(observed, [1], 4))).toEqual([])
  const gone = stopped(observed, [1], 6)
  // Nobody who is there leads tablet 1: there is nothing to copy from.
  expect(targets(gone)).toEqual(['0 -> 0,3'])
  expect(movesOf(seenOf(gone)).gone).toEqual([1])
  const renewed = { ...leaseOf(1), spec: { renewTime: '2026-01-01T00:05:00Z' } as never }
  const alive = { ...gone, leases: new Map([...gone.leases, ['events-broker-1', renewed]]) }
  expect(targets(alive)).toEqual([])
})

test('of several brokers that are gone nothing is made again', () => {
  const observed = on(4, 4, [inSync(0, 1), inSync(0, 2)])
  const gone = movesOf(seenOf(stopped(observed, [1, 2], 6)))
  expect([gone.next, gone.gone]).toEqual([[], [1, 2]])
})

test('a move to a broker that is gone goes elsewhere', () => {
  const moving = { ...inSync(0, 1), replicas: [0, 3, 1], adding: [3], removing: [1] }
  expect(targets(stopped(on(4, 4, [moving]), [3], 6))).toEqual(['0 -> 0,1'])
})

test('where no other broker can take it nothing moves, and it is said', () => {
  const { next, blocked, left } = movesOf(seenOf(on(1, 2, [inSync(1, 0)])))
  expect([next, left]).toEqual([[], 0])
  expect(blocked).toMatchObject([{ from: 1, why: 'its tablets have 2 replicas' }])
})

test('with fewer copies wanted those go first that are not in sync, then those in one zone, and never the preferred leader', () => {
  const wants = (tablet: SliceTablet, replication: number) => {
    const { spec, ...rest } = topic
    const wanted = {
      ...rest,
      spec: { ...spec, replication },
      status: { replication: tablet.replicas.length },
    }
    const observed = on(3, 3, [tablet], { topics: byName([wanted]) })
    const pods = [...observed.pods].map(([name, pod], id) => {
      const placed = { containers: [], nodeName: `node-${id}` }
      return [name, { ...pod, spec: placed }] as const
    })
    const zones = new Map([0, 1, 2].map(id => [`node-${id}`, id === 2 ? 'b' : 'a']))
    return targets({ ...observed, pods: new Map(pods), zones })
  }
  expect(wants(inSync(0, 1, 2), 2)).toEqual(['0 -> 0,2'])
  expect(wants({ ...inSync(0, 1, 2), isr: inSync(0, 1).isr }, 2)).toEqual(['0 -> 0,1'])
  expect(wants(inSync(0, 1, 2), 1)).toEqual(['0 -> 0'])
  // Who leads hands over first, as with any move.
  expect(wants({ ...inSync(0, 1, 2), leader: 1, isr: inSync(1, 2).isr }, 1)).toEqual(['0 -> 1'])
  expect(wants(inSync(0), 2)).toEqual(['0 -> 0,2'])
  expect(wants(inSync(0, 1), 4)).toEqual([])
})
