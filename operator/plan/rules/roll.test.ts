import { expect, test } from 'vitest'
import { brokerId, incarnation } from '../../../base/quantities.ts'
import { annotations } from '../../../control/kubernetes/resources/names.ts'
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
import type { Observed } from '../../observe/observed.ts'
import { clusterReport } from '../../status/cluster.ts'
import { replaceBroken } from './replace-broken.ts'
import { roll } from './roll.ts'

/** Three brokers whose StatefulSets are of the new revision, their pods of the old one where `old` says so. */
function changed(
  old: readonly number[],
  more: Partial<Observed> = {},
  unready: readonly number[] = [],
): Observed {
  const wanted = running(clusterOf({ image: 'stele:2' }), [0, 1, 2], more)
  const before = running(clusterOf(), [0, 1, 2])
  const pods = [0, 1, 2].map(id => {
    const name = `events-broker-${id}`
    const set = (old.includes(id) ? before : wanted).statefulSets.get(name)
    if (set === undefined) throw new Error(`no set ${name}`)
    return podOfSet(set, !unready.includes(id))
  })
  return { ...wanted, pods: byName(pods), ...more }
}
const namesOf = (steps: ReturnType<typeof roll>) =>
  steps.map(step => (step.kind === 'delete' ? step.key.name : step.kind))

test('the first of the old pods goes, and it is the only one', () => {
  expect(namesOf(roll(seenOf(changed([1, 2]))))).toEqual(['events-broker-1-0'])
  expect(roll(seenOf(changed([])))).toEqual([])
})

test('not while another broker is not ready, or has no pod', () => {
  expect(roll(seenOf(changed([1, 2], {}, [0])))).toEqual([])
  const all = changed([1, 2])
  const pods = new Map(all.pods)
  pods.delete('events-broker-0-0')
  expect(roll(seenOf({ ...all, pods }))).toEqual([])
})

test('not while another pod is on its way out', () => {
  const all = changed([1, 2])
  const pods = new Map(all.pods)
  const pod = pods.get('events-broker-2-0')
  if (pod === undefined) throw new Error('no pod')
  pods.set('events-broker-2-0', {
    ...pod,
    metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
  })
  expect(roll(seenOf({ ...all, pods }))).toEqual([])
})

test('not before its StatefulSet would make the pod that is wanted', () => {
  const before = running(clusterOf(), [0, 1, 2])
  expect(roll(seenOf({ ...before, cluster: clusterOf({ image: 'stele:2' }) }))).toEqual([])
})

test('what has its only copy in sync there is announced', () => {
  const slice = sliceOf(topicOf('a', 9), [tabletOn(1), tabletOn(1), tabletOn(0)])
  const [step] = roll(seenOf(changed([1], { slices: byName([slice]) })))
  expect(step?.event).toMatchObject({
    type: 'Warning',
    reason: 'BrokerRestartsWithOnlyCopies',
    note: expect.stringContaining('2 tablets have their only copy in sync there') as string,
  })
})

/** Who is restarted first when 1 and 2 should be, with a topic of one tablet on `replicas` of which `inSync` are in sync. */
function first(
  replicas: readonly number[],
  inSync: readonly number[],
  min: number,
  at: Partial<Observed> = {},
) {
  const topic = topicOf('a', 9, { config: { 'min.insync.replicas': min } })
  const isr = inSync.map(id => ({ broker: brokerId(id), incarnation: incarnation(1) }))
  const slice = sliceOf(topic, [{ ...tabletOn(...replicas), isr }])
  const topics = byName([topic])
  return namesOf(roll(seenOf(changed([1, 2], { topics, slices: byName([slice]), ...at }))))[0]?.slice(-3)
}

test('a broker that acks=all needs waits until other replicas are in sync; another one goes first', () => {
  expect(first([0, 1, 2], [0, 1, 2], 2)).toBe('1-0')
  expect(first([0, 1, 2], [0, 1], 2)).toBe('2-0')
  expect(first([1, 2], [1], 1)).toBe('2-0')
  expect(first([0, 1, 2], [1, 2], 2)).toBeUndefined()
  // What can never spare it is no reason to wait.
  expect(first([1, 2], [1, 2], 2)).toBe('1-0')
  expect(first([1], [1], 1)).toBe('1-0')
})

test('an entry of a broker’s run before counts as little as one that is not there', () => {
  const slice = sliceOf(topicOf('a', 9), [
    {
      ...tabletOn(0, 1),
      isr: [
        { broker: brokerId(0), incarnation: incarnation(7) },
        { broker: brokerId(1), incarnation: incarnation(1) },
      ],
    },
  ])
  const more = { topics: byName([topicOf('a', 9)]), slices: byName([slice]) }
  expect(namesOf(roll(seenOf(changed([1, 2], more))))).toEqual(['events-broker-2-0'])
  const waiting = seenOf(changed([1], more))
  expect(roll(waiting)).toEqual([])
  expect(
    clusterReport(waiting, []).status.conditions?.find(({ type }) => type === 'Progressing'),
  ).toMatchObject({
    reason: 'Rolling',
    message: '1 of 3 brokers are still to be restarted: they wait until other replicas are in sync of a-0',
  })
})

test('whoever has lost his ServiceAccount and is silent is restarted, whatever he leads: nobody else can change the sets', () => {
  const topic = topicOf('a', 9, { config: { 'min.insync.replicas': 2 } })
  const isr = [0, 1].map(id => ({ broker: brokerId(id), incarnation: incarnation(1) }))
  const slices = byName([sliceOf(topic, [{ ...tabletOn(0, 1, 2), isr }])])
  const all = changed([], { topics: byName([topic]), slices })
  const had = { [annotations.account]: 'the one before' }
  const pods = [...all.pods.values()].map(pod => ({
    ...pod,
    metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, ...had } },
  }))
  const before = { ...all, pods: byName(pods) }
  expect(roll(seenOf(before))).toEqual([])
  const silent = new Set([0, 1, 2].map(id => `events-broker-${id}`))
  expect(namesOf(roll(seenOf({ ...before, silent })))).toEqual(['events-broker-0-0'])
})

test('what a deleted LogTopic has left is not waited for', () => {
  const topic = topicOf('a', 9, { deletionPolicy: 'Retain' })
  const slices = byName([sliceOf(topic, [tabletOn(1, 0, 2)])])
  expect(namesOf(roll(seenOf(changed([1], { slices }))))).toEqual(['events-broker-1-0'])
  expect(roll(seenOf(changed([1], { slices, topics: byName([topic]) })))).toEqual([])
})

test('a pod of another revision that recovers is given time, and not for ever', () => {
  const all = changed([1], {}, [1])
  expect(replaceBroken(seenOf(all))).toEqual([])
  expect(namesOf(replaceBroken(seenOf({ ...all, nowMs: all.nowMs + 600_000 })))).toEqual([
    'events-broker-1-0',
  ])
})

test('a pod of another revision that cannot start goes at once, with others away or not', () => {
  const all = changed([1, 2], {}, [0, 1, 2])
  const pods = new Map([...all.pods].map(([name, pod]) => [name, { ...pod, status: { phase: 'Failed' } }]))
  expect(namesOf(replaceBroken(seenOf({ ...all, pods })))).toEqual(['events-broker-1-0', 'events-broker-2-0'])
})

test('a pod that was not started yet goes at once, too', () => {
  const all = changed([1], {}, [1])
  const pods = new Map(
    [...all.pods].map(([name, pod]) => [
      name,
      { ...pod, status: { conditions: pod.status?.conditions ?? [] } },
    ]),
  )
  expect(namesOf(replaceBroken(seenOf({ ...all, pods })))).toEqual(['events-broker-1-0'])
})
