// Bytes that nobody sound would send: reading them ends with a message or with MalformedRequest, and costs no more than the frame.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { assert } from '../../base/assert.ts'
import { messages } from './arbitrary.fixture.ts'
import { RequestHeader } from './frame.ts'
import { MalformedRequest } from './malformed.ts'
import { ProduceRequest } from './produce-request.ts'
import { Reader } from './reader.ts'
import { registry } from './registry.ts'
import type { Api } from './schema.ts'
import { Writer } from './writer.ts'

const cases = registry.flatMap(({ api, served }) =>
  Array.from({ length: served.max - served.min + 1 }, (_, i) => ({
    name: api.name,
    api,
    version: served.min + i,
  })),
)

const either = /^(sound|malformed)$/u

/** How reading ends: 'sound', or 'malformed'. Anything else that is thrown fails the test. */
function outcome(frame: Buffer, read: (reader: Reader) => unknown): 'sound' | 'malformed' {
  // Bytes of others stand in front and behind, as in a receive buffer; they must not be looked at.
  const around = Buffer.concat([Buffer.alloc(7, 0x7f), frame, Buffer.alloc(64, 0x01)])
  const reader = new Reader(around, 7, 7 + frame.length)
  try {
    const value = read(reader)
    assert(reader.at <= reader.end, 'nothing behind the end was read')
    assert(elementsOf(value) <= frame.length, 'no more elements than bytes')
    return 'sound'
  } catch (error) {
    if (!(error instanceof MalformedRequest)) throw error
    assert(error.at <= reader.end, 'the position lies in the frame')
    return 'malformed'
  }
}

function elementsOf(value: unknown): number {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return 0
  const inside = Object.values(value).reduce<number>((sum, v) => sum + elementsOf(v), 0)
  return Array.isArray(value) ? inside + value.length : inside
}

function sample(api: Api, version: number, seed: number): Buffer {
  const writer = new Writer()
  const [message = {}] = fc.sample(messages(api.request, version), { numRuns: 1, seed })
  api.encodeRequest(writer, version, message)
  return writer.take()
}

test.each(cases)('$name version $version survives random bytes', ({ api, version }) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, asked) => {
      const read = (r: Reader) => (asked ? api.decodeRequest(r, version) : api.decodeResponse(r, version))
      expect(outcome(Buffer.from(bytes), read)).toMatch(either)
    }),
    { numRuns: 60 },
  )
})

test.each(cases)('$name version $version cut off anywhere is malformed', ({ api, version }) => {
  for (let seed = 1; seed <= 4; seed++) {
    const whole = sample(api, version, seed)
    expect(outcome(whole, r => api.decodeRequest(r, version))).toBe('sound')
    for (let end = 0; end < whole.length; end++) {
      expect(outcome(whole.subarray(0, end), r => api.decodeRequest(r, version))).toBe('malformed')
    }
  }
})

test.each(cases)('$name version $version survives flipped bits and huge numbers', ({ api, version }) => {
  const whole = sample(api, version, 5)
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const damaged = Buffer.from(whole)
    damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    expect(outcome(damaged, r => api.decodeRequest(r, version))).toMatch(either)
  }
  for (let at = 0; at + 5 <= whole.length; at++) {
    for (const huge of ['7fffffff', '80000000', 'fffffffe', 'ffffffff0f', 'ffffffff7f']) {
      const damaged = Buffer.from(whole)
      damaged.write(huge, at, 'hex')
      expect(outcome(damaged, r => api.decodeRequest(r, version))).toMatch(either)
    }
  }
})

test('an array count beyond the frame is refused before memory is reserved', () => {
  for (const [count, bytes] of [
    [0x7fffffff, 40],
    [41, 40],
    [-2, 40],
  ] as const) {
    const frame = Buffer.alloc(4 + bytes)
    frame.writeInt32BE(count)
    expect(() => new Reader(frame).count(false, 1)).toThrow(`an array of ${count} elements in ${bytes} bytes`)
  }
})

test('a frame full of empty elements is refused by their number', () => {
  const frame = Buffer.alloc(4_000_004)
  frame.writeInt32BE(1_000_000)
  const reader = new Reader(frame)
  expect(reader.count(false, 2)).toBe(1_000_000)
  reader.at = 0
  expect(() => reader.count(false, 2)).toThrow(/more than 1000000 elements/)
})

test('any bytes are a header or malformed', () => {
  const header = new RequestHeader()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
      expect(outcome(Buffer.from(bytes), r => header.read(r))).toMatch(either)
    }),
  )
})

test.each(cases.filter(c => c.name === 'Produce'))(
  'Produce version $version: the hand-written reader refuses exactly what the schema refuses',
  ({ api, version }) => {
    const byHand = new ProduceRequest()
    const whole = sample(api, version, 6)
    const same = (frame: Buffer) => {
      expect(outcome(frame, r => byHand.read(r, version))).toBe(
        outcome(frame, r => api.decodeRequest(r, version)),
      )
    }
    for (let end = 0; end <= whole.length; end++) same(whole.subarray(0, end))
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(255), (at, first, second) => {
        const damaged = Buffer.from(whole)
        damaged[at] = first
        damaged[Math.min(at + 1, whole.length - 1)] = second
        same(damaged)
      }),
      { numRuns: 300 },
    )
  },
)
