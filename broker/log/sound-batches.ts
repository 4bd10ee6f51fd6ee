/**
 * What can still be read of a damaged segment: in comes a stretch of the file, out comes every sound batch in it. Behind damage the next one is looked for
 * byte by byte, so that a broken length hides only its own batch.
 */
import {
  baseOffsetOf,
  batchBytesOf,
  batchHeaderBytes,
  checkBatch,
  lastOffsetOf,
} from '../../protocol/kafka/record-batch.ts'
import { MIB, offset, type Offset } from '../../base/quantities.ts'
import type { DiskFile } from '../../base/world.ts'
import type { Segment } from './segment.ts'

/** A sound batch stands at bytes[at, end) and in the file at `position`; the buffer is used again for the next one. */
export type SoundBatch = {
  readonly bytes: Buffer
  readonly at: number
  readonly end: number
  readonly position: number
}

const windowBytes = MIB
const magicAt = 16

/**
 * The sound batches in [from, to) of the file; their offsets rise from `nextOffset` on and end at `endOffset`. No CRC covers a batch's offset: one
 * that does not go on where the one before ends is believed only when what follows does not contradict it.
 */
export async function* soundBatches(
  file: DiskFile,
  from: number,
  to: number,
  nextOffset: number,
  endOffset: number,
): AsyncGenerator<SoundBatch, void> {
  const window = new Window(file, to)
  let expected = nextOffset
  let position = from
  while (position < to) {
    const size = await sizeOfSound(window, position, expected, endOffset)
    if (size === 0) {
      position = await behindDamage(window, position, expected, endOffset)
      continue
    }
    const next = lastOffsetOf(window.bytes, position - window.from) + 1
    const goesOn = baseOffsetOf(window.bytes, position - window.from) === expected
    if (goesOn || !(await contradicted(window, position + size, next, endOffset))) {
      await window.show(position, size)
      const at = position - window.from
      yield { bytes: window.bytes, at, end: at + size, position }
      expected = next
    }
    position += size
  }
}

/** The size of the sound batch at `position`, or 0 when there is none that could belong here. */
async function sizeOfSound(
  window: Window,
  position: number,
  nextOffset: number,
  endOffset: number,
): Promise<number> {
  if (!(await window.show(position, batchHeaderBytes))) return 0
  const header = position - window.from
  const { bytes } = window
  const size = batchBytesOf(bytes, header)
  const fits = baseOffsetOf(bytes, header) >= nextOffset && lastOffsetOf(bytes, header) < endOffset
  if (bytes[header + magicAt] !== 2 || !fits || size < batchHeaderBytes) return 0
  if (!(await window.show(position, size))) return 0
  const at = position - window.from
  return checkBatch(window.bytes, at, at + size) === undefined ? size : 0
}

/** Where to go on behind a place where no sound batch begins: where its length says, if that is right, else at the next magic byte. */
async function behindDamage(
  window: Window,
  position: number,
  nextOffset: number,
  endOffset: number,
): Promise<number> {
  if (!(await window.show(position, batchHeaderBytes))) return window.to
  const next = position + batchBytesOf(window.bytes, position - window.from)
  if (next === window.to) return next
  if (next > position && (await sizeOfSound(window, next, nextOffset, endOffset)) > 0) return next
  await window.show(position, batchHeaderBytes)
  const at = position - window.from
  const magic = window.bytes.indexOf(2, at + 1 + magicAt)
  return window.from + (magic < 0 ? Math.max(at + 1, window.bytes.length - magicAt) : magic - magicAt)
}

/** Whether the batch at `position` says that the one before it cannot end at offset `next`. */
async function contradicted(
  window: Window,
  position: number,
  next: number,
  endOffset: number,
): Promise<boolean> {
  if (position === window.to) return endOffset !== Infinity && next !== endOffset
  if (!(await window.show(position, batchHeaderBytes))) return false
  const at = position - window.from
  return window.bytes[at + magicAt] === 2 && baseOffsetOf(window.bytes, at) < next
}

/** A stretch of the file in memory that moves along. */
class Window {
  readonly to: number
  readonly #file: DiskFile
  bytes = Buffer.allocUnsafe(0)
  from = 0

  constructor(file: DiskFile, to: number) {
    this.#file = file
    this.to = to
  }

  /** Brings [position, position + bytes) in; false when the file has no such bytes. */
  async show(position: number, bytes: number): Promise<boolean> {
    if (position >= this.from && position + bytes <= this.from + this.bytes.length) return true
    if (position + bytes > this.to) return false
    const buffer = Buffer.allocUnsafe(Math.max(bytes, Math.min(windowBytes, this.to - position)))
    const got = await this.#file.readLater(buffer, position)
    this.bytes = buffer.subarray(0, got)
    this.from = position
    return got >= bytes
  }
}

/** Where the sound batch that holds an offset stands, or which offsets around it [from, to) cannot be read. */
export type Found = { readonly position: number } | { readonly from: Offset; readonly to: Offset | undefined }

/** Looks for the batch with `wanted` although something near it in the segment, which ends at `endPosition` and `endOffset`, is damaged. */
export async function findAmidDamage(
  segment: Segment,
  file: DiskFile,
  wanted: Offset,
  endPosition: number,
  endOffset: Offset,
): Promise<Found> {
  const { baseOffset } = segment
  // From the entry before: what stands between is sound, so it says which offset is due.
  const near = segment.floor(wanted)
  const start = (near && segment.floor(offset(baseOffset + near.key - 1)))?.value ?? 0
  const found = await find(file, start, endPosition, baseOffset, endOffset, wanted)
  // Nothing sound before it: the index may be what is wrong.
  const again = start > 0 && 'from' in found && found.from === baseOffset
  return again ? find(file, 0, endPosition, baseOffset, endOffset, wanted) : found
}

async function find(
  file: DiskFile,
  from: number,
  to: number,
  firstOffset: Offset,
  endOffset: Offset,
  wanted: Offset,
): Promise<Found> {
  let expected = firstOffset
  for await (const { bytes, at, position } of soundBatches(file, from, to, firstOffset, endOffset)) {
    const base = baseOffsetOf(bytes, at)
    if (base > wanted) return { from: expected, to: offset(base) }
    expected = offset(lastOffsetOf(bytes, at) + 1)
    if (expected > wanted) return { position }
  }
  return { from: expected, to: undefined }
}
