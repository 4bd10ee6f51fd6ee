import { Failure } from '../failure.ts'
import { bytes as formatBytes } from '../format.ts'

const newline = 0x0a
/** Far above what a topic takes as one record; a "line" longer than this is a file without lines. */
export const lineBytesMax = 64 * 1024 * 1024

/**
 * Cuts `source` behind newlines: every block holds whole lines, newlines included; only the last one may end without.
 * Holds no more than one line and one piece of `source`.
 * @throws Failure naming the line that is longer than `lineBytesMax`
 */
export async function* wholeLines(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let begun: Buffer[] = []
  let begunBytes = 0
  for await (const piece of source) {
    const end = piece.lastIndexOf(newline) + 1
    if (end > 0) {
      const whole = piece.subarray(0, end)
      yield begun.length === 0 ? whole : Buffer.concat([...begun, whole])
      begun = []
      begunBytes = 0
    }
    if (end < piece.length) {
      begun.push(piece.subarray(end))
      begunBytes += piece.length - end
    }
    if (begunBytes > lineBytesMax) throw new Failure(`a line is longer than ${formatBytes(lineBytesMax)}`)
  }
  if (begunBytes > 0) yield Buffer.concat(begun)
}

/** The lines of a block, without their newlines. */
export function* linesOf(block: Buffer): Generator<Buffer> {
  let start = 0
  while (start < block.length) {
    const at = block.indexOf(newline, start)
    const end = at === -1 ? block.length : at
    yield block.subarray(start, end)
    start = end + 1
  }
}
