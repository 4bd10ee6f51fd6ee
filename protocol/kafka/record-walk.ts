// Enters: the records of a batch. Leaves: where each one stands and what it says, one after the other, without an object a record.
// Always holds: a batch whose records contradict its header or themselves is refused; what was walked before that is not to be believed.
import { decompress } from './compression.ts'
import {
  attributesOf,
  batchBytesOf,
  batchHeaderBytes,
  codecOf,
  countOf,
  lastOffsetDeltaOf,
} from './record-batch.ts'
import { VarintReader } from './varint.ts'

/** Stands at one record after the other; its fields say what the record under it holds. */
export class RecordWalk {
  /** The unpacked records. */
  readonly bytes: Buffer
  /** The record takes bytes [start, end), with its length field. */
  start = 0
  end = 0
  timestampDelta = 0
  /** Where the timestamp's delta ends: from here to `end` nothing depends on the batch's base timestamp. */
  afterTimestamp = 0
  offsetDelta = -1
  keyStart = 0
  /** -1 for a record without a key. */
  keyBytes = -1
  /** False for a tombstone. */
  hasValue = false
  readonly #reader: VarintReader
  readonly #lastOffsetDelta: number
  #left: number

  constructor(unpacked: Buffer, count: number, lastOffsetDelta: number) {
    this.bytes = unpacked
    this.#reader = new VarintReader(unpacked)
    this.#left = count
    this.#lastOffsetDelta = lastOffsetDelta
  }

  /** Goes to the next record; false behind the last one. @throws MalformedRecords */
  next(): boolean {
    const reader = this.#reader
    reader.end = reader.bytes.length
    if (this.#left === 0) {
      if (reader.at !== reader.end) reader.fail('the records end before their bytes do')
      return false
    }
    this.#left--
    this.start = reader.at
    const bytes = reader.length()
    if (bytes < 0) reader.fail('a record of length -1')
    reader.end = reader.at + bytes
    reader.byte()
    this.timestampDelta = reader.varint()
    this.afterTimestamp = reader.at
    const before = this.offsetDelta
    this.offsetDelta = reader.varint()
    if (this.offsetDelta <= before || this.offsetDelta > this.#lastOffsetDelta)
      reader.fail(`offset ${this.offsetDelta} of the batch behind offset ${before}`)
    this.keyBytes = reader.length()
    this.keyStart = reader.at
    reader.at += Math.max(this.keyBytes, 0)
    this.hasValue = skipNullable(reader)
    skipHeaders(reader)
    if (reader.at !== reader.end) reader.fail('a record that is longer than what it holds')
    this.end = reader.end
    return true
  }
}

/**
 * Walks the records of the batch at `at`, which must have passed `checkBatch`. A compressed batch is unpacked whole, to at most
 * `unpackedBytesMax` bytes. @throws MalformedRecords
 */
export function walkRecords(b: Buffer, at: number, unpackedBytesMax: number): RecordWalk {
  const packed = b.subarray(at + batchHeaderBytes, at + batchBytesOf(b, at))
  const codec = codecOf(b, at)
  if (codec === undefined)
    return new VarintReader(packed).fail(`codec ${attributesOf(b, at) & 7} is none we know`)
  return new RecordWalk(decompress(codec, packed, unpackedBytesMax), countOf(b, at), lastOffsetDeltaOf(b, at))
}

/** Answers whether there was something. */
function skipNullable(reader: VarintReader): boolean {
  const bytes = reader.length()
  if (bytes > 0) reader.at += bytes
  return bytes >= 0
}

function skipHeaders(reader: VarintReader): void {
  const count = reader.varint()
  // A header takes at least a byte for each of its two lengths.
  if (count < 0 || count > (reader.end - reader.at) / 2)
    reader.fail(`${count} headers in ${reader.end - reader.at} bytes`)
  for (let i = 0; i < count; i++) {
    if (!skipNullable(reader)) reader.fail('a header without a name')
    skipNullable(reader)
  }
}
