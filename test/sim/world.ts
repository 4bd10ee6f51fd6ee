/**
 * The simulated world: a seed enters, and time, chance and a disk come out that do what real ones may do at their worst.
 * The test stands outside: it moves the time, breaks the disk, kills the process and cuts the power.
 * What always holds: the same seed and the same calls give the same history; what a sync covered survives everything.
 */
import type { World } from '../../base/world.ts'
import { SimClock, type SimProcess } from './clock.ts'
import { type CrashKind, SimDisk } from './disk.ts'
import { SimFileSystem } from './file-system.ts'
import { Seeded } from './seeded.ts'

export type SimWorld = {
  readonly clock: SimClock
  readonly disk: SimDisk
  /** Chance for the test itself, from the same seed. */
  readonly random: Seeded
  /** The world as the running process sees it. Ask again after a kill or a crash: the old one is dead, and so is all it opened. */
  readonly world: World
  /** Ends the process as kill -9 does: nothing on the disk is lost. */
  kill(): void
  /** Cuts the power: what no sync covers is lost, kept or (the default) torn by the seed. */
  crash(how?: CrashKind): void
}

export type SimWorldOptions = {
  readonly seed: number
  readonly sectorBytes?: 512 | 4096
  /** Of another world, for machines that live in the same time. */
  readonly clock?: SimClock
}

/** Starts a world in the year 2026, with an empty disk. */
export function simWorld({ seed, sectorBytes, clock: shared }: SimWorldOptions): SimWorld {
  const random = new Seeded(seed)
  const clock = shared ?? new SimClock(Date.UTC(2026, 0, 1))
  const disk = new SimDisk(clock, random.fork(), sectorBytes ?? random.pick([512, 4096]))
  const fileSystem = new SimFileSystem(disk)
  let process: SimProcess = { alive: true }
  const start = (): World => {
    const chance = random.fork()
    process = { alive: true }
    return {
      clock: clock.clockOf(process),
      random: { bytes: count => chance.bytes(count) },
      disk: fileSystem.diskOf(process),
    }
  }
  let world = start()
  const kill = (): void => {
    process.alive = false
    fileSystem.forget(process)
    world = start()
  }
  return {
    clock,
    disk,
    random: random.fork(),
    get world() {
      return world
    },
    kill,
    crash(how = 'tear') {
      fileSystem.crash(how)
      kill()
    },
  }
}
