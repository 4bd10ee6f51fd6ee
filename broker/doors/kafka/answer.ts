import type { RequestHeader } from '../../../protocol/kafka/frame.ts'
import type { Reader } from '../../../protocol/kafka/reader.ts'
import type { Connection } from './connection.ts'
import type { Outgoing } from './outgoing.ts'

/** One request's place in the order of answers. */
export type Answer = {
  /** Whether it can be written; who makes it true later calls `Connection.answered`. */
  readonly ready: boolean
  /** Whether the connection's next request may start before this answer was sent. */
  readonly pipelined: boolean
  /** Writes the whole response, once, when all answers before it were written. */
  write(out: Outgoing): void
  /** The connection is gone, and nobody will ask for the answer. */
  drop(): void
}

/** A request as it arrived. `header` and `reader` serve all requests: what they say holds until the handler returns. */
export type Arrival = {
  readonly connection: Connection
  readonly header: RequestHeader
  /** Stands at the body. */
  readonly reader: Reader
  /** The monotonic time of its arrival. */
  readonly nowMs: number
}

/**
 * Takes a request; answers its place in the order of answers, or undefined when it gets none. Throws `MalformedRequest`,
 * which closes the connection. Bytes of the request are gone when it returns.
 */
export type Serve = (arrival: Arrival) => Answer | undefined
