/**
 * The newest offset of every key, in bounded memory: keys and offsets enter, offsets leave. A key is its hash of 16 bytes; with its offset it takes
 * 24 bytes of one table, which is doubled as keys come. The old and the new table together never take more than the bound.
 */
import { assert } from '../../../base/assert.ts'
import { SipHash } from './sip-hash.ts'

const slotWords = 6
export const slotBytes = 4 * slotWords
const slotsFirst = 65_536
/** Above it, looking for a key takes too long. */
const fullShare = 0.8

export class OffsetMap {
  readonly #hash: SipHash
  readonly #slotsMax: number
  #slots: number
  /** A slot is the hash's four words, and the offset plus one, high word first; zero in both is an empty slot. */
  #table: Int32Array
  #size = 0

  constructor(bytesMax: number, hashKey: Uint8Array) {
    this.#hash = new SipHash(hashKey)
    this.#slotsMax = Math.max(2, Math.floor(bytesMax / slotBytes / 1.5))
    let slots = this.#slotsMax
    while (slots > slotsFirst) slots = Math.floor(slots / 2)
    this.#slots = slots
    this.#table = new Int32Array(slots * slotWords)
  }

  /** How many keys it holds. */
  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#table.byteLength
  }

  /** Remembers that the key at bytes[start, start + length) was written at `offset`, which is larger than all before. False when it is full. */
  put(bytes: Buffer, start: number, length: number, offset: number): boolean {
    this.#hash.hash(bytes, start, length)
    const { words } = this.#hash
    let at = this.#find(words)
    if (this.#isEmpty(at)) {
      if (this.#size + 1 > this.#slots * fullShare) {
        if (!this.#grow()) return false
        at = this.#find(words)
      }
      this.#table.set(words, at)
      this.#size++
    } else assert(this.#offsetAt(at) < offset, 'offsets rise')
    this.#table[at + 4] = Math.floor((offset + 1) / 0x1_0000_0000)
    this.#table[at + 5] = offset + 1
    return true
  }

  /** The largest offset at which the key was written, or -1 when it never was. */
  get(bytes: Buffer, start: number, length: number): number {
    if (this.#size === 0) return -1
    this.#hash.hash(bytes, start, length)
    return this.#offsetAt(this.#find(this.#hash.words))
  }

  /** The slot of this hash, or the empty one where it belongs. */
  #find(words: Int32Array): number {
    const table = this.#table
    const a = words[0] ?? 0
    const b = words[1]
    const c = words[2]
    const d = words[3]
    let slot = (a >>> 0) % this.#slots
    while (true) {
      const at = slot * slotWords
      if (table[at] === a && table[at + 1] === b && table[at + 2] === c && table[at + 3] === d) return at
      if (this.#isEmpty(at)) return at
      slot = slot + 1 === this.#slots ? 0 : slot + 1
    }
  }

  #isEmpty(at: number): boolean {
    return this.#table[at + 4] === 0 && this.#table[at + 5] === 0
  }

  #offsetAt(at: number): number {
    return (this.#table[at + 4] ?? 0) * 0x1_0000_0000 + ((this.#table[at + 5] ?? 0) >>> 0) - 1
  }

  #grow(): boolean {
    if (this.#slots * 2 > this.#slotsMax) return false
    const old = this.#table
    this.#slots *= 2
    this.#table = new Int32Array(this.#slots * slotWords)
    for (let from = 0; from < old.length; from += slotWords) {
      if (old[from + 4] === 0 && old[from + 5] === 0) continue
      const slot = old.subarray(from, from + slotWords)
      this.#table.set(slot, this.#find(slot))
    }
    return true
  }
}
