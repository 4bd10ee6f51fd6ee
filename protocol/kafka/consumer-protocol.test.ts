import { AssignerProtocol } from 'kafkajs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { assignedTopics, subscribedTopics } from './consumer-protocol.ts'

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
