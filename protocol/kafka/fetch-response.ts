// Enters: what a Fetch found in each partition, the batches as buffers. Leaves: the response as buffers to write one behind
// the other: heads from one writer, the batches between them, not copied.
// Always holds: together they are the bytes that the schema's codec writes.
import { assert } from '../../base/assert.ts'
import { fetch } from './apis/fetch.ts'
import { beginResponse } from './frame.ts'
import { Writer } from './writer.ts'

const flexibleSince = 12
const chunkBytes = 16_384

/** `begin`, then for each topic `topic` and its `partition`s, then `finish`; then the next response. */
export class FetchResponseWriter {
  readonly #writer = new Writer(chunkBytes)
  #pieces: Buffer[] = []
  #bytes = 0
  #version = 0
  #topicsLeft = 0
  #partitionsLeft = 0

  /** Versions 4 to 12. The error code and the session are those of the whole response (version 7 on). */
  begin(
    version: number,
    correlationId: number,
    topicCount: number,
    whole: {
      readonly throttleTimeMs?: number
      readonly errorCode?: number
      readonly sessionId?: number
    } = {},
  ): void {
    const writer = this.#writer
    assert(writer.length === 0 && this.#pieces.length === 0, 'one response is written at a time')
    this.#version = version
    this.#topicsLeft = topicCount
    beginResponse(writer, fetch, version, correlationId)
    writer.int32(whole.throttleTimeMs ?? 0)
    if (version >= 7) {
      writer.int16(whole.errorCode ?? 0)
      writer.int32(whole.sessionId ?? 0)
    }
    writer.count(topicCount, version >= flexibleSince)
  }

  topic(name: string, partitionCount: number): void {
    assert(
      this.#topicsLeft > 0 && this.#partitionsLeft === 0,
      'a topic was announced and the one before it is complete',
    )
    const compact = this.#version >= flexibleSince
    this.#topicsLeft--
    this.#partitionsLeft = partitionCount
    this.#writer.string(name, compact)
    this.#writer.count(partitionCount, compact)
    if (partitionCount === 0 && compact) this.#writer.uvarint(0)
  }

  /**
   * `pieces` are the batches, `recordsBytes` bytes together; they must not change before the response is sent. `diverging` tells
   * from version 12 on where the reader's log and this one part (KIP-595), and `leader` who leads when it is not this broker (KIP-951);
   * `preferred` from version 11 on which replica to ask instead of the leader (KIP-392), -1 for none.
   */
  partition(
    index: number,
    errorCode: number,
    highWatermark: number,
    lastStableOffset: number,
    logStartOffset: number,
    recordsBytes: number,
    pieces: readonly Buffer[],
    diverging: { readonly epoch: number; readonly endOffset: number } | null = null,
    leader: { readonly id: number; readonly epoch: number } | null = null,
    preferred = -1,
  ): void {
    assert(this.#partitionsLeft > 0, 'the partition was announced')
    const writer = this.#writer
    const version = this.#version
    const compact = version >= flexibleSince
    this.#partitionsLeft--
    writer.int32(index)
    writer.int16(errorCode)
    writer.int64(highWatermark)
    writer.int64(lastStableOffset)
    if (version >= 5) writer.int64(logStartOffset)
    // No aborted transactions: an empty list is read well by every client, null is not.
    writer.count(0, compact)
    if (version >= 11) writer.int32(preferred)
    writer.count(recordsBytes, compact)
    if (recordsBytes > 0) this.#insert(pieces, recordsBytes)
    if (compact) this.#tags(diverging, leader)
  }

  /** The whole frame, in order. */
  finish(): Buffer[] {
    assert(this.#topicsLeft === 0 && this.#partitionsLeft === 0, 'everything announced was written')
    if (this.#version >= flexibleSince) this.#writer.uvarint(0)
    if (this.#writer.length > 0) this.#push(this.#writer.take())
    const pieces = this.#pieces
    pieces[0]?.writeInt32BE(this.#bytes - 4, 0)
    this.#pieces = []
    this.#bytes = 0
    return pieces
  }

  /** A partition's tags, and its topic's behind the last partition. */
  #tags(
    diverging: { readonly epoch: number; readonly endOffset: number } | null,
    leader: { readonly id: number; readonly epoch: number } | null,
  ): void {
    const writer = this.#writer
    writer.uvarint((diverging === null ? 0 : 1) + (leader === null ? 0 : 1))
    if (diverging !== null) {
      writer.uvarint(0)
      writer.uvarint(13)
      writer.int32(diverging.epoch)
      writer.int64(diverging.endOffset)
      writer.uvarint(0)
    }
    if (leader !== null) {
      writer.uvarint(1)
      writer.uvarint(9)
      writer.int32(leader.id)
      writer.int32(leader.epoch)
      writer.uvarint(0)
    }
    if (this.#partitionsLeft === 0) writer.uvarint(0)
  }

  #insert(pieces: readonly Buffer[], recordsBytes: number): void {
    this.#push(this.#writer.take())
    const before = this.#bytes
    for (const piece of pieces) this.#push(piece)
    assert(this.#bytes - before === recordsBytes, 'the pieces are as long as was said')
  }

  #push(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#bytes += piece.length
  }
}
