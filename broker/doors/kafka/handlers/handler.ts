import type { Logger } from 'pino'
import { InvariantViolation } from '../../../../base/assert.ts'
import { Refusal, refusals, type RefusalCode } from '../../../../base/refusals.ts'
import type { World } from '../../../../base/world.ts'
import { encodeResponse } from '../../../../protocol/kafka/frame.ts'
import type { Api, Read, Shape, Written } from '../../../../protocol/kafka/schema.ts'
import type { Router } from '../../../router/router.ts'
import type { Answer, Arrival, Serve } from '../answer.ts'
import type { Connection, KafkaListener } from '../connection.ts'
import type { FetchBudget } from '../fetch-budget.ts'
import type { Counters } from '../metrics.ts'
import type { Outgoing } from '../outgoing.ts'

/** What every handler of a door works with. */
export type Desk = {
  readonly world: World
  readonly router: Router
  readonly log: Logger
  readonly counters: Counters
  readonly fetchBudget: FetchBudget
  /** Fetches that wait; the door answers them when it stops. */
  readonly waitingFetches: Set<{ answerNow(): void }>
  /** Where the door listens: the host as it was asked for, the port as it was bound. */
  readonly places: Readonly<Partial<Record<KafkaListener, { readonly host: string; readonly port: number }>>>
}

/** One request that is answered with one value. */
export type Call = {
  readonly desk: Desk
  readonly version: number
  readonly clientId: string | null
  /** The client's address, for logs. */
  readonly client: string
  /** Our address as the client sees it. */
  readonly localAddress: string
  /** Where the client has come in. */
  readonly listener: KafkaListener
}

export type Handler = { readonly api: Api; readonly serve: Serve }

export type Failure = { readonly errorCode: number; readonly errorMessage: string }

/**
 * A handler that answers each request with one value, at once or later. `failed` makes the response for a request that
 * could not be answered otherwise.
 */
export function plain<Request extends Shape, Response extends Shape>(
  desk: Desk,
  api: Api<Request, Response>,
  answer: (request: Read<Request>, call: Call) => Written<Response> | Promise<Written<Response>>,
  failed: (failure: Failure, request: Read<Request>, call: Call) => Written<Response>,
): Handler {
  const serve = (arrival: Arrival): Answer => {
    const { connection, header, reader } = arrival
    const version = header.apiVersion
    const { client, localAddress, listener } = connection
    const request = api.decodeRequest(reader, version)
    const call = { desk, version, clientId: header.clientId, client, localAddress, listener }
    const place = new PlainAnswer(connection, header.correlationId, (out, correlationId, body) => {
      encodeResponse(out.writer, api, version, correlationId, body as Written<Response>)
    })
    const refuse = (error: unknown): void =>
      place.give(failed(failureOf(error, call, api.name), request, call))
    try {
      const body = answer(request, call)
      if (body instanceof Promise) body.then(given => place.give(given), refuse).catch(stopProcess)
      else place.give(body)
    } catch (error) {
      refuse(error)
    }
    return place
  }
  return { api, serve }
}

class PlainAnswer implements Answer {
  readonly pipelined = false
  readonly #connection: Connection
  readonly #correlationId: number
  readonly #encode: (out: Outgoing, correlationId: number, body: unknown) => void
  #body: { value: unknown } | undefined

  constructor(
    connection: Connection,
    correlationId: number,
    encode: (out: Outgoing, correlationId: number, body: unknown) => void,
  ) {
    this.#connection = connection
    this.#correlationId = correlationId
    this.#encode = encode
  }

  get ready(): boolean {
    return this.#body !== undefined
  }

  give(value: unknown): void {
    this.#body = { value }
    this.#connection.answered()
  }

  write(out: Outgoing): void {
    this.#encode(out, this.#correlationId, this.#body?.value)
  }

  drop(): void {}
}

export const codeOf = (code: RefusalCode): number => refusals[code].kafka

/**
 * What to tell the client about `error`: a refusal as it is, anything else as UNKNOWN_SERVER_ERROR with a line in the log.
 * A broken invariant is thrown on: it stops the process.
 */
export function failureOf(error: unknown, call: Call, what: string): Failure {
  if (error instanceof Refusal) {
    call.desk.log.debug({ client: call.client, refusal: error.code }, `${what}: ${error.message}`)
    return { errorCode: codeOf(error.code), errorMessage: error.message }
  }
  if (error instanceof InvariantViolation) throw error
  call.desk.log.error({ err: error, client: call.client }, `${what} failed`)
  return { errorCode: codeOf('UNKNOWN_SERVER_ERROR'), errorMessage: `${what} failed: see the broker's log` }
}

/** For promises that nobody waits for: what they throw stops the process, as it would if it were thrown here. */
export function stopProcess(error: unknown): never {
  throw error
}

/** The same for one item of a request: what `act` answers, or the failure. */
export async function attempt<T>(
  call: Call,
  what: string,
  act: () => T | Promise<T>,
): Promise<{ readonly value: T } | Failure> {
  try {
    return { value: await act() }
  } catch (error) {
    return failureOf(error, call, what)
  }
}

/** Items that stand in a list more than once, each once. */
export function repeated<T>(items: Iterable<T>): Set<T> {
  const seen = new Set<T>()
  const twice = new Set<T>()
  for (const item of items) {
    if (seen.has(item)) twice.add(item)
    seen.add(item)
  }
  return twice
}
