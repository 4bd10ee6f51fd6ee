/** Replicas that move because there are more brokers, or fewer, or one that does not come back. */
import { expect, test } from 'vitest'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import { isMoving } from '../../../control/moves.ts'
import { Operated } from './operated.ts'

async function placed(brokers: number, tablets: number, replication: number): Promise<Operated> {
  const all = new Operated(3, ['a'])
  all.kubelets.replicates = true
  all.cluster({ brokers })
  all.start()
  await all.converged()
  all.topic('orders', { tablets, replication })
  await all.converged()
  return all
}

const tabletsOf = (all: Operated) => all.kube.peekAll(tabletSlices).flatMap(({ tablets }) => tablets)
const holds = (all: Operated) => {
  const counts: Record<number, number> = {}
  for (const { replicas } of tabletsOf(all)) for (const id of replicas) counts[id] = (counts[id] ?? 0) + 1
  return counts
}
/** The most moves that any broker had part in at once. */
function watchMoves(all: Operated): { most: number; messages: Set<string> } {
  const seen = { most: 0, messages: new Set<string>() }
  all.kube.onChange(tabletSlices, () => {
    const busy: Record<number, number> = {}
    for (const { adding, removing } of tabletsOf(all))
      for (const id of [...adding, ...removing]) busy[id] = (busy[id] ?? 0) + 1
    seen.most = Math.max(seen.most, ...Object.values(busy))
    seen.messages.add(all.condition('Progressing')?.message ?? '')
  })
  return seen
}

async function noMoreWrites(all: Operated): Promise<void> {
  const before = all.writes.length
  await all.clock.runFor(300_000)
  expect(all.writes.slice(before)).toEqual([])
}

test('new brokers get their share, a few tablets at a time, and then nothing is written any more', async () => {
  const all = await placed(3, 30, 2)
  expect(holds(all)).toEqual({ 0: 20, 1: 20, 2: 20 })
  const moves = watchMoves(all)
  all.cluster({ brokers: 5 })
  await all.clock.runUntil(() => (all.clusterNow()?.status?.tablets?.moving ?? 0) > 0)
  expect(all.condition('Progressing')?.reason).toBe('MovingTablets')
  await all.converged()
  expect(holds(all)).toEqual({ 0: 12, 1: 12, 2: 12, 3: 12, 4: 12 })
  expect(moves.most).toBe(4)
  expect([...moves.messages]).toContainEqual(
    expect.stringMatching(/^\d+ tablets have replicas that are still to move/),
  )
  expect(all.clusterNow()?.status?.tablets).toEqual({ total: 30, underReplicated: 0, offline: 0, moving: 0 })
  await noMoreWrites(all)
})

test('brokers in excess are drained, and then go', async () => {
  const all = await placed(5, 20, 2)
  all.cluster({ brokers: 3 })
  await all.converged()
  expect(all.sets()).toEqual([0, 1, 2].map(id => `events-broker-${id}`))
  expect(new Set(Object.keys(holds(all)))).toEqual(new Set(['0', '1', '2']))
  expect(tabletsOf(all).every(({ isr }) => isr.length === 2)).toBe(true)
  await noMoreWrites(all)
})

test('the copies of a broker that does not come back are made again elsewhere; when it is back it gets its share', async () => {
  const all = await placed(4, 12, 2)
  all.cluster({ replaceAfter: '10m' })
  await all.converged()
  all.kubelets.crashing.add(1)
  await all.clock.runFor(500_000)
  expect(holds(all)[1]).toBe(6)
  await all.clock.runFor(600_000)
  expect(holds(all)).toEqual({ 0: 8, 2: 8, 3: 8 })
  expect(tabletsOf(all).every(tablet => tablet.isr.length === 2 && !isMoving(tablet))).toBe(true)
  all.kubelets.crashing.clear()
  await all.converged()
  expect(holds(all)).toEqual({ 0: 6, 1: 6, 2: 6, 3: 6 })
})

test('of several brokers that are gone nothing is made again before all but one are back', async () => {
  const all = await placed(4, 8, 2)
  const before = holds(all)
  all.kubelets.crashing.add(1).add(2)
  await all.clock.runFor(900_000)
  expect(holds(all)).toEqual(before)
  expect(all.condition('Degraded')?.message).toContain(
    'brokers 1, 2 have been gone for longer than spec.replaceAfter',
  )
  all.kubelets.crashing.delete(1)
  await all.clock.runFor(600_000)
  expect(holds(all)[2]).toBeUndefined()
})

test('the last copy stays where it is', async () => {
  const all = await placed(3, 6, 1)
  const before = holds(all)
  all.kubelets.crashing.add(1)
  await all.clock.runFor(900_000)
  expect(holds(all)).toEqual(before)
  expect(tabletsOf(all).some(isMoving)).toBe(false)
})
