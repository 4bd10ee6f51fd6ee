import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { brokerId, incarnation } from '../../base/quantities.ts'
import type { Lease } from '../../kube/resources.ts'
import type { BrokerReport } from '../model.ts'
import { bytesIn, offlineIn, reportTexts } from './broker-report.ts'
import { copiesByBroker, copiesIn, copiesInAll } from './copy-report.ts'
import { annotations } from './resources/names.ts'

const run = incarnation(3)
const leaseWith = (report: BrokerReport): Lease => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name: 'l', annotations: reportTexts(report, run) },
})

const tablets = fc.array(
  fc.record({
    topicId: fc.constantFrom('a', 'b', 'c'),
    tablet: fc.nat(20),
    reason: fc.constantFrom('disk', 'lost'),
  }),
  { maxLength: 40 },
)
const unique = tablets.map(all => [
  ...new Map(all.map(one => [`${one.topicId}-${one.tablet}`, one])).values(),
])

test('what is said is read, and nothing else; in whatever order it is said it is the same text', () => {
  fc.assert(
    fc.property(unique, fc.nat(), (offline, bytes) => {
      const lease = leaseWith({ bytes, offline })
      expect(bytesIn(lease)).toBe(bytes)
      const said = offlineIn(lease, run)
      expect(said.unnamed).toBe(0)
      for (const topicId of ['a', 'b', 'c']) {
        for (let tablet = 0; tablet <= 21; tablet += 1) {
          const wanted = offline.find(one => one.topicId === topicId && one.tablet === tablet)
          expect(said.whyOf(topicId, tablet)).toBe(wanted?.reason)
        }
      }
      expect(reportTexts({ bytes, offline: offline.toReversed() }, run)).toEqual(lease.metadata.annotations)
    }),
  )
})

test('a whole topic takes little room, and what takes too much is counted', () => {
  const whole = Array.from({ length: 10_000 }, (_, tablet) => ({ topicId: 'a', tablet, reason: 'disk' }))
  expect(reportTexts({ bytes: 0, offline: whole }, run)[annotations.offline]?.length).toBeLessThan(100)
  const many = Array.from({ length: 5_000 }, (_, n) => ({
    topicId: `topic-with-a-long-id-${n}`,
    tablet: 0,
    reason: 'x'.repeat(1_000),
  }))
  const lease = leaseWith({ bytes: 0, offline: many })
  expect(lease.metadata.annotations?.[annotations.offline]?.length).toBeLessThan(24_000)
  const said = offlineIn(lease, run)
  const named = many.filter(({ topicId }) => said.whyOf(topicId, 0) !== undefined)
  expect(named.length).toBeGreaterThan(300)
  expect(named.length + said.unnamed).toBe(5_000)
})

test.each([
  [{ [annotations.offline]: '{"run":3' }],
  [{ [annotations.offline]: '{"run":3,"reasons":[{"why":1}],"unnamed":0}' }],
  [{ [annotations.offline]: 'null' }],
  [{ [annotations.bytes]: '-1' }],
  [undefined],
])('what no broker writes says nothing: %j', noted => {
  const lease: Lease = {
    ...leaseWith({ bytes: 0, offline: [] }),
    metadata: { name: 'l', ...(noted && { annotations: noted }) },
  }
  expect(offlineIn(lease, run).whyOf('a', 0)).toBeUndefined()
  expect(bytesIn(lease)).toBeUndefined()
})

test('an earlier run is not asked', () => {
  const lease = leaseWith({ bytes: 7, offline: [{ topicId: 'a', tablet: 0, reason: 'disk' }] })
  expect(offlineIn(lease, 4).whyOf('a', 0)).toBeUndefined()
  expect(bytesIn(lease)).toBe(7)
})

test('what is copied is said in bounded text, and nothing of an earlier run counts', () => {
  const copies = Array.from({ length: 300 }, (_, n) => ({
    broker: brokerId(n),
    tablets: 3,
    tabletsDone: 1,
    bytes: 2e12,
    bytesLeft: 1e12 - n,
    bytesPerSecond: 5e7,
  }))
  const lease = leaseWith({ bytes: 0, offline: [], copies })
  expect(lease.metadata.annotations?.[annotations.copies]?.length).toBeLessThan(8_000)
  expect(copiesIn(lease, run)).toEqual(copies.slice(0, 100))
  expect(copiesIn(lease, 4)).toEqual([])
  expect(copiesIn(leaseWith({ bytes: 0, offline: [] }), run)).toEqual([])
  for (const text of ['{', '{"run":3,"to":[[1,2]]}', '{"run":3,"to":[[-1,2,3,4,5,6]]}'])
    expect(
      copiesIn({ ...lease, metadata: { name: 'l', annotations: { [annotations.copies]: text } } }, run),
    ).toEqual([])
})

test('what several leaders say is added up by the broker that copies, and the slowest says when all is done', () => {
  const one = { tablets: 1, tabletsDone: 0, bytes: 1_000, bytesLeft: 600, bytesPerSecond: 10 }
  const byBroker = copiesByBroker([
    [{ broker: 1, ...one }],
    [
      { broker: 1, ...one },
      { broker: 2, ...one, bytesLeft: 1_000, bytesPerSecond: 5 },
    ],
  ])
  expect(byBroker.get(1)).toEqual({
    ...one,
    tablets: 2,
    bytes: 2_000,
    bytesLeft: 1_200,
    bytesPerSecond: 20,
    secondsLeft: 60,
  })
  expect(copiesInAll(byBroker.values())).toMatchObject({
    tablets: 3,
    bytes: 3_000,
    bytesLeft: 2_200,
    secondsLeft: 200,
  })
  const stuck = copiesByBroker([[{ broker: 1, ...one, bytesPerSecond: 0 }], [{ broker: 2, ...one }]])
  expect(copiesInAll(stuck.values())?.secondsLeft).toBeUndefined()
  expect(copiesInAll(copiesByBroker([[{ broker: 1, ...one, tablets: 0 }]]).values())).toBeUndefined()
})
