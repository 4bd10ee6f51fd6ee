/**
 * What replicas compare: in come the sound batches of a segment in their order, out come closed stretches of offsets with a digest each. Two replicas that hold
 * the same in a stretch have the same digest, byte for byte as far as the CRC of each batch says what is in it.
 */
import { MIB, offset, type Offset } from '../../base/quantities.ts'
import { deleteHorizonOf } from '../../protocol/kafka/compacted-batch.ts'
import {
  baseOffsetOf,
  batchHeaderBytes,
  countOf,
  lastOffsetDeltaOf,
  lastOffsetOf,
} from '../../protocol/kafka/record-batch.ts'
import { SipHash } from './compaction/sip-hash.ts'
import type { Hole } from './holes.ts'
import type { Segment } from './segment.ts'
import type { SoundBatch } from './sound-batches.ts'

const stretchBytes = MIB
/** Every broker has to come to the same digests, so there is no secret in it. */
const key = Buffer.from('stele.digest.one')
const digestBytes = 16

/**
 * SipHash of each header, with its CRC in it, on top of that of the one before. Another digest needs another tag of the fetches that ask for it: brokers of two versions
 * would find differences where there are none.
 */
export class Digest {
  readonly #hash = new SipHash(key)
  readonly #taken = Buffer.alloc(digestBytes + batchHeaderBytes)

  /** The batch at `at` comes next. */
  add(bytes: Buffer, at: number): void {
    bytes.copy(this.#taken, digestBytes, at, at + batchHeaderBytes)
    this.#hash.hash(this.#taken, 0, this.#taken.length)
    for (const [i, word] of this.#hash.words.entries()) this.#taken.writeInt32LE(word, i * 4)
  }

  /** 32 digits. */
  toString(): string {
    return this.#taken.toString('hex', 0, digestBytes)
  }
}

/** Whether the batch at `at` is as its leader took it: compaction leaves other batches on each replica, and shows in every batch that it has touched. */
export const isAsWritten = (b: Buffer, at: number): boolean =>
  countOf(b, at) === lastOffsetDeltaOf(b, at) + 1 && deleteHorizonOf(b, at) === undefined

/** Sound batches back to back at [position, endPosition) of the file of segment `of`, for the offsets [from, to). */
export type Stretch = Hole & { readonly digest: string }

type Open = { -readonly [K in keyof Hole]: Hole[K] } & { readonly digest: Digest }

/** Of at most 1 MiB and a batch; what compaction has touched, what is below `from` and what is not wholly below `to` is in none. */
export class Stretches {
  readonly #from: Offset
  readonly #to: Offset
  readonly #closed: (stretch: Stretch) => void
  #open: Open | undefined

  constructor(from: Offset, to: Offset, closed: (stretch: Stretch) => void) {
    this.#from = from
    this.#to = to
    this.#closed = closed
  }

  add({ bytes, at, end, position }: SoundBatch, of: Segment): void {
    const from = offset(baseOffsetOf(bytes, at))
    const to = offset(lastOffsetOf(bytes, at) + 1)
    if (from < this.#from || to > this.#to || !isAsWritten(bytes, at)) return this.end()
    if (this.#open?.to !== from || this.#open.endPosition !== position) this.end()
    this.#open ??= { of, from, to, position, endPosition: position, digest: new Digest() }
    this.#open.digest.add(bytes, at)
    this.#open.to = to
    this.#open.endPosition = position + end - at
    if (this.#open.endPosition - this.#open.position >= stretchBytes) this.end()
  }

  /** There are no more, or the next ones do not follow. */
  end(): void {
    const open = this.#open
    this.#open = undefined
    if (open !== undefined) this.#closed({ ...open, digest: open.digest.toString() })
  }
}
