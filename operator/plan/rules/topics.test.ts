import { expect, test } from 'vitest'
import type { LogCluster } from '../../../control/kubernetes/resources/log-cluster.ts'
import {
  byName,
  clusterOf,
  nothing,
  seenOf,
  sliceOf,
  tabletOn,
  topicOf,
  uidOf,
} from '../../observed.fixture.ts'
import { topicsOf } from '../../../control/kubernetes/ownership.ts'
import { belong } from './belong.ts'
import { topics } from './topics.ts'

test('slices of a LogTopic that was seen to go go where its last policy was Delete, unless it is there after all', () => {
  const slices = (['Delete', 'Retain'] as const).map((deletionPolicy, at) =>
    sliceOf(topicOf(`t${at}`, 5 + at, { deletionPolicy }), [tabletOn(0)]),
  )
  const steps = (...words: ('Delete' | 'Retain')[]) => {
    const lastWords = new Map(words.map((word, at) => [uidOf(5 + at), word]))
    return topics(topicsOf(nothing(undefined, { slices: byName(slices), lastWords })))
  }
  expect(steps(), 'nobody saw them go').toEqual([])
  expect(steps('Retain', 'Delete'), 'what the slices say is older').toMatchObject([
    { patch: [{ op: 'test' }, { path: '/topic/deletionPolicy', value: 'Retain' }] },
    { patch: [{ op: 'test' }, { path: '/topic/deletionPolicy', value: 'Delete' }] },
  ])
  expect(steps('Delete', 'Retain')).toMatchObject([
    {
      kind: 'delete',
      key: { name: slices[0]?.metadata.name },
      uid: slices[0]?.metadata.uid,
      unlessTopic: [uidOf(5), uidOf(5)],
    },
  ])
})

test('slices follow the policy of their LogTopic', () => {
  const topic = topicOf('t', 5)
  const slice = sliceOf(topic, [tabletOn(0)])
  const after = (deletionPolicy: 'Retain' | 'Delete') => {
    const now = { ...topic, spec: { ...topic.spec, deletionPolicy } }
    return topics(topicsOf(nothing(clusterOf(), { topics: byName([now]), slices: byName([slice]) })))
  }
  expect(after('Delete')).toEqual([])
  expect(after('Retain')).toMatchObject([
    {
      kind: 'patch',
      patch: [
        { op: 'test', path: '/topic/id' },
        { op: 'add' },
        { path: '/topic/deletionPolicy', value: 'Retain' },
      ],
    },
  ])
})

test('a slice that another LogCluster of the name left says that it is this one’s now', () => {
  const topic = topicOf('t', 5)
  const slice = sliceOf(topic, [tabletOn(0)])
  const again = { ...clusterOf(), metadata: { ...clusterOf().metadata, uid: uidOf(2) } }
  const after = (cluster: LogCluster) => belong(seenOf(nothing(cluster, { slices: byName([slice]) })))
  expect(after(clusterOf())).toEqual([])
  expect(after(again)).toMatchObject([
    {
      kind: 'patch',
      patch: [
        { op: 'test', path: '/metadata/uid' },
        { op: 'add', value: uidOf(2) },
      ],
    },
  ])
})
