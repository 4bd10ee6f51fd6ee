import type { SimClock, SimProcess } from './clock.ts'
import { drawFate, type Fate, keepAll, loseAll } from './content.ts'
import { SimDirectory, type SimFile, type SimNode } from './nodes.ts'
import type { Seeded } from './seeded.ts'

export type DiskCall = 'open' | 'read' | 'write' | 'truncate' | 'sync' | 'rename' | 'remove' | 'syncDirectory'

/** What a crash does to everything that no sync covers; `tear` draws it from the seed, file by file. */
export type CrashKind = 'lose' | 'keep' | 'tear'

type Failure = {
  readonly call: DiskCall
  readonly code: string
  readonly path: RegExp
  /** How many of the calls fail, or undefined for the next one alone. */
  readonly share: number | undefined
}

/** More than any test fills; what is left of it is not counted. */
export const roomyBytes = 2 ** 40

/**
 * A disk in memory that keeps apart what processes see and what is on the platter, and that fails when told to: the test breaks it here,
 * while processes reach it through `SimFileSystem`.
 */
export class SimDisk {
  readonly clock: SimClock
  readonly random: Seeded
  /** What reaches the platter whole or not at all. */
  readonly sectorBytes: number
  /** Writes that would make the files larger than this altogether fail with ENOSPC. */
  capacityBytes = roomyBytes
  /** How long a sync takes, drawn between the two. */
  syncMs = { min: 0.05, max: 2 }
  /** How long any other call on the thread pool takes. */
  poolMs = { min: 0.01, max: 0.5 }
  /** Sees every call just before it happens. Killing or crashing from here makes a crash at exactly this call. */
  onCall: ((call: string, path: string) => void) | undefined
  readonly root = new SimDirectory()
  readonly #dirty = new Set<SimFile>()
  #failures: Failure[] = []

  constructor(clock: SimClock, random: Seeded, sectorBytes: number) {
    this.clock = clock
    this.random = random
    this.sectorBytes = sectorBytes
  }

  /** The next `call` on a path that matches fails with `code`; a write or a sync after a part of its work. */
  failNext(call: DiskCall, code: string, path = /(?:)/): void {
    this.#failures.push({ call, code, path, share: undefined })
  }

  /** From now on this share of `call`s fails, by seed. */
  failShare(call: DiskCall, share: number, code: string, path = /(?:)/): void {
    this.#failures.push({ call, code, path, share })
  }

  /** Takes back all failures that were asked for. */
  heal(): void {
    this.#failures = []
  }

  /** Flips one to eight bits, by seed, in these bytes of a file, on the platter too. */
  flipBits(path: string, at: number, lengthBytes: number): void {
    const node = this.find(path)
    if (node?.kind !== 'file') throw diskError('ENOENT', 'flip', path)
    const flipped = new Set<number>()
    for (let left = 1 + this.random.below(8); left > 0; left -= 1)
      flipped.add(at * 8 + this.random.below(lengthBytes * 8))
    for (const bit of flipped) node.flip(bit)
  }

  /** The power fails under the files; names are the file system's. */
  crash(how: CrashKind): void {
    const fates = { lose: () => loseAll, keep: () => keepAll, tear: this.drawFate }
    for (const file of this.#dirty) file.crash(fates[how], this.sectorBytes)
    this.#dirty.clear()
  }

  readonly drawFate = (changes: number): Fate => drawFate(this.random, changes)

  find(path: string): SimNode | undefined {
    let node: SimNode | undefined = this.root
    for (const name of partsOf(path)) node = node?.kind === 'directory' ? node.seen.get(name) : undefined
    return node
  }

  freeBytes(): number {
    if (this.capacityBytes >= roomyBytes) return this.capacityBytes
    return Math.max(0, this.capacityBytes - usedBytes(this.root))
  }

  /** Refuses the calls of the dead. */
  note(process: SimProcess, call: string, path: string): void {
    if (process.alive) this.onCall?.(call, path)
    if (!process.alive) throw diskError('EBADF', call, path)
  }

  /** The same, and refuses those that shall fail. */
  check(process: SimProcess, call: DiskCall, path: string): void {
    this.note(process, call, path)
    const code = this.#drawFailure(call, path)
    if (code !== undefined) throw diskError(code, call, path)
  }

  /** For calls that do a part of their work first: answers the code to fail with. */
  failureOf(process: SimProcess, call: DiskCall, path: string): string | undefined {
    this.note(process, call, path)
    return this.#drawFailure(call, path)
  }

  /** Marks a file that has changes a crash can lose. */
  changed(file: SimFile): void {
    file.modifiedMs = this.clock.nowMs()
    this.#dirty.add(file)
  }

  synced(file: SimFile): void {
    if (file.isClean) this.#dirty.delete(file)
  }

  /** Does `act` on the simulated thread pool; never ends when the process dies before. */
  later<Result>(process: SimProcess, act: () => Result, takesMs = this.poolMs): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.clock.after(process, this.random.between(takesMs.min, takesMs.max), () => {
        try {
          resolve(act())
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  #drawFailure(call: DiskCall, path: string): string | undefined {
    const index = this.#failures.findIndex(
      failure =>
        failure.call === call &&
        failure.path.test(path) &&
        (failure.share === undefined || this.random.chance(failure.share)),
    )
    const failure = this.#failures[index]
    if (failure !== undefined && failure.share === undefined) this.#failures.splice(index, 1)
    return failure?.code
  }
}

/** An error as Node's file system throws it. */
export function diskError(code: string, syscall: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: simulated, ${syscall} '${path}'`), { code, syscall, path })
}

function usedBytes(directory: SimDirectory): number {
  let bytes = 0
  for (const node of directory.seen.values())
    bytes += node.kind === 'file' ? node.seen.sizeBytes : usedBytes(node)
  return bytes
}

export const partsOf = (path: string): string[] => path.split('/').filter(part => part !== '')
