import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvariantViolation } from '../../base/assert.ts'
import { produce } from './apis/produce.ts'
import { encodeResponse } from './frame.ts'
import { ProduceResponseWriter } from './produce-response.ts'
import type { ResponseOf } from './schema.ts'
import { Writer } from './writer.ts'

const versions = Array.from({ length: 10 }, (_, i) => i + 3)
const offset = fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER })
const partition = fc.record({
  index: fc.nat(),
  errorCode: fc.integer({ min: -1, max: 120 }),
  baseOffset: offset,
  logAppendTimeMs: offset,
  logStartOffset: offset,
  errorMessage: fc.option(fc.string({ maxLength: 200, unit: 'grapheme' })),
  currentLeader: fc.option(fc.record({ leaderId: fc.nat(), leaderEpoch: fc.nat() }), { nil: undefined }),
})
const responses = fc.record({
  throttleTimeMs: fc.nat(),
  responses: fc.array(
    fc.record({
      name: fc.string({ maxLength: 140 }),
      partitionResponses: fc.array(partition, { maxLength: 4 }),
    }),
    { maxLength: 4 },
  ),
})

test.each(versions)('version %i writes what its schema writes', version => {
  const byHand = new Writer(64)
  const bySchema = new Writer(64)
  const response = new ProduceResponseWriter(byHand)
  fc.assert(
    fc.property(responses, fc.integer(), (body, correlationId) => {
      response.begin(version, correlationId, body.responses.length)
      for (const topic of body.responses) {
        response.topic(topic.name, topic.partitionResponses.length)
        for (const p of topic.partitionResponses) {
          const leader = p.currentLeader && {
            id: p.currentLeader.leaderId,
            epoch: p.currentLeader.leaderEpoch,
          }
          response.partition(
            p.index,
            p.errorCode,
            p.baseOffset,
            p.logAppendTimeMs,
            p.logStartOffset,
            p.errorMessage,
            leader,
          )
        }
      }
      response.finish(body.throttleTimeMs)
      encodeResponse(bySchema, produce, version, correlationId, body satisfies ResponseOf<typeof produce>)
      expect(byHand.take()).toEqual(bySchema.take())
    }),
    { numRuns: 60 },
  )
})

test('responses follow each other in one writer', () => {
  const writer = new Writer()
  const response = new ProduceResponseWriter(writer)
  const lengths = [1, 2].map(correlationId => {
    const before = writer.length
    response.begin(9, correlationId, 1)
    response.topic('a', 1)
    response.partition(0, 0, 17, -1, 0)
    response.finish()
    return writer.length - before
  })
  const both = writer.take()
  expect(both.readInt32BE(0)).toBe((lengths[0] ?? 0) - 4)
  expect(both.readInt32BE((lengths[0] ?? 0) + 4)).toBe(2)
})

test('a response that lacks what was announced is a broken promise', () => {
  const response = new ProduceResponseWriter(new Writer())
  response.begin(9, 1, 1)
  expect(() => response.finish()).toThrow(InvariantViolation)
  response.topic('a', 1)
  expect(() => response.topic('b', 1)).toThrow(InvariantViolation)
})
