/**
 * One of a segment's two indexes: in come (key, value) pairs that both rise, out comes the last pair at or below a key.
 * Full blocks of entries live in the file, the newest ones in memory with the first key of every block, so memory stays near 1/500
 * of the file and a look-up reads at most one block. Losing the file loses nothing: it can be rebuilt from the log.
 */
import { assert } from '../../base/assert.ts'
import { readInt64, writeInt64 } from '../../base/int64.ts'
import { KIB } from '../../base/quantities.ts'
import type { Disk, DiskFile } from '../../base/world.ts'

export type IndexEntry = { readonly key: number; readonly value: number }

export type EntryLayout = {
  readonly bytes: number
  readonly key: (block: Buffer, at: number) => number
  readonly value: (block: Buffer, at: number) => number
  readonly write: (block: Buffer, at: number, key: number, value: number) => void
}

/** `.index`: relative offset u32 -> position u32 of the batch whose last offset it is. */
export const offsetEntries: EntryLayout = {
  bytes: 8,
  key: (block, at) => block.readUInt32BE(at),
  value: (block, at) => block.readUInt32BE(at + 4),
  write(block, at, key, value) {
    block.writeUInt32BE(key, at)
    block.writeUInt32BE(value, at + 4)
  },
}

/** `.timeindex`: timestamp i64 -> relative offset u32 of the batch that first reached it. */
export const timeEntries: EntryLayout = {
  bytes: 12,
  key: (block, at) => readInt64(block, at),
  value: (block, at) => block.readUInt32BE(at + 8),
  write(block, at, key, value) {
    writeInt64(block, key, at)
    block.writeUInt32BE(value, at + 8)
  },
}

const blockBytesMax = 4 * KIB
const readBytes = 256 * KIB

export class SparseIndex {
  readonly #layout: EntryLayout
  readonly #perBlock: number
  readonly #file: DiskFile
  /** The first entry of every block that is in the file. */
  readonly #blocks: IndexEntry[] = []
  /** Entries behind the last full block, in the order they came. */
  #newest: Buffer
  #newestCount = 0
  #last: IndexEntry | undefined
  #persistedCount = 0

  private constructor(file: DiskFile, layout: EntryLayout) {
    this.#file = file
    this.#layout = layout
    this.#perBlock = Math.floor(blockBytesMax / layout.bytes)
    this.#newest = Buffer.alloc(16 * layout.bytes)
  }

  static create(disk: Disk, path: string, layout: EntryLayout): SparseIndex {
    const exists = disk.stat(path) !== undefined
    const file = disk.open(path, exists ? 'write' : 'create')
    if (exists) file.truncate(0)
    return new SparseIndex(file, layout)
  }

  /**
   * Opens an index file and checks that it rises. Answers undefined when it is missing or does not make sense and has to be
   * rebuilt. Entries with a key or value from `limit` on are left out: after a crash only what lies below is known to be true.
   */
  static async open(
    disk: Disk,
    path: string,
    layout: EntryLayout,
    limit: IndexEntry,
  ): Promise<SparseIndex | undefined> {
    if (disk.stat(path) === undefined) return undefined
    const file = disk.open(path, 'write')
    const index = new SparseIndex(file, layout)
    try {
      if (await index.#load(limit)) return index
    } catch (error) {
      file.close()
      throw error
    }
    file.close()
    return undefined
  }

  get count(): number {
    return this.#blocks.length * this.#perBlock + this.#newestCount
  }

  get sizeBytes(): number {
    return this.count * this.#layout.bytes
  }

  get first(): IndexEntry | undefined {
    return this.#blocks[0] ?? (this.#newestCount > 0 ? this.#entryAt(this.#newest, 0) : undefined)
  }

  get last(): IndexEntry | undefined {
    return this.#last
  }

  /** Adds an entry in memory; every full block goes to the file. A key that does not rise is left out. */
  append(key: number, value: number): void {
    if (this.#last !== undefined && key <= this.#last.key) return
    this.#add({ key, value }, true)
  }

  /** The last entry whose key is at most `key`. */
  floor(key: number): IndexEntry | undefined {
    return this.#floor(key, this.#layout.key, blockKey)
  }

  /** The last entry whose value is at most `value`. */
  floorByValue(value: number): IndexEntry | undefined {
    return this.#floor(value, this.#layout.value, blockValue)
  }

  /** Puts every entry into the file; durable after `sync`. */
  persist(): void {
    if (this.#persistedCount === this.count) return
    const at = this.#blocks.length * this.#perBlock * this.#layout.bytes
    if (this.#newestCount > 0) {
      this.#file.write([this.#newest.subarray(0, this.#newestCount * this.#layout.bytes)], at)
    }
    this.#file.truncate(this.sizeBytes)
    this.#persistedCount = this.count
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  close(): void {
    this.#file.close()
  }

  /** Takes the file's entries in; false when they do not rise. */
  async #load(limit: IndexEntry): Promise<boolean> {
    const { bytes } = this.#layout
    const fileBytes = this.#file.sizeBytes()
    const sizeBytes = fileBytes - (fileBytes % bytes)
    const chunk = Buffer.allocUnsafe(Math.min(readBytes - (readBytes % bytes), sizeBytes))
    let whole = true
    for (let at = 0; whole && at < sizeBytes; at += chunk.length) {
      const wanted = chunk.subarray(0, Math.min(chunk.length, sizeBytes - at))
      const got = await this.#file.readLater(wanted, at)
      for (let entryAt = 0; whole && entryAt + bytes <= got; entryAt += bytes) {
        const entry = this.#entryAt(chunk, entryAt)
        whole = entry.key < limit.key && entry.value < limit.value
        if (!whole) break
        if (this.#last !== undefined && (entry.key <= this.#last.key || entry.value < this.#last.value))
          return false
        this.#add(entry, false)
      }
      whole &&= got === wanted.length
    }
    this.#persistedCount = whole && fileBytes === this.sizeBytes ? this.count : -1
    return true
  }

  #add(entry: IndexEntry, spill: boolean): void {
    const at = this.#newestCount * this.#layout.bytes
    if (at + this.#layout.bytes > this.#newest.length) this.#grow()
    this.#layout.write(this.#newest, at, entry.key, entry.value)
    this.#newestCount++
    this.#last = entry
    if (this.#newestCount % this.#perBlock === 0) this.#spill(spill)
  }

  /** A block that cannot be written (a full disk) stays in memory; the next full block tries again. */
  #spill(write: boolean): void {
    const { bytes } = this.#layout
    assert(this.#newestCount >= this.#perBlock, 'only full blocks leave memory')
    if (write) {
      try {
        const at = this.#blocks.length * this.#perBlock * bytes
        this.#file.write([this.#newest.subarray(0, this.#newestCount * bytes)], at)
      } catch {
        return
      }
    }
    for (let i = 0; i < this.#newestCount; i += this.#perBlock)
      this.#blocks.push(this.#entryAt(this.#newest, i * bytes))
    this.#newestCount = 0
  }

  #grow(): void {
    const larger = Buffer.alloc(Math.max(this.#newest.length * 2, 16 * this.#layout.bytes))
    this.#newest.copy(larger)
    this.#newest = larger
  }

  /** `of` answers the field of an entry in a buffer, `ofBlock` that of a block's first entry. */
  #floor(
    wanted: number,
    of: EntryLayout['key'],
    ofBlock: (first: IndexEntry) => number,
  ): IndexEntry | undefined {
    const { bytes } = this.#layout
    const newest = lastBelow(this.#newest, this.#newestCount, bytes, wanted, of)
    if (newest >= 0) return this.#entryAt(this.#newest, newest * bytes)
    const block = this.#lastBlockBelow(wanted, ofBlock)
    if (block < 0) return undefined
    const content = Buffer.allocUnsafe(this.#perBlock * bytes)
    const got = this.#file.read(content, block * this.#perBlock * bytes)
    const found = lastBelow(content, Math.floor(got / bytes), bytes, wanted, of)
    return found < 0 ? undefined : this.#entryAt(content, found * bytes)
  }

  #lastBlockBelow(wanted: number, of: (first: IndexEntry) => number): number {
    let low = 0
    let high = this.#blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const first = this.#blocks[middle]
      assert(first !== undefined, 'a block is looked up by a number below their count')
      if (of(first) <= wanted) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  #entryAt(block: Buffer, at: number): IndexEntry {
    return { key: this.#layout.key(block, at), value: this.#layout.value(block, at) }
  }
}

const blockKey = (first: IndexEntry): number => first.key
const blockValue = (first: IndexEntry): number => first.value

/** Binary search over `count` entries that rise: the number of the last one that is at most `wanted`, or -1. Allocates nothing. */
function lastBelow(
  block: Buffer,
  count: number,
  bytes: number,
  wanted: number,
  of: EntryLayout['key'],
): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (of(block, middle * bytes) <= wanted) low = middle + 1
    else high = middle
  }
  return low - 1
}
