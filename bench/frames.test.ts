import { expect, test } from 'vitest'
import { fetch } from '../protocol/kafka/apis/fetch.ts'
import { listOffsets } from '../protocol/kafka/apis/list-offsets.ts'
import { produce } from '../protocol/kafka/apis/produce.ts'
import { encodeResponse } from '../protocol/kafka/frame.ts'
import { Writer } from '../protocol/kafka/writer.ts'
import {
  batchUpTo,
  fetchFrame,
  fetchPlaces,
  fetchVersion,
  listedOffsetAt,
  listOffsetsVersion,
  produceErrorAt,
  produceVersion,
} from './frames.ts'

test('finds the error code in an answer to Produce', () => {
  const writer = new Writer()
  const partitionResponses = [{ index: 0, errorCode: 77, baseOffset: 5 }]
  encodeResponse(writer, produce, produceVersion, 1, { responses: [{ name: 'orders', partitionResponses }] })
  expect(writer.take().readInt16BE(produceErrorAt('orders'))).toBe(77)
})

test('finds the error code and the records in an answer to Fetch', () => {
  const writer = new Writer()
  const records = Buffer.from('records')
  const partition = { partitionIndex: 0, errorCode: 77, highWatermark: 9, logStartOffset: 3 }
  const partitions = [{ ...partition, abortedTransactions: [], records }]
  encodeResponse(writer, fetch, fetchVersion, 1, { responses: [{ topic: 'orders', partitions }] })
  const frame = writer.take()
  const { errorAt, headBytes } = fetchPlaces('orders')
  expect(frame.readInt16BE(errorAt)).toBe(77)
  expect(frame.subarray(headBytes).toString()).toBe('records')
})

test('finds the offset in an answer to ListOffsets', () => {
  const writer = new Writer()
  const partitions = [{ partitionIndex: 0, errorCode: 0, timestamp: 7, offset: 9 }]
  encodeResponse(writer, listOffsets, listOffsetsVersion, 1, { topics: [{ name: 'orders', partitions }] })
  expect(writer.take().readBigInt64BE(listedOffsetAt('orders'))).toBe(9n)
})

test('finds where a Fetch says its offset', () => {
  const { frame, offsetAt } = fetchFrame('orders', 0, 1000)
  expect(frame.readBigInt64BE(offsetAt)).toBe(0x1234_5678_9abcn)
})

test('fills a batch', () => {
  const { batch, records } = batchUpTo(16_384, 1000)
  expect(batch.length).toBeLessThanOrEqual(16_384)
  expect(batch.length).toBeGreaterThan(15_000)
  expect(batch.readInt32BE(57)).toBe(records)
  expect(batchUpTo(0, 100).records).toBe(1)
})
