import { expect, test } from 'vitest'
import { brokerId, incarnation } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import { createTopics, leaving, registerBroker } from './changes.ts'
import { Draft, emptyState } from './state.ts'

test('nothing new goes to a broker that is about to stop while the others are enough, and it never leads first', () => {
  const draft = new Draft(emptyState)
  for (const id of [0, 1, 2].map(brokerId)) {
    const start = {
      brokerId: id,
      diskId: `d${id}`,
      cleanStop: true,
      bootId: 'b',
      rack: undefined,
      addresses: {},
    }
    registerBroker(draft, start)
  }
  leaving(draft, brokerId(0), incarnation(1))
  const placed = (name: string, replication: number) => {
    const random = { bytes: () => Buffer.alloc(16, name) }
    const [topic] = createTopics(draft, [{ name, settings: {}, tablets: 4, replication }], random)
    if (topic === undefined || topic instanceof Refusal) throw topic ?? new Error('no answer')
    return topic.tablets
  }
  expect(placed('two', 2).flatMap(({ replicas }) => replicas)).not.toContain(0)
  const all = placed('three', 3)
  expect(all.every(({ replicas }) => replicas.length === 3)).toBe(true)
  expect(all.map(({ leader }) => leader)).not.toContain(0)
})
