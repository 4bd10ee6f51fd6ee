import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeResponse } from '../kafka/frame.ts'
import { MalformedRequest } from '../kafka/malformed.ts'
import { Reader } from '../kafka/reader.ts'
import { api } from '../kafka/schema.ts'
import { fetchAnswer, fetchFrame, FrameStream, readFetch, replicaFetch } from './fetch.ts'

const framed = (body: Uint8Array): Buffer => {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}

test('frames come out as they went in, however they are cut, from memory that is used again', () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 12 })
  fc.assert(
    fc.property(
      bodies,
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 }),
      (all, cuts) => {
        const whole = Buffer.concat(all.map(framed))
        const stream = new FrameStream(100)
        const came: string[] = []
        const read = Buffer.alloc(50)
        for (let at = 0, n = 0; at < whole.length; n++) {
          const count = whole.copy(read, 0, at, at + (cuts[n % cuts.length] ?? 1))
          for (const frame of stream.push(read.subarray(0, count))) came.push(frame.toString('hex'))
          read.fill(0xee)
          at += count
        }
        expect(came).toEqual(all.map(body => Buffer.from(body).toString('hex')))
      },
    ),
  )
})

test('a length that no frame has ends it, also in pieces', () => {
  for (const length of [-1, 101]) {
    const head = Buffer.alloc(8)
    head.writeInt32BE(length)
    expect(() => [...new FrameStream(100).push(head)]).toThrow(MalformedRequest)
    const stream = new FrameStream(100)
    expect([...stream.push(head.subarray(0, 2))]).toEqual([])
    expect(() => [...stream.push(head.subarray(2))]).toThrow(MalformedRequest)
  }
})

test('what a leader says of a stretch is read by who knows it, and passed over by who does not', () => {
  const asked = { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partition: 3, epoch: 7, from: 5, to: 2 ** 40 }
  const compared = { ...asked, digest: '00112233445566778899aabbccddeeff' }
  const part = { partitionIndex: 3, errorCode: 0, highWatermark: 9, pieces: [Buffer.from('batch')], bytes: 5 }
  const whole = { errorCode: 0, sessionId: 4, compared }
  const answer = Buffer.concat(fetchAnswer(1, whole, [{ topicId: asked.topicId, ...part }])).subarray(4)
  expect(decodeResponse(answer, replicaFetch, 17).body).toMatchObject({ sessionId: 4, compared: [compared] })
  const body = { maxWaitMs: 1, minBytes: 1, sessionId: 4, topics: [], forgottenTopicsData: [] }
  const request = fetchFrame(2, { ...body, comparing: [asked] }).subarray(4)
  expect(readFetch(request).body.comparing).toEqual([asked])
  const { comparing: _, ...requestBefore } = replicaFetch.request
  const { compared: __, ...responseBefore } = replicaFetch.response
  const before = api({
    key: 1,
    name: 'Fetch',
    versions: '17-17',
    flexible: '12+',
    request: requestBefore,
    response: responseBefore,
  })
  const { responses } = decodeResponse(answer, before, 17).body
  expect(responses[0]?.partitions[0]?.records?.toString()).toBe('batch')
  // Behind its header: API, version, correlation id, no client, no tags.
  const seen = before.decodeRequest(new Reader(request, 11), 17)
  expect(seen).toMatchObject({ sessionId: 4, topics: [] })
})
