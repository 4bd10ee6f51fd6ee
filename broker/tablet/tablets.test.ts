import { expect, test } from 'vitest'
import { makeTopic, startSimBroker, tabletOf } from '../../test/sim/broker.ts'
import { simWorld } from '../../test/sim/world.ts'

test('partitions added while the others are recovered are served too', async () => {
  const sim = simWorld({ seed: 3 })
  const before = await sim.clock.finish(startSimBroker(sim))
  const { id } = await sim.clock.finish(makeTopic(before, 't', {}, 64))
  sim.kill()
  let added: Promise<unknown> | undefined
  const starting = startSimBroker(
    sim,
    {},
    {
      beforeStart: ({ store }) => {
        added = Promise.resolve().then(() => store.addTablets(id, 65))
      },
    },
  )
  const broker = await sim.clock.finish(starting)
  await sim.clock.finish(added ?? Promise.resolve())
  await sim.clock.runUntil(() => tabletOf(broker, 't', 64).role === 'leader')
  expect(tabletOf(broker, 't', 63).role).toBe('leader')
})
