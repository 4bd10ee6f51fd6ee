import { fstatSync, readSync } from 'node:fs'
import { MIB } from '../../base/quantities.ts'
import { batchBytesOf, batchHeaderBytes, checkBatch } from '../../protocol/kafka/record-batch.ts'

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
 * Walks the batches of the segment file `fd`, one in memory at a time. Goes on behind a damaged batch as long as its length can
 * be believed, and ends at the first place where no batch begins.
 */
export function* batchesOf(fd: number): Generator<Found> {
  const sizeBytes = fstatSync(fd).size
  const window = new Window(fd)
  let position = 0
  while (position < sizeBytes) {
    const left = sizeBytes - position
    const header = window.at(position, Math.min(batchHeaderBytes, left))
    const damage = beginning(header, left)
    if (damage !== undefined) {
      yield { position, bytes: undefined, damage }
      return
    }
    const bytes = window.at(position, batchBytesOf(header, 0))
    yield { position, bytes, damage: explained(checkBatch(bytes, 0, bytes.length)) }
    position += bytes.length
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

function explained(refusal: ReturnType<typeof checkBatch>): string | undefined {
  switch (refusal) {
    case undefined:
      return undefined
    case 'CORRUPT_MESSAGE':
      return 'the checksum does not match'
    case 'UNSUPPORTED_COMPRESSION_TYPE':
      return 'there is no such codec'
    case 'UNSUPPORTED_FOR_MESSAGE_FORMAT':
      return 'an old message format (magic 0 or 1)'
    default:
      return 'the count of records contradicts the offsets'
  }
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
