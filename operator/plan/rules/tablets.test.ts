import { expect, test } from 'vitest'
import { annotations } from '../../../control/kubernetes/resources/names.ts'
import type { TabletSlice } from '../../../control/kubernetes/resources/tablet-slice.ts'
import type { Pod } from '../../../kube/resources.ts'
import {
  byName,
  clusterOf,
  podOfSet,
  running,
  seenOf,
  sliceOf,
  tabletOn,
  topicOf,
} from '../../observed.fixture.ts'
import { groundOf } from '../../judge/topic.ts'
import type { Observed } from '../../observe/observed.ts'
import { topicStatus } from '../../status/topic.ts'
import { tablets } from './tablets.ts'

const zones = new Map([['node', 'a']])
const three = (more: Partial<Observed>): Observed => running(clusterOf(), [0, 1, 2], { zones, ...more })
const made = (observed: Observed): TabletSlice[] =>
  tablets(seenOf(observed)).flatMap(step => (step.kind === 'create' ? [step.object as TabletSlice] : []))

test('a topic gets its slices of 64, led evenly; only who leads is in sync', () => {
  const slices = made(three({ topics: byName([topicOf('orders', 5, { tablets: 66, replication: 2 })]) }))
  expect(slices.map(({ first, tablets }) => [first, tablets.length])).toEqual([
    [0, 64],
    [64, 2],
  ])
  const all = slices.flatMap(slice => slice.tablets)
  const leads = Map.groupBy(all, ({ leader }) => leader)
  expect([...leads.values()].map(group => group.length)).toEqual([22, 22, 22])
  for (const { leader, replicas, isr, epoch, version } of all) {
    expect({ leader, isr, epoch, version }).toEqual({
      leader: replicas[0],
      isr: [{ broker: leader, incarnation: 1 }],
      epoch: 0,
      version: 0,
    })
    expect(new Set(replicas).size).toBe(2)
  }
})

test('several topics are placed as one: the next goes where the last did not', () => {
  const topics = byName([topicOf('a', 5), topicOf('b', 6), topicOf('c', 7)])
  expect(new Set(made(three({ topics })).map(({ tablets }) => tablets[0]?.leader))).toEqual(
    new Set([0, 1, 2]),
  )
})

test('more tablets are added behind those that are there, guarded by what was seen', () => {
  const topic = topicOf('orders', 5, { tablets: 3, replication: 3 })
  const slice = sliceOf(topic, [tabletOn(0)])
  const [step] = tablets(seenOf(three({ topics: byName([topic]), slices: byName([slice]) })))
  expect(step).toMatchObject({ kind: 'patch', key: { name: slice.metadata.name } })
  const patch = step?.kind === 'patch' ? step.patch : []
  expect(patch.slice(0, 2)).toEqual([
    { op: 'test', path: '/metadata/resourceVersion', value: '7' },
    { op: 'test', path: '/topic/id', value: slice.topic.id },
  ])
  expect(patch.slice(2)).toMatchObject([
    { path: '/tablets/-', value: { replicas: [1] } },
    { path: '/tablets/-', value: { replicas: [2] } },
  ])
})

test('in a new cluster nothing is placed before all brokers that can start have: the first would get everything', () => {
  const topics = byName([topicOf('orders', 5, { tablets: 3 })])
  const all = three({ topics })
  const set = all.statefulSets.get('events-broker-2')
  if (set === undefined) throw new Error('no set')
  const starting = podOfSet(set, false)
  expect(made({ ...all, pods: new Map([...all.pods, ['events-broker-2-0', starting]]) })).toEqual([])
  const broken: Pod = { ...starting, status: { phase: 'Failed' } }
  const placed = made({ ...all, pods: new Map([...all.pods, ['events-broker-2-0', broken]]) })
  expect(new Set(placed.flatMap(({ tablets }) => tablets.map(({ leader }) => leader)))).toEqual(
    new Set([0, 1]),
  )
})

test('brokers in excess get nothing', () => {
  const all = running(clusterOf({ brokers: 2 }), [0, 1, 2], {
    topics: byName([topicOf('orders', 5, { tablets: 10 })]),
  })
  const leaders = made(all).flatMap(({ tablets }) => tablets.map(({ leader }) => leader))
  expect(new Set(leaders)).toEqual(new Set([0, 1]))
})

test('a tablet waits for the leader that was chosen for it, until that one has registered once', () => {
  const topic = topicOf('orders', 5)
  const metadata = { ...topic.metadata, annotations: { [annotations.assignment]: '[[2]]' } }
  const old = topicOf('old', 4)
  const slices = byName([sliceOf(old, [tabletOn(0)])])
  const all = three({ topics: byName([old, { ...topic, metadata }]), slices })
  const leases = new Map([...all.leases].filter(([name]) => name !== 'events-broker-2'))
  expect(made({ ...all, leases })).toEqual([])
  const seen = seenOf({ ...all, leases })
  const view = seen.topicViews.find(({ name }) => name === 'orders')
  if (view === undefined) throw new Error('no topic')
  expect(topicStatus(seen, view, groundOf(seen)).conditions).toMatchObject([{ reason: 'WaitingForBrokers' }])
  expect(made(all).map(({ tablets }) => tablets.map(({ leader }) => leader))).toEqual([[2]])
})

test('what brokers say of their bytes decides between those that are even', () => {
  const all = three({ topics: byName([topicOf('orders', 5)]) })
  const leases = new Map(
    [...all.leases].map(([name, lease], id) => {
      const noted = { ...lease.metadata.annotations, [annotations.bytes]: String((3 - id) * 2 ** 31) }
      return [name, { ...lease, metadata: { ...lease.metadata, annotations: noted } }]
    }),
  )
  expect(made(all).map(({ tablets }) => tablets[0]?.leader)).toEqual([0])
  expect(made({ ...all, leases }).map(({ tablets }) => tablets[0]?.leader)).toEqual([2])
})
