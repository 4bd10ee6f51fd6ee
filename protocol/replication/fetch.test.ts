import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MalformedRequest } from '../kafka/malformed.ts'
import { FrameStream } from './fetch.ts'

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
