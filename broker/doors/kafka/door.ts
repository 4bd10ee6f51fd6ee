/**
 * Enters: connections of Kafka's clients. Leaves: requests to the router, answers to the clients.
 * Always holds: memory for requests being received and for answers not yet read is bounded for the whole door, and one
 * client's bad bytes or bad manners close its connection and nothing else.
 */
import { createServer, type Server, type Socket } from 'node:net'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { KIB, MIB } from '../../../base/quantities.ts'
import type { Timer, World } from '../../../base/world.ts'
import { RequestHeader } from '../../../protocol/kafka/frame.ts'
import { Reader } from '../../../protocol/kafka/reader.ts'
import type { Router } from '../../router/router.ts'
import { listenOn, parseAddress, type Listening } from '../listening.ts'
import type { Serve } from './answer.ts'
import { Connection, type KafkaListener, type Surroundings } from './connection.ts'
import { FairTurn } from './fair-turn.ts'
import { FetchBudget } from './fetch-budget.ts'
import { FrameMemory } from './frame-memory.ts'
import type { Desk } from './handlers/handler.ts'
import { serveAll } from './handlers/table.ts'
import { Counters, registerMetrics } from './metrics.ts'
import { LimitedLog } from '../../../base/limited-log.ts'
import { Outgoing } from './outgoing.ts'

const readBufferBytes = 256 * KIB
/** Bytes read for answers that clients have not taken yet. */
const fetchBytesMax = 48 * MIB
const sweepMs = 5_000
/** How long `stop` waits for answers under way. */
const finishMs = 5_000
/** Lines in ten seconds about connections that were turned away, and about those that were closed for bad manners. */
const refusalLinesMax = 1
const brokenLinesMax = 50

export type KafkaDoorOptions = {
  readonly world: World
  readonly router: Router
  readonly log: Logger
  /** HOST:PORT; port 0 takes a free one, `localhost` listens on 127.0.0.1 and ::1. */
  readonly address: string | undefined
  /** The same for clients that are told the external addresses of brokers. */
  readonly external?: string | undefined
  /** Where the door's metrics are shown. */
  readonly registry?: Registry
}

export type KafkaDoor = {
  readonly addresses: readonly Listening[]
  readonly external: readonly Listening[]
  /** Takes nothing new, answers what is under way (for at most 5 s), closes every connection. */
  stop(): Promise<void>
}

/** Opens the door. @throws Error with one sentence on what is wrong with the address and what to do */
export async function openKafkaDoor(options: KafkaDoorOptions): Promise<KafkaDoor> {
  const door = new Door(options)
  try {
    await door.open()
  } catch (error) {
    await door.stop()
    throw error
  }
  return door
}

class Door implements KafkaDoor {
  addresses: readonly Listening[] = []
  external: readonly Listening[] = []
  readonly #options: KafkaDoorOptions
  readonly #counters = new Counters()
  readonly #connections = new Set<Connection>()
  readonly #servers: Server[] = []
  readonly #refusalLog: LimitedLog
  readonly #brokenLog: LimitedLog
  readonly #memory: FrameMemory
  readonly #fetchBudget = new FetchBudget(fetchBytesMax)
  readonly #waitingFetches: Desk['waitingFetches'] = new Set()
  #around: Surroundings | undefined
  #sweeps: Timer | undefined
  #closed: (() => void) | undefined

  constructor(options: KafkaDoorOptions) {
    this.#options = options
    const { log, world } = options
    this.#refusalLog = new LimitedLog(log, world.clock, refusalLinesMax)
    this.#brokenLog = new LimitedLog(log, world.clock, brokenLinesMax)
    this.#memory = new FrameMemory(() => options.router.settings.queuedMaxRequestBytes)
  }

  async open(): Promise<void> {
    const { address, external, registry, log } = this.#options
    const early: [Socket, KafkaListener][] = []
    const listen = async (at: string | undefined, listener: KafkaListener): Promise<Listening[]> => {
      if (at === undefined) return []
      const accept = (socket: Socket): void => {
        if (this.#around === undefined) early.push([socket, listener])
        else this.#accept(socket, this.#around, listener)
      }
      return listenOn(at, { name: 'Kafka', option: '--kafka' }, () => this.#newServer(accept))
    }
    this.addresses = await listen(address, 'kafka')
    this.external = await listen(external, 'external')
    const around = this.#surroundings({
      ...placeOf('kafka', address, this.addresses),
      ...placeOf('external', external, this.external),
    })
    this.#around = around
    for (const [socket, listener] of early) this.#accept(socket, around, listener)
    if (registry !== undefined) {
      registerMetrics(registry, this.#counters, {
        frameBytes: () => this.#memory.usedBytes,
        fetchBytes: () => this.#fetchBudget.usedBytes,
        waitingFetches: () => this.#waitingFetches.size,
      })
    }
    this.#sweepLater()
    log.info({ addresses: [...this.addresses, ...this.external] }, 'the Kafka door is open')
  }

  async stop(): Promise<void> {
    const { clock } = this.#options.world
    for (const server of this.#servers) server.close()
    this.#sweeps?.cancel()
    for (const connection of this.#connections) connection.finish()
    for (const fetch of this.#waitingFetches) fetch.answerNow()
    if (this.#connections.size === 0) return
    await new Promise<void>(resolve => {
      this.#closed = resolve
      clock.after(finishMs, () => {
        for (const connection of this.#connections) connection.close()
      })
    })
  }

  #newServer(accept: (socket: Socket) => void): Server {
    const server = createServer({ pauseOnConnect: true, noDelay: true }, accept)
    this.#servers.push(server)
    return server
  }

  #surroundings(places: Desk['places']): Surroundings {
    const { world, router, log } = this.#options
    const desk: Desk = {
      world,
      router,
      log,
      counters: this.#counters,
      fetchBudget: this.#fetchBudget,
      waitingFetches: this.#waitingFetches,
      places,
    }
    const serve: Serve = serveAll(desk)
    return {
      clock: world.clock,
      serve,
      memory: this.#memory,
      turn: new FairTurn(world.clock),
      readBuffer: Buffer.allocUnsafeSlow(readBufferBytes),
      outgoing: new Outgoing(this.#counters),
      header: new RequestHeader(),
      reader: new Reader(),
      counters: this.#counters,
      frameBytesMax: () => router.settings.socketRequestMaxBytes,
      idleMsMax: () => router.settings.connectionsMaxIdleMs,
      wanted: () => ({
        requestMemory: this.#memory.waiting > 0,
        answerMemory: this.#fetchBudget.waiting > 0,
      }),
      report: (connection, reason) => {
        this.#counters.connectionsBroken += 1
        this.#brokenLog.warn({ client: connection.client }, `connection closed: ${reason}`)
      },
      closed: connection => this.#gone(connection),
    }
  }

  #accept(socket: Socket, around: Surroundings, listener: KafkaListener): void {
    if (this.#connections.size >= this.#options.router.settings.maxConnections) return this.#turnAway(socket)
    this.#connections.add(new Connection(socket, around, undefined, listener))
    this.#counters.connectionsTaken += 1
    this.#counters.connections = this.#connections.size
  }

  #turnAway(socket: Socket): void {
    const { maxConnections } = this.#options.router.settings
    const client = socket.remoteAddress
    socket.destroy()
    this.#counters.connectionsRefused += 1
    this.#refusalLog.warn(
      { client, maxConnections },
      'connection refused: there are as many as max.connections allows',
    )
  }

  #gone(connection: Connection): void {
    this.#connections.delete(connection)
    this.#counters.connections = this.#connections.size
    if (this.#connections.size === 0) this.#closed?.()
  }

  #sweepLater(): void {
    const { clock } = this.#options.world
    const { connectionsMaxIdleMs } = this.#options.router.settings
    this.#sweeps = clock.after(Math.min(sweepMs, Math.max(1, connectionsMaxIdleMs / 2)), () => {
      const nowMs = clock.monotonicMs()
      for (const connection of this.#connections) connection.sweep(nowMs)
      this.#sweepLater()
    })
  }
}

function placeOf(
  listener: KafkaListener,
  address: string | undefined,
  [first]: readonly Listening[],
): Desk['places'] {
  return address === undefined || first === undefined
    ? {}
    : { [listener]: { host: parseAddress(address).host, port: first.port } }
}
