import type { Seeded } from './seeded.ts'

/** A file's bytes, as the page cache or the platter holds them. Behind the size everything is zero. */
export class Content {
  #bytes = Buffer.alloc(0)
  #sizeBytes = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  read(into: Buffer, at: number): number {
    if (at >= this.#sizeBytes) return 0
    return this.#bytes.copy(into, 0, at, Math.min(this.#sizeBytes, at + into.length))
  }

  write(bytes: Buffer, at: number): void {
    this.#grow(at + bytes.length)
    bytes.copy(this.#bytes, at)
  }

  truncate(sizeBytes: number): void {
    this.#grow(sizeBytes)
    this.#bytes.fill(0, sizeBytes, this.#sizeBytes)
    this.#sizeBytes = sizeBytes
  }

  zero(from: number, to: number): void {
    this.#grow(to)
    this.#bytes.fill(0, from, to)
  }

  flip(bit: number): void {
    const at = bit >>> 3
    if (at < this.#sizeBytes) this.#bytes[at] = (this.#bytes[at] ?? 0) ^ (1 << (bit & 7))
  }

  become(other: Content): void {
    this.#bytes = Buffer.from(other.#bytes.subarray(0, other.#sizeBytes))
    this.#sizeBytes = other.#sizeBytes
  }

  #grow(sizeBytes: number): void {
    if (sizeBytes > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(sizeBytes, 2 * this.#bytes.length, 4096))
      this.#bytes.copy(larger, 0, 0, this.#sizeBytes)
      this.#bytes = larger
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, sizeBytes)
  }
}

/** A write at a position or, without bytes, a truncation to it. */
export type Change = { readonly at: number; readonly bytes: Buffer | undefined }

/** What becomes of changes that no sync covers. */
export type Fate = {
  /** Whether change number `index` reaches the platter in this sector. */
  keeps(index: number, sector: number): boolean
  /** After how many of `count` changes the file's size was written down. */
  sizeAfter(count: number): number
}

export const loseAll: Fate = { keeps: () => false, sizeAfter: () => 0 }
export const keepAll: Fate = { keeps: () => true, sizeAfter: count => count }

/** One of the ways in which disks lose things, for `count` changes of one file. */
export function drawFate(random: Seeded, count: number): Fate {
  const last = random.below(count + 1)
  const share = random.fraction()
  const whole = Array.from({ length: count }, () => random.chance(share))
  const sizeAfter = random.chance(0.5) ? () => count : () => random.below(count + 1)
  return random.pick<Fate>([
    loseAll,
    keepAll,
    // In order, the last one torn.
    {
      keeps: index => index < last || (index === last && random.chance(share)),
      sizeAfter: () => (last < count && random.chance(0.5) ? last + 1 : last),
    },
    // In any order, each whole.
    { keeps: index => whole[index] === true, sizeAfter },
    // In any order, each torn.
    { keeps: () => random.chance(share), sizeAfter },
  ])
}

/**
 * Brings changes to the platter as `fate` has it. A sector that lost a change loses the later ones too: the cache writes whole
 * sectors, so that it holds what it held at some moment since the last sync.
 */
export function land(platter: Content, changes: readonly Change[], fate: Fate, sectorBytes: number): void {
  const stale = new Set<number>()
  const sizes = [platter.sizeBytes]
  for (const [index, { at, bytes }] of changes.entries()) {
    const size = sizes[index] ?? 0
    const end = bytes === undefined ? size : at + bytes.length
    for (let sector = Math.floor(at / sectorBytes); sector * sectorBytes < end; sector += 1) {
      if (stale.has(sector) || !fate.keeps(index, sector)) {
        stale.add(sector)
        continue
      }
      const from = Math.max(at, sector * sectorBytes)
      const to = Math.min(end, (sector + 1) * sectorBytes)
      if (bytes === undefined) platter.zero(from, to)
      else platter.write(bytes.subarray(from - at, to - at), from)
    }
    sizes.push(bytes === undefined ? at : Math.max(size, end))
  }
  platter.truncate(sizes[fate.sizeAfter(changes.length)] ?? 0)
}
