import { vi } from 'vitest'
import { realWorld } from '../../broker/world/world.ts'
import { simWorld } from '../sim/world.ts'
import { networkContract } from './network.ts'

networkContract('real', () => ({
  network: realWorld().network,
  host: '127.0.0.1',
  until: async holds => void (await vi.waitUntil(holds, { timeout: 10_000 })),
}))

networkContract('simulated', () => {
  const { world, clock } = simWorld({ seed: 1, host: 'a' })
  return { network: world.network, host: 'a', until: holds => clock.runUntil(holds) }
})
