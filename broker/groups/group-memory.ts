/**
 * How much memory the groups of a broker may take: what members say of themselves, what they were given, and committed offsets.
 * Who wants more asks first and is refused; what is there already stays.
 */
export class GroupMemory {
  readonly #bytesMax: number
  #usedBytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Whether there is room for `bytes` more. Who takes no more than before is never refused, however full it is. */
  fits(bytes: number): boolean {
    return bytes <= 0 || this.#usedBytes + bytes <= this.#bytesMax
  }

  /** `bytes` more are used, or fewer when it is negative. Never refused: what was read from the log is there. */
  change(bytes: number): void {
    this.#usedBytes += bytes
  }
}

/** What objects, maps and timers cost beside the bytes they hold; measured with Node 26, rounded up. */
export const overheadBytes = { group: 1_500, member: 1_500, offset: 400 } as const

/** A copy that keeps nothing else alive: neither the request it came with nor a pool that others share. */
export function kept(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}
