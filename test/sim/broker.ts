/** A broker below its doors on the simulated world: what one process would run, started and ended as often as a test wants. */
import { pino } from 'pino'
import { brokerId, MIB } from '../../base/quantities.ts'
import type { Refusal } from '../../base/refusals.ts'
import { openEmbeddedStore } from '../../control/embedded/store.ts'
import type { ControlStore } from '../../control/store.ts'
import { Checkpoints } from '../../broker/log/checkpoint.ts'
import { DataDirectory } from '../../broker/log/data-directory.ts'
import { ReadBuffers } from '../../broker/log/read-buffers.ts'
import { SegmentCache } from '../../broker/log/segment-cache.ts'
import { TailMemory } from '../../broker/log/tail-memory.ts'
import { resolveTopic } from '../../broker/settings/resolve.ts'
import type { Acks, Appending } from '../../broker/tablet/appending.ts'
import { GroupCommit } from '../../broker/tablet/group-commit.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { Tablets } from '../../broker/tablet/tablets.ts'
import type { SimWorld } from './world.ts'

export type SimBroker = {
  readonly tablets: Tablets
  readonly store: ControlStore
  /** A clean stop. Answers whether the next start may trust the disk. */
  stop(): Promise<boolean>
}

const log = pino({ level: 'silent' })

/** Starts the next process on the world's disk and recovers. */
export async function startSimBroker(
  sim: SimWorld,
  settings: Record<string, string> = {},
): Promise<SimBroker> {
  const { world } = sim
  const directory = DataDirectory.open(world, '/data', brokerId(0))
  const { checkpoints, damaged } = Checkpoints.open(world.disk, '/data')
  const store = openEmbeddedStore({ ...world, path: '/data/control.json' })
  const { incarnation } = await store.registerBroker({
    brokerId: brokerId(0),
    diskId: directory.meta.diskId,
    cleanStop: directory.wasClean,
    bootId: undefined,
    rack: undefined,
    addresses: {},
  })
  const logs = {
    world,
    tailMemory: new TailMemory(MIB),
    segmentCache: new SegmentCache(2),
    readBuffers: new ReadBuffers(),
  }
  const tablets = new Tablets({
    shared: { world, log, logs, groupCommit: new GroupCommit(), checkpoints },
    store,
    self: brokerId(0),
    incarnation,
    dataDirectory: '/data',
    settingsOf: topic => resolveTopic({ topic: topic.settings, dynamic: {}, static: settings }),
    clean: directory.wasClean && !damaged,
  })
  await directory.begin()
  await tablets.start()
  const stop = async (): Promise<boolean> => {
    const clean = await tablets.stop()
    checkpoints.saveNow()
    await store.close()
    if (clean) directory.endCleanly()
    directory.release()
    return clean
  }
  return { tablets, store, stop }
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
