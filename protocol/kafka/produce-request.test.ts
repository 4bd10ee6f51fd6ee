import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { produce } from './apis/produce.ts'
import { messages } from './arbitrary.fixture.ts'
import { MalformedRequest } from './malformed.ts'
import { ProduceRequest } from './produce-request.ts'
import { Reader } from './reader.ts'
import type { RequestOf } from './schema.ts'
import { Writer } from './writer.ts'

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
  const partitionData = Array.from({ length: 10_000 }, (_, index) => ({ index, records: null }))
  const large = { transactionalId: null, acks: 1, timeoutMs: 5, topicData: [{ name: 'wide', partitionData }] }
  request.read(new Reader(encoded(8, large)), 8)
  expect(request.partitionCount).toBe(10_000)
  const small = encoded(9, {
    ...large,
    topicData: [{ name: 'a', partitionData: [{ index: 7, records: Buffer.from('x') }] }],
  })
  request.read(new Reader(small), 9)
  expect(asMessage(small).topicData).toEqual([
    { name: 'a', partitionData: [{ index: 7, records: Buffer.from('x') }] },
  ])
  expect(request.partitionIndex.length).toBe(1)
})

test('null lists and names are malformed', () => {
  const nullTopics = Buffer.from('ffff 0001 00000005 ffffffff', 'hex')
  expect(() => request.read(new Reader(nullTopics), 7)).toThrow(MalformedRequest)
  const nullName = Buffer.from('ffff 0001 00000005 00000001 ffff 00000000', 'hex')
  expect(() => request.read(new Reader(nullName), 7)).toThrow(MalformedRequest)
})
