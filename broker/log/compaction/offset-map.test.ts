import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MIB } from '../../../base/quantities.ts'
import { OffsetMap, slotBytes } from './offset-map.ts'
import { SipHash } from './sip-hash.ts'

const hashKey = Buffer.from(Array.from({ length: 16 }, (_, i) => i))

describe('SipHash', () => {
  // From the reference implementation of SipHash-2-4 with 128 bits (vectors.h), for the bytes 0, 1, 2, … of each length.
  const published: readonly [length: number, hash: string][] = [
    [0, 'a3817f04ba25a8e66df67214c7550293'],
    [1, 'da87c1d86b99af44347659119b22fc45'],
    [2, '8177228da4a45dc7fca38bdef60affe4'],
  ]
  test.each(published)('of %d bytes is the published one', (length, hash) => {
    const sip = new SipHash(hashKey, 2, 4)
    const bytes = Uint8Array.from({ length: length + 7 }, (_, i) => i - 7)
    sip.hash(bytes, 7, length)
    expect(Buffer.from(sip.words.buffer).toString('hex')).toBe(hash)
  })

  test('does not depend on where the bytes stand, and on each of them', () => {
    const sip = new SipHash(hashKey)
    const of = (bytes: Uint8Array, start: number, length: number) => {
      sip.hash(bytes, start, length)
      return sip.words.join()
    }
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 70 }),
        fc.nat(20),
        fc.nat(),
        (bytes, before, n) => {
          const elsewhere = Buffer.concat([Buffer.alloc(before, 1), bytes, Buffer.from([1, 2, 3])])
          const hash = of(bytes, 0, bytes.length)
          expect(of(elsewhere, before, bytes.length)).toBe(hash)
          const at = n % bytes.length
          bytes[at] = (bytes[at] ?? 0) ^ (1 + (n % 255))
          expect(of(bytes, 0, bytes.length)).not.toBe(hash)
        },
      ),
    )
  })
})

describe('the offset map', () => {
  test('holds the newest offset of every key, until it is full', () => {
    const write = fc.tuple(fc.nat(200), fc.integer({ min: 1, max: 2 ** 33 }))
    fc.assert(
      fc.property(fc.array(write, { maxLength: 300 }), fc.integer({ min: 0, max: 400 }), (writes, slots) => {
        const map = new OffsetMap(slots * 1.5 * slotBytes, hashKey)
        const model = new Map<string, number>()
        let offset = -1
        for (const [n, step] of writes) {
          const key = Buffer.from(`key ${n}`)
          if (!map.put(key, 0, key.length, offset + step)) {
            expect(model.has(String(key))).toBe(false)
            expect(model.size).toBeGreaterThan(0)
            expect(model.size).toBeGreaterThanOrEqual(Math.floor(slots * 0.8) - 1)
            break
          }
          offset += step
          model.set(String(key), offset)
        }
        expect(map.size).toBe(model.size)
        for (let n = 0; n <= 200; n++) {
          const key = Buffer.from(`a key ${n}`)
          expect(map.get(key, 2, key.length - 2)).toBe(model.get(`key ${n}`) ?? -1)
        }
      }),
    )
  })

  test('grows, and stays within its bound', () => {
    const map = new OffsetMap(4 * MIB, hashKey)
    expect(map.bytes).toBeLessThan(2 * MIB)
    const key = Buffer.alloc(8)
    let keys = 0
    for (let bytes = map.bytes; ; keys++) {
      key.writeUInt32BE(keys, 4)
      if (!map.put(key, 0, 8, keys * 2 ** 20)) break
      if (map.bytes !== bytes) expect(map.bytes + bytes).toBeLessThanOrEqual(4 * MIB)
      bytes = map.bytes
    }
    expect(keys).toBeGreaterThan((4 * MIB * 0.75) / 1.5 / slotBytes)
    for (let n = 0; n < keys; n++) {
      key.writeUInt32BE(n, 4)
      expect(map.get(key, 0, 8)).toBe(n * 2 ** 20)
    }
    expect(map.get(key, 0, 7)).toBe(-1)
  })
})
