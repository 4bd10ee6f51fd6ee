import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { brokerId, MIB } from '../../../base/quantities.ts'
import type { Timer, World } from '../../../base/world.ts'
import { openEmbeddedStore } from '../../../control/embedded/store.ts'
import { Groups } from '../../groups/groups.ts'
import { Checkpoints } from '../../log/checkpoint.ts'
import { DataDirectory } from '../../log/data-directory.ts'
import { ReadBuffers } from '../../log/read-buffers.ts'
import { SegmentCache } from '../../log/segment-cache.ts'
import { TailMemory } from '../../log/tail-memory.ts'
import { Queues } from '../../queues/queues.ts'
import { Router } from '../../router/router.ts'
import { resolveBroker, resolveTopic } from '../../settings/resolve.ts'
import { GroupCommit } from '../../tablet/group-commit.ts'
import { Tablets } from '../../tablet/tablets.ts'
import { realWorld } from '../../world/world.ts'
import { openHttpDoor, type HttpDoor } from './door.ts'
import { Peers } from './peers.ts'

/** A real broker behind a door whose time is moved by the test: a minute's wait takes no minute. */
export class TimedDoor {
  readonly door: HttpDoor
  readonly router: Router
  readonly queues: Queues
  readonly metrics: Registry
  readonly #time: HandTime
  readonly #close: () => Promise<void>

  private constructor(
    door: HttpDoor,
    router: Router,
    queues: Queues,
    metrics: Registry,
    time: HandTime,
    close: () => Promise<void>,
  ) {
    this.door = door
    this.router = router
    this.queues = queues
    this.metrics = metrics
    this.#time = time
    this.#close = close
  }

  /** `ready`: whether recovery is over. */
  static async open({
    ready = true,
    settings = {},
  }: { ready?: boolean; settings?: Record<string, string> } = {}): Promise<TimedDoor> {
    const world = realWorld()
    const path = mkdtempSync(join(tmpdir(), 'stele-http-timed-'))
    const directory = DataDirectory.open(world, path, brokerId(0))
    const { checkpoints } = Checkpoints.open(world.disk, path)
    const store = openEmbeddedStore({ ...world, path: `${path}/control.json` })
    const self = brokerId(0)
    const { incarnation } = await store.registerBroker({
      brokerId: self,
      diskId: directory.meta.diskId,
      cleanStop: true,
      bootId: undefined,
      rack: undefined,
      addresses: {},
    })
    const log = pino({ level: 'silent' })
    const logs = {
      world,
      tailMemory: new TailMemory(MIB),
      segmentCache: new SegmentCache(16),
      readBuffers: new ReadBuffers(),
    }
    const tablets = new Tablets({
      shared: { world, log, logs, groupCommit: new GroupCommit(), checkpoints },
      store,
      self,
      incarnation,
      diskSince: directory.since(incarnation),
      dataDirectory: path,
      settingsOf: topic => resolveTopic({ topic: topic.settings, dynamic: {}, static: settings }),
      clean: true,
    })
    await tablets.start()
    const { clusterId } = directory.meta
    const identity = { self, incarnation, clusterId, dataDirectory: path }
    const groups = new Groups({
      world,
      store,
      tablets,
      log,
      settings: resolveBroker({ dynamic: {}, static: settings }),
    })
    const router = new Router({ world, store, tablets, groups, staticSettings: settings, ...identity })
    if (ready) {
      groups.begin()
      router.begin()
    }
    const time = new HandTime()
    const metrics = new Registry()
    const timedWorld: World = {
      ...world,
      clock: { ...world.clock, monotonicMs: () => time.nowMs, after: (ms, act) => time.after(ms, act) },
    }
    const queues = new Queues({ world: timedWorld, router, elsewhere: { find: () => undefined }, log })
    const door = await openHttpDoor({
      world: timedWorld,
      router,
      queues,
      peers: new Peers({ router, clock: timedWorld.clock }),
      log,
      metrics,
      address: 'localhost:0',
      version: '9.8.7',
    })
    return new TimedDoor(door, router, queues, metrics, time, async () => {
      groups.end()
      await tablets.stop()
      await store.close()
      directory.release()
      rmSync(path, { recursive: true })
    })
  }

  get url(): string {
    return `http://127.0.0.1:${this.door.addresses[0]?.port}`
  }

  /** Lets this much time pass for the door. */
  elapse(ms: number): void {
    this.#time.elapse(ms)
  }

  /** Timers that are running. */
  get timers(): number {
    return this.#time.running
  }

  async connect(): Promise<Socket> {
    const socket = connect(this.door.addresses[0]?.port ?? 0, '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }

  async close(): Promise<void> {
    await this.door.stop()
    await this.#close()
  }
}

/** Time that stands still until it is moved. */
class HandTime {
  nowMs = 0
  readonly #timers = new Set<{ atMs: number; act: () => void }>()

  get running(): number {
    return this.#timers.size
  }

  after(ms: number, act: () => void): Timer {
    const timer = { atMs: this.nowMs + ms, act }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  elapse(ms: number): void {
    this.nowMs += ms
    for (const timer of [...this.#timers].sort((a, b) => a.atMs - b.atMs)) {
      if (timer.atMs > this.nowMs || !this.#timers.delete(timer)) continue
      timer.act()
    }
  }
}
