/**
 * The broker that is measured, as a process of its own: the bundle that ships, made from the source as it is now. Enters: settings.
 * Leaves: its addresses, and what it took of the machine's processors and memory.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const checkout = join(import.meta.dirname, '..')
/** Another build's dist/stele.mjs, to be compared with this checkout's. */
const otherBuild = process.env['STELE_BENCH_BUILD']

/** Which broker runs, to be said beside every number. */
export const brokerMeasured = otherBuild ?? 'dist/ of this checkout'

export const bundle = otherBuild ?? makeBundle()

export type StartOptions = {
  /** Where its data lies; without it a new directory that `stop` removes. */
  readonly data?: string
  readonly settings?: Readonly<Record<string, string>>
}

export type TopicOptions = {
  readonly partitions?: number
  readonly config?: Readonly<Record<string, string>>
}

export class Broker {
  readonly data: string
  readonly kafkaPort: number
  /** http://HOST:PORT */
  readonly http: string
  readonly pid: number
  readonly #process: ChildProcess
  readonly #ended: Promise<void>
  readonly #removesData: boolean

  private constructor(
    process: ChildProcess,
    ended: Promise<void>,
    data: string,
    removesData: boolean,
    ready: Ready,
  ) {
    this.#process = process
    this.#ended = ended
    this.data = data
    this.#removesData = removesData
    this.kafkaPort = Number(ready.kafka.split(':').at(-1))
    this.http = ready.http
    this.pid = ready.pid
  }

  /** Starts a broker; it is ready when this resolves. */
  static async start(options: StartOptions = {}): Promise<Broker> {
    const data = options.data ?? newDirectory()
    const settings = Object.entries({ 'stele.log.level': 'warn', ...options.settings }).map(
      ([name, value]) => `--set=${name}=${value}`,
    )
    const places = [`--data=${data}`, '--kafka=127.0.0.1:0', '--http=127.0.0.1:0', '--json']
    const child = spawn(process.execPath, [bundle, 'start', ...places, ...settings], {
      // What it warns of is for whoever reads the numbers.
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    // A bench that fails leaves no broker behind.
    process.once('exit', () => child.kill('SIGKILL'))
    const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
    const ready = await readyLine(child, ended)
    return new Broker(child, ended, data, options.data === undefined, ready)
  }

  /** Time its threads have been on a processor since it started, in seconds. */
  cpuSeconds(): number {
    const threads = `/proc/${this.pid}/task`
    let nanoseconds = 0
    for (const thread of readdirSync(threads))
      nanoseconds += Number(readFileSync(`${threads}/${thread}/schedstat`, 'utf8').split(' ')[0])
    return nanoseconds / 1e9
  }

  /** What it has in memory now, in bytes. */
  residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
  }

  async createTopic(name: string, { partitions = 1, config = {} }: TopicOptions = {}): Promise<void> {
    const body = JSON.stringify({ name, partitions, config })
    await this.#ask('POST', '/v1/topics', body)
  }

  async deleteTopic(name: string): Promise<void> {
    await this.#ask('DELETE', `/v1/topics/${name}`)
  }

  /** Ends it as Ctrl-C does. */
  async stop(): Promise<void> {
    this.#process.kill('SIGTERM')
    await this.#ended
    if (this.#removesData) rmSync(this.data, { recursive: true, force: true })
  }

  /** Ends it as a power cut would, but that the operating system lives on. The data stays. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#ended
  }

  async #ask(method: string, path: string, body?: string): Promise<void> {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const answer = await fetch(this.http + path, { method, headers, ...(body === undefined ? {} : { body }) })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  }
}

/** A directory for measured data; where, TMPDIR says. */
export const newDirectory = (): string => mkdtempSync(join(tmpdir(), 'stele-bench-'))

type Ready = {
  readonly kafka: string
  readonly http: string
  readonly pid: number
}

async function readyLine(child: ChildProcess, ended: Promise<void>): Promise<Ready> {
  let printed = ''
  const ready = new Promise<string>(resolve => {
    child.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
      if (printed.includes('\n')) resolve(printed)
    })
  })
  const line = await Promise.race([ready, ended.then(() => undefined)])
  if (line === undefined) throw new Error('the broker did not start')
  return JSON.parse(line) as Ready
}

function makeBundle(): string {
  execFileSync(process.execPath, [join(checkout, 'build.ts')], { stdio: ['ignore', 'ignore', 'inherit'] })
  return join(checkout, 'dist', 'stele.mjs')
}
