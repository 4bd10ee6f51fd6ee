// Enters: record batches, or records to be put into one. Leaves: the records, one by one; or a whole batch with its CRC.
// Always holds: keys and values are views, not copies; a batch that contradicts itself is refused at the record where it does.
//
//   length | attributes i8 | timestampDelta | offsetDelta | key | value | header count | headers [ name | value ]
//   Every length, count and delta is a zigzag varint; a length of -1 is null.
import { writeInt64 } from '../../base/int64.ts'
import { compress, decompress } from './compression.ts'
import {
  attributesOf,
  baseOffsetOf,
  baseTimestampOf,
  batchBytesOf,
  batchHeaderBytes,
  batchPrefixBytes,
  codecOf,
  codecs,
  countOf,
  isLogAppendTime,
  lastOffsetOf,
  maxTimestampOf,
  sealBatch,
  type CodecName,
} from './record-batch.ts'
import { varintBytes, VarintReader, writeVarint } from './varint.ts'

export type RecordHeader = readonly [name: string, value: Buffer | null]

/** A record as a producer hands it in. `timestamp` is milliseconds since 1970. */
export type NewRecord = {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
  readonly timestamp: number
}

export type StoredRecord = NewRecord & { readonly offset: number }

/**
 * The records of the batch at `at`, which must have passed `checkBatch`. A compressed batch is unpacked whole, to at most
 * `unpackedBytesMax` bytes. Throws `MalformedRecords`, also after records that were fine.
 */
export function* readRecords(b: Buffer, at: number, unpackedBytesMax: number): Generator<StoredRecord, void> {
  const packed = b.subarray(at + batchHeaderBytes, at + batchBytesOf(b, at))
  const codec = codecOf(b, at)
  const reader = new VarintReader(codec === undefined ? packed : decompress(codec, packed, unpackedBytesMax))
  if (codec === undefined) reader.fail(`codec ${attributesOf(b, at) & 7} is none we know`)
  const baseOffset = baseOffsetOf(b, at)
  const baseTimestamp = baseTimestampOf(b, at)
  const appendTime = isLogAppendTime(b, at) ? maxTimestampOf(b, at) : undefined
  const count = countOf(b, at)
  const lastOffset = lastOffsetOf(b, at)
  for (let i = 0; i < count; i++) {
    const record = readRecord(reader, baseOffset, baseTimestamp, appendTime)
    if (record.offset < baseOffset || record.offset > lastOffset)
      reader.fail(`offset ${record.offset} in a batch of ${baseOffset} to ${lastOffset}`)
    yield record
  }
  if (reader.at !== reader.bytes.length) reader.fail(`${count} records end before their bytes do`)
}

function readRecord(
  reader: VarintReader,
  baseOffset: number,
  baseTimestamp: number,
  appendTime: number | undefined,
): StoredRecord {
  reader.end = reader.bytes.length
  const bytes = reader.length()
  if (bytes < 0) reader.fail('a record of length -1')
  reader.end = reader.at + bytes
  reader.byte()
  const timestamp = baseTimestamp + reader.varint()
  const offset = baseOffset + reader.varint()
  const key = reader.nullableBytes()
  const value = reader.nullableBytes()
  const headers = readHeaders(reader)
  if (reader.at !== reader.end)
    reader.fail(`a record of ${bytes} bytes has ${reader.end - reader.at} too many`)
  return { offset, timestamp: appendTime ?? timestamp, key, value, headers }
}

function readHeaders(reader: VarintReader): RecordHeader[] {
  const count = reader.varint()
  // A header takes at least a byte for each of its two lengths.
  if (count < 0 || count > (reader.end - reader.at) / 2)
    reader.fail(`${count} headers in ${reader.end - reader.at} bytes`)
  const headers: RecordHeader[] = []
  for (let i = 0; i < count; i++) {
    const name = reader.nullableBytes()
    if (name === null) return reader.fail('a header without a name')
    headers.push([name.toString('utf8'), reader.nullableBytes()])
  }
  return headers
}

export type BatchOptions = {
  readonly codec?: CodecName
  /** An idempotent producer and the number it gave the first record. */
  readonly producer?: { readonly id: number; readonly epoch: number; readonly baseSequence: number }
}

const noProducer = { id: -1, epoch: -1, baseSequence: -1 }

/** A batch of these records (at least one) as a producer sends it: base offset 0, leader epoch -1, CRC in place. */
export function buildBatch(records: readonly NewRecord[], options: BatchOptions = {}): Buffer {
  const { codec = 'none', producer = noProducer } = options
  const baseTimestamp = records[0]?.timestamp ?? 0
  const plain = batchHeaderBytes + recordsBytes(records, baseTimestamp)
  const batch = withCodec(writeRecords(records, baseTimestamp, Buffer.alloc(plain)), codec)
  batch.writeInt32BE(batch.length - batchPrefixBytes, 8)
  batch.writeInt32BE(-1, 12)
  batch.writeInt8(2, 16)
  batch.writeInt16BE(codecs.indexOf(codec), 21)
  batch.writeInt32BE(records.length - 1, 23)
  writeInt64(batch, baseTimestamp, 27)
  writeInt64(
    batch,
    records.reduce((max, r) => Math.max(max, r.timestamp), baseTimestamp),
    35,
  )
  writeInt64(batch, producer.id, 43)
  batch.writeInt16BE(producer.epoch, 51)
  batch.writeInt32BE(producer.baseSequence, 53)
  batch.writeInt32BE(records.length, 57)
  sealBatch(batch, 0)
  return batch
}

function withCodec(batch: Buffer, codec: CodecName): Buffer {
  if (codec === 'none') return batch
  return Buffer.concat([
    batch.subarray(0, batchHeaderBytes),
    compress(codec, batch.subarray(batchHeaderBytes)),
  ])
}

function recordsBytes(records: readonly NewRecord[], baseTimestamp: number): number {
  let sum = 0
  for (const [i, record] of records.entries()) {
    const bytes = recordBytes(record, record.timestamp - baseTimestamp, i)
    sum += varintBytes(bytes) + bytes
  }
  return sum
}

/** What the record's length field says. */
function recordBytes(record: NewRecord, timestampDelta: number, offsetDelta: number): number {
  let sum = 1 + varintBytes(timestampDelta) + varintBytes(offsetDelta)
  sum += nullableLength(record.key) + nullableLength(record.value) + varintBytes(record.headers.length)
  for (const [name, value] of record.headers) {
    const nameBytes = Buffer.byteLength(name)
    sum += varintBytes(nameBytes) + nameBytes + nullableLength(value)
  }
  return sum
}

const nullableLength = (b: Buffer | null): number => (b === null ? 1 : varintBytes(b.length) + b.length)

function writeRecords(records: readonly NewRecord[], baseTimestamp: number, batch: Buffer): Buffer {
  let at = batchHeaderBytes
  for (const [i, record] of records.entries()) {
    const delta = record.timestamp - baseTimestamp
    at = writeVarint(batch, recordBytes(record, delta, i), at)
    batch[at++] = 0
    at = writeVarint(batch, delta, at)
    at = writeVarint(batch, i, at)
    at = writeNullable(batch, record.key, at)
    at = writeNullable(batch, record.value, at)
    at = writeVarint(batch, record.headers.length, at)
    for (const [name, value] of record.headers) {
      const nameBytes = Buffer.byteLength(name)
      at = writeVarint(batch, nameBytes, at)
      at += batch.write(name, at, 'utf8')
      at = writeNullable(batch, value, at)
    }
  }
  return batch
}

function writeNullable(into: Buffer, value: Buffer | null, at: number): number {
  if (value === null) return writeVarint(into, -1, at)
  const from = writeVarint(into, value.length, at)
  return from + value.copy(into, from)
}
