/**
 * The broker, from the top: settings -> world -> data directory -> control store -> tablets -> doors. Its doors are open while tablets recover, so that
 * probes and clients are told to wait; it resolves when every tablet serves or has said why it cannot.
 */
import type { Logger } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { MIB, brokerId } from '../base/quantities.ts'
import { Refusal } from '../base/refusals.ts'
import type { World } from '../base/world.ts'
import { openEmbeddedStore } from '../control/embedded/store.ts'
import type { Addresses } from '../control/model.ts'
import { mayJoin } from '../control/levels.ts'
import type { ControlStore } from '../control/store.ts'
import { cleanerOnThread } from './compaction-thread.ts'
import { openHttpDoor } from './doors/http/door.ts'
import { HttpLeaders } from './doors/http/leaders.ts'
import { Peers } from './doors/http/peers.ts'
import { openKafkaDoor } from './doors/kafka/door.ts'
import { Groups } from './groups/groups.ts'
import { Checkpoints } from './log/checkpoint.ts'
import { DataDirectory } from './log/data-directory.ts'
import { ReadBuffers } from './log/read-buffers.ts'
import { Reserve, withReserve } from './log/reserve.ts'
import { SegmentCache } from './log/segment-cache.ts'
import { TailMemory } from './log/tail-memory.ts'
import { Queues } from './queues/queues.ts'
import { RemoteTablets } from './queues/remote-tablets.ts'
import { Replication } from './replication/replication.ts'
import { Router } from './router/router.ts'
import { advertised, listenerText, withListener } from '../control/settings/listeners.ts'
import { overruled, resolveBroker, resolveTopic, type BrokerSettings } from './settings/resolve.ts'
import { Checks } from './tablet/checks.ts'
import { Compactions } from './tablet/compactions.ts'
import { GroupCommit } from './tablet/group-commit.ts'
import { Tablets } from './tablet/tablets.ts'
import { bootId } from './world/boot-id.ts'
import { realWorld } from './world/world.ts'

/** A cluster whose brokers share a control store. */
export type Cluster = {
  /** Kafka's cluster id, the same for all its brokers; undefined to have one of its own. */
  readonly clusterId: string | undefined
  readonly openStore: (around: World & { readonly log: Logger }) => Promise<ControlStore>
  /** Who stops answers on until so long after it has ceased to be ready: until then clients may still be sent to it, and whom it did not answer would wait for his time-out. */
  readonly noticeMs?: number
}

export type BrokerOptions = {
  readonly dataDirectory: string
  /** Undefined for a broker that is alone: its control store is in the data directory. */
  readonly cluster?: Cluster
  /** HOST:PORT of the doors, when not those of `listeners`. */
  readonly kafka: string | undefined
  readonly http: string | undefined
  /** By Kafka's names, checked. */
  readonly settings: Readonly<Record<string, string>>
  readonly log: Logger
  readonly version: string
  /** Its data directory was taken away while it runs. */
  readonly vanished?: () => void
}

export type RunningBroker = {
  readonly kafka: readonly string[]
  readonly external: readonly string[]
  readonly http: readonly string[]
  /** Finishes what is under way, brings everything to disk, closes. One whose control store is gone for ever has nobody to hand over to. */
  stop(how?: 'orphaned'): Promise<void>
}

/**
 * Starts a broker on `dataDirectory`.
 * @throws DataDirectoryRefused, Refusal (settings, control.json), Error (a port in use, a cluster that needs a newer Stele); each message says what to do
 */
export async function startBroker(options: BrokerOptions): Promise<RunningBroker> {
  const { log } = options
  const staticSettings = withDoors(options)
  const settings = resolveBroker({ dynamic: {}, static: staticSettings })
  const real = realWorld()
  const directory = DataDirectory.open(
    real,
    options.dataDirectory,
    brokerId(settings.brokerId),
    options.cluster?.clusterId,
  )
  const reserve = new Reserve(real.disk, `${directory.path}/reserve`)
  const world = { ...real, disk: withReserve(real.disk, reserve) }
  const stopReserve = reserve.keep(world.clock)
  const undo: (() => Promise<void> | void)[] = [stopReserve, () => directory.release()]
  try {
    const store = await openStore(world, directory, options)
    undo.unshift(() => store.close({ clean: false }))
    const { router, tablets, checkpoints, replication } = await openTablets(
      world,
      directory,
      store,
      staticSettings,
      log,
    )
    undo.unshift(() => replication?.stop())
    const registry = new Registry()
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 50 })
    const [kafkaAt, externalAt, httpAt] = (['kafka', 'external', 'http'] as const).map(door =>
      place(settings.listeners, door),
    )
    const doorLog = (door: string) => log.child({ door })
    const { version } = options
    const { clock } = world
    const peers = new Peers({ router, clock })
    const leaders = new HttpLeaders(peers)
    const elsewhere = new RemoteTablets({ router, clock, leaders, log: doorLog('http') })
    const queues = new Queues({ world, router, elsewhere, log: doorLog('http') })
    const http =
      httpAt === undefined
        ? undefined
        : await openHttpDoor({
            world,
            router,
            queues,
            peers,
            log: doorLog('http'),
            metrics: registry,
            address: httpAt,
            version,
          })
    undo.unshift(() => http?.stop())
    const kafka =
      kafkaAt === undefined && externalAt === undefined
        ? undefined
        : await openKafkaDoor({
            world,
            router,
            log: doorLog('kafka'),
            registry,
            address: kafkaAt,
            external: externalAt,
          })
    undo.unshift(() => kafka?.stop())
    const { self, incarnation } = router
    const copies = settings.listeners.find(({ door }) => door === 'replication')
    const bound = {
      kafka: kafka?.addresses[0],
      external: kafka?.external[0],
      http: http?.addresses[0],
      replication: copies && (await replication?.start(copies)),
    }
    await store.announceAddresses(self, incarnation, addressesOf(settings, bound))
    await directory.begin()
    await recover(world, tablets, router, directory.wasClean, log)
    store.reporting?.(self, incarnation, () => ({
      ...tablets.report(),
      copies: replication?.copies() ?? [],
    }))
    tablets.maintain(() => ({
      retentionCheckMs: router.settings.logRetentionCheckIntervalMs,
      checkpointMs: router.settings.logFlushOffsetCheckpointIntervalMs,
      producerIdExpirationMs: router.settings.producerIdExpirationMs,
    }))
    const compactions = compactionsOf(world, tablets, settings, log)
    if (settings.logCleanerEnable) compactions.start()
    const checks = new Checks({ clock: world.clock, log, tablets })
    checks.start()
    const stopLooking = directory.lookAfter(options.vanished)
    const stop = async (how?: 'orphaned'): Promise<void> => {
      router.end()
      stopLooking()
      if (options.cluster !== undefined && how === undefined) {
        const noticed = after(world, options.cluster.noticeMs ?? 0)
        await leave(world, store, router, replication, log)
        await noticed
      }
      await queues.end()
      router.groups.end()
      await kafka?.stop()
      await http?.stop()
      checks.stop()
      await compactions.stop()
      await replication?.stop()
      const clean = (await tablets.stop()) && endCleanly(directory, checkpoints, log)
      await within(world, leaveMsMax, store.close({ clean }))
      stopReserve()
      directory.release()
      log.info({ clean }, 'broker stopped')
    }
    return {
      kafka: kafka?.addresses.map(text) ?? [],
      external: kafka?.external.map(text) ?? [],
      http: http?.addresses.map(text) ?? [],
      stop,
    }
  } catch (error) {
    for (const step of undo) await step()
    throw error
  }
}

/** Long enough for a broker that starts to be there for good. */
const preferredLeaderMs = 5_000
/** A control store that does not answer keeps no broker from stopping: it will find out. */
const leaveMsMax = 5_000

const after = (world: World, ms: number): Promise<void> =>
  new Promise(resolve => world.clock.after(ms, resolve))

const within = (world: World, ms: number, work: Promise<void>): Promise<void> =>
  Promise.race([work, after(world, ms)])

/** Nobody counts on this broker any more, as far as others can take its place. */
async function leave(
  world: World,
  store: ControlStore,
  { self, incarnation }: Router,
  replication: Replication | undefined,
  log: Logger,
): Promise<void> {
  try {
    await within(world, leaveMsMax, store.leaving(self, incarnation))
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    log.warn({ reason: error.message }, 'could not tell the others that this broker stops')
  }
  await replication?.leave()
}

/** Notes that the next start need not check the disk. Answers whether that is so. */
function endCleanly(directory: DataDirectory, checkpoints: Checkpoints, log: Logger): boolean {
  try {
    checkpoints.saveNow()
    directory.endCleanly()
    return true
  } catch (error) {
    log.warn({ error }, 'could not mark the stop as a clean one: the next start recovers')
    return false
  }
}

type Bound = Readonly<Record<keyof Addresses, { readonly port: number } | undefined>>

const addressesOf = (settings: BrokerSettings, bound: Bound): Addresses =>
  Object.fromEntries(
    (['kafka', 'external', 'http', 'replication'] as const).flatMap(door => {
      const at = bound[door]
      return at === undefined ? [] : [[door, advertised(settings, door, at.port)]]
    }),
  )

function openStore(world: World, directory: DataDirectory, options: BrokerOptions): Promise<ControlStore> {
  const { cluster, log } = options
  if (cluster !== undefined) return cluster.openStore({ ...world, log })
  const path = `${directory.path}/control.json`
  directory.requireControlStore(path)
  return Promise.resolve(openEmbeddedStore({ ...world, path }))
}

/** Everything below the doors, not yet recovered. */
async function openTablets(
  world: World,
  directory: DataDirectory,
  store: ControlStore,
  staticSettings: Readonly<Record<string, string>>,
  log: Logger,
) {
  const { checkpoints, damaged } = Checkpoints.open(world.disk, directory.path, bootId())
  if (damaged) log.warn('recovery-point.json is not readable: every log is checked from its start')
  const current = brokerSettingsOf(store, staticSettings)
  const settings = current()
  const ineffective = overruled({ dynamic: store.brokerSettings(), static: staticSettings })
  if (ineffective.length > 0)
    log.warn(
      { settings: ineffective },
      'what this start says of these settings has no effect: they were changed while brokers ran (kafka-configs --entity-default), and that holds until it is taken away there',
    )
  const { brokerId: self, rack } = settings
  const { diskId, clusterId } = directory.meta
  const boot = bootId()
  mayJoin(store.brokers().values())
  const { incarnation, before } = await store.registerBroker({
    brokerId: brokerId(self),
    diskId,
    cleanStop: directory.wasClean,
    bootId: boot,
    rack: rack === '' ? undefined : rack,
    addresses: {},
  })
  const logs = {
    world,
    tailMemory: new TailMemory(settings.tailMemoryBytes),
    segmentCache: new SegmentCache(settings.segmentsOpenMax),
    readBuffers: new ReadBuffers(),
  }
  const sameBoot = boot !== undefined && before?.bootId === boot
  const kept = before?.diskId === diskId && (directory.wasClean || sameBoot)
  const replication = settings.listeners.some(({ door }) => door === 'replication')
    ? new Replication({
        world,
        store,
        log,
        self: { broker: brokerId(self), incarnation },
        diskSince: directory.since(incarnation),
        keptSince: kept ? before.incarnation : incarnation,
        lagMsMax: settings.replicaLagTimeMaxMs,
        copyBytesPerSecond: () => current().copyRate,
        sendBytesPerSecond: () => current().sendRate,
        restoreMs: preferredLeaderMs,
      })
    : undefined
  const groupCommit = new GroupCommit()
  const tablets = new Tablets({
    shared: { world, log, logs, groupCommit, checkpoints, ...(replication && { replication }) },
    store,
    self: brokerId(self),
    incarnation,
    diskSince: directory.since(incarnation),
    dataDirectory: directory.path,
    settingsOf: topic =>
      resolveTopic({ topic: topic.settings, dynamic: store.brokerSettings(), static: staticSettings }),
    clean: directory.wasClean && !damaged,
  })
  const identity = { self: brokerId(self), incarnation, clusterId, dataDirectory: directory.path }
  const replicationIsGiven = 'offsets.topic.replication.factor' in staticSettings
  const groups = new Groups({ world, store, tablets, log, settings, replicationIsGiven })
  const router = new Router({
    world,
    store,
    tablets,
    groups,
    staticSettings,
    ...identity,
    ...(replication && { replication }),
  })
  return { router, tablets, checkpoints, replication }
}

/** They are asked for with every piece that is copied: what has not changed is not read again. */
function brokerSettingsOf(
  store: ControlStore,
  staticSettings: Readonly<Record<string, string>>,
): () => BrokerSettings {
  let dynamic = store.brokerSettings()
  let settings = resolveBroker({ dynamic, static: staticSettings })
  return () => {
    const now = store.brokerSettings()
    if (now !== dynamic) settings = resolveBroker({ dynamic: now, static: staticSettings })
    dynamic = now
    return settings
  }
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
  let list = listeners.map(listenerText).join(',')
  if (kafka !== undefined) list = withListener(list, 'kafka', kafka)
  if (http !== undefined) list = withListener(list, 'http', http)
  return { ...settings, listeners: list }
}
