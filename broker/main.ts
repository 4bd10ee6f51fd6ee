/**
 * The broker, from the top: settings -> world -> data directory -> control store -> tablets -> doors. Its doors are open while tablets recover, so that
 * probes and clients are told to wait; it resolves when every tablet serves or has said why it cannot.
 */
import type { Logger } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { MIB, brokerId } from '../base/quantities.ts'
import type { World } from '../base/world.ts'
import { openEmbeddedStore } from '../control/embedded/store.ts'
import { cleanerOnThread } from './compaction-thread.ts'
import { openHttpDoor } from './doors/http/door.ts'
import { openKafkaDoor } from './doors/kafka/door.ts'
import { Groups } from './groups/groups.ts'
import { Checkpoints } from './log/checkpoint.ts'
import { DataDirectory } from './log/data-directory.ts'
import { ReadBuffers } from './log/read-buffers.ts'
import { Reserve, withReserve } from './log/reserve.ts'
import { SegmentCache } from './log/segment-cache.ts'
import { TailMemory } from './log/tail-memory.ts'
import { Queues } from './queues/queues.ts'
import { Router } from './router/router.ts'
import { advertised, withListener } from './settings/listeners.ts'
import { resolveBroker, resolveTopic, type BrokerSettings } from './settings/resolve.ts'
import { Compactions } from './tablet/compactions.ts'
import { GroupCommit } from './tablet/group-commit.ts'
import { Tablets } from './tablet/tablets.ts'
import { realWorld } from './world/world.ts'

export type BrokerOptions = {
  readonly dataDirectory: string
  /** HOST:PORT of the doors, when not those of `listeners`. */
  readonly kafka: string | undefined
  readonly http: string | undefined
  /** By Kafka's names, checked. */
  readonly settings: Readonly<Record<string, string>>
  readonly log: Logger
  readonly version: string
}

export type RunningBroker = {
  readonly kafka: readonly string[]
  readonly http: readonly string[]
  /** Finishes what is under way, brings everything to disk, closes. */
  stop(): Promise<void>
}

/**
 * Starts a broker on `dataDirectory`.
 * @throws DataDirectoryRefused, Refusal (settings, control.json), Error (a port in use); each message says what to do
 */
export async function startBroker(options: BrokerOptions): Promise<RunningBroker> {
  const { log } = options
  const staticSettings = withDoors(options)
  const settings = resolveBroker({ dynamic: {}, static: staticSettings })
  const real = realWorld()
  const directory = DataDirectory.open(real, options.dataDirectory, brokerId(settings.brokerId))
  const reserve = new Reserve(real.disk, `${directory.path}/reserve`)
  const world = { ...real, disk: withReserve(real.disk, reserve) }
  const stopReserve = reserve.keep(world.clock)
  const undo: (() => Promise<void> | void)[] = [stopReserve, () => directory.release()]
  try {
    const { router, tablets, checkpoints, store } = await openTablets(world, directory, staticSettings, log)
    undo.unshift(() => store.close())
    const registry = new Registry()
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 50 })
    const [kafkaAt, httpAt] = [place(settings.listeners, 'kafka'), place(settings.listeners, 'http')]
    const doorLog = (door: string) => log.child({ door })
    const { version } = options
    const queues = new Queues({ world, router, log: doorLog('http') })
    const http =
      httpAt === undefined
        ? undefined
        : await openHttpDoor({
            world,
            router,
            queues,
            log: doorLog('http'),
            metrics: registry,
            address: httpAt,
            version,
          })
    undo.unshift(() => http?.stop())
    const kafka =
      kafkaAt === undefined
        ? undefined
        : await openKafkaDoor({ world, router, log: doorLog('kafka'), registry, address: kafkaAt })
    undo.unshift(() => kafka?.stop())
    const current = store.brokers().get(router.self)
    if (current !== undefined) {
      await store.announceAddresses(router.self, current.incarnation, {
        ...(kafka && { kafka: advertised(settings, 'kafka', kafka.addresses[0]?.port ?? 0) }),
        ...(http && { http: advertised(settings, 'http', http.addresses[0]?.port ?? 0) }),
      })
    }
    await directory.begin()
    await recover(world, tablets, router, directory.wasClean, log)
    tablets.maintain(() => ({
      retentionCheckMs: router.settings.logRetentionCheckIntervalMs,
      checkpointMs: router.settings.logFlushOffsetCheckpointIntervalMs,
      producerIdExpirationMs: router.settings.producerIdExpirationMs,
    }))
    const compactions = compactionsOf(world, tablets, settings, log)
    if (settings.logCleanerEnable) compactions.start()
    const stop = async (): Promise<void> => {
      router.end()
      await queues.end()
      router.groups.end()
      await kafka?.stop()
      await http?.stop()
      await compactions.stop()
      const clean = await tablets.stop()
      await store.close()
      try {
        checkpoints.saveNow()
        if (clean) directory.endCleanly()
      } catch (error) {
        log.warn({ error }, 'could not mark the stop as a clean one: the next start recovers')
      }
      stopReserve()
      directory.release()
      log.info({ clean }, 'broker stopped')
    }
    return { kafka: kafka?.addresses.map(text) ?? [], http: http?.addresses.map(text) ?? [], stop }
  } catch (error) {
    for (const step of undo) await step()
    throw error
  }
}

/** Everything below the doors, not yet recovered. */
async function openTablets(
  world: World,
  directory: DataDirectory,
  staticSettings: Readonly<Record<string, string>>,
  log: Logger,
) {
  const { checkpoints, damaged } = Checkpoints.open(world.disk, directory.path)
  if (damaged) log.warn('recovery-point.json is not readable: every log is checked from its start')
  directory.requireControlStore(`${directory.path}/control.json`)
  const store = openEmbeddedStore({ ...world, path: `${directory.path}/control.json` })
  const settings = resolveBroker({ dynamic: store.brokerSettings(), static: staticSettings })
  const { brokerId: self, rack } = settings
  const { diskId, clusterId } = directory.meta
  const { incarnation } = await store.registerBroker({
    brokerId: brokerId(self),
    diskId,
    cleanStop: directory.wasClean,
    bootId: undefined,
    rack: rack === '' ? undefined : rack,
    addresses: {},
  })
  const logs = {
    world,
    tailMemory: new TailMemory(settings.tailMemoryBytes),
    segmentCache: new SegmentCache(settings.segmentsOpenMax),
    readBuffers: new ReadBuffers(),
  }
  const tablets = new Tablets({
    shared: { world, log, logs, groupCommit: new GroupCommit(), checkpoints },
    store,
    self: brokerId(self),
    incarnation,
    dataDirectory: directory.path,
    settingsOf: topic =>
      resolveTopic({ topic: topic.settings, dynamic: store.brokerSettings(), static: staticSettings }),
    clean: directory.wasClean && !damaged,
  })
  const identity = { self: brokerId(self), incarnation, clusterId, dataDirectory: directory.path }
  const groups = new Groups({ world, store, tablets, log, settings })
  const router = new Router({ world, store, tablets, groups, staticSettings, ...identity })
  return { router, tablets, checkpoints, store }
}

const compactionsOf = (world: World, tablets: Tablets, settings: BrokerSettings, log: Logger): Compactions =>
  new Compactions({
    world,
    log,
    cleaner: cleanerOnThread(),
    tablets,
    limits: {
      mapBytesMax: settings.logCleanerDedupeBufferSize,
      bytesPerSecond: settings.logCleanerIoMaxBytesPerSecond,
      timeShare: settings.compactionTimeShare,
    },
    backoffMs: settings.logCleanerBackoffMs,
  })

const progressMs = 2_000

async function recover(
  world: World,
  tablets: Tablets,
  router: Router,
  clean: boolean,
  log: Logger,
): Promise<void> {
  const startedMs = world.clock.monotonicMs()
  let recovering = true
  const report = (): void => {
    if (!recovering) return
    log.info({ ...tablets.progress }, router.notReadyReason)
    world.clock.after(progressMs, report)
  }
  world.clock.after(progressMs, report)
  await tablets.start()
  recovering = false
  router.groups.begin()
  router.begin()
  const tookMs = Math.round(world.clock.monotonicMs() - startedMs)
  const { tablets: count, bytesDone } = tablets.progress
  log.info(
    { tablets: count, cleanStop: clean, checkedMiB: Math.round(bytesDone / MIB), tookMs },
    'broker serves',
  )
}

type Place = { readonly door: string; readonly host: string; readonly port: number }

const text = ({ host, port }: { host: string; port: number }): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`

/** Undefined for a door that stays shut. */
function place(listeners: readonly Place[], door: string): string | undefined {
  const listener = listeners.find(listener => listener.door === door)
  return listener && text({ ...listener, host: listener.host || '0.0.0.0' })
}

/** The command line's doors go over those of `listeners`. */
function withDoors({ settings, kafka, http }: BrokerOptions): Readonly<Record<string, string>> {
  const { listeners } = resolveBroker({ dynamic: {}, static: settings })
  let list = listeners
    .map(({ door, ...at }) => `${door === 'kafka' ? 'PLAINTEXT' : 'HTTP'}://${text(at)}`)
    .join(',')
  if (kafka !== undefined) list = withListener(list, 'kafka', kafka)
  if (http !== undefined) list = withListener(list, 'http', http)
  return { ...settings, listeners: list }
}
