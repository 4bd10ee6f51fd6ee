/** What the machine did while something was measured: its load, how late it woke somebody, and what its processors did for others. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { familyCpuSeconds } from './server.ts'

const ticksPerSecond = 100

export type Noise = {
  readonly seconds: number
  /** Of the last minute, at the end. */
  readonly load: number
  /** The longest that somebody who wanted to be woken had to wait. */
  readonly stallMs: number
  /** Of all processors' time, the part that processes took which are not the bench's. */
  readonly othersShare: number
  /** Of all processors' time, the part that other machines on the same hardware took. */
  readonly stolenShare: number
}

export class NoiseWatch {
  readonly #stalls: ChildProcess = fork(join(import.meta.dirname, '..', 'stalls-process.ts'))

  constructor() {
    process.once('exit', () => this.#stalls.kill('SIGKILL'))
  }

  async during<Answer>(act: () => Promise<Answer>): Promise<{ answer: Answer; noise: Noise }> {
    const before = taken()
    const atMs = Date.now()
    const answer = await act()
    const seconds = (Date.now() - atMs) / 1000
    const after = taken()
    const all = seconds * availableParallelism()
    this.#stalls.send(atMs)
    const [stallMs] = (await once(this.#stalls, 'message')) as [number]
    const noise = {
      seconds,
      load: loadavg()[0] ?? NaN,
      stallMs: Math.round(stallMs),
      othersShare: share(after.busy - before.busy - (after.ours - before.ours), all),
      stolenShare: share(after.stolen - before.stolen, all),
    }
    return { answer, noise }
  }

  end(): void {
    this.#stalls.disconnect()
  }
}

const share = (seconds: number, of: number): number => Math.max(0, Math.round((seconds / of) * 1000) / 1000)

/** Seconds of processors since some moment. proc(5) has the columns. */
function taken(): { busy: number; stolen: number; ours: number } {
  const columns = readFileSync('/proc/stat', 'utf8').split('\n')[0]?.split(/ +/).slice(1).map(Number) ?? []
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0, stolen = 0] = columns
  return {
    busy: (user + nice + system + interrupts + softInterrupts) / ticksPerSecond,
    stolen: stolen / ticksPerSecond,
    ours: familyCpuSeconds(),
  }
}
