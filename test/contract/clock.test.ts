import { realWorld } from '../../broker/world/world.ts'
import { simWorld } from '../sim/world.ts'
import { clockContract } from './clock.ts'

clockContract('real', () => ({ clock: realWorld().clock, finish: promise => promise }))

clockContract('simulated', () => {
  const { world, clock } = simWorld({ seed: 1 })
  return { clock: world.clock, finish: promise => clock.finish(promise) }
})
