/**
 * The processes of one log that is compared. In: a command line and how to tell that it answers. Out: how long that took, and what the kernel says its
 * processes used. Always holds: none of them outlives the bench.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as passed } from 'node:timers/promises'
import { launch, story, type Running } from '../../test/wire/processes.ts'

const askEveryMs = 2
const startLimitMs = 120_000
const stopLimitMs = 60_000
/** Linux counts processor time for programs in hundredths of a second, on every machine. */
const ticksPerSecond = 100
const pageBytes = 4096

export type Start = {
  readonly command: string
  readonly args: readonly string[]
  readonly environment?: Record<string, string>
  /** What it needs to have running beside it: started before it, counted with it, and ended after it. */
  readonly beside?: Pick<Start, 'command' | 'args'>
  /** Asked again and again until it says true. */
  readonly answers: () => Promise<boolean>
}

export class Server {
  readonly pid: number
  /** From its first process to its first answer. */
  readonly startMs: number
  readonly #running: Running
  readonly #beside: Running | undefined

  private constructor(running: Running, beside: Running | undefined, startMs: number) {
    this.#running = running
    this.#beside = beside
    this.pid = running.pid
    this.startMs = startMs
  }

  static async start({ command, args, environment = {}, beside, answers }: Start): Promise<Server> {
    const startedMs = performance.now()
    const companion = beside && launch(beside.command, beside.args, { environment })
    const running = launch(command, args, { environment })
    let end = ''
    running.ended.then(
      outcome => (end = story(outcome)),
      (error: unknown) => (end = String(error)),
    )
    while (!(await answers())) {
      if (end !== '') {
        await companion?.kill('SIGKILL')
        throw new Error(`did not start: ${end}`)
      }
      if (performance.now() - startedMs > startLimitMs) {
        await running.kill('SIGKILL')
        await companion?.kill('SIGKILL')
        throw new Error(`did not answer within ${startLimitMs / 1000} s: ${running.commandLine}`)
      }
      await passed(askEveryMs)
    }
    return new Server(running, companion, performance.now() - startedMs)
  }

  /** Time that its processes have been on a processor so far, to a hundredth. */
  cpuSeconds(): number {
    return this.#members().reduce((sum, { cpuTicks }) => sum + cpuTicks, 0) / ticksPerSecond
  }

  residentBytes(): number {
    return this.#members().reduce((sum, { residentPages }) => sum + residentPages, 0) * pageBytes
  }

  /** Ends it in the clean way; what of it does not end is killed. */
  async stop(): Promise<void> {
    const members = this.#members()
    const limit = setTimeout(() => void this.#running.kill('SIGKILL'), stopLimitMs)
    await this.#running.kill('SIGTERM')
    clearTimeout(limit)
    await this.#beside?.kill('SIGTERM')
    for (const member of members) if (isAlive(member)) process.kill(member.pid, 'SIGKILL')
    while (members.some(isAlive)) await passed(askEveryMs)
  }

  #members(): Member[] {
    return [this.#running, this.#beside].flatMap(root => (root === undefined ? [] : family(root.pid)))
  }
}

type Member = {
  readonly pid: number
  readonly parent: number
  readonly state: string
  /** In ticks since the machine's start: tells it from another one that got the same id. */
  readonly started: string
  readonly cpuTicks: number
  /** Of children that have ended. */
  readonly childrenTicks: number
  readonly residentPages: number
}

/** A process and all that descend from it. */
function family(root: number): Member[] {
  const all = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(name => memberOf(Number(name)))
    .filter(member => member !== undefined)
  const found = all.filter(({ pid }) => pid === root)
  for (const { pid } of found) found.push(...all.filter(({ parent }) => parent === pid))
  return found
}

/** Time that this process and all it started have been on a processor, those included that have ended. */
export const familyCpuSeconds = (): number =>
  family(process.pid).reduce((sum, { cpuTicks, childrenTicks }) => sum + cpuTicks + childrenTicks, 0) /
  ticksPerSecond

const isAlive = (member: Member): boolean => {
  const now = memberOf(member.pid)
  return now !== undefined && now.started === member.started && now.state !== 'Z'
}

/** proc(5): the second field is the program's name in brackets, with any character in it. */
function memberOf(pid: number): Member | undefined {
  let stat = ''
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const field = (number: number): string => fields[number - 3] ?? ''
  return {
    pid,
    state: field(3),
    parent: Number(field(4)),
    cpuTicks: Number(field(14)) + Number(field(15)),
    childrenTicks: Number(field(16)) + Number(field(17)),
    started: field(22),
    residentPages: Number(field(24)),
  }
}

/** Sends `request` over a connection of its own; says whether what came back, up to some moment, is what `enough` waits for. */
export function answersTo(
  port: number,
  request: Uint8Array | string,
  enough: (answer: Buffer) => boolean,
): Promise<boolean> {
  return new Promise(resolve => {
    let answer: Buffer = Buffer.alloc(0)
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(request))
    const end = (is: boolean): void => {
      socket.destroy()
      resolve(is)
    }
    socket.on('data', (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk])
      if (enough(answer)) end(true)
    })
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
    socket.setTimeout(1_000, () => end(false))
  })
}
