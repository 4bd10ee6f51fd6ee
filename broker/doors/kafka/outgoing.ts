/**
 * Enters: the answers of one connection in their order, written one behind the other. Leaves: one write to its socket.
 * Always holds: memory that the system has not taken yet is neither written again nor released.
 */
import type { Socket } from 'node:net'
import { assert } from '../../../base/assert.ts'
import { KIB, MIB } from '../../../base/quantities.ts'
import { ProduceResponseWriter } from '../../../protocol/kafka/produce-response.ts'
import type { Counters } from './metrics.ts'
import { Writer } from '../../../protocol/kafka/writer.ts'

const chunkBytes = 64 * KIB
/** A chunk that a long answer made larger than this is not kept. */
const keptChunkBytesMax = MIB

/** What came of a `send`: everything is with the system, or the rest follows. */
export type Sent = 'all' | 'rest follows'

/** One for all connections of a door: between two `send`s it belongs to one connection. */
export class Outgoing {
  /** Answers are written here; see `piece` for what is not copied. */
  writer = new Writer(chunkBytes)
  /** Writes Produce responses into `writer`. */
  produce = new ProduceResponseWriter(this.writer)
  /** The monotonic time when bytes last came or answers were last written: exact enough for how long requests took. */
  nowMs = 0
  readonly #counters: Counters
  #pieces: Buffer[] = []
  #releases: (() => void)[] = []
  /** A chunk of the writer that the system still reads from. */
  #unsentChunk: Buffer | undefined

  constructor(counters: Counters) {
    this.#counters = counters
  }

  /** Puts `piece` behind what was written, without a copy. It must not change until it was sent; see `whenSent`. */
  piece(piece: Buffer): void {
    this.#takeWritten()
    this.#pieces.push(piece)
  }

  /** Calls `release` once everything gathered by now has left, or never will. */
  whenSent(release: () => void): void {
    this.#releases.push(release)
  }

  /**
   * Writes everything gathered to `socket`, which has nothing unsent. When the rest follows, `done` is called once it has
   * left or the socket has failed, and before that no other `send` goes to this socket.
   */
  send(socket: Socket, done: () => void): Sent {
    assert(socket.writableLength === 0, 'one write to a socket at a time')
    this.#takeWritten()
    const pieces = this.#pieces
    const releases = this.#releases
    if (pieces.length > 0) this.#pieces = []
    if (releases.length > 0) this.#releases = []
    for (const piece of pieces) this.#counters.bytesOut += piece.length
    let sent: Sent = 'all'
    writePieces(socket, pieces, () => {
      if (sent === 'all') return
      for (const release of releases) release()
      done()
    })
    if (socket.writableLength > 0) sent = 'rest follows'
    else for (const release of releases) release()
    this.#reuseChunk(sent)
    return sent
  }

  #takeWritten(): void {
    if (this.writer.length > 0) this.#pieces.push(this.writer.take())
  }

  #reuseChunk(sent: Sent): void {
    const chunk = this.writer.buffer
    if (sent === 'rest follows') this.#unsentChunk = chunk
    else if (chunk.length > keptChunkBytesMax) this.#startAnew()
    else if (chunk !== this.#unsentChunk) this.writer.reset()
  }

  #startAnew(): void {
    this.writer = new Writer(chunkBytes)
    this.produce = new ProduceResponseWriter(this.writer)
  }
}

function writePieces(socket: Socket, pieces: readonly Buffer[], sent: () => void): void {
  const last = pieces.length - 1
  if (last < 0) return
  if (last > 0) socket.cork()
  for (let i = 0; i < last; i++) socket.write(pieces[i] as Buffer)
  socket.write(pieces[last] as Buffer, sent)
  if (last > 0) socket.uncork()
}
