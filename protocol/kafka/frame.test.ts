import { expect, test } from 'vitest'
import { apiVersions } from './apis/api-versions.ts'
import { metadata } from './apis/metadata.ts'
import { decodeResponse, encodeRequest, encodeResponse, RequestHeader } from './frame.ts'
import { MalformedRequest } from './malformed.ts'
import { Reader } from './reader.ts'
import { registry, spokenFor } from './registry.ts'
import { Writer } from './writer.ts'

/** Bytes in hexadecimal, spaced for the eye. */
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

const writer = new Writer(32)
const header = new RequestHeader()

test.each(registry.map(({ api }) => ({ name: api.name, api })))(
  'the header of $name is read up to the body in every version',
  ({ api }) => {
    for (let version = api.versions.min; version <= api.versions.max; version++) {
      for (const clientId of ['a client', '', null]) {
        const bare = new Writer()
        const message = {
          timeoutMs: 1,
          acks: 1,
          topicData: [],
          topics: [],
          maxWaitMs: 1,
          minBytes: 1,
          replicaId: -1,
        }
        const rest = { transactionalId: null, transactionTimeoutMs: 1, resources: [], validateOnly: false }
        const body = { ...message, ...rest, includeClusterAuthorizedOperations: false }
        api.encodeRequest(bare, version, body)
        encodeRequest(writer, api, { version, correlationId: 12, clientId, body })
        const frame = writer.take()
        expect(frame.readInt32BE(0)).toBe(frame.length - 4)
        const reader = new Reader(frame, 4)
        header.read(reader)
        const { apiKey, apiVersion, correlationId } = header
        expect({ apiKey, apiVersion, correlationId }).toEqual({
          apiKey: api.key,
          apiVersion: version,
          correlationId: 12,
        })
        expect(header.clientId).toBe(clientId)
        expect(header.spoken).toBe(spokenFor(api.key))
        expect(header.served()).toBe(api.name !== 'Produce' || version >= 3)
        expect(reader.remaining()).toBe(bare.length)
      }
    }
  },
)

test('an unknown API is read up to its correlation id', () => {
  header.read(new Reader(hex('7fff 0009 00000102')))
  expect(header.spoken).toBeUndefined()
  expect(header.served()).toBe(false)
  expect(header.correlationId).toBe(0x102)
})

const served = (key: number, version: number) => {
  const frame = Buffer.alloc(11)
  frame.writeInt16BE(key, 0)
  frame.writeInt16BE(version, 2)
  header.read(new Reader(frame))
  return header.served()
}

test('versions that we do not serve are told apart', () => {
  expect([served(0, 2), served(0, 3), served(0, 12), served(0, 13)]).toEqual([false, true, true, false])
  expect([served(18, 4), served(18, 5), served(18, -1)]).toEqual([true, false, false])
})

test('a header cut off is malformed', () => {
  const whole = hex('0003 0009 00000001 0001 61 00')
  for (let end = 0; end < whole.length; end++) {
    expect(() => header.read(new Reader(whole, 0, end))).toThrow(MalformedRequest)
  }
})

test('ApiVersions keeps its old response header; other flexible responses have tags', () => {
  encodeResponse(writer, apiVersions, 3, 5, { errorCode: 35, apiKeys: [] })
  const old = writer.take()
  expect(old).toEqual(hex('0000000c 00000005 0023 01 00000000 00'))
  expect(decodeResponse(old.subarray(4), apiVersions, 3)).toMatchObject({
    correlationId: 5,
    body: { errorCode: 35 },
  })
  encodeResponse(writer, metadata, 9, 6, { brokers: [], topics: [] })
  const flexible = writer.take()
  expect(flexible.readUInt8(8)).toBe(0)
  expect(decodeResponse(flexible.subarray(4), metadata, 9)).toMatchObject({
    correlationId: 6,
    body: { controllerId: -1 },
  })
})
