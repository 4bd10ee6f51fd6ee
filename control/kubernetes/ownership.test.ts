import { expect, test } from 'vitest'
import {
  byName,
  clusterOf,
  nothing,
  sliceOf,
  tabletOn,
  topicOf,
  uidOf,
} from '../../operator/observed.fixture.ts'
import { hexOf, topicIdOf, topicsOf } from './ownership.ts'

const seenOf = (topics: ReturnType<typeof topicOf>[], slices: ReturnType<typeof sliceOf>[]) =>
  topicsOf(nothing(clusterOf(), { topics: byName(topics), slices: byName(slices) }))

test('a topic id is the uid in another writing', () => {
  expect(topicIdOf('fb2b6830-bf7c-4cd0-8305-4914857c6ebb')).toBe('-ytoML98TNCDBUkUhXxuuw')
  expect(hexOf('-ytoML98TNCDBUkUhXxuuw')).toBe('fb2b6830bf7c4cd083054914857c6ebb')
})

test('slices are found by the uid of their LogTopic', () => {
  const topic = topicOf('orders', 2, { tablets: 65 })
  const second = sliceOf(topic, [tabletOn(0)], 64)
  const first = sliceOf(topic, [tabletOn(0)])
  const { views, orphans } = seenOf([topic], [second, first])
  expect(views.map(({ slices }) => slices)).toEqual([[first, second]])
  expect(orphans).toEqual([])
})

test('what Retain left is taken over by name, what Delete left is not', () => {
  const old = (deletionPolicy: 'Retain' | 'Delete') =>
    sliceOf(topicOf('orders', 3, { deletionPolicy }), [tabletOn(1)])
  const again = topicOf('orders', 4)
  expect(seenOf([again], [old('Retain')]).views[0]?.id).toBe(topicIdOf(uidOf(3)))
  expect(seenOf([again], [old('Delete')])).toMatchObject({
    views: [{ id: topicIdOf(uidOf(4)), slices: [] }],
    orphans: [{ slice: { topic: { name: 'orders' } } }],
  })
})

test('slices that were taken over stay with who took them, whatever the policy says later', () => {
  const again = topicOf('orders', 4)
  const slice = sliceOf(topicOf('orders', 3, { deletionPolicy: 'Delete' }), [tabletOn(1)])
  const taken = {
    ...slice,
    metadata: { ...slice.metadata, annotations: { 'stele.dev/log-topic': uidOf(4) } },
  }
  expect(seenOf([again], [taken])).toMatchObject({ views: [{ id: topicIdOf(uidOf(3)) }], orphans: [] })
})

test('of two that claim one name the older has it, and of equally old ones the smaller uid', () => {
  const older = topicOf('b', 5, { name: 'orders' })
  const younger = topicOf('a', 6, { name: 'orders' })
  expect(seenOf([younger, older], []).views.map(({ takenBy }) => takenBy?.metadata.name)).toEqual([
    'b',
    undefined,
  ])
  const twin = {
    ...younger,
    metadata: { ...younger.metadata, creationTimestamp: older.metadata.creationTimestamp ?? '' },
  }
  expect(seenOf([twin, older], []).views.map(({ takenBy }) => takenBy?.metadata.name)).toEqual([
    'b',
    undefined,
  ])
})

test('who has not got the name takes nothing over', () => {
  const left = sliceOf(topicOf('orders', 3, { deletionPolicy: 'Retain' }), [tabletOn(1)])
  const older = topicOf('b', 5, { name: 'orders' })
  const younger = topicOf('a', 6, { name: 'orders' })
  const { views } = seenOf([older, younger], [left])
  expect(views.map(({ slices }) => slices.length)).toEqual([0, 1])
})
