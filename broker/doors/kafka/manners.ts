/** Who neither sends the rest of a request nor reads its answers for so long is closed. */
const stallMs = 30_000
/** While others wait for memory, who holds some of it longer than `stallMs` must get on at least this fast. */
const crawlBytesPerMs = (16 * 1024) / 1000

/** What a connection is doing at one moment. */
export type Doing = {
  /** Part of a request is here, and we are waiting for the rest. */
  readonly halfRequest: boolean
  /** Answers were written, and we are waiting for the client to read them. */
  readonly unread: boolean
  /** Nothing is asked, held or unread. */
  readonly idle: boolean
  /** Bytes received, and bytes that have left, since the connection began. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** Requests taken since the connection began. */
  readonly requests: number
}

/** What others wait for. */
export type Wanted = { readonly requestMemory: boolean; readonly answerMemory: boolean }

/** Since when something has been going on, and how many bytes ago. */
type Mark = { readonly ms: number; readonly bytes: number }

/** Watches one connection from sweep to sweep, so that nothing is measured on the way of a request. */
export class Manners {
  #in: Mark
  #out: Mark
  #requests = 0
  /** The half request of the last sweep, when it is still the same. */
  #half: Mark | undefined
  #unread: Mark | undefined

  constructor(nowMs: number) {
    this.#in = { ms: nowMs, bytes: 0 }
    this.#out = { ms: nowMs, bytes: 0 }
  }

  /** Why the connection must be closed: a reason for the log, 'idle' for `idleMsMax` without a byte, or nothing. */
  judge(nowMs: number, doing: Doing, wanted: Wanted, idleMsMax: number): string | undefined {
    const { bytesIn, bytesOut, requests } = doing
    if (bytesIn !== this.#in.bytes) this.#in = { ms: nowMs, bytes: bytesIn }
    if (bytesOut !== this.#out.bytes || !doing.unread) this.#out = { ms: nowMs, bytes: bytesOut }
    const half = doing.halfRequest && requests === this.#requests
    this.#half = half ? (this.#half ?? { ms: nowMs, bytes: bytesIn }) : undefined
    this.#unread = doing.unread ? (this.#unread ?? this.#out) : undefined
    this.#requests = requests
    const quietMs = nowMs - this.#in.ms
    if (nowMs - this.#out.ms >= stallMs) return `reads none of its answers for ${stallMs / 1000} s`
    if (this.#half !== undefined && Math.min(quietMs, nowMs - this.#half.ms) >= stallMs)
      return `half a request, then nothing for ${stallMs / 1000} s`
    if (wanted.requestMemory && crawls(this.#half, nowMs, bytesIn)) {
      return 'a request that comes too slowly while others wait for memory'
    }
    if (wanted.answerMemory && crawls(this.#unread, nowMs, bytesOut)) {
      return 'reads its answers too slowly while others wait for memory'
    }
    return doing.idle && quietMs >= idleMsMax ? 'idle' : undefined
  }
}

function crawls(since: Mark | undefined, nowMs: number, bytes: number): boolean {
  if (since === undefined) return false
  const ageMs = nowMs - since.ms
  return ageMs >= stallMs && bytes - since.bytes < ageMs * crawlBytesPerMs
}
