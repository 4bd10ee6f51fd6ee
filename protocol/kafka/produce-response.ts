// Enters: what became of each partition of a Produce request. Leaves: the response, field by field in a writer, without objects.
// Always holds: it is the same bytes as the schema's codec writes; topics and partitions come in the numbers that were announced.
import { assert } from '../../base/assert.ts'
import { produce } from './apis/produce.ts'
import { beginResponse, endFrame } from './frame.ts'
import type { Writer } from './writer.ts'

const flexibleSince = 9
/** Three 64-bit fields, two smaller ones, two counts, null and no tags; the error message comes on top. */
const partitionBytesMax = 64

/** `begin`, then for each topic `topic` and its `partition`s, then `finish`; then the next response. */
export class ProduceResponseWriter {
  readonly #writer: Writer
  #version = 0
  #begin = 0
  #topicsLeft = 0
  #partitionsLeft = 0

  constructor(writer: Writer) {
    this.#writer = writer
  }

  /** Versions 3 to 12. */
  begin(version: number, correlationId: number, topicCount: number): void {
    assert(this.#topicsLeft === 0 && this.#partitionsLeft === 0, 'one response is written at a time')
    this.#version = version
    this.#begin = beginResponse(this.#writer, produce, version, correlationId)
    this.#topicsLeft = topicCount
    this.#writer.count(topicCount, version >= flexibleSince)
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
   * `logAppendTimeMs` is -1 unless the topic stamps at append. The message goes out from version 8 on; the leader, when the
   * partition has moved there, from version 10 on (KIP-951).
   */
  partition(
    index: number,
    errorCode: number,
    baseOffset: number,
    logAppendTimeMs: number,
    logStartOffset: number,
    errorMessage: string | null = null,
    leader: { readonly id: number; readonly epoch: number } | null = null,
  ): void {
    assert(this.#partitionsLeft > 0, 'the partition was announced')
    const writer = this.#writer
    const version = this.#version
    const compact = version >= flexibleSince
    this.#partitionsLeft--
    writer.reserve(partitionBytesMax)
    writer.int32(index)
    writer.int16(errorCode)
    writer.int64(baseOffset)
    writer.int64(logAppendTimeMs)
    if (version >= 5) writer.int64(logStartOffset)
    if (version >= 8) {
      writer.count(0, compact)
      if (errorMessage === null) writer.stringLength(-1, compact)
      else writer.string(errorMessage, compact)
    }
    if (compact) this.#tags(version >= 10 ? leader : null)
  }

  /** Closes the frame. */
  finish(throttleTimeMs = 0): void {
    assert(this.#topicsLeft === 0 && this.#partitionsLeft === 0, 'everything announced was written')
    this.#writer.int32(throttleTimeMs)
    if (this.#version >= flexibleSince) this.#writer.uvarint(0)
    endFrame(this.#writer, this.#begin)
  }

  /** A partition's tags, and its topic's behind the last partition. */
  #tags(leader: { readonly id: number; readonly epoch: number } | null): void {
    const writer = this.#writer
    if (leader === null) writer.uvarint(0)
    else {
      writer.uvarint(1)
      writer.uvarint(0)
      writer.uvarint(9)
      writer.int32(leader.id)
      writer.int32(leader.epoch)
      writer.uvarint(0)
    }
    if (this.#partitionsLeft === 0) writer.uvarint(0)
  }
}
