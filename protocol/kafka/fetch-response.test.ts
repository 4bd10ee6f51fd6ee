import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvariantViolation } from '../../base/assert.ts'
import { fetch } from './apis/fetch.ts'
import { FetchResponseWriter } from './fetch-response.ts'
import { encodeResponse } from './frame.ts'
import { Writer } from './writer.ts'

const versions = Array.from({ length: 9 }, (_, i) => i + 4)
const offset = fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER })
const partition = fc.record({
  partitionIndex: fc.nat(),
  errorCode: fc.integer({ min: -1, max: 120 }),
  highWatermark: offset,
  lastStableOffset: offset,
  logStartOffset: offset,
  pieces: fc.array(
    fc.uint8Array({ maxLength: 300 }).map(b => Buffer.from(b)),
    { maxLength: 3 },
  ),
})
const responses = fc.record({
  throttleTimeMs: fc.nat(),
  errorCode: fc.nat(100),
  sessionId: fc.nat(),
  responses: fc.array(
    fc.record({ topic: fc.string({ maxLength: 140 }), partitions: fc.array(partition, { maxLength: 4 }) }),
    {
      maxLength: 4,
    },
  ),
})

test.each(versions)('version %i writes what its schema writes, the batches in place', version => {
  const bySchema = new Writer()
  const response = new FetchResponseWriter()
  fc.assert(
    fc.property(responses, fc.integer(), (body, correlationId) => {
      response.begin(version, correlationId, body.responses.length, body)
      for (const topic of body.responses) {
        response.topic(topic.topic, topic.partitions.length)
        for (const p of topic.partitions) {
          const bytes = Buffer.concat(p.pieces).length
          response.partition(
            p.partitionIndex,
            p.errorCode,
            p.highWatermark,
            p.lastStableOffset,
            p.logStartOffset,
            bytes,
            p.pieces,
          )
        }
      }
      const pieces = response.finish()
      encodeResponse(bySchema, fetch, version, correlationId, {
        ...body,
        responses: body.responses.map(topic => ({
          topic: topic.topic,
          partitions: topic.partitions.map(p => ({
            ...p,
            abortedTransactions: [],
            records: Buffer.concat(p.pieces),
          })),
        })),
      })
      expect(Buffer.concat(pieces)).toEqual(bySchema.take())
      for (const given of body.responses.flatMap(t => t.partitions.flatMap(p => p.pieces))) {
        expect(given.length === 0 || pieces.includes(given)).toBe(true)
      }
    }),
    { numRuns: 60 },
  )
})

test('earlier responses stay as they are while later ones are written', () => {
  const response = new FetchResponseWriter()
  const sent = Array.from({ length: 2000 }, (_, i) => {
    response.begin(11, i, 1)
    response.topic('a-topic', 1)
    response.partition(0, 0, i, i, 0, 3, [Buffer.from('abc')])
    return Buffer.from(Buffer.concat(response.finish()))
  })
  expect(sent.map(bytes => bytes.readInt32BE(4))).toEqual(sent.map((_, i) => i))
  expect(sent.every(bytes => bytes.readInt32BE(0) === bytes.length - 4)).toBe(true)
})

test('pieces of another length than said are a broken promise', () => {
  const response = new FetchResponseWriter()
  response.begin(4, 1, 1)
  response.topic('a', 1)
  expect(() => response.partition(0, 0, 1, 1, 0, 4, [Buffer.from('abc')])).toThrow(InvariantViolation)
})
