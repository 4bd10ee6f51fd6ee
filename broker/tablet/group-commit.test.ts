import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { simWorld } from '../../test/sim/world.ts'
import { GroupCommit, type Synced } from './group-commit.ts'

/** Who writes, and whose syncs take a while on the simulated clock. */
function desk() {
  const sim = simWorld({ seed: 1 })
  const commit = new GroupCommit()
  const state = { underWay: 0, underWayMost: 0, syncs: 0, order: [] as number[] }
  const make = (number: number, takesMs = 1, isAwaited = true) => {
    const own = { written: 0, durable: 0, running: false, syncs: 0 }
    const who: Synced = {
      isAwaited,
      async sync() {
        expect(own.running).toBe(false)
        own.running = true
        own.syncs += 1
        state.syncs += 1
        state.order.push(number)
        state.underWay += 1
        state.underWayMost = Math.max(state.underWayMost, state.underWay)
        const { written } = own
        await new Promise<void>(done => sim.world.clock.after(takesMs, done))
        own.durable = written
        state.underWay -= 1
        own.running = false
      },
    }
    const write = (): void => {
      own.written += 1
      commit.request(who)
    }
    return { own, write }
  }
  return { sim, state, make }
}

test('a lone write is synced at once, with one sync', async () => {
  const { sim, state, make } = desk()
  const { own, write } = make(1)
  write()
  expect(state.underWay).toBe(1)
  await sim.clock.runFor(1)
  expect([own.durable, state.syncs]).toEqual([1, 1])
})

test('who comes while a sync is under way shares the next one', async () => {
  const { sim, state, make } = desk()
  const { own, write } = make(1)
  for (let i = 0; i < 1000; i++) write()
  await sim.clock.runFor(1)
  expect([own.durable, state.syncs]).toEqual([1, 2])
  await sim.clock.runFor(1)
  expect([own.durable, state.syncs]).toEqual([1000, 2])
})

test('at most three are under way, first come first served, one for each', async () => {
  const { sim, state, make } = desk()
  const all = Array.from({ length: 10 }, (_, i) => make(i))
  for (const { write } of all) write()
  for (const { write } of all) write()
  await sim.clock.runFor(100)
  expect(state.underWayMost).toBe(3)
  expect(state.syncs).toBe(13)
  expect(state.order.slice(0, 10)).toEqual([...all.keys()])
  expect(all.every(({ own }) => own.durable === 2)).toBe(true)
})

test('one that always has more does not keep others from their turn', async () => {
  const { sim, state, make } = desk()
  const busy = Array.from({ length: 5 }, (_, i) => make(i))
  const quiet = make(9)
  const again = (): void => {
    for (const { write } of busy) write()
    if (sim.clock.monotonicMs() < 50) sim.world.clock.after(0.5, again)
  }
  again()
  await sim.clock.runFor(10)
  quiet.write()
  const before = state.syncs
  await sim.clock.runUntil(() => quiet.own.durable === 1)
  expect(state.syncs - before).toBeLessThanOrEqual(9)
})

test('whatever comes when, everything written becomes durable', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(6), fc.nat(3)), { maxLength: 80 }), async writes => {
      const { sim, state, make } = desk()
      const all = Array.from({ length: 7 }, (_, i) => make(i, 1 + (i % 3)))
      for (const [number, waitMs] of writes) {
        all[number]?.write()
        await sim.clock.runFor(waitMs / 2)
      }
      await sim.clock.runFor(1000)
      for (const { own } of all) expect(own.durable).toBe(own.written)
      expect(state.underWayMost).toBeLessThanOrEqual(3)
      expect(state.syncs).toBeLessThanOrEqual(writes.length)
    }),
    { numRuns: 50 },
  )
})

test('what nobody waits for leaves a place to what somebody waits for, and comes to its end', async () => {
  const { sim, state, make } = desk()
  const copies = Array.from({ length: 6 }, (_, i) => make(i, 100, false))
  for (const { write } of copies) write()
  expect(state.underWay).toBe(2)
  const awaited = make(9)
  awaited.write()
  await sim.clock.runFor(1)
  expect(awaited.own.durable).toBe(1)
  await sim.clock.runFor(300)
  expect(copies.map(({ own }) => own.durable)).toEqual([1, 1, 1, 1, 1, 1])
})
