/** Three brokers that are measured, as `stele start --brokers 3` of the bundle that ships runs them. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync, rmSync, watch } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as passed } from 'node:timers/promises'
import { bundle, newDirectory } from './broker.ts'

type Member = { readonly id: number; readonly kafka: string; readonly http: string; pid: number }
type Ready = { readonly kafka: string; readonly pid: number; readonly brokers: readonly Member[] }

/** One tablet as a broker that serves tells it. */
export type Tablet = { readonly leader: number | null; readonly isr: readonly number[] }

export class ThreeBrokers {
  readonly data: string
  /** HOST:PORT of all, with commas between. */
  readonly kafka: string
  readonly pid: number
  readonly members: readonly Member[]
  /** Writes of the control store's file so far. */
  controlWrites = 0
  readonly #process: ChildProcess
  readonly #ended: Promise<void>

  private constructor(data: string, process: ChildProcess, ended: Promise<void>, ready: Ready) {
    this.data = data
    this.#process = process
    this.#ended = ended
    this.kafka = ready.kafka
    this.pid = ready.pid
    this.members = ready.brokers
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

  /** What the topic's tablets are, as one of the brokers but `asleep` sees them. */
  async tablets(topic: string, asleep?: number): Promise<readonly Tablet[]> {
    for (const { id, http } of this.members) {
      if (id === asleep) continue
      try {
        const answer = await fetch(`${http}/v1/topics/${topic}`, { signal: AbortSignal.timeout(2_000) })
        if (!answer.ok) continue
        return ((await answer.json()) as { partitions: Tablet[] }).partitions
      } catch {
        // It is the one that was killed.
      }
    }
    return []
  }

  /** Asks every 10 ms until the topic's tablets are as `holds` wants. */
  async until(
    topic: string,
    holds: (tablets: readonly Tablet[]) => boolean,
    asleep?: number,
  ): Promise<readonly Tablet[]> {
    for (;;) {
      const tablets = await this.tablets(topic, asleep)
      if (tablets.length > 0 && holds(tablets)) return tablets
      await passed(10)
    }
  }

  allInSync(topic: string): Promise<readonly Tablet[]> {
    return this.until(topic, tablets => tablets.every(({ isr }) => isr.length === 3))
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
