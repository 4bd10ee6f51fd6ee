/**
 * The real world: this machine's clock, chance, disk and network, behind the interfaces of `base/world.ts`.
 * Nothing enters but calls of those interfaces; only here does the broker touch timers, `node:fs` and the system's randomness.
 * What always holds: `test/contract` passes on this world and on the simulated one alike.
 */
import { randomBytes } from 'node:crypto'
import type { World } from '../../base/world.ts'
import { realClock } from './clock.ts'
import { realDisk } from './disk.ts'
import { realNetwork } from './network.ts'

export const realWorld = (): World => ({
  clock: realClock,
  random: { bytes: count => randomBytes(count) },
  disk: realDisk,
  network: realNetwork,
})
