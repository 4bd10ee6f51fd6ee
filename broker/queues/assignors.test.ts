import { AssignerProtocol, PartitionAssigners } from 'kafkajs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { assignors, type Subscriber } from './assignors.ts'

const counts: Record<string, number> = { a: 3, b: 1, c: 2 }
const partitionsOf = (topic: string): number => counts[topic] ?? 0

const shares = (protocol: string, subscribers: readonly Subscriber[]): Record<string, string> =>
  Object.fromEntries(
    [...(assignors.get(protocol)?.(subscribers, partitionsOf) ?? [])].map(([memberId, share]) => [
      memberId,
      share.flatMap(({ topic, partitions }) => partitions.map(partition => topic + partition)).join(' '),
    ]),
  )

const both = [
  { memberId: 'y', topics: ['c', 'a'] },
  { memberId: 'x', topics: ['a', 'c'] },
]

test('range gives stretches of each topic, roundrobin goes round over all', () => {
  expect(shares('range', both)).toEqual({ x: 'a0 a1 c0', y: 'a2 c1' })
  expect(shares('roundrobin', both)).toEqual({ x: 'a0 a2 c1', y: 'a1 c0' })
  const uneven = [...both, { memberId: 'z', topics: ['b', 'c', 'none'] }]
  expect(shares('range', uneven)).toEqual({ x: 'a0 a1 c0', y: 'a2 c1', z: 'b0' })
  expect(shares('roundrobin', uneven)).toEqual({ x: 'a0 a2 c0', y: 'a1 c1', z: 'b0' })
})

test('everything that is subscribed to is given, once, to somebody who wants it', () => {
  const subscribers = fc.uniqueArray(
    fc.record({ memberId: fc.string(), topics: fc.subarray(['a', 'b', 'c', 'none']) }),
    { selector: ({ memberId }) => memberId, maxLength: 6 },
  )
  fc.assert(
    fc.property(subscribers, fc.constantFrom(...assignors.keys()), (all, protocol) => {
      const assigned = assignors.get(protocol)?.(all, partitionsOf) ?? new Map()
      const given: string[] = []
      for (const { memberId, topics } of all) {
        for (const { topic, partitions } of assigned.get(memberId) ?? []) {
          expect(topics).toContain(topic)
          for (const partition of partitions) given.push(`${topic}${partition}`)
        }
      }
      const wanted = Object.entries(counts)
        .filter(([topic]) => all.some(({ topics }) => topics.includes(topic)))
        .flatMap(([topic, count]) => Array.from({ length: count }, (_, partition) => `${topic}${partition}`))
      expect(given.toSorted()).toEqual(wanted.toSorted())
    }),
  )
})

test('the name of kafkajs’ assigner is among them', () => {
  const cluster = { findTopicPartitionMetadata: () => [] } as unknown as Parameters<
    typeof PartitionAssigners.roundRobin
  >[0]['cluster']
  const assigner = PartitionAssigners.roundRobin({ cluster, groupId: 'g' } as Parameters<
    typeof PartitionAssigners.roundRobin
  >[0])
  expect([...assignors.keys()]).toContain(assigner.name)
  expect(
    AssignerProtocol.MemberMetadata.decode(assigner.protocol({ topics: ['a'] }).metadata)?.topics,
  ).toEqual(['a'])
})
