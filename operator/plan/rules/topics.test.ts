import { expect, test } from 'vitest'
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
import { owners } from './owners.ts'
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

test('the LogCluster owns what says where data is under Delete alone, beside other owners', () => {
  const other = { apiVersion: 'v1', kind: 'ConfigMap', name: 'o', uid: 'o' }
  const topic = { ...topicOf('t', 5), metadata: { ...topicOf('t', 5).metadata, ownerReferences: [other] } }
  const policy = (deletionPolicy: 'Retain' | 'Delete', owned: typeof topic) =>
    owners(seenOf(nothing(clusterOf({ deletionPolicy }), { topics: byName([owned]) })))
  expect(policy('Retain', topic)).toEqual([])
  const [step] = policy('Delete', topic)
  const patch = step?.kind === 'patch' ? step.patch : []
  expect(patch[1]).toEqual({ op: 'test', path: '/metadata/ownerReferences', value: [other] })
  expect(patch[2]).toMatchObject({ op: 'add', value: [other, { kind: 'LogCluster', uid: uidOf(1) }] })
  const mine = { apiVersion: 'stele.dev/v1alpha1', kind: 'LogCluster', name: 'events', uid: uidOf(1) }
  const owned = { ...topic, metadata: { ...topic.metadata, ownerReferences: [mine] } }
  expect(policy('Delete', owned)).toEqual([])
  expect(policy('Retain', owned)).toMatchObject([
    { patch: [{ op: 'test' }, { op: 'test' }, { op: 'remove', path: '/metadata/ownerReferences' }] },
  ])
})
