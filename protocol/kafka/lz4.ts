// Enters: LZ4 frames, as Kafka clients write them. Leaves: what they hold, up to a bound.
// Always holds: nothing is written behind the bound, and nothing is copied from in front of the frame's own output.
// Ours because the library at hand cannot be told a bound. Checksums are not checked: the batch has its CRC.
//
//   magic u32 | FLG u8 | BD u8 | content size u64? | dictionary u32? | header checksum u8
//   blocks [ size u32, highest bit: stored | bytes | checksum u32? ] | 0 u32 | content checksum u32?
import { MalformedRecords } from './malformed.ts'

const magic = 0x184d2204
const storedBit = 0x8000_0000
const minMatch = 4

/** Unpacks the frames in `packed`, one behind the other, linked blocks or not. Throws `MalformedRecords`. */
export function unpackLz4(packed: Buffer, bytesMax: number): Buffer {
  const out = new Output(Math.min(bytesMax, 4 * packed.length + 1024), bytesMax)
  let at = 0
  while (at < packed.length) at = unpackFrame(packed, at, out)
  return out.bytes.subarray(0, out.length)
}

class Output {
  bytes: Buffer
  length = 0
  readonly #bytesMax: number

  constructor(bytes: number, bytesMax: number) {
    this.bytes = Buffer.allocUnsafeSlow(bytes)
    this.#bytesMax = bytesMax
  }

  /** Makes room for `more` bytes. Refuses what goes beyond the bound before it is reserved. */
  reserve(more: number, at: number): void {
    const wanted = this.length + more
    if (wanted <= this.bytes.length) return
    if (wanted > this.#bytesMax) throw new MalformedRecords(`more than ${this.#bytesMax} bytes unpacked`, at)
    const grown = Buffer.allocUnsafeSlow(Math.min(this.#bytesMax, Math.max(wanted, 2 * this.bytes.length)))
    this.bytes.copy(grown, 0, 0, this.length)
    this.bytes = grown
  }
}

function unpackFrame(packed: Buffer, begin: number, out: Output): number {
  need(packed, begin, 7)
  if (packed.readUInt32LE(begin) !== magic) throw new MalformedRecords('no LZ4 frame', begin)
  const flags = packed.readUInt8(begin + 4)
  if (flags >> 6 !== 1) throw new MalformedRecords(`LZ4 frame version ${flags >> 6}`, begin)
  if ((flags & 0x01) !== 0) throw new MalformedRecords('LZ4 with a dictionary', begin)
  const blockTail = (flags & 0x10) === 0 ? 0 : 4
  const frameStart = out.length
  let at = begin + 7 + ((flags & 0x08) === 0 ? 0 : 8)
  for (;;) {
    need(packed, at, 4)
    const size = packed.readUInt32LE(at)
    at += 4
    if (size === 0) break
    const bytes = size & ~storedBit
    need(packed, at, bytes + blockTail)
    if (size >= storedBit) store(packed, at, at + bytes, out)
    else unpackBlock(packed, at, at + bytes, out, frameStart)
    at += bytes + blockTail
  }
  const contentTail = (flags & 0x04) === 0 ? 0 : 4
  need(packed, at, contentTail)
  return at + contentTail
}

function need(packed: Buffer, at: number, bytes: number): void {
  if (bytes < 0 || bytes > packed.length - at) throw new MalformedRecords('the LZ4 frame is cut off', at)
}

function store(packed: Buffer, from: number, to: number, out: Output): void {
  out.reserve(to - from, from)
  packed.copy(out.bytes, out.length, from, to)
  out.length += to - from
}

/** A sequence: token, literals, distance back, match. The last one has only literals. */
function unpackBlock(packed: Buffer, from: number, to: number, out: Output, frameStart: number): void {
  let at = from
  while (at < to) {
    const token = packed[at++] ?? 0
    let literals = token >> 4
    if (literals === 15) {
      let more = 255
      while (more === 255 && at < to) literals += more = packed[at++] ?? 0
    }
    if (literals > to - at) throw new MalformedRecords('LZ4 literals behind the block', at)
    copyLiterals(packed, at, literals, out)
    at += literals
    if (at === to) return
    if (to - at < 2) throw new MalformedRecords('an LZ4 block ends in a match', at)
    const distance = (packed[at] ?? 0) | ((packed[at + 1] ?? 0) << 8)
    at += 2
    let match = (token & 15) + minMatch
    if (match === 15 + minMatch) {
      let more = 255
      while (more === 255 && at < to) match += more = packed[at++] ?? 0
    }
    if (distance === 0 || distance > out.length - frameStart)
      throw new MalformedRecords('an LZ4 match before the data', at)
    out.reserve(match, at)
    copyMatch(out, distance, match)
  }
}

/** Below this a loop is faster than a call into the runtime. */
const shortCopy = 48

function copyLiterals(packed: Buffer, from: number, length: number, out: Output): void {
  out.reserve(length, from)
  if (length > shortCopy) packed.copy(out.bytes, out.length, from, from + length)
  else {
    const { bytes, length: to } = out
    for (let i = 0; i < length; i++) bytes[to + i] = packed[from + i] ?? 0
  }
  out.length += length
}

/** The match may overlap what it writes: then it repeats the last `distance` bytes. */
function copyMatch(out: Output, distance: number, length: number): void {
  const { bytes, length: to } = out
  if (length > shortCopy && distance >= length) bytes.copyWithin(to, to - distance, to - distance + length)
  else if (length > shortCopy && distance === 1) bytes.fill(bytes[to - 1] ?? 0, to, to + length)
  else for (let i = 0; i < length; i++) bytes[to + i] = bytes[to + i - distance] ?? 0
  out.length += length
}
