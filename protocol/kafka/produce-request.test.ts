import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { produce } from './apis/produce.ts'
import { messages } from './arbitrary.fixture.ts'
import { MalformedRequest } from './malformed.ts'
import { ProduceRequest } from './produce-request.ts'
import { Reader } from './reader.ts'
import type { RequestOf } from './schema.ts'
import { Writer } from './writer.ts'

/** Bytes in hexadecimal, spaced for the eye. */
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

const versions = Array.from({ length: 10 }, (_, i) => i + 3)
const request = new ProduceRequest()

function encoded(version: number, message: RequestOf<typeof produce>): Buffer {
  const writer = new Writer()
  produce.encodeRequest(writer, version, message)
  return writer.take()
}

/** What the hand-written reader says, in the schema's form. */
function asMessage(frame: Buffer): RequestOf<typeof produce> {
  const topicData = Array.from({ length: request.topicCount }, (_, t) => {
    const partitionData = []
    for (let p = request.firstPartition[t] ?? -1; p < (request.firstPartition[t + 1] ?? -1); p++) {
      const at = request.recordsAt[p] ?? -1
      const records = at < 0 ? null : frame.subarray(at, request.recordsEnd[p])
      partitionData.push({ index: request.partitionIndex[p] ?? -1, records })
    }
    return { name: request.topics[t] ?? '', partitionData }
  })
  const { transactionalId, acks, timeoutMs } = request
  return { transactionalId, acks, timeoutMs, topicData }
}

test.each(versions)('version %i reads as by its schema', version => {
  fc.assert(
    fc.property(messages(produce.request, version), message => {
      const frame = encoded(version, message as RequestOf<typeof produce>)
      request.read(new Reader(frame), version)
      expect(asMessage(frame)).toEqual(message)
      expect(request.version).toBe(version)
    }),
    { numRuns: 100 },
  )
})

test('an object that read a large request reads the next one as new', () => {
  const partitionData = [{ index: 0, records: null }]
  const topicData = Array.from({ length: 10_000 }, (_, t) => ({ name: `topic-${t}`, partitionData }))
  const large = { transactionalId: null, acks: 1, timeoutMs: 5, topicData }
  request.read(new Reader(encoded(8, large)), 8)
  expect([request.topicCount, request.partitionCount]).toEqual([10_000, 10_000])
  const one = [{ name: 'a', partitionData: [{ index: 7, records: Buffer.from('x') }] }]
  const small = encoded(9, { ...large, topicData: one })
  request.read(new Reader(small), 9)
  expect(asMessage(small).topicData).toEqual(one)
  expect([request.topics.length, request.firstPartition.length, request.partitionIndex.length]).toEqual([
    1, 2, 1,
  ])
})

test('more partitions than the frame can hold are refused at their count', () => {
  const frame = hex('ffff 0001 00000005 00000001 0001 61 00000003 0000000000000000 0000000000000000')
  expect(() => request.read(new Reader(frame), 7)).toThrow('an array of 3 elements in 16 bytes')
  const compact = hex('00 0001 00000005 02 0261 04 000000000000 000000000000')
  expect(() => request.read(new Reader(compact), 9)).toThrow('an array of 3 elements in 12 bytes')
})

test('null lists and names are malformed', () => {
  const nullTopics = hex('ffff 0001 00000005 ffffffff')
  expect(() => request.read(new Reader(nullTopics), 7)).toThrow(MalformedRequest)
  const nullName = hex('ffff 0001 00000005 00000001 ffff 00000000')
  expect(() => request.read(new Reader(nullName), 7)).toThrow(MalformedRequest)
})
