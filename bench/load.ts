/**
 * Clients at full speed, in a process of their own so that their work is not the broker's. Enters: what they shall do. Leaves: how
 * many requests were answered in a stretch of time. Always holds: an answer with an error ends the load and the measurement.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Broker } from './broker.ts'

export type ProduceSpec = {
  readonly kind: 'produce'
  readonly topic: string
  /** Connection `n` writes to partition `n % partitions`. */
  readonly partitions?: number
  readonly connections?: number
  /** Requests under way on each connection. */
  readonly inFlight?: number
  /** The size of a batch of 1,000 B records; `record` for one record of 100 B. */
  readonly batchBytes: number | 'record'
  readonly acks: 1 | -1
  /** Ends by itself after so many requests. */
  readonly requests?: number
}

export type FetchSpec = {
  readonly kind: 'fetch'
  readonly topic: string
  readonly partitions?: number
  readonly connections?: number
  /** The largest answer. */
  readonly bytesMax: number
  /** What the topic is filled with: batches of this size. */
  readonly batchBytes: number
  /** Begins at the first of these offsets, and again when it has reached the second; `end` to follow what is written. */
  readonly offsets: readonly [from: number, to: number | 'end']
}

export type LoadSpec = (ProduceSpec | FetchSpec) & { readonly port: number }

/** What was answered within `seconds`. */
export type Measured = {
  readonly seconds: number
  readonly requests: number
  /** Of batches, written or read. */
  readonly bytes: number
}

/** Ends at whichever comes first. */
export type Window = { readonly seconds: number; readonly bytesMax?: number }

export type Told = { readonly ready: true } | { readonly measured: Measured }

export class Load {
  readonly #process: ChildProcess
  #failure: Error | undefined
  readonly #ended: Promise<void>

  private constructor(specs: readonly LoadSpec[]) {
    this.#process = fork(join(import.meta.dirname, 'load-process.ts'), {
      env: { ...process.env, STELE_BENCH_LOAD: JSON.stringify(specs) },
      // What it has to complain about is said there.
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#ended = new Promise(resolve => {
      this.#process.once('exit', code => {
        if (code !== 0) this.#failure = new Error(`the load ended with exit code ${code}`)
        resolve()
      })
    })
  }

  /** Starts clients on `broker`; when this resolves each has had an answer. */
  static async start(
    broker: Pick<Broker, 'kafkaPort'>,
    specs: readonly (ProduceSpec | FetchSpec)[],
  ): Promise<Load> {
    const load = new Load(specs.map(spec => ({ ...spec, port: broker.kafkaPort })))
    await load.#told(told => 'ready' in told)
    return load
  }

  async measure(window: Window): Promise<Measured> {
    this.#process.send(window)
    const told = await this.#told(told => 'measured' in told)
    return (told as { measured: Measured }).measured
  }

  /** Waits until every client has sent and heard all it was to. */
  async finished(): Promise<void> {
    await this.#ended
    if (this.#failure !== undefined) throw this.#failure
  }

  async stop(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect()
    await this.finished()
  }

  #told(wanted: (told: Told) => boolean): Promise<Told> {
    return new Promise((resolve, reject) => {
      const listen = (told: Told): void => {
        if (!wanted(told)) return
        this.#process.off('message', listen)
        resolve(told)
      }
      this.#process.on('message', listen)
      void this.#ended.then(() => reject(this.#failure ?? new Error('the load ended early')))
    })
  }
}

/** Writes `bytes` to a topic in batches of `batchBytes`; answers how many requests that took. */
export async function fill(
  broker: Broker,
  topic: string,
  batchBytes: number,
  bytes: number,
): Promise<number> {
  const requests = Math.ceil(bytes / batchBytes)
  const load = await Load.start(broker, [
    { kind: 'produce', topic, batchBytes, acks: 1, inFlight: 4, requests },
  ])
  await load.finished()
  return requests
}
