/**
 * Requests made once and sent many times, and where in their answers stands what a load has to know: a load generator that
 * encoded and decoded would measure itself.
 */
import { buildBatch } from '../protocol/kafka/records.ts'
import { encodeRequest } from '../protocol/kafka/frame.ts'
import { fetch } from '../protocol/kafka/apis/fetch.ts'
import { listOffsets } from '../protocol/kafka/apis/list-offsets.ts'
import { produce } from '../protocol/kafka/apis/produce.ts'
import { Writer } from '../protocol/kafka/writer.ts'

export const produceVersion = 7
export const fetchVersion = 11
export const listOffsetsVersion = 1
/** As librdkafka says it. */
const clientId = 'rdkafka'

/** A batch of records of `valueBytes` each, as many as fit into `bytesMax`, at least one. */
export function batchUpTo(bytesMax: number, valueBytes: number): { batch: Buffer; records: number } {
  const value = Buffer.alloc(valueBytes, 'a log is a row of records. ')
  const record = { key: null, value, headers: [], timestamp: Date.now() }
  const batchOf = (records: number): Buffer => buildBatch(Array.from({ length: records }, () => record))
  let records = Math.max(1, Math.floor(bytesMax / (valueBytes + 12)))
  while (records > 1 && batchOf(records).length > bytesMax) records -= 1
  return { batch: batchOf(records), records }
}

export function produceFrame(topic: string, partition: number, acks: number, records: Buffer): Buffer {
  const topicData = [{ name: topic, partitionData: [{ index: partition, records }] }]
  const body = { acks, timeoutMs: 30_000, topicData }
  const writer = new Writer()
  encodeRequest(writer, produce, { version: produceVersion, correlationId: 1, clientId, body })
  return Buffer.from(writer.take())
}

/** A Fetch of one partition; its offset is written at `offsetAt`. */
export function fetchFrame(
  topic: string,
  partition: number,
  bytesMax: number,
): { frame: Buffer; offsetAt: number } {
  const marker = 0x1234_5678_9abc
  const partitions = [{ partition, fetchOffset: marker, partitionMaxBytes: bytesMax }]
  const body = { maxWaitMs: 500, minBytes: 1, maxBytes: bytesMax, topics: [{ topic, partitions }] }
  const writer = new Writer()
  encodeRequest(writer, fetch, { version: fetchVersion, correlationId: 1, clientId, body })
  const frame = Buffer.from(writer.take())
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(marker))
  return { frame, offsetAt: frame.indexOf(bytes) }
}

/** Asks where a partition ends. */
export function listOffsetsFrame(topic: string, partition: number): Buffer {
  const latest = -1
  const topics = [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: latest }] }]
  const writer = new Writer()
  const body = { replicaId: -1, topics }
  encodeRequest(writer, listOffsets, { version: listOffsetsVersion, correlationId: 1, clientId, body })
  return Buffer.from(writer.take())
}

/** In an answer to Produce for one partition, its length included: the error code. */
export const produceErrorAt = (topic: string): number => 4 + 4 + 4 + (2 + topic.length) + 4 + 4

/** In an answer to ListOffsets for one partition, its length included: the offset, its last field. */
export const listedOffsetAt = (topic: string): number => produceErrorAt(topic) + 2 + 8

/** In an answer to Fetch of one partition, its length included: the error code, and where the records begin. */
export function fetchPlaces(topic: string): { errorAt: number; headBytes: number } {
  const errorAt = 4 + 4 + 4 + 2 + 4 + 4 + (2 + topic.length) + 4 + 4
  return { errorAt, headBytes: errorAt + 2 + 8 + 8 + 8 + 4 + 4 + 4 }
}
