/**
 * The simulated world: a seed enters, and time, chance and a disk come out that do what real ones may do at their worst.
 * The test stands outside: it moves the time, breaks the disk, kills the process and cuts the power.
 * What always holds: the same seed and the same calls give the same history; what a sync covered survives everything.
 */
import type { World } from '../../base/world.ts'
import { SimClock, type SimProcess } from './clock.ts'
import { type CrashKind, SimDisk } from './disk.ts'
import { SimFileSystem } from './file-system.ts'
import { SimNetwork } from './network.ts'
import { Seeded } from './seeded.ts'

export type SimWorld = {
  readonly clock: SimClock
  readonly disk: SimDisk
  /** Chance for the test itself, from the same seed. */
  readonly random: Seeded
  readonly network: SimNetwork
  /** How far its wall clock is ahead of the one that all have in common; whatever it does, monotonic time goes on. */
  readonly wall: { offMs: number }
  /** The world as the running process sees it. Ask again after a kill or a crash: the old one is dead, and so is all it opened. */
  readonly world: World
  /** Stops the process in the middle of whatever it does, as SIGSTOP does, and lets it go on. */
  pause(): void
  resume(): void
  /** Ends the process as kill -9 does: nothing on the disk is lost. */
  kill(): void
  /** Cuts the power: what no sync covers is lost, kept or (the default) torn by the seed. */
  crash(how?: CrashKind): void
}

/** What several worlds of one simulation have in common. */
export type SimShared = { readonly clock: SimClock; readonly network: SimNetwork }

export function simShared(random: Seeded): SimShared {
  const clock = new SimClock(Date.UTC(2026, 0, 1))
  return { clock, network: new SimNetwork(clock, random) }
}

export type SimWorldOptions = {
  readonly seed: number
  readonly sectorBytes?: 512 | 4096
  /** Its name in the network that it shares with other worlds. */
  readonly host?: string
  readonly shared?: SimShared
  /** Of another world, for machines that live in the same time and are not connected. */
  readonly clock?: SimClock
}

/** Starts a world in the year 2026, with an empty disk. */
export function simWorld({
  seed,
  sectorBytes,
  host = 'localhost',
  shared,
  clock: given,
}: SimWorldOptions): SimWorld {
  const random = new Seeded(seed)
  const clock = shared?.clock ?? given ?? new SimClock(Date.UTC(2026, 0, 1))
  const disk = new SimDisk(clock, random.fork(), sectorBytes ?? random.pick([512, 4096]))
  const fileSystem = new SimFileSystem(disk)
  let process: SimProcess = { alive: true }
  const wall = { offMs: 0 }
  const network = shared?.network ?? new SimNetwork(clock, new Seeded(seed))
  const start = (): World => {
    const chance = random.fork()
    process = { alive: true }
    return {
      clock: clock.clockOf(process, wall),
      random: { bytes: count => chance.bytes(count) },
      disk: fileSystem.diskOf(process),
      network: network.networkOf(host, process),
    }
  }
  let world = start()
  const kill = (): void => {
    process.alive = false
    network.died(process)
    fileSystem.forget(process)
    world = start()
  }
  return {
    clock,
    disk,
    random: random.fork(),
    network,
    wall,
    get world() {
      return world
    },
    pause: () => {
      process.paused = true
    },
    resume: () => clock.resume(process),
    kill,
    crash(how = 'tear') {
      fileSystem.crash(how)
      kill()
    },
  }
}
