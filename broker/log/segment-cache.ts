/**
 * The sealed segments of all tablets whose files are open: the least recently used are closed when there are too many, so that
 * ten thousand segments never need ten thousand descriptors. Segments that are being read stay open until the read is done.
 */
import { assert } from '../../base/assert.ts'
import type { Segment, SegmentFiles } from './segment.ts'

export class SegmentCache {
  readonly #openMax: number
  readonly #open = new Set<Segment>()
  hits = 0
  misses = 0

  constructor(openMax: number) {
    this.#openMax = openMax
  }

  get size(): number {
    return this.#open.size
  }

  /** Opens a segment for a read that ends with `unpin`. */
  async pin(segment: Segment): Promise<SegmentFiles> {
    segment.pins++
    if (segment.isOpen) this.hits++
    else this.misses++
    try {
      const files = await segment.open()
      this.#open.delete(segment)
      if (!segment.inUse && !segment.dropped) this.#open.add(segment)
      this.#shrink()
      return files
    } catch (error) {
      this.unpin(segment)
      throw error
    }
  }

  unpin(segment: Segment): void {
    assert(segment.pins > 0, 'only what was pinned is unpinned')
    segment.pins--
    if (segment.pins > 0) return
    if (segment.dropped) segment.close()
    else this.#shrink()
  }

  /** Takes over the open files of a segment that was sealed. */
  adopt(segment: Segment): void {
    segment.inUse = false
    this.#open.add(segment)
    this.#shrink()
  }

  /** The segment is gone, another one has taken its place, or its tablet closes: its files are closed once nobody reads them. */
  drop(segment: Segment): void {
    segment.dropped = true
    this.#open.delete(segment)
    if (segment.pins === 0) segment.close()
  }

  #shrink(): void {
    if (this.#open.size <= this.#openMax) return
    for (const segment of this.#open) {
      if (segment.pins > 0) continue
      this.#open.delete(segment)
      segment.close()
      if (this.#open.size <= this.#openMax) return
    }
  }
}
