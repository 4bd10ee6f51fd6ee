/**
 * The load generator in C that stands beside this file. Enters: what it shall do (its --help says what there is). Leaves: what it measured.
 * Always holds: its own work is a small part of the machine's, and its figures are those of answers without an error.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { compiled } from './compile.ts'

const run = promisify(execFile)
/** As in its --help. */
export type GeneratorOptions = {
  readonly topic: string
  readonly partitions?: number
  readonly connections?: number
  readonly seconds?: number
  readonly 'warm-up'?: number
  readonly bytes?: number
  readonly pid?: number
  readonly 'in-flight'?: number
  readonly batch?: number
  readonly value?: number
  readonly acks?: 1 | 'all'
  readonly 'max-bytes'?: number
  readonly from?: number
}

export type Generated = {
  readonly requests: number
  /** Of batches, written or read. */
  readonly bytes: number
  readonly seconds: number
  readonly requestsPerSecond: number
  readonly megabytesPerSecond: number
  readonly latencyMs: {
    readonly p50: number
    readonly p99: number
    readonly p999: number
    readonly max: number
  }
  /** The generator's. */
  readonly ownCpuSeconds: number
  /** The broker's, when its `pid` was said. */
  readonly serverCpuSeconds?: number
  /** How often by Kafka's code; empty here, because any error ends it. */
  readonly errors: Readonly<Record<string, number>>
}

/**
 * Runs it to its end.
 * @param address HOST:PORT
 * @throws Error with its sentence when the broker answers with an error, or there is no C compiler
 */
export async function generate(
  kind: 'produce' | 'fetch',
  address: string,
  options: GeneratorOptions,
): Promise<Generated> {
  const words = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
  const { stdout } = await run(await generatorPath(), [kind, address, ...words])
  return JSON.parse(stdout) as Generated
}

let made: Promise<string> | undefined

/** Where the program is. */
export const generatorPath = (): Promise<string> =>
  (made ??= compiled(join(import.meta.dirname, 'generator.c')))
