import { expect, test } from 'vitest'
import { simWorld } from '../../test/sim/world.ts'
import type { Consumer } from './consumer.ts'
import { SimQueues, values } from './queues.fixture.ts'
import { Waiting } from './waiting.ts'

const consumer = (id: string): Consumer => ({
  id,
  topics: ['t'],
  visibilityTimeoutMs: 1_000,
  maxUnacknowledged: 1,
  offsetReset: 'earliest',
  unacknowledged: 0,
  untilMs: 0,
  gone: false,
})

function start() {
  const { clock, world } = simWorld({ seed: 1 })
  const waiting = new Waiting(world.clock)
  const woken: string[] = []
  const waits = (who: Consumer, ms = 1_000, signal = new AbortController().signal) =>
    void waiting.change(who, waiting.changes, ms, signal).then(() => woken.push(who.id))
  return { clock, waiting, woken, waits }
}

test('a change wakes the one who has waited longest; what is left goes to the next who has not looked since', async () => {
  const { clock, waiting, woken, waits } = start()
  const [a, b, c] = [consumer('a'), consumer('b'), consumer('c')]
  for (const one of [a, b, c]) waits(one)
  waiting.wake()
  await clock.settle()
  expect(woken).toEqual(['a'])
  // It has looked, and waits again: it is not asked again before the others.
  waits(a)
  waiting.passOn()
  waiting.passOn()
  waiting.passOn()
  await clock.settle()
  expect(woken).toEqual(['a', 'b', 'c'])
  waiting.wake()
  await clock.settle()
  expect(woken).toEqual(['a', 'b', 'c', 'a'])
})

test('who can take no more is passed over until he can, or is gone', async () => {
  const { clock, waiting, woken, waits } = start()
  const [a, b] = [consumer('a'), consumer('b')]
  a.unacknowledged = 1
  for (const one of [a, b, a]) waits(one)
  waiting.wake()
  await clock.settle()
  expect(woken).toEqual(['b'])
  waiting.passOn()
  await clock.settle()
  expect(woken).toEqual(['b'])
  waiting.wakeAllOf(a)
  await clock.settle()
  expect(woken).toEqual(['b', 'a', 'a'])
})

test('nobody waits when something has changed since he looked, after his time, or when he is gone', async () => {
  const { clock, waiting, woken, waits } = start()
  const leave = new AbortController()
  waits(consumer('late'), 100)
  waits(consumer('left'), 1_000, leave.signal)
  await clock.runFor(50)
  leave.abort()
  await clock.settle()
  expect(woken).toEqual(['left'])
  await clock.runFor(100)
  expect(woken).toEqual(['left', 'late'])
  const before = waiting.changes
  waiting.wake()
  await waiting.change(consumer('quick'), before, 1_000, leave.signal)
  waits(consumer('last'))
  waits(consumer('least'))
  waiting.wakeAll()
  await clock.settle()
  expect(woken).toEqual(['left', 'late', 'last', 'least'])
})

test('records that come at once go to as many as wait, past those who are full or read something else', async () => {
  const all = await SimQueues.start({ partitions: 2 })
  await all.makeTopic('u')
  const full = await all.consumer('g', { maxUnacknowledged: 1 })
  await all.write(0, ['first'])
  const held = await all.receive(full)
  const others = await Promise.all([
    all.consumer('g', { topics: ['u'] }),
    all.consumer('g', { topics: ['u'] }),
  ])
  // The group shares its work out anew: u is read too.
  await all.sim.clock.runUntil(() => full.queue.share.length === 2)
  await all.sim.clock.runFor(1_000)
  const wanting = await Promise.all(Array.from({ length: 20 }, () => all.consumer()))
  const waits = [full, ...others, ...wanting].map(one => all.receiving(one, 1, 60_000))
  await all.sim.clock.runFor(1_000)
  const records = Array.from({ length: 20 }, (_, n) => `${n}`)
  const beforeMs = all.sim.clock.monotonicMs()
  await all.write(1, records)
  const got = await all.done(Promise.all(waits.slice(3)))
  expect(got.flatMap(values)).toHaveLength(20)
  expect(new Set(got.flatMap(values))).toEqual(new Set(records))
  expect(all.sim.clock.monotonicMs() - beforeMs).toBeLessThan(400)
  await all.write(0, ['more'])
  expect(await all.acknowledge(full, held)).toEqual([''])
  const [more] = waits
  expect(more && values(await all.done(more))).toEqual(['more'])
  await all.write(0, ['of u', 'of u'], 'u')
  expect((await all.done(Promise.all(waits.slice(1, 3)))).map(values)).toEqual([['of u'], ['of u']])
})
