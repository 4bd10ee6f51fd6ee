import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { KIB, MIB } from '../../../base/quantities.ts'
import { FrameMemory } from './frame-memory.ts'
import { Frames, type FrameTaker } from './frames.ts'

/** Keeps copies of the frames it gets; not ready while `blocked`. */
class Taker implements FrameTaker {
  readonly taken: string[] = []
  readonly reasons: string[] = []
  blocked = false
  /** Becomes blocked after each frame. */
  oneByOne = false

  get ready(): boolean {
    return !this.blocked && this.reasons.length === 0
  }

  frame(buffer: Buffer, start: number, end: number): void {
    this.taken.push(buffer.toString('hex', start, end))
    buffer.fill(0xee, start, end)
    this.blocked = this.oneByOne
  }

  broken(reason: string): void {
    this.reasons.push(reason)
  }

  roomAgain(): void {}
}

const frameOf = (content: Uint8Array): Buffer => {
  const frame = Buffer.alloc(4 + content.length)
  frame.writeInt32BE(content.length)
  frame.set(content, 4)
  return frame
}

/** Gives `bytes` to `frames` as the system would: into the target asked for after the last read, at most `sizes` at a time. */
function feed(
  frames: Frames,
  bytes: Buffer,
  sizes: readonly number[],
  asEvents: boolean,
  mayRead: () => boolean,
): void {
  let at = 0
  let target = asEvents ? undefined : frames.target()
  for (let n = 0; at < bytes.length; n++) {
    expect(mayRead()).toBe(true)
    const size = Math.min(sizes[n % sizes.length] ?? 1, bytes.length - at)
    if (target === undefined) {
      frames.arrived(Buffer.from(bytes.subarray(at, at + size)), size)
      at += size
      continue
    }
    expect(target.length).toBeGreaterThan(0)
    const count = bytes.copy(target, 0, at, at + size)
    frames.arrived(target, count)
    at += count
    target = frames.target()
  }
}

const contents = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 12 })
const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 })

test('frames come out as they went in, however the bytes are cut', () => {
  fc.assert(
    fc.property(contents, sizes, fc.boolean(), fc.boolean(), (contents, sizes, asEvents, oneByOne) => {
      const memory = new FrameMemory(() => MIB)
      const taker = new Taker()
      taker.oneByOne = oneByOne
      const frames = new Frames(memory, Buffer.alloc(256), () => 1_000, taker)
      const bytes = Buffer.concat(contents.map(frameOf))
      feed(frames, bytes, sizes, asEvents, () => {
        while (taker.blocked) {
          taker.blocked = false
          frames.proceed()
        }
        return true
      })
      while (taker.blocked) {
        taker.blocked = false
        frames.proceed()
      }
      expect(taker.taken).toEqual(contents.map(content => Buffer.from(content).toString('hex')))
      expect(frames.heldBytes).toBe(0)
      expect(memory.usedBytes).toBe(0)
    }),
  )
})

test('a large frame is read into one buffer of its own, and not copied again', () => {
  const memory = new FrameMemory(() => 8 * MIB)
  const taker = new Taker()
  const shared = Buffer.alloc(256 * KIB)
  const frames = new Frames(memory, shared, () => 4 * MIB, taker)
  const frame = frameOf(Buffer.alloc(MIB, 7))
  const first = frames.target()
  expect(first).toBe(shared)
  frame.copy(first)
  frames.arrived(first, first.length)
  const rest = frames.target()
  expect(rest.length).toBe(frame.length - shared.length)
  frame.copy(rest, 0, shared.length)
  frames.arrived(rest, rest.length)
  expect(taker.taken).toHaveLength(1)
  expect(frames.target()).toBe(shared)
  expect(memory.usedBytes).toBe(0)
})

test('a length alone reserves nothing, and one that cannot be breaks the connection', () => {
  const memory = new FrameMemory(() => 512 * MIB)
  for (const length of [-1, -0x8000_0000, 101 * MIB, 0x7fff_ffff]) {
    const taker = new Taker()
    const frames = new Frames(memory, Buffer.alloc(64 * KIB), () => 100 * MIB, taker)
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(length)
    feed(frames, bytes, [4], false, () => true)
    expect(taker.reasons).toEqual([`a frame of ${length} bytes; socket.request.max.bytes is ${100 * MIB}`])
  }
  const frames = new Frames(memory, Buffer.alloc(64 * KIB), () => 100 * MIB, new Taker())
  const bytes = Buffer.alloc(1_000)
  bytes.writeInt32BE(100 * MIB)
  feed(frames, bytes, [1_000], false, () => true)
  expect(memory.usedBytes).toBe(4 * KIB)
  frames.drop()
  expect(memory.usedBytes).toBe(0)
})

test('when the budget is used up, a half frame waits and gets on when another is finished', () => {
  const memory = new FrameMemory(() => MIB)
  const shared = Buffer.alloc(128 * KIB)
  const large = frameOf(Buffer.alloc(900 * KIB, 1))
  const [first, second] = [new Taker(), new Taker()]
  const firstFrames = new Frames(memory, shared, () => 4 * MIB, first)
  const secondFrames = new Frames(memory, shared, () => 4 * MIB, second)
  feed(firstFrames, large.subarray(0, 128 * KIB), [128 * KIB], false, () => true)
  feed(secondFrames, large.subarray(0, 128 * KIB), [128 * KIB], false, () => true)
  expect(firstFrames.waitsForMemory).toBe(false)
  expect(secondFrames.waitsForMemory).toBe(true)
  feed(firstFrames, large.subarray(128 * KIB), [MIB], false, () => true)
  expect(first.taken).toHaveLength(1)
  expect(secondFrames.waitsForMemory).toBe(false)
  feed(secondFrames, large.subarray(128 * KIB), [MIB], false, () => true)
  expect(second.taken).toEqual(first.taken)
  expect(memory.usedBytes).toBe(0)
})
