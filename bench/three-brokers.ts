/** Three brokers that are measured, as `stele start --brokers 3` of the bundle that ships runs them. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync, rmSync, watch } from 'node:fs'
import { join } from 'node:path'
import { bundle, newDirectory } from './broker.ts'
import { MeasuredCluster } from './measured-cluster.ts'

type Member = { readonly id: number; readonly kafka: string; readonly http: string; pid: number }
type Ready = { readonly kafka: string; readonly pid: number; readonly brokers: readonly Member[] }

export class ThreeBrokers extends MeasuredCluster {
  readonly data: string
  /** HOST:PORT of all, with commas between. */
  readonly kafka: string
  readonly pid: number
  readonly members: readonly Member[]
  readonly http: readonly string[]
  /** Writes of the control store's file so far. */
  controlWrites = 0
  readonly #process: ChildProcess
  readonly #ended: Promise<void>

  private constructor(data: string, process: ChildProcess, ended: Promise<void>, ready: Ready) {
    super()
    this.data = data
    this.#process = process
    this.#ended = ended
    this.kafka = ready.kafka
    this.pid = ready.pid
    this.members = ready.brokers
    this.http = this.members.map(({ http }) => http)
    watch(data, { persistent: false }, (_, name) => {
      if (name === 'control.json') this.controlWrites++
    })
  }

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<ThreeBrokers> {
    const data = newDirectory()
    const places = [`--data=${data}`, '--kafka=127.0.0.1:0', '--http=127.0.0.1:0', '--json']
    const given = Object.entries(settings).map(([name, value]) => `--set=${name}=${value}`)
    const child = spawn(process.execPath, [bundle, 'start', '--brokers=3', ...places, ...given], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    process.once('exit', () => child.kill('SIGKILL'))
    const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
    const printed = { out: '', log: '' }
    let three: ThreeBrokers | undefined
    child.stderr.on('data', (chunk: Buffer) => {
      const lines = (printed.log + chunk.toString()).split('\n')
      printed.log = lines.pop() ?? ''
      if (three !== undefined) for (const line of lines) three.#logged(line)
    })
    const ready = new Promise<Ready>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        printed.out += chunk.toString()
        if (printed.out.includes('\n')) resolve(JSON.parse(printed.out) as Ready)
      })
      void ended.then(() => reject(new Error('the brokers did not start')))
    })
    three = new ThreeBrokers(data, child, ended, await ready)
    return three
  }

  member(id: number): Member {
    const member = this.members[id]
    if (member === undefined) throw new Error(`there is no broker ${id}`)
    return member
  }

  signal(id: number, signal: NodeJS.Signals): void {
    process.kill(this.member(id).pid, signal)
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGTERM')
    await this.#ended
    rmSync(this.data, { recursive: true, force: true })
  }

  #logged(line: string): void {
    if (!line.startsWith('{')) return
    const { msg, broker, pid } = JSON.parse(line) as { msg: string; broker: number; pid: number }
    const member = this.members[broker]
    if (msg === 'broker is ready' && member !== undefined) member.pid = pid
  }
}

/** What a process has in memory now, in bytes. */
export function residentBytes(pid: number): number {
  const status = readFileSync(join('/proc', String(pid), 'status'), 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
}
