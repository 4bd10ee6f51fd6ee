import { fstatSync, readSync } from 'node:fs'
import { MIB } from '../../base/quantities.ts'
import type { RefusalCode } from '../../base/refusals.ts'
import {
  baseOffsetOf,
  batchBytesOf,
  batchHeaderBytes,
  checkBatch,
  lastOffsetOf,
  magicOf,
} from '../../protocol/kafka/record-batch.ts'

/** A batch larger than this is taken for damage rather than read into memory. */
const batchBytesMax = 256 * MIB

/** What stands at `position` of a segment: a whole batch, or what is wrong with it. */
export type Found = {
  readonly position: number
  /** The batch; undefined when no whole one can be read there. Used again for the next one. */
  readonly bytes: Buffer | undefined
  /** What is wrong; undefined when it is sound. */
  readonly damage: string | undefined
}

/**
 * Walks the batches of the segment file `fd`, whose name says `baseOffset`, one in memory at a time. Goes on behind a damaged batch as long as its length can
 * be believed, and ends at the first place where no batch begins.
 */
export function* batchesOf(fd: number, baseOffset: number): Generator<Found> {
  const sizeBytes = fstatSync(fd).size
  const window = new Window(fd)
  let position = 0
  let offsetMin = baseOffset
  while (position < sizeBytes) {
    const left = sizeBytes - position
    const header = window.at(position, Math.min(batchHeaderBytes, left))
    const damage = beginning(header, left)
    if (damage !== undefined) {
      yield { position, bytes: undefined, damage }
      return
    }
    const bytes = window.at(position, batchBytesOf(header, 0))
    const wrong = damageIn(bytes, offsetMin)
    if (wrong === undefined) offsetMin = lastOffsetOf(bytes, 0) + 1
    const next = position + bytes.length
    yield { position, bytes, damage: wrong }
    position = next
  }
}

/** Why no whole batch begins with `header`, when `left` bytes are left in the file. */
function beginning(header: Buffer, left: number): string | undefined {
  if (header.length < batchHeaderBytes) return `${left} bytes are left, less than the header of a batch`
  if (header.every(byte => byte === 0))
    return `${left} bytes from here on begin with zeros: no batch was written here`
  const bytes = batchBytesOf(header, 0)
  if (bytes < batchHeaderBytes || bytes > batchBytesMax)
    return `no batch begins here: its length would be ${bytes} bytes`
  if (bytes > left) return `the batch is cut off: ${left} of its ${bytes} bytes are there`
  return undefined
}

const explanations: Partial<Record<RefusalCode, string>> = {
  CORRUPT_MESSAGE: 'the checksum does not match',
  UNSUPPORTED_COMPRESSION_TYPE: 'there is no such codec',
  INVALID_RECORD: 'the count of records contradicts the offsets',
}

/** What is wrong with a whole batch that should begin at `offsetMin` or later. */
function damageIn(bytes: Buffer, offsetMin: number): string | undefined {
  const magic = magicOf(bytes, 0)
  if (magic !== 2) return `it is no batch of format 2: its magic is ${magic}`
  const refusal = checkBatch(bytes, 0, bytes.length)
  if (refusal !== undefined) return explanations[refusal] ?? refusal
  const first = baseOffsetOf(bytes, 0)
  return first < offsetMin ? `its first offset is ${first}, it should be ${offsetMin} or more` : undefined
}

/** A piece of the file in memory, read anew when something outside it is asked for. */
class Window {
  readonly #fd: number
  #content = Buffer.allocUnsafe(MIB)
  #start = 0
  #end = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  /** The `bytes` at `position` of the file; valid until the next call. */
  at(position: number, bytes: number): Buffer {
    if (position < this.#start || position + bytes > this.#end) {
      if (bytes > this.#content.length) this.#content = Buffer.allocUnsafe(bytes)
      this.#start = position
      this.#end = position + readSync(this.#fd, this.#content, 0, this.#content.length, position)
    }
    return this.#content.subarray(position - this.#start, Math.min(position + bytes, this.#end) - this.#start)
  }
}
