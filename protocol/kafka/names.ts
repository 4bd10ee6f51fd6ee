const slots = 512
const cachedBytesMax = 249

/**
 * Strings of names that come again with every request (topics, client ids): a name seen lately is not decoded but found by
 * its bytes, and keeps its hash for the maps it is looked up in. Bounded: a slot keeps the last name that fell on it.
 */
export class NameCache {
  readonly #texts: string[] = Array.from({ length: slots }, () => '')
  readonly #bytes: Buffer[] = Array.from({ length: slots }, () => Buffer.alloc(0))

  /** The text of `length` bytes of UTF-8 at `at`. */
  text(buffer: Buffer, at: number, length: number): string {
    if (length === 0) return ''
    if (length > cachedBytesMax) return buffer.toString('utf8', at, at + length)
    const slot = slotOf(buffer, at, length)
    const known = this.#bytes[slot]
    if (known !== undefined && sameBytes(known, buffer, at, length)) return this.#texts[slot] ?? ''
    const text = buffer.toString('utf8', at, at + length)
    this.#texts[slot] = text
    this.#bytes[slot] = Buffer.from(buffer.subarray(at, at + length))
    return text
  }
}

function slotOf(buffer: Buffer, at: number, length: number): number {
  let hash = length
  for (let i = at; i < at + length; i++) hash = (Math.imul(hash, 31) + (buffer[i] ?? 0)) | 0
  return (hash ^ (hash >>> 15)) & (slots - 1)
}

function sameBytes(known: Buffer, buffer: Buffer, at: number, length: number): boolean {
  if (known.length !== length) return false
  for (let i = 0; i < length; i++) if (known[i] !== buffer[at + i]) return false
  return true
}
