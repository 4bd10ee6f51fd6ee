import { expect, test } from 'vitest'
import { brokerId, epoch, incarnation } from '../../base/quantities.ts'
import type { TabletAssignment, Topic } from '../../control/model.ts'
import { IsrChanges } from './isr-changes.ts'

const tablet = (leader: number, isr: readonly number[]): TabletAssignment => ({
  epoch: epoch(0),
  version: 0,
  leader: brokerId(leader),
  replicas: [0, 1, 2].map(brokerId),
  adding: [],
  removing: [],
  isr: isr.map(id => ({ broker: brokerId(id), incarnation: incarnation(1) })),
})
const topic = (...tablets: TabletAssignment[]): Topic => ({ name: 't', id: 'id', settings: {}, tablets })

test('sets of tablets led here are counted, those of others and new tablets are not', () => {
  const changes = new IsrChanges(brokerId(0))
  const change = (before: Topic, after: Topic) => {
    changes.seen({ kind: 'topic-changed', topic: after, before })
    return [changes.shrinks, changes.expands]
  }
  const whole = topic(tablet(0, [0, 1, 2]), tablet(1, [0, 1, 2]))
  expect(change(whole, topic(tablet(0, [0, 1]), tablet(1, [1])))).toEqual([1, 0])
  expect(change(topic(tablet(0, [0])), topic(tablet(0, [0, 2]), tablet(0, [0, 1])))).toEqual([1, 1])
  expect(change(topic(tablet(1, [0, 1, 2])), topic(tablet(0, [0, 2])))).toEqual([2, 1])
  expect(change(whole, { ...whole, settings: { a: 'b' } })).toEqual([2, 1])
})
