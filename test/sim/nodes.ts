import { Content, type Change, type Fate, land } from './content.ts'
import type { Seeded } from './seeded.ts'

type DrawFate = (changes: number) => Fate

/** A file: what processes see of it, what the platter has of it, and the changes between the two. */
export class SimFile {
  readonly kind = 'file'
  readonly seen = new Content()
  readonly #platter = new Content()
  #unsynced: Change[] = []
  /** How many changes left `#unsynced` since the file was made. */
  #left = 0
  #cacheDiffers = false
  modifiedMs = 0

  write(bytes: Buffer, at: number): void {
    this.seen.write(bytes, at)
    this.#unsynced.push({ at, bytes })
  }

  truncate(sizeBytes: number): void {
    this.seen.truncate(sizeBytes)
    this.#unsynced.push({ at: sizeBytes, bytes: undefined })
  }

  get isClean(): boolean {
    return this.#unsynced.length === 0 && !this.#cacheDiffers
  }

  /** A moment in the file's life, for `sync`. */
  get moment(): number {
    return this.#left + this.#unsynced.length
  }

  /** What was changed up to `moment` is on the platter. */
  sync(moment: number): void {
    for (const { at, bytes } of this.#take(moment)) {
      if (bytes === undefined) this.#platter.truncate(at)
      else this.#platter.write(bytes, at)
    }
  }

  /** As Linux does it: what did not reach the platter counts as written from now on, and is still seen. */
  failSync(moment: number, draw: DrawFate, sectorBytes: number): void {
    const changes = this.#take(moment)
    land(this.#platter, changes, draw(changes.length), sectorBytes)
    this.#cacheDiffers = true
  }

  crash(draw: DrawFate, sectorBytes: number): void {
    this.failSync(this.moment, draw, sectorBytes)
    this.seen.become(this.#platter)
    this.#cacheDiffers = false
  }

  flip(bit: number): void {
    this.seen.flip(bit)
    this.#platter.flip(bit)
  }

  #take(moment: number): Change[] {
    const taken = this.#unsynced.splice(0, Math.max(0, moment - this.#left))
    this.#left += taken.length
    return taken
  }
}

let directories = 0

export class SimDirectory {
  readonly kind = 'directory'
  readonly id = (directories += 1)
  seen = new Map<string, SimNode>()
  readonly platter = new Map<string, SimNode>()
}

export type SimNode = SimFile | SimDirectory

type Entry = { readonly directory: SimDirectory; readonly name: string; readonly node: SimNode | undefined }
/** A change of names that reaches the platter whole or not at all: one entry, or a rename's two. */
export type NameChange = readonly Entry[]

/** The names of all directories: changes that no directory sync covers yet, oldest first. */
export class Names {
  #unsynced: NameChange[] = []

  change(...change: NameChange): void {
    for (const { directory, name, node } of change) put(directory.seen, name, node)
    this.#unsynced.push(change)
  }

  unsyncedIn(directory: SimDirectory): NameChange[] {
    return this.#unsynced.filter(change => change.some(entry => entry.directory === directory))
  }

  /** Makes these changes durable, and those before them that touch the same names. */
  sync(changes: readonly NameChange[]): void {
    const wanted = new Set(changes)
    const names = new Set<string>()
    for (const change of this.#unsynced.toReversed()) {
      if (!wanted.has(change) && !change.some(entry => names.has(keyOf(entry)))) continue
      wanted.add(change)
      for (const entry of change) names.add(keyOf(entry))
    }
    this.#settle(change => wanted.has(change))
  }

  /** Keeps or loses what no sync covers, each change for itself; a change stands only on those before it of its names. */
  crash(keeps: () => boolean): void {
    const stale = new Set<string>()
    const touched = new Set(this.#unsynced.flatMap(change => change.map(entry => entry.directory)))
    this.#settle(change => {
      const kept = !change.some(entry => stale.has(keyOf(entry))) && keeps()
      if (!kept) for (const entry of change) stale.add(keyOf(entry))
      return kept
    })
    this.#unsynced = []
    for (const directory of touched) directory.seen = new Map(directory.platter)
  }

  #settle(durable: (change: NameChange) => boolean): void {
    this.#unsynced = this.#unsynced.filter(change => {
      if (!durable(change)) return true
      for (const { directory, name, node } of change) put(directory.platter, name, node)
      return false
    })
  }
}

/** One of the ways in which file systems lose names. */
export function drawNameFate(random: Seeded): () => boolean {
  const share = random.pick([0, 1, random.fraction(), random.fraction()])
  const inOrder = random.chance(0.5)
  let lost = false
  return () => {
    if (!(inOrder && lost)) lost = !random.chance(share)
    return !lost
  }
}

function put(entries: Map<string, SimNode>, name: string, node: SimNode | undefined): void {
  if (node === undefined) entries.delete(name)
  else entries.set(name, node)
}

const keyOf = ({ directory, name }: Entry): string => `${directory.id}/${name}`
