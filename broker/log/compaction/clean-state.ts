/** `compaction.json`: how far a tablet's log is compacted, and which of its segments hold tombstones that wait for their time. */
import { readFile, replaceFile } from '../../../base/files.ts'
import { offset, type Offset } from '../../../base/quantities.ts'
import type { Disk } from '../../../base/world.ts'

type Format = { version: 1; cleaned: number; horizons: [baseOffset: number, horizonMs: number][] }

export class CleanState {
  readonly #disk: Disk
  readonly #path: string
  /** Everything below was compacted; undefined when that is not known. */
  cleaned: Offset | undefined
  /** By a segment's base offset: when (wall clock) the first of its tombstones may go. */
  readonly horizons: Map<number, number>

  private constructor(disk: Disk, path: string, format: Format | undefined) {
    this.#disk = disk
    this.#path = path
    this.cleaned = format && offset(format.cleaned)
    this.horizons = new Map(format?.horizons)
  }

  /** Reads the file. One that is missing, unreadable or of another format costs time, not data: the log is then compacted from its start. */
  static open(disk: Disk, directory: string): CleanState {
    const path = `${directory}/compaction.json`
    const content = readFile(disk, path)
    return new CleanState(disk, path, content && parse(content))
  }

  /** The segments in [from, to) are now one; `horizonMs` is undefined when no tombstone of it waits. */
  replaced(from: number, to: number, horizonMs: number | undefined): void {
    for (const base of this.horizons.keys()) if (base >= from && base < to) this.horizons.delete(base)
    if (horizonMs !== undefined) this.horizons.set(from, horizonMs)
  }

  /** Resolves when it is durable. Segments that retention took away are forgotten. */
  async save(firstOffset: Offset): Promise<void> {
    for (const base of this.horizons.keys()) if (base < firstOffset) this.horizons.delete(base)
    const format: Format = { version: 1, cleaned: this.cleaned ?? 0, horizons: [...this.horizons] }
    await replaceFile(this.#disk, this.#path, Buffer.from(`${JSON.stringify(format)}\n`))
  }
}

function parse(content: Buffer): Format | undefined {
  try {
    const format = JSON.parse(content.toString()) as Format
    const sound = [format.cleaned, ...format.horizons.flat()].every(n => Number.isSafeInteger(n) && n >= 0)
    return sound && format.version === 1 ? format : undefined
  } catch {
    return undefined
  }
}
