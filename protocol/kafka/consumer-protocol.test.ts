import { AssignerProtocol } from 'kafkajs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { assignedTopics, assignmentOf, subscribedTopics, subscriptionTo } from './consumer-protocol.ts'

test('what kafkajs writes is read', () => {
  const topics = ['orders', 'payments']
  const subscription = AssignerProtocol.MemberMetadata.encode({
    version: 1,
    topics,
    userData: Buffer.from('x'),
  })
  expect(subscribedTopics(subscription)).toEqual(topics)
  const assignment = AssignerProtocol.MemberAssignment.encode({
    version: 0,
    assignment: { orders: [0, 2], payments: [1] },
    userData: Buffer.alloc(0),
  })
  expect(assignedTopics(assignment)).toEqual([
    { topic: 'orders', partitions: [0, 2] },
    { topic: 'payments', partitions: [1] },
  ])
})

test('what is written here is read by kafkajs, and back', () => {
  const topics = ['orders', 'zahlungen-ä']
  expect(AssignerProtocol.MemberMetadata.decode(subscriptionTo(topics))?.topics).toEqual(topics)
  expect(subscribedTopics(subscriptionTo(topics))).toEqual(topics)
  const assigned = [
    { topic: 'orders', partitions: [0, 2] },
    { topic: 'payments', partitions: [] },
  ]
  expect(AssignerProtocol.MemberAssignment.decode(assignmentOf(assigned))?.assignment).toEqual({
    orders: [0, 2],
    payments: [],
  })
  expect(assignedTopics(assignmentOf(assigned))).toEqual(assigned)
})

test('other bytes are undefined, whatever they are', () => {
  expect(subscribedTopics(Buffer.alloc(0))).toBeUndefined()
  expect(subscribedTopics(Buffer.from('000000000001ffff', 'hex'))).toBeUndefined()
  expect(assignedTopics(Buffer.from('00007fffffff', 'hex'))).toBeUndefined()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
      subscribedTopics(Buffer.from(bytes))
      assignedTopics(Buffer.from(bytes))
    }),
  )
})
