import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvariantViolation } from '../../base/assert.ts'
import { apiVersions } from './apis/api-versions.ts'
import { metadata } from './apis/metadata.ts'
import { messages } from './arbitrary.fixture.ts'
import { MalformedRequest } from './malformed.ts'
import { Reader } from './reader.ts'
import { registry } from './registry.ts'
import {
  api,
  array,
  bool,
  bytes,
  float64,
  int32,
  int64,
  int8,
  string,
  struct,
  uint16,
  uint32,
  uuid,
  type Api,
} from './schema.ts'
import { Writer } from './writer.ts'

/** Bytes in hexadecimal, spaced for the eye. */
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

const everything = api({
  key: 99,
  name: 'Everything',
  versions: '0-3',
  flexible: '2+',
  request: {
    small: int8,
    port: uint16,
    number: uint32.since(1),
    rate: float64,
    id: uuid,
    gone: string.until(1).nullable().default(null),
    payload: bytes.nullable(1),
    inner: struct({ flag: bool, names: array(string) }),
    maybe: struct({ a: int32 }).nullable().default(null),
    lists: array(array(int64)),
    tag: int32.tagged(7, 2).default(-1),
    name: string.tagged(1, 2).nullable(3),
    point: struct({ x: int32.default(-1), y: int32.default(-1) }).tagged(2, 2),
  },
  response: {},
})

const all: Api[] = [everything, ...registry.map(spoken => spoken.api)]
const cases = all.flatMap(api =>
  Array.from({ length: api.versions.max - api.versions.min + 1 }, (_, i) => ({
    name: api.name,
    api,
    version: api.versions.min + i,
  })),
)

const writer = new Writer(64)

function written(write: (writer: Writer) => void): Buffer {
  writer.reset()
  write(writer)
  return writer.take()
}

test.each(cases)('$name version $version comes back as it went', ({ api, version }) => {
  fc.assert(
    fc.property(messages(api.request, version), messages(api.response, version), (request, response) => {
      const asked = new Reader(written(w => api.encodeRequest(w, version, request)))
      expect(api.decodeRequest(asked, version)).toEqual(request)
      expect(asked.remaining()).toBe(0)
      const answered = new Reader(written(w => api.encodeResponse(w, version, response)))
      expect(api.decodeResponse(answered, version)).toEqual(response)
      expect(answered.remaining()).toBe(0)
    }),
    { numRuns: 25 },
  )
})

test('fields with a default may be left out, and a version without a field reads its default', () => {
  const frame = written(w => metadata.encodeRequest(w, 1, { topics: null }))
  expect(frame).toEqual(hex('ffffffff'))
  expect(metadata.decodeRequest(new Reader(frame), 1)).toEqual({
    topics: null,
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  })
})

test('a tagged field is on the wire only when it differs from its default, tags in rising order', () => {
  const body = { errorCode: 0, apiKeys: [] }
  const bare = written(w => apiVersions.encodeResponse(w, 3, { ...body, finalizedFeaturesEpoch: -1 }))
  expect(bare).toEqual(hex('0000 01 00000000 00'))
  const full = written(w =>
    apiVersions.encodeResponse(w, 3, { ...body, zkMigrationReady: true, finalizedFeaturesEpoch: 1 }),
  )
  expect(full).toEqual(hex('0000010000000002 01080000000000000001 030101'))
})

test('unknown tags are passed, in structs too', () => {
  // One topic: a zero id, the name 'a', two tags; then two flags, and one tag.
  const topic = `${'00'.repeat(16)} 0261 02 0501ff 0902abcd`
  const frame = hex(`02 ${topic} 01 00 01 2a03010203`)
  const request = metadata.decodeRequest(new Reader(frame), 12)
  expect(request.topics).toEqual([{ topicId: 'AAAAAAAAAAAAAAAAAAAAAA', name: 'a' }])
  expect(request.allowAutoTopicCreation).toBe(true)
})

test('a known tag must end where it says', () => {
  const frame = hex('0000 01 00000000 01 0109 0000000000000001 00')
  expect(() => apiVersions.decodeResponse(new Reader(frame), 3)).toThrow(MalformedRequest)
})

test('null where a version has none is refused when read and a broken promise when written', () => {
  expect(() => metadata.decodeRequest(new Reader(hex('ffffffff')), 0)).toThrow(/null/)
  expect(() => written(w => metadata.encodeRequest(w, 0, { topics: null }))).toThrow(InvariantViolation)
  expect(() => metadata.decodeRequest(new Reader(Buffer.alloc(9)), 13)).toThrow(InvariantViolation)
})

test('a name that is no UTF-8 can be given back in every version', () => {
  const name = Buffer.alloc(30_000, 0xff)
  const [topic] =
    metadata.decodeRequest(new Reader(Buffer.concat([hex('00000001 7530'), name])), 1).topics ?? []
  const answer = {
    errorCode: 17,
    name: topic?.name ?? null,
    topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
    partitions: [],
  }
  const frame = written(w => metadata.encodeResponse(w, 1, { brokers: [], topics: [answer] }))
  const [back] = metadata.decodeResponse(new Reader(frame), 1).topics
  expect(back?.name).toBe('\ufffd'.repeat(10_922))
})

test('bytes behind the body stay unread', () => {
  const reader = new Reader(hex('00000000 00 aabb'))
  expect(metadata.decodeRequest(reader, 4)).toMatchObject({ topics: [], allowAutoTopicCreation: false })
  expect(reader.remaining()).toBe(2)
})
