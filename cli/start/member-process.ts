import { fork, type ChildProcess } from 'node:child_process'
import type { Logger } from 'pino'
import type { Channel, ToBroker, ToStore } from '../../control/served/messages.ts'
import type { Doors } from './greeting.ts'
import type { Ready } from './member.ts'

/** After an end that nobody asked for; twice as long after each that was no start. */
const againMs = { min: 1_000, max: 30_000 }

export type MemberOptions = {
  readonly id: number
  /** The command line of a run, after `stele`. */
  readonly args: () => readonly string[]
  readonly log: Logger
  readonly serve: (channel: Channel<ToBroker, ToStore>) => void
  readonly ready: (doors: Doors) => void
  /** Its process runs. */
  readonly started: (pid: number) => void
  /** It has ended before it was ever ready: that is no matter of chance. */
  readonly failed: () => void
}

/** One broker as a process, which is started again whenever it ends. */
export class MemberProcess {
  readonly #options: MemberOptions
  #process: ChildProcess | undefined
  #wasReady = false
  /** In this run. */
  #isReady = false
  #failures = 0
  #again: NodeJS.Timeout | undefined
  #stopping = false
  #ended: Promise<boolean> = Promise.resolve(true)

  constructor(options: MemberOptions) {
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  start(): void {
    const { id, args, log, serve, ready, started } = this.#options
    const child = fork(process.argv[1] ?? '', args(), {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Ctrl-C is for the parent alone, which stops its brokers in order.
      detached: true,
    })
    this.#process = child
    if (child.pid !== undefined) started(child.pid)
    this.#isReady = false
    const channel: Channel<ToBroker, ToStore> = {
      send: (message, sent) => {
        if (child.connected) child.send(message, undefined, {}, () => sent?.())
        else sent?.()
      },
      abandon: () => {
        log.error({ broker: id, pid: child.pid }, 'a broker has not read for too long: it is ended')
        child.kill('SIGKILL')
      },
      received: () => undefined,
      ended: () => undefined,
    }
    child.on('message', message => {
      const told = message as ToStore | Ready
      if (told.kind !== 'ready') return channel.received(told)
      this.#wasReady = this.#isReady = true
      this.#failures = 0
      log.info({ broker: id, pid: child.pid, ...told.doors }, 'broker is ready')
      ready(told.doors)
    })
    serve(channel)
    this.#ended = new Promise(resolve => {
      child.once('error', error => log.error({ broker: id, error }, 'the process of a broker'))
      child.once('close', (code, signal) => {
        this.#process = undefined
        channel.ended()
        resolve(code === 0 || !this.#isReady)
        if (!this.#stopping) this.#startAgain(code, signal)
      })
    })
  }

  /** Answers whether it ended in order; one that was only starting has nothing to bring in order. */
  async stop(): Promise<boolean> {
    this.#stopping = true
    clearTimeout(this.#again)
    this.#process?.kill('SIGTERM')
    // One that was paused by hand would never hear of it.
    this.#process?.kill('SIGCONT')
    return this.#process === undefined || this.#ended
  }

  /** At once, whatever it does. */
  kill(): void {
    this.#stopping = true
    this.#process?.kill('SIGKILL')
  }

  #startAgain(code: number | null, signal: NodeJS.Signals | null): void {
    const { id, log, failed } = this.#options
    if (!this.#wasReady) return failed()
    const inMs = Math.min(againMs.max, againMs.min * 2 ** this.#failures++)
    log.warn({ broker: id, code, signal, inMs }, 'a broker ended; it is started again')
    this.#again = setTimeout(() => this.start(), inMs)
  }
}
