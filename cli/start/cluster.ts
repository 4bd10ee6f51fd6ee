/**
 * Several brokers on one machine, for people to try and for tests: each is a process of its own, and this one keeps their control store and does nothing
 * else, so that any broker may be killed. It starts again what has ended, and leaves no broker behind.
 */
import { resolve } from 'node:path'
import type { Logger } from 'pino'
import { brokerId } from '../../base/quantities.ts'
import { resolveBroker } from '../../broker/settings/resolve.ts'
import { realWorld } from '../../broker/world/world.ts'
import { openEmbeddedStore } from '../../control/embedded/store.ts'
import { StoreServer } from '../../control/served/server.ts'
import type { ControlStore } from '../../control/store.ts'
import { Failure, usageFailure } from '../failure.ts'
import { openLog } from '../logger.ts'
import { write } from '../output.ts'
import { openClusterDirectory, othersEnded } from './cluster-directory.ts'
import { command } from './command-name.ts'
import { settingsOf, type Given } from './given-settings.ts'
import { clusterGreeting, clusterReadyLine, type Doors } from './greeting.ts'
import { MemberProcess } from './member-process.ts'
import { memberSettings, type Ports, type Wanted } from './member-settings.ts'
import { startFailure } from './start-failure.ts'
import { stopSignal } from './stop-signal.ts'

type Options = Given & {
  readonly data: string
  readonly brokers: number
  readonly kafka?: string
  readonly http?: string
  readonly json?: true
  readonly control: 'embedded' | 'kubernetes' | 'parent'
}

/** Runs them until a signal stops all; ends with 0 when each has stopped in order. */
export async function startCluster(options: Options): Promise<void> {
  if (options.control !== 'embedded')
    throw usageFailure('--brokers starts brokers with a control store of their own.', 'Leave out --control.')
  const stopped = stopSignal()
  const { brokers, kafka, http } = options
  const settings = settingsOf(options)
  const wanted: Wanted = { brokers, kafka, http, settings }
  for (let id = 0; id < brokers; id++) memberSettings(wanted, id)
  const { logLevel, logFile } = resolveBroker({ dynamic: {}, static: settings })
  const log = await openLog({ level: logLevel, file: logFile, terminal: process.stderr.isTTY })
  const world = realWorld()
  const directory = opened(() => openClusterDirectory(world, resolve(options.data), brokers))
  const store = opened(() => openEmbeddedStore({ ...world, path: directory.control }))
  const server = new StoreServer({
    clusterId: directory.clusterId,
    store,
    clock: world.clock,
    complete: complete(store, brokers),
  })
  const failed = Promise.withResolvers<'failed'>()
  const doors = new Map<number, Doors>()
  const allReady = Promise.withResolvers<'ready'>()
  const members = Array.from({ length: brokers }, (_, id) => {
    const data = directory.of(id)
    return new MemberProcess({
      id,
      log,
      args: () => memberArguments(data, memberSettings(wanted, id, portsOf(doors.get(id)))),
      serve: channel => server.serve(brokerId(id), channel),
      ready: at => {
        doors.set(id, at)
        if (doors.size === brokers) allReady.resolve('ready')
      },
      started: pid => directory.noteProcess(id, pid),
      failed: () => failed.resolve('failed'),
    })
  })
  process.once('exit', () => {
    for (const member of members) member.kill()
  })
  const paths = Array.from({ length: brokers }, (_, id) => directory.of(id))
  // The clock's timers keep no process alive, and there is nothing else yet.
  const awake = setInterval(() => undefined, 1_000)
  await Promise.race([othersEnded(world, paths, wake), stopped])
  clearInterval(awake)
  for (const member of members) member.start()
  const begun = await Promise.race([allReady.promise, failed.promise, stopped])
  if (begun === 'ready') {
    const running = members.map(({ pid }, id) => ({ id, pid, doors: doors.get(id) ?? noDoors }))
    const text = options.json
      ? clusterReadyLine(running, process.pid)
      : clusterGreeting(running, resolve(options.data), command)
    await write(text)
    log.info({ signal: await stopped }, 'stopping')
  }
  const clean = await stopAll(members, store, log)
  server.stop()
  directory.release()
  if (begun === 'failed') throw new Failure('A broker could not start; what it said stands above.')
  process.exit(clean ? 0 : 1)
}

/** @throws Failure for what the user can change */
function opened<T>(open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw startFailure(error)
  }
}

/** One that is not paused does not notice. */
function wake(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT')
  } catch {
    // It has ended, or is somebody else's.
  }
}

const noDoors: Doors = { kafka: [], http: [] }

/** When so many brokers have registered, now or earlier. */
function complete(store: ControlStore, brokers: number): Promise<void> {
  return new Promise(resolve => {
    const look = (): void => {
      if (store.brokers().size < brokers) return
      stop()
      resolve()
    }
    const stop = store.watch(look)
    look()
  })
}

const memberArguments = (data: string, settings: Readonly<Record<string, string>>): string[] => [
  'start',
  '--control=parent',
  `--data=${data}`,
  ...Object.entries(settings).map(([name, value]) => `--set=${name}=${value}`),
]

function portsOf(doors: Doors | undefined): Ports {
  const port = (addresses: readonly string[] | undefined) => {
    const [first] = addresses ?? []
    return first === undefined ? undefined : Number(first.split(':').at(-1))
  }
  const [kafka, http] = [port(doors?.kafka), port(doors?.http)]
  return { ...(kafka !== undefined && { kafka }), ...(http !== undefined && { http }) }
}

async function stopAll(
  members: readonly MemberProcess[],
  store: ControlStore,
  log: Logger,
): Promise<boolean> {
  const ends = await Promise.all(members.map(member => member.stop()))
  await store.close()
  const clean = ends.every(end => end)
  log.info({ clean }, 'all brokers stopped')
  return clean
}
