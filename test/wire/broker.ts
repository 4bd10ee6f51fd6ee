/**
 * The broker under test, as a process of its own.
 *
 * In: a data directory and settings. Out: its addresses and a handle to stop or kill it. Which broker it is, the
 * environment says: Stele from this checkout; with STELE_TEST_BROKER=kafka a Kafka from Maven Central, which proves the
 * tests themselves; with STELE_TEST_BOOTSTRAP=HOST:PORT one that runs already and is left running.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { startKafka } from './kafka-reference.ts'
import { commandsStarted, forgetCommands, launch, type Running } from './processes.ts'

export const checkout = join(import.meta.dirname, '..', '..')
export const foreignBootstrap = process.env['STELE_TEST_BOOTSTRAP']
export const isKafka = process.env['STELE_TEST_BROKER'] === 'kafka'
/** The broker is this checkout's: what only Stele does, or does otherwise than Kafka, can be expected. */
export const isOurs = foreignBootstrap === undefined && !isKafka

export type BrokerOptions = {
  /** Data directory; without it a fresh one that is removed by `stop`. */
  data?: string
  /** The broker's settings under Kafka's names. */
  settings?: Record<string, string>
  /** Where to listen; a free port of loopback when not said. */
  kafka?: string
  http?: string
}

export type Broker = {
  /** host:port */
  readonly kafka: string
  /** http://host:port */
  readonly http: string
  readonly pid: number
  readonly data: string
  /** Everything it printed so far. */
  log(): string
  /** Sends `signal` and waits until the process has ended. The data directory stays. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Ends it in the clean way, whatever state it is in. */
  stop(): Promise<void>
}

/** Starts a broker and answers when it is ready. */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  if (foreignBootstrap !== undefined) return foreignBroker(foreignBootstrap)
  const data = options.data ?? (await mkdtemp(join(tmpdir(), 'stele-wire-')))
  const whole = { ...options, data }
  const started = isKafka ? await startKafka(whole) : await startStele(whole)
  const { process: running } = started
  return {
    kafka: started.kafka,
    http: started.http,
    pid: running.pid,
    data,
    log: () => running.stdout() + running.stderr(),
    kill: async signal => void (await running.kill(signal)),
    stop: async () => {
      await running.kill('SIGTERM')
      if (options.data === undefined) await rm(data, { recursive: true, force: true })
    },
  }
}

/**
 * One broker for all tests of a file or `describe`: started before, stopped after, its log shown when a test fails.
 * The answer is a function because the broker exists only once the tests run.
 */
export function useBroker(options: BrokerOptions = {}): () => Broker {
  let broker: Broker | undefined
  beforeAll(async () => {
    broker = await startBroker(options)
  })
  afterAll(() => broker?.stop())
  explainFailures(() => broker?.log() ?? 'the broker did not start')
  return () => {
    if (broker === undefined) throw new Error('the broker is not started yet')
    return broker
  }
}

/** Prints, when a test fails, the command lines it ran and the end of the broker's log. */
export function explainFailures(log: () => string): void {
  beforeEach(context => {
    forgetCommands()
    context.onTestFailed(() => {
      process.stderr.write(
        `\n${context.task.name}: to repeat\n${commandsStarted().join('\n')}\n` +
          `--- end of the broker's log\n${log().slice(-6000)}\n---\n`,
      )
    })
  })
}

type Started = { kafka: string; http: string; process: Running }

async function startStele(options: BrokerOptions & { data: string }): Promise<Started> {
  const settings = Object.entries(options.settings ?? {}).map(([name, value]) => `--set=${name}=${value}`)
  const running = launch(process.execPath, [
    join(checkout, 'bin', 'stele.mjs'),
    'start',
    '--json',
    `--data=${options.data}`,
    `--kafka=${options.kafka ?? '127.0.0.1:0'}`,
    `--http=${options.http ?? '127.0.0.1:0'}`,
    ...settings,
  ])
  const readyLine = (): string | undefined =>
    running
      .stdout()
      .split('\n')
      .find(line => line.startsWith('{"ready":true'))
  await running.printed(() => readyLine() !== undefined)
  const { kafka, http } = JSON.parse(readyLine() ?? '') as { kafka: string; http: string }
  return { kafka, http, process: running }
}

function foreignBroker(kafka: string): Broker {
  return {
    kafka,
    http: '',
    get pid(): number {
      return notOurs()
    },
    get data(): string {
      return notOurs()
    },
    log: () => `a broker that runs elsewhere: ${kafka}`,
    kill: async () => notOurs(),
    stop: async () => undefined,
  }
}

function notOurs(): never {
  throw new Error('a broker that was not started here is neither killed nor looked into')
}
