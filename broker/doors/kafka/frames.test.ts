import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { KIB, MIB } from '../../../base/quantities.ts'
import { FrameMemory, type Waiting } from './frame-memory.ts'
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
  beforeRead: () => void,
): void {
  let at = 0
  let target = asEvents ? undefined : frames.target()
  for (let n = 0; at < bytes.length; n++) {
    beforeRead()
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
const drain = (taker: Taker, frames: Frames): void => {
  while (taker.blocked) {
    taker.blocked = false
    frames.proceed()
  }
}

test('frames come out as they went in, however the bytes are cut', () => {
  fc.assert(
    fc.property(contents, sizes, fc.boolean(), fc.boolean(), (contents, sizes, asEvents, oneByOne) => {
      const memory = new FrameMemory(() => MIB)
      const taker = new Taker()
      taker.oneByOne = oneByOne
      const frames = new Frames(memory, Buffer.alloc(256), () => 1_000, taker)
      const bytes = Buffer.concat(contents.map(frameOf))
      feed(frames, bytes, sizes, asEvents, () => drain(taker, frames))
      drain(taker, frames)
      expect(taker.taken).toEqual(contents.map(content => Buffer.from(content).toString('hex')))
      expect(frames.heldBytes).toBe(0)
      expect(memory.usedBytes).toBe(0)
    }),
  )
})

/** Knows which memory nobody holds. */
class WatchedMemory extends FrameMemory {
  readonly free = new Set<ArrayBufferLike>()

  override take(bytes: number, holding: boolean): Buffer | undefined {
    return this.#taken(super.take(bytes, holding))
  }

  override takeAnyway(bytes: number): Buffer | undefined {
    return this.#taken(super.takeAnyway(bytes))
  }

  override wait(waiting: Waiting): () => void {
    return super.wait({ ...waiting, granted: buffer => waiting.granted(this.#taken(buffer)) })
  }

  override release(buffer: Buffer): void {
    this.free.add(buffer.buffer)
    super.release(buffer)
  }

  #taken<Taken extends Buffer | undefined>(buffer: Taken): Taken {
    if (buffer !== undefined) this.free.delete(buffer.buffer)
    return buffer
  }
}

/** A connection as the system and `Connection` drive it: reads stop while held bytes may not be handled. */
class Peer {
  readonly taker = new Taker()
  readonly frames: Frames
  readonly wanted: string[]
  readonly #memory: WatchedMemory
  readonly #bytes: Buffer
  readonly #ends: number[] = []
  #at = 0
  /** Asked for after the last read, and used for the next one, whatever has happened in between. */
  #target: Buffer

  constructor(memory: WatchedMemory, shared: Buffer, contents: readonly Uint8Array[]) {
    this.#memory = memory
    this.taker.oneByOne = true
    this.frames = new Frames(memory, shared, () => MIB, this.taker)
    this.wanted = contents.map(content => Buffer.from(content).toString('hex'))
    this.#bytes = Buffer.concat(contents.map(frameOf))
    for (const content of contents) this.#ends.push((this.#ends.at(-1) ?? 0) + 4 + content.length)
    this.#target = this.frames.target()
  }

  get done(): boolean {
    return this.#at === this.#bytes.length && this.frames.heldBytes === 0
  }

  /** At most `size` bytes; with `wholeFrames` only up to the end of one, where that is possible. */
  read(size: number, wholeFrames: boolean): void {
    const mustWait = this.frames.waitsForMemory || (!this.taker.ready && this.frames.heldBytes > 0)
    if (mustWait || this.#at === this.#bytes.length) return
    if (this.#memory.free.has(this.#target.buffer))
      throw new Error('the system reads into memory that was given back')
    const most = this.#at + Math.min(size, this.#target.length)
    const end = wholeFrames ? this.#ends.findLast(end => end > this.#at && end <= most) : undefined
    const count = this.#bytes.copy(this.#target, 0, this.#at, end ?? most)
    this.#at += count
    this.frames.arrived(this.#target, count)
    this.#target = this.frames.target()
  }

  goOn(): void {
    this.taker.blocked = false
    this.frames.proceed()
  }
}

test('connections that share memory, wait for it and stop between requests never see each other’s bytes', () => {
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 500 }),
    fc.uint8Array({ minLength: 0, maxLength: 30_000, size: 'max' }),
  )
  const streams = fc.array(fc.array(content, { maxLength: 8 }), { minLength: 2, maxLength: 4 })
  const step = fc.record({
    peer: fc.nat(3),
    size: fc.integer({ min: 1, max: 20_000 }),
    read: fc.boolean(),
    whole: fc.boolean(),
  })
  fc.assert(
    fc.property(streams, fc.array(step, { minLength: 1, maxLength: 40 }), (streams, steps) => {
      const memory = new WatchedMemory(() => 48 * KIB)
      const shared = Buffer.alloc(8 * KIB)
      const peers = streams.map(contents => new Peer(memory, shared, contents))
      for (let n = 0; peers.some(peer => !peer.done); n++) {
        if (n > 20_000) throw new Error('nobody gets on')
        const { peer, size, read, whole } = steps[n % steps.length] ?? {
          peer: 0,
          size: 1,
          read: true,
          whole: false,
        }
        const chosen = peers[(peer + Math.floor(n / steps.length)) % peers.length]
        if (read) chosen?.read(size, whole)
        else chosen?.goOn()
        if (n % 7 === 6) for (const other of peers) other.goOn()
        if (n % 5 === 4) for (const other of peers) other.read(1_000, false)
      }
      for (const { taker, wanted } of peers) {
        expect(taker.reasons).toEqual([])
        expect(taker.taken).toEqual(wanted)
      }
      expect(memory.usedBytes).toBe(0)
    }),
    { numRuns: 40, endOnFailure: true },
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
    feed(frames, bytes, [4], false, () => {})
    expect(taker.reasons).toEqual([`a frame of ${length} bytes; socket.request.max.bytes is ${100 * MIB}`])
  }
  const frames = new Frames(memory, Buffer.alloc(64 * KIB), () => 100 * MIB, new Taker())
  const bytes = Buffer.alloc(1_000)
  bytes.writeInt32BE(100 * MIB)
  feed(frames, bytes, [1_000], false, () => {})
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
  feed(firstFrames, large.subarray(0, 128 * KIB), [128 * KIB], false, () => {})
  feed(secondFrames, large.subarray(0, 128 * KIB), [128 * KIB], false, () => {})
  expect(firstFrames.waitsForMemory).toBe(false)
  expect(secondFrames.waitsForMemory).toBe(true)
  feed(firstFrames, large.subarray(128 * KIB), [MIB], false, () => {})
  expect(first.taken).toHaveLength(1)
  expect(secondFrames.waitsForMemory).toBe(false)
  feed(secondFrames, large.subarray(128 * KIB), [MIB], false, () => {})
  expect(second.taken).toEqual(first.taken)
  expect(memory.usedBytes).toBe(0)
})
