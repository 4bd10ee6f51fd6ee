import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { realWorld } from '../../broker/world/world.ts'
import { simWorld } from '../sim/world.ts'
import { diskContract } from './disk.ts'

diskContract('real', () => {
  const directory = mkdtempSync(`${tmpdir()}/stele-disk-`)
  return {
    disk: realWorld().disk,
    directory,
    finish: promise => promise,
    end: () => rmSync(directory, { recursive: true }),
  }
})

diskContract('simulated', () => {
  const { world, clock } = simWorld({ seed: 1 })
  world.disk.makeDirectory('/data')
  return {
    disk: world.disk,
    directory: '/data',
    finish: promise => clock.finish(promise),
    end: () => undefined,
  }
})
