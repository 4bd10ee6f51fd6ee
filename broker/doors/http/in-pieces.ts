/** Long answers: in goes text bit by bit, out go pieces fit for a socket. The event loop is never kept for more than one piece. */
import { Readable } from 'node:stream'
import type { Clock } from '../../../base/world.ts'

const pieceChars = 64 * 1024
/** So many bits are written down in one turn of the event loop, however short they are. */
const bitsPerTurn = 1_000

/**
 * What `bits` yields, as a body that is made no faster than it is read: no more than a bit and a piece of it stand in memory. An empty bit says
 * that something was done.
 */
export const inPieces = (clock: Clock, bits: Iterable<string>): Readable =>
  Readable.from(piecesOf(clock, bits), { objectMode: false })

async function* piecesOf(clock: Clock, bits: Iterable<string>): AsyncGenerator<string, void> {
  let piece = ''
  let count = 0
  for (const bit of bits) {
    piece += bit
    count += 1
    if (piece.length < pieceChars && count < bitsPerTurn) continue
    if (piece !== '') yield piece
    piece = ''
    count = 0
    await new Promise<void>(turned => clock.endOfTurn(turned))
  }
  if (piece !== '') yield piece
}
