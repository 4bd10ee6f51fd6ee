/**
 * What a log has to offer to be compared: it is started with a promise of how safe a record is, and a tool that its own people wrote loads it. Numbers
 * come from outside: from that tool, and from what the kernel says about the log's processes.
 */
import type { Server } from './server.ts'

/** When a record counts as written: the operating system has it (`os`), or the disk (`fsync`). */
export type Durability = 'os' | 'fsync'

export type Peer = {
  /** Short, as it stands in tables. */
  readonly name: string
  /** With its version; fetches or builds it when it is not there yet. @throws Missing */
  prepare(): Promise<string>
  start(options: StartOptions): Promise<RunningPeer>
}

type StartOptions = {
  readonly durability: Durability
  /** A directory, empty or what an earlier start left; it is the caller's. */
  readonly data: string
  /** What has to be readable before it counts as started; without it any answer will do. */
  readonly topic?: string
}

export type RunningPeer = {
  /** HOST:PORT by protocol: `kafka`, `http`, `nats`, `redis`, `amqp`. */
  readonly addresses: Readonly<Record<string, string>>
  /** Its processes: what they take, how long they took to answer, and their end. */
  readonly server: Server
  /** Settings that differ from the ones it comes with, as they are written down beside the results. */
  readonly settings: string
  createTopic(name: string): Promise<void>
  deleteTopic(name: string): Promise<void>
  /** @throws NotAsked */
  produce(load: ProduceLoad): Promise<Produced>
  /** Reads a topic from its start. @throws NotAsked */
  consume(load: ConsumeLoad): Promise<Rate>
  /** Sends a record, waits until it is received, and sends the next. @throws NotAsked */
  roundTrips(load: RoundTripLoad): Promise<Latencies>
}

export type ProduceLoad = {
  readonly topic: string
  readonly recordBytes: number
  readonly records: number
  readonly acks: '1' | 'all'
  /** Logs that have no batches keep as many records in flight as would fit into one. */
  readonly batchBytes: number
  /** Records at a steady rate; without it as fast as they are taken. */
  readonly perSecond?: number
  /** So many of the records, the first ones, count for nothing. */
  readonly warmUpRecords?: number
}

export type ConsumeLoad = { readonly topic: string; readonly recordBytes: number; readonly records: number }
export type RoundTripLoad = ConsumeLoad & { readonly acks: '1' | 'all' }

export type Rate = { readonly recordsPerSecond: number }
export type Produced = Rate & { readonly latencies?: Latencies }
/** In milliseconds, as exact as the tool tells them. */
export type Latencies = {
  readonly mean: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

/** This machine has no such peer. The message says what would bring it. */
export class Missing extends Error {}

/** A peer cannot be asked this. The message says why, and stands below the table. */
export class NotAsked extends Error {}
