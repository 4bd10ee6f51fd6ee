/** Replicas that move because there are more brokers, or fewer, or one that does not come back. */
import { expect, test } from 'vitest'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import { isMoving, movedTo } from '../../../control/moves.ts'
import { Operated } from './operated.ts'

async function placed(
  brokers: number,
  tablets: number,
  replication: number,
  zones: readonly string[] = ['a'],
): Promise<Operated> {
  const all = new Operated(3, zones)
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

const ready = (all: Operated) => all.topicNow('orders')?.status?.conditions?.[0]
const copies = (all: Operated) => new Set(tabletsOf(all).map(({ replicas }) => replicas.length))

test('spec.replication may change: copies are made, in zones without one first, and taken away again', async () => {
  const all = await placed(4, 8, 1, ['a', 'b'])
  const leaders = tabletsOf(all).map(({ leader }) => leader)
  const moves = watchMoves(all)
  all.topic('orders', { replication: 2 })
  await all.clock.runUntil(() => ready(all)?.reason === 'ChangingReplication')
  expect(ready(all)).toMatchObject({
    status: 'True',
    message: expect.stringMatching(/^spec.replication is 2: \d of 8 tablets/) as string,
  })
  await all.converged()
  expect(copies(all)).toEqual(new Set([2]))
  expect(tabletsOf(all).every(tablet => tablet.isr.length === 2 && !isMoving(tablet))).toBe(true)
  const zones = new Map(all.clusterNow()?.status?.brokers?.map(({ id, zone }) => [id, zone]))
  expect(tabletsOf(all).every(({ replicas: [a = -1, b = -1] }) => zones.get(a) !== zones.get(b))).toBe(true)
  expect(moves.most).toBeLessThanOrEqual(4)
  all.topic('orders', { replication: 3 })
  await all.converged()
  expect(copies(all)).toEqual(new Set([3]))
  all.topic('orders', { replication: 1 })
  await all.converged()
  expect(copies(all)).toEqual(new Set([1]))
  expect(tabletsOf(all).map(({ replicas }) => replicas[0])).toEqual(leaders)
  expect(all.topicNow('orders')?.status).toMatchObject({ replication: 1, tablets: 8, led: 8 })
  expect(ready(all)?.reason).toBe('Placed')
  await noMoreWrites(all)
})

test('more copies than brokers wait for brokers', async () => {
  const all = await placed(2, 4, 2)
  all.topic('orders', { replication: 3 })
  await all.clock.runUntil(() => ready(all)?.reason === 'ReplicationTooHigh')
  await all.quiet()
  expect(copies(all)).toEqual(new Set([2]))
  all.cluster({ brokers: 3 })
  await all.converged()
  expect(copies(all)).toEqual(new Set([3]))
})

test("what Kafka's tools say of single tablets stays; when they have said it of all, spec.replication follows", async () => {
  const all = await placed(3, 4, 1)
  const tell = (tablets: readonly number[]): void => {
    const [slice] = all.kube.peekAll(tabletSlices)
    if (slice === undefined) throw new Error('no slice')
    const told = slice.tablets.map((tablet, at) => {
      const target = [tablet.replicas[0] ?? 0, ((tablet.replicas[0] ?? 0) + 1) % 3]
      const places = tablets.includes(at) ? movedTo(tablet, target) : undefined
      return places === undefined ? tablet : { ...tablet, ...places, version: tablet.version + 1 }
    })
    const key = { namespace: 'logs', name: slice.metadata.name }
    all.kube.set(tabletSlices, key, now => now && { ...now, tablets: told })
  }
  tell([0, 1])
  await all.converged()
  expect(tabletsOf(all).map(({ replicas }) => replicas.length)).toEqual([2, 2, 1, 1])
  expect(ready(all)?.message).toContain('2 of them not as many replicas as spec.replication says, 1')
  expect(all.topicNow('orders')?.spec.replication).toBe(1)
  await noMoreWrites(all)
  tell([2, 3])
  await all.converged()
  expect(copies(all)).toEqual(new Set([2]))
  expect(all.topicNow('orders')).toMatchObject({ spec: { replication: 2 }, status: { replication: 2 } })
  await noMoreWrites(all)
})
