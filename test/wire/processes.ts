/**
 * The processes that the wire tests start: clients, tools and brokers.
 *
 * In: a command line. Out: what it printed and how it ended. No process outlives the tests, and every command line is kept
 * until the test ends, so that a failure can be repeated by hand.
 */
import { spawn, type ChildProcessWithoutNullStreams as Piped } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Readable } from 'node:stream'

export type Outcome = {
  readonly commandLine: string
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

export type Running = {
  readonly pid: number
  readonly commandLine: string
  readonly stdin: NodeJS.WritableStream
  readonly stdout: () => string
  readonly stderr: () => string
  /** Settles when the process has ended; never rejects for an exit code. */
  readonly ended: Promise<Outcome>
  /** Sends `signal` and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<Outcome>
  /** Resolves when `holds` is true of what was printed so far. Rejects when the process ends before that. */
  printed(holds: (running: Running) => boolean): Promise<void>
}

export type LaunchOptions = {
  /** Standard input, whole; without it standard input stays open for the caller to write. */
  input?: string | Buffer | Readable
  directory?: string
  environment?: Record<string, string>
  /** After so long the process is killed, and the outcome shows SIGKILL. */
  limitMs?: number
}

const alive = new Set<Piped>()
const commandLines: string[] = []

const killAll = (): void => {
  for (const child of alive) child.kill('SIGKILL')
}
process.on('exit', killAll)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    killAll()
    process.kill(process.pid, signal)
  })
}

/** The command lines started since the last `forgetCommands`. */
export const commandsStarted = (): readonly string[] => commandLines
export const forgetCommands = (): void => void commandLines.splice(0)

/** Keeps a command line until the test ends, as it can be repeated by hand. */
export function noteCommand(command: string, args: readonly string[]): string {
  const commandLine = [command, ...args].map(quoted).join(' ')
  commandLines.push(commandLine)
  return commandLine
}

/** Starts a process that ends with this one at the latest. */
export function spawnPiped(command: string, args: readonly string[], options: LaunchOptions = {}): Piped {
  const child = spawn(command, args, {
    cwd: options.directory,
    env: { ...process.env, ...options.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  alive.add(child)
  for (const end of ['error', 'close']) child.once(end, () => alive.delete(child))
  return child
}

/** Starts a process and leaves it running. */
export function launch(command: string, args: readonly string[], options: LaunchOptions = {}): Running {
  const commandLine = noteCommand(command, args)
  const child = spawnPiped(command, args, options)
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  const printed = new EventTarget()
  const take = (into: Buffer[]) => (chunk: Buffer) => {
    into.push(chunk)
    printed.dispatchEvent(new Event('more'))
  }
  child.stdout.on('data', take(stdout))
  child.stderr.on('data', take(stderr))
  // A client that ends before it read everything is judged by its exit code.
  child.stdin.on('error', () => undefined)
  feed(child.stdin, options.input)
  const limit =
    options.limitMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), options.limitMs)
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once('error', error => {
      reject(new Error(`cannot start ${commandLine}: ${error.message}`))
    })
    child.once('close', (code, signal) => {
      clearTimeout(limit)
      resolve({ commandLine, code, signal, stdout: Buffer.concat(stdout), stderr: text(stderr) })
      printed.dispatchEvent(new Event('more'))
    })
  })
  // Who launches and never looks at the end still hears of a missing program through `printed`.
  ended.catch(() => undefined)
  const running: Running = {
    pid: child.pid ?? -1,
    commandLine,
    stdin: child.stdin,
    stdout: () => text(stdout),
    stderr: () => text(stderr),
    ended,
    kill: signal => {
      child.kill(signal)
      return ended
    },
    printed: holds =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!holds(running)) return
          printed.removeEventListener('more', look)
          resolve()
        }
        printed.addEventListener('more', look)
        ended.then(outcome => reject(new Error(`ended too early: ${story(outcome)}`)), reject)
        look()
      }),
  }
  return running
}

/** Runs a process to its end, whatever its exit code; after a minute (or `limitMs`) it is killed. */
export const run = (
  command: string,
  args: readonly string[],
  options: LaunchOptions = {},
): Promise<Outcome> => launch(command, args, { limitMs: 60_000, input: '', ...options }).ended

/**
 * Runs a process that must end with exit code 0.
 * @throws Error with the command line and what was printed when it does not
 */
export async function succeed(
  command: string,
  args: readonly string[],
  options: LaunchOptions = {},
): Promise<Outcome> {
  const outcome = await run(command, args, options)
  if (outcome.code !== 0) throw new Error(story(outcome))
  return outcome
}

/** One paragraph to read when an outcome was not the expected one. */
export function story(outcome: Outcome): string {
  const end = outcome.signal ?? `exit code ${outcome.code}`
  const tail = outcome.stdout.subarray(-2000).toString()
  return `${outcome.commandLine}\n${end}\n--- standard error\n${outcome.stderr.slice(-4000)}\n--- standard output (end)\n${tail}`
}

/** Whether `command` can be started by its name alone. */
export function installed(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some(directory => {
    try {
      accessSync(join(directory, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function feed(stdin: NodeJS.WritableStream, input: LaunchOptions['input']): void {
  if (input === undefined) return
  if (typeof input === 'string' || Buffer.isBuffer(input)) stdin.end(input)
  else input.pipe(stdin)
}

const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString()
const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
