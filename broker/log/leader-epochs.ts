/** `leader-epochs.json`: which epoch began at which offset (KIP-101). Both rise; an epoch in which nothing was written has no entry. */
import { readFile, replaceFile } from '../../base/files.ts'
import { epoch, offset, type Epoch, type Offset } from '../../base/quantities.ts'
import type { Disk } from '../../base/world.ts'

type Entry = { readonly epoch: Epoch; readonly start: Offset }

export class LeaderEpochs {
  readonly #disk: Disk
  readonly #path: string
  #entries: Entry[]
  #saved: string

  private constructor(disk: Disk, path: string, entries: Entry[]) {
    this.#disk = disk
    this.#path = path
    this.#entries = entries
    this.#saved = JSON.stringify(entries)
  }

  /** Reads the file, or answers undefined when it is not there, of another format or says nothing: the entries then have to be read from the log again. */
  static open(disk: Disk, directory: string): LeaderEpochs | undefined {
    const path = pathIn(directory)
    const content = readFile(disk, path)
    const entries = content && parse(content)
    return entries && new LeaderEpochs(disk, path, entries)
  }

  /** Those of a log in which nothing was written yet. */
  static none(disk: Disk, directory: string): LeaderEpochs {
    return new LeaderEpochs(disk, pathIn(directory), [])
  }

  get latest(): Epoch | undefined {
    return this.#entries.at(-1)?.epoch
  }

  /** A batch of `batchEpoch` stands at `start`; remembered when the epoch is new. */
  seen(batchEpoch: Epoch, start: Offset): void {
    const latest = this.latest
    if (latest === undefined || batchEpoch > latest) this.#entries.push({ epoch: batchEpoch, start })
  }

  /** A batch of `batchEpoch` stands at `start` again, where nothing could be read: its epoch began there, if not before. Between epochs of what stands around it. */
  restored(batchEpoch: Epoch, start: Offset): void {
    const i = this.#entries.findIndex(entry => entry.epoch >= batchEpoch)
    const known = this.#entries[i]
    if (known?.epoch === batchEpoch)
      this.#entries[i] = { epoch: batchEpoch, start: offset(Math.min(start, known.start)) }
    else this.#entries.splice(i < 0 ? this.#entries.length : i, 0, { epoch: batchEpoch, start })
  }

  /** Forgets what began at or behind `end`, after the log was cut there. */
  truncate(end: Offset): void {
    while ((this.#entries.at(-1)?.start ?? -1) >= end) this.#entries.pop()
  }

  /** Forgets everything: the log begins again, empty. */
  clear(): void {
    this.#entries = []
  }

  /** The log now starts at `start`: only the last entry at or before it still matters, and it begins there. */
  startAt(start: Offset): void {
    const keep = this.#entries.findLastIndex(entry => entry.start <= start)
    const first = this.#entries[keep]
    if (first !== undefined) this.#entries = [{ ...first, start }, ...this.#entries.slice(keep + 1)]
  }

  /** The epoch of the batch that holds `at`, or undefined when that is not known. */
  of(at: Offset): Epoch | undefined {
    return this.#entries.findLast(entry => entry.start <= at)?.epoch
  }

  /**
   * The largest known epoch that is at most `asked`, and the offset behind its last record (`logEnd` for the newest).
   * Kafka OffsetForLeaderEpoch; undefined when the log knows of none.
   */
  endOf(asked: number, current: Epoch, logEnd: Offset): { epoch: Epoch; end: Offset } | undefined {
    if (asked === current) return { epoch: current, end: logEnd }
    if (asked < 0 || asked > current) return undefined
    const i = this.#entries.findLastIndex(entry => entry.epoch <= asked)
    const found = this.#entries[i]
    const next = this.#entries[i + 1]
    if (found === undefined) return next === undefined ? undefined : { epoch: epoch(asked), end: next.start }
    return { epoch: found.epoch, end: next?.start ?? logEnd }
  }

  /** The same as it is told to clients: -1 and -1 when the log knows of none. */
  toldEndOf(
    asked: number,
    current: Epoch,
    logEnd: Offset,
  ): { readonly epoch: number; readonly endOffset: number } {
    const found = this.endOf(asked, current, logEnd)
    return found === undefined ? { epoch: -1, endOffset: -1 } : { epoch: found.epoch, endOffset: found.end }
  }

  async save(): Promise<void> {
    const text = JSON.stringify(this.#entries)
    if (text === this.#saved) return
    await replaceFile(this.#disk, this.#path, this.#content())
    this.#saved = text
  }

  #content(): Buffer {
    return Buffer.from(`${JSON.stringify({ version: 1, epochs: this.#entries })}\n`)
  }
}

const pathIn = (directory: string): string => `${directory}/leader-epochs.json`

type Format = { version: number; epochs: { epoch: number; start: number }[] }

function parse(content: Buffer): Entry[] | undefined {
  try {
    const { version, epochs } = JSON.parse(content.toString()) as Format
    if (version !== 1) return undefined
    const entries = epochs.map(entry => ({ epoch: epoch(entry.epoch), start: offset(entry.start) }))
    const rises = entries.every((entry, i) => {
      const before = entries[i - 1]
      return (
        Number.isSafeInteger(entry.epoch) &&
        Number.isSafeInteger(entry.start) &&
        (before === undefined || (entry.epoch > before.epoch && entry.start >= before.start))
      )
    })
    return rises ? entries : undefined
  } catch {
    return undefined
  }
}
