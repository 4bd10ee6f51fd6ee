// Enters: a Produce request, versions 3 to 12. Leaves: who wants what written, and where in the frame each partition's batches lie.
// Always holds: the whole request was read and found sound before any of it is used; records are neither copied nor looked at.
//
//   transactionalId string? | acks i16 | timeoutMs i32 | topics [ name string | partitions [ index i32 | records bytes? ] ]
import { NameCache } from './names.ts'
import type { Reader } from './reader.ts'

const flexibleSince = 9
/** Lists longer than this are given back after the request that needed them. */
const keptMax = 4096

/**
 * One object serves many requests, one after the other: what it says holds until the next `read`. Partitions are numbered
 * through all topics; those of topic `t` are `firstPartition[t]` up to, not with, `firstPartition[t + 1]`.
 */
export class ProduceRequest {
  version = 0
  /** 0, 1, or -1 for all in-sync replicas; anything else is still to be refused. */
  acks = 0
  timeoutMs = 0
  transactionalId: string | null = null
  topicCount = 0
  readonly topics: string[] = []
  readonly firstPartition: number[] = []
  partitionCount = 0
  readonly partitionIndex: number[] = []
  /** Where the partition's records begin in the reader's buffer; -1 for null. */
  readonly recordsAt: number[] = []
  /** Where they end. */
  readonly recordsEnd: number[] = []
  readonly #names = new NameCache()

  /** Reads the body at which `reader` stands. Throws `MalformedRequest`. */
  read(reader: Reader, version: number): void {
    const compact = version >= flexibleSince
    this.#forget()
    this.version = version
    const idLength = reader.stringLength(compact)
    this.transactionalId = idLength < 0 ? null : reader.text(idLength)
    this.acks = reader.int16()
    this.timeoutMs = reader.int32()
    const topics = notNull(reader, reader.count(compact, compact ? 3 : 6))
    for (let t = 0; t < topics; t++) this.#readTopic(reader, compact)
    this.firstPartition[topics] = this.partitionCount
    if (compact) reader.skipTags()
  }

  #readTopic(reader: Reader, compact: boolean): void {
    const length = notNull(reader, reader.stringLength(compact))
    this.topics[this.topicCount] = this.#names.text(reader.buffer, reader.skip(length), length)
    this.firstPartition[this.topicCount] = this.partitionCount
    this.topicCount++
    const partitions = notNull(reader, reader.count(compact, compact ? 6 : 8))
    for (let p = 0; p < partitions; p++) {
      const slot = this.partitionCount++
      this.partitionIndex[slot] = reader.int32()
      const bytes = reader.bytesLength(compact)
      const at = bytes < 0 ? -1 : reader.skip(bytes)
      this.recordsAt[slot] = at
      this.recordsEnd[slot] = at + Math.max(0, bytes)
      if (compact) reader.skipTags()
    }
    if (compact) reader.skipTags()
  }

  #forget(): void {
    this.topicCount = 0
    this.partitionCount = 0
    if (this.topics.length > keptMax) this.topics.length = 0
    if (this.firstPartition.length > keptMax) this.firstPartition.length = 0
    if (this.partitionIndex.length > keptMax) {
      this.partitionIndex.length = 0
      this.recordsAt.length = 0
      this.recordsEnd.length = 0
    }
  }
}

const notNull = (reader: Reader, length: number): number =>
  length < 0 ? reader.fail('null where Produce has none') : length
