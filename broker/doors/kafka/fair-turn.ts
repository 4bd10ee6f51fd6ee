/**
 * Enters: how many bytes each connection reads. Leaves: who has had his share of this turn of the event loop and pauses until the next.
 * Always holds: however much clients send, a turn stays short: answers leave, and every other client is heard, at its end.
 * Without it 128 busy producers, half of them with batches of a megabyte, made turns of more than a second: Node reads a socket up to 32 times a turn.
 */
import { KIB, MIB } from '../../../base/quantities.ts'
import type { Clock } from '../../../base/world.ts'

const shareBytes = 256 * KIB
/** Until so much was read nobody pauses: a client that is alone should not wait for anybody. */
const freeBytes = 2 * MIB

/** What one connection has read, for `FairTurn` alone to write. */
export type Share = {
  turn: number
  bytes: number
  /** The connection may read again. */
  readonly goOn: () => void
}

export class FairTurn {
  readonly #clock: Clock
  readonly #waiting: Share[] = []
  #turn = 0
  #bytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A connection has read `bytes`. True when it is to read no more before its `goOn` is called. */
  read(share: Share, bytes: number): boolean {
    if (this.#bytes === 0) this.#clock.endOfTurn(this.#end)
    this.#bytes += bytes
    share.bytes = share.turn === this.#turn ? share.bytes + bytes : bytes
    share.turn = this.#turn
    if (share.bytes < shareBytes || this.#bytes < freeBytes) return false
    this.#waiting.push(share)
    return true
  }

  readonly #end = (): void => {
    this.#turn += 1
    this.#bytes = 0
    for (const share of this.#waiting.splice(0)) share.goOn()
  }
}
