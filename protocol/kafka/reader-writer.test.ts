import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvariantViolation } from '../../base/assert.ts'
import { MalformedRequest } from './malformed.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

const uvarint = (value: number): Buffer => {
  const writer = new Writer(8)
  writer.uvarint(value)
  return writer.take()
}

test.each([
  [0, '00'],
  [127, '7f'],
  [128, '8001'],
  [300, 'ac02'],
  [0x7fffffff, 'ffffffff07'],
  [0xffffffff, 'ffffffff0f'],
])('%i is the varint %s', (value, hex) => {
  expect(uvarint(value).toString('hex')).toBe(hex)
  expect(new Reader(Buffer.from(hex, 'hex')).uvarint()).toBe(value)
})

test.each(['', '80', 'ffffffff1f', '808080808001', 'ffffffffffffffffff01'])(
  'the varint %s is malformed',
  hex => {
    expect(() => new Reader(Buffer.from(hex, 'hex')).uvarint()).toThrow(MalformedRequest)
  },
)

test('varints come back as they went', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), value => {
      expect(new Reader(uvarint(value)).uvarint()).toBe(value)
    }),
  )
})

test('text that is no UTF-8 reads with replacement characters, as in Java', () => {
  expect(new Reader(Buffer.from('61ff62c3', 'hex')).text(4)).toBe('a\ufffdb\ufffd')
})

test('strings of every length and script come back as they went', () => {
  const writer = new Writer(16)
  fc.assert(
    fc.property(fc.string({ maxLength: 300, unit: 'grapheme' }), fc.boolean(), (value, compact) => {
      writer.string(value, compact)
      const reader = new Reader(writer.take())
      expect(reader.text(reader.stringLength(compact))).toBe(value)
      expect(reader.remaining()).toBe(0)
    }),
  )
})

test.each([true, false])(
  'a string of more than 32,767 bytes is cut between two characters, compact: %s',
  compact => {
    const writer = new Writer(16)
    writer.string('ü'.repeat(40_000), compact)
    writer.int8(7)
    const reader = new Reader(writer.take())
    expect(reader.text(reader.stringLength(compact))).toBe('ü'.repeat(16_383))
    expect(reader.int8()).toBe(7)
  },
)

test.each([126, 127, 128, 16_382, 16_383, 16_384, 32_767])(
  'a string of %i bytes, at the edges of its length',
  bytes => {
    for (const letter of ['a', 'ÿ']) {
      const text = letter.repeat(bytes / Buffer.byteLength(letter))
      const writer = new Writer(16)
      writer.string(text, true)
      const reader = new Reader(writer.take())
      expect(reader.text(reader.stringLength(true))).toBe(text)
      expect(reader.remaining()).toBe(0)
    }
  },
)

test('a compact string beyond the limit is malformed', () => {
  const writer = new Writer()
  writer.uvarint(32_769)
  writer.bytes(Buffer.alloc(40_000))
  expect(() => new Reader(writer.take()).stringLength(true)).toThrow('a string of 32768 bytes')
})

test('a reader keeps to its part of the buffer', () => {
  const reader = new Reader(Buffer.from([9, 1, 2, 9]), 1, 3)
  expect(() => reader.int32()).toThrow('4 bytes wanted, 2 left')
  expect(reader.int16()).toBe(0x0102)
  expect(() => reader.int8()).toThrow(MalformedRequest)
  expect(() => reader.bytesLength(false)).toThrow(MalformedRequest)
  reader.reset(Buffer.from([0x7f]), 0, 1)
  expect(reader.int8()).toBe(0x7f)
})

test('a length below null or beyond the end is malformed', () => {
  expect(() => new Reader(Buffer.from('fffe', 'hex')).stringLength(false)).toThrow('a length of -2')
  expect(() => new Reader(Buffer.from('000261', 'hex')).stringLength(false)).toThrow(
    'a length of 2 with 1 bytes left',
  )
  expect(new Reader(Buffer.from('ffff', 'hex')).stringLength(false)).toBe(-1)
})

test('what was taken stays as it is while the writer goes on and grows', () => {
  const writer = new Writer(16)
  const taken: Buffer[] = []
  for (let i = 0; i < 100; i++) {
    writer.int32(i)
    writer.bytes(Buffer.alloc(i, i))
    taken.push(writer.take())
  }
  for (const [i, bytes] of taken.entries()) {
    expect(bytes).toEqual(Buffer.concat([Buffer.from([0, 0, 0, i]), Buffer.alloc(i, i)]))
  }
})

test('reset uses the chunk again', () => {
  const writer = new Writer(16)
  writer.int64(-1)
  const first = writer.take()
  writer.reset()
  writer.int64(2)
  expect(writer.take().buffer).toBe(first.buffer)
  expect(first.readInt32BE(4)).toBe(2)
})

test('a uuid is 22 characters', () => {
  const writer = new Writer()
  writer.uuid('AAECAwQFBgcICQoLDA0ODw')
  const bytes = writer.take()
  expect(bytes.toString('hex')).toBe('000102030405060708090a0b0c0d0e0f')
  expect(new Reader(bytes).uuid()).toBe('AAECAwQFBgcICQoLDA0ODw')
  expect(() => writer.uuid('short')).toThrow(InvariantViolation)
})
