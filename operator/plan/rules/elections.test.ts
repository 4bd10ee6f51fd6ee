import { expect, test } from 'vitest'
import type { LogTopic } from '../../../control/kubernetes/resources/log-topic.ts'
import { annotations } from '../../../control/kubernetes/resources/names.ts'
import type { SliceTablet } from '../../../control/kubernetes/resources/tablet-slice.ts'
import { groundOf } from '../../judge/topic.ts'
import type { Seen } from '../../observe/seen.ts'
import { byName, clusterOf, running, seenOf, sliceOf, tabletOn, topicOf } from '../../observed.fixture.ts'
import { topicStatus } from '../../status/topic.ts'
import { elections } from './elections.ts'

const topic = topicOf('orders', 5, { tablets: 3, replication: 3 })
const saying = (text: string): LogTopic => ({
  ...topic,
  metadata: { ...topic.metadata, annotations: { [annotations.uncleanElection]: text } },
})

/** In sync in run 9 of broker 0, which has lost its records and runs as 1; broker 2 was not heard. */
const waiting: SliceTablet = {
  ...tabletOn(0, 1, 2),
  epoch: 7,
  version: 12,
  isr: [{ broker: 0, incarnation: 9 }],
  found: [
    { broker: 0, incarnation: 1, epoch: -1, end: 0, trouble: 'lost' },
    { broker: 1, incarnation: 1, epoch: 6, end: 40 },
  ],
}
const well = tabletOn(1, 2, 0)

const seen = (of: LogTopic, tablets: readonly SliceTablet[]): Seen =>
  seenOf(
    running(clusterOf({ brokers: 3 }), [0, 1, 2], {
      topics: byName([of]),
      slices: byName([sliceOf(of, tablets)]),
    }),
  )

test('the owner’s word is written for the tablets and epochs that it names, where nobody leads', () => {
  const [step, ...rest] = elections(seen(saying('1@7, 0@0,2@6,9@7'), [well, waiting, waiting]))
  expect(rest).toEqual([])
  expect(step).toMatchObject({
    kind: 'patch',
    patch: [
      { op: 'test', path: '/topic/id' },
      { op: 'test', path: '/tablets/1/epoch', value: 7 },
      { op: 'test', path: '/tablets/1/version', value: 12 },
      { op: 'add', path: '/tablets/1/unclean', value: true },
      { op: 'replace', path: '/tablets/1/version', value: 13 },
    ],
    event: { type: 'Warning', reason: 'UncleanElection', note: expect.stringMatching(/^orders-1: /) },
  })
  expect(elections(seen(topic, [waiting]))).toEqual([])
  expect(elections(seen(saying('0@7'), [{ ...waiting, unclean: true }]))).toEqual([])
  expect(elections(seen(saying('all'), [waiting]))).toEqual([])
})

test('a LogTopic says who was heard, who is waited for, and how to let others lead', () => {
  const ready = (of: LogTopic, ...tablets: SliceTablet[]) => {
    const at = seen(of, tablets)
    const [view] = at.topicViews
    if (view === undefined) throw new Error('there is no topic')
    return topicStatus(at, view, groundOf(at)).conditions?.find(({ type }) => type === 'Ready')
  }
  const condition = ready(topic, well, waiting, waiting)
  expect(condition?.reason).toBe('NoLeader')
  expect(condition?.message).toMatch(
    /^2 of 3 tablets are offline: orders-1, orders-2 \(.*nobody who holds all of it can lead, broker 1 may not hold all that was acknowledged, broker 0 lost the records, broker 2 has not been heard\): /,
  )
  expect(condition?.message).toContain(
    'kubectl annotate --overwrite logtopic -n logs orders stele.dev/unclean-election=1@7,2@7',
  )
  const asked = ready(topic, well, well, { ...waiting, unclean: true })?.message
  expect(asked).toContain('an election out of sync was asked for')
  expect(asked).not.toContain('kubectl annotate')
  expect(ready(saying('0'), well, well, waiting)).toMatchObject({ reason: 'InvalidElection' })
})
