/** A broker below its doors on the simulated world: what one process would run, started and ended as often as a test wants. */
import { pino, type Logger } from 'pino'
import { Groups } from '../../broker/groups/groups.ts'
import { LocalCleaner } from '../../broker/log/compaction/cleaner.ts'
import { Checkpoints } from '../../broker/log/checkpoint.ts'
import { DataDirectory } from '../../broker/log/data-directory.ts'
import { ReadBuffers } from '../../broker/log/read-buffers.ts'
import { Reserve, withReserve } from '../../broker/log/reserve.ts'
import { SegmentCache } from '../../broker/log/segment-cache.ts'
import { TailMemory } from '../../broker/log/tail-memory.ts'
import { Replication } from '../../broker/replication/replication.ts'
import type { Rules } from '../../broker/replication/rules.ts'
import { Router } from '../../broker/router/router.ts'
import { resolveBroker, resolveTopic } from '../../broker/settings/resolve.ts'
import type { Acks, Appending } from '../../broker/tablet/appending.ts'
import { Compactions } from '../../broker/tablet/compactions.ts'
import { GroupCommit } from '../../broker/tablet/group-commit.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { Tablets } from '../../broker/tablet/tablets.ts'
import { brokerId, MIB, type BrokerId, type Incarnation } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { World } from '../../base/world.ts'
import { openEmbeddedStore } from '../../control/embedded/store.ts'
import type { Topic } from '../../control/model.ts'
import type { ControlStore } from '../../control/store.ts'
import type { SimWorld } from './world.ts'

export type LogLine = {
  readonly level: number
  readonly msg: string
  readonly partition?: number
  readonly reason?: string
  readonly from?: number
}

export type SimBroker = {
  readonly tablets: Tablets
  readonly store: ControlStore
  readonly incarnation: Incarnation
  readonly router: Router
  readonly checkpoints: Checkpoints
  readonly segmentCache: SegmentCache
  readonly tailMemory: TailMemory
  /** What of its tablets is due to be compacted, now. */
  compact(): Promise<void>
  /** The lines of its log from warnings on. */
  readonly lines: readonly LogLine[]
  /** A clean stop. Answers whether the next start may trust the disk. */
  stop(): Promise<boolean>
}

export type SimBrokerOptions = {
  /** In place of the simulation's own, to watch what is asked of it. */
  readonly world?: World
  readonly tailBytes?: number
  readonly openMax?: number
  /** Its log, when a test reads more of it than the warnings in `lines`. */
  readonly log?: Logger
  /** Keeps a reserve on the disk, as a broker does. */
  readonly withRoom?: boolean
  /** One of several brokers; broker 0 alone when it is not given. */
  readonly cluster?: InCluster
  /** 0 when not given. */
  readonly id?: BrokerId
  /** Undefined: a control store in the data directory. */
  readonly openStore?: () => Promise<ControlStore>
  /** Does something once the tablets are known and before they are opened. */
  readonly beforeStart?: (broker: Pick<SimBroker, 'tablets' | 'store' | 'router'>) => Promise<void> | void
}

export type InCluster = {
  readonly self: BrokerId
  readonly host: string
  /** Another one after each power cut. */
  readonly bootId: string
  readonly lagMsMax: number
  /** Preferred leaders get nothing back when it is not given. */
  readonly restoreMs?: number
  readonly rules?: Rules
  storeOf(world: World, self: BrokerId): ControlStore
}

const replicationPort = 9093
const compaction = { mapBytesMax: MIB, bytesPerSecond: 10_000_000, timeShare: 1 }

/** Starts the next process on the world's disk and recovers. */
export async function startSimBroker(
  sim: SimWorld,
  settings: Record<string, string> = {},
  {
    world: seen = sim.world,
    tailBytes = MIB,
    openMax = 2,
    log: given,
    withRoom = false,
    id = brokerId(0),
    openStore,
    cluster,
    beforeStart,
  }: SimBrokerOptions = {},
): Promise<SimBroker> {
  const self = cluster?.self ?? id
  const directory = DataDirectory.open(seen, '/data', self)
  const reserve = new Reserve(seen.disk, '/data/reserve')
  const world = withRoom ? { ...seen, disk: withReserve(seen.disk, reserve) } : seen
  if (withRoom) reserve.keep(world.clock)
  const { checkpoints, damaged } = Checkpoints.open(world.disk, '/data', cluster?.bootId)
  const store =
    cluster?.storeOf(world, self) ??
    (await openStore?.()) ??
    openEmbeddedStore({ ...world, path: '/data/control.json' })
  const { incarnation, before } = await store.registerBroker({
    brokerId: self,
    diskId: directory.meta.diskId,
    cleanStop: directory.wasClean,
    bootId: cluster?.bootId,
    rack: undefined,
    addresses: {},
  })
  const lines: LogLine[] = []
  const log =
    given ??
    pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line) as LogLine) })
  const tailMemory = new TailMemory(tailBytes)
  const segmentCache = new SegmentCache(openMax)
  const logs = { world, tailMemory, segmentCache, readBuffers: new ReadBuffers() }
  const sameDisk = before?.diskId === directory.meta.diskId
  const kept = sameDisk && (directory.wasClean || before.bootId === cluster?.bootId)
  const replication =
    cluster &&
    new Replication({
      world,
      store,
      log,
      self: { broker: self, incarnation },
      diskSince: directory.since(incarnation),
      keptSince: kept ? before.incarnation : incarnation,
      lagMsMax: cluster.lagMsMax,
      copyBytesPerSecond: () => resolveBroker({ dynamic: store.brokerSettings(), static: settings }).copyRate,
      sendBytesPerSecond: () => resolveBroker({ dynamic: store.brokerSettings(), static: settings }).sendRate,
      restoreMs: cluster.restoreMs ?? Infinity,
      ...(cluster.rules && { rules: cluster.rules }),
    })
  const cleaner = new LocalCleaner(world)
  const groupCommit = new GroupCommit()
  const tablets = new Tablets({
    shared: { world, log, logs, groupCommit, checkpoints, ...(replication && { replication }) },
    store,
    self,
    incarnation,
    diskSince: directory.since(incarnation),
    dataDirectory: '/data',
    settingsOf: topic =>
      resolveTopic({ topic: topic.settings, dynamic: store.brokerSettings(), static: settings }),
    clean: directory.wasClean && !damaged,
  })
  const compactions = new Compactions({
    world,
    log,
    cleaner,
    tablets,
    limits: compaction,
    backoffMs: Infinity,
  })
  const identity = { self, incarnation, clusterId: directory.meta.clusterId, dataDirectory: '/data' }
  const resolved = resolveBroker({ dynamic: store.brokerSettings(), static: settings })
  const replicationIsGiven = 'offsets.topic.replication.factor' in settings
  const groups = new Groups({ world, store, tablets, log, settings: resolved, replicationIsGiven })
  const router = new Router({
    world,
    store,
    tablets,
    groups,
    staticSettings: settings,
    ...identity,
    ...(replication && { replication }),
  })
  await directory.begin()
  if (cluster !== undefined && replication !== undefined) {
    const { port } = await replication.start({ host: cluster.host, port: replicationPort })
    await store.announceAddresses(self, incarnation, { replication: { host: cluster.host, port } })
  }
  await beforeStart?.({ tablets, store, router })
  await tablets.start()
  groups.begin()
  router.begin()
  const stop = async (): Promise<boolean> => {
    router.end()
    if (cluster !== undefined) await store.leaving(self, incarnation)
    await replication?.leave()
    groups.end()
    await compactions.stop()
    await replication?.stop()
    const clean = await tablets.stop()
    await store.close()
    checkpoints.saveNow()
    if (clean) directory.endCleanly()
    directory.release()
    return clean
  }
  const compact = (): Promise<void> => compactions.round()
  return { tablets, store, incarnation, router, checkpoints, segmentCache, tailMemory, compact, lines, stop }
}

/** Makes a topic and waits until its tablets serve. */
export async function makeTopic(
  broker: SimBroker,
  name: string,
  settings: Record<string, string> = {},
  tablets = 1,
): Promise<Topic> {
  const [made] = await broker.router.createTopics([{ name, settings, tablets, replication: 1 }])
  if (made === undefined || made instanceof Refusal) throw made ?? new Error('no answer')
  return made
}

export function tabletOf(broker: SimBroker, topic: string, partition = 0): Tablet {
  const tablet = broker.tablets.find(topic, partition)
  if (tablet === undefined) throw new Error(`there is no tablet ${topic}-${partition}`)
  return tablet
}

export type Appended = { readonly baseOffset: number } | { readonly refusal: Refusal }

/** One append and its answer. */
export function append(tablet: Tablet, batch: Buffer, acks: Acks, deadlineMs = Infinity): Promise<Appended> {
  return new Promise(resolve => {
    const appending: Appending = {
      appended: (_slot, baseOffset) => resolve({ baseOffset }),
      refused: (_slot, refusal) => resolve({ refusal }),
    }
    tablet.append(batch, 0, batch.length, acks, deadlineMs, appending, 0)
  })
}

/** Runs the clock until all groups that the broker coordinates have been read. */
export async function groupsLoaded({ clock }: SimWorld, { router }: SimBroker): Promise<void> {
  await clock.runUntil(() => {
    try {
      return [...router.groups.all()].length >= 0
    } catch {
      return false
    }
  })
}
