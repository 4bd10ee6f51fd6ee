import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { KIB, MIB } from '../../../base/quantities.ts'
import { Refusal } from '../../../base/refusals.ts'
import type { Timer } from '../../../base/world.ts'
import { errorBody } from './errors.ts'
import { hasDelicateNumber, parseJsonText, parseKeepingNumbers } from './json-text.ts'
import { Lines, notText, tooLong, type Line } from './lines.ts'
import { recordOf, takeExactValue, type WantedRecord } from './record-in.ts'
import type { HowToWrite } from './records-in.ts'
import type { Serving } from './serving.ts'
import { Writing, type Placed } from './writing.ts'

/** So much may be read from a client and not be answered yet; then reading pauses. */
const linesInFlightMax = 4000
const bytesInFlightMax = MIB

/** Results leave in pieces of about this size. */
const pieceChars = 64 * KIB

/** JSON writes a byte in six characters at most, as \u0000. */
const escapedBytes = 6

/** A client that sends nothing for so long in the middle of a line, or takes no results, is given up. */
const stallMsMax = 60_000

type Result = { readonly line: number; readonly went: Placed | Refusal }

/**
 * Takes a record a line (NDJSON) and answers a result a line, in order, while the lines still come. A line that is wrong is
 * answered with its error and stops nothing. Memory is bounded whatever the client does: reading pauses while results are
 * not taken.
 */
export function takeLines(
  serving: Serving,
  request: FastifyRequest,
  reply: FastifyReply,
  how: HowToWrite,
): FastifyReply {
  reply.hijack()
  reply.raw.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' })
  reply.raw.flushHeaders()
  new LineStream(serving, request.raw, reply.raw, how).start()
  return reply
}

class LineStream {
  readonly #serving: Serving
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #how: HowToWrite
  readonly #writing: Writing
  readonly #lineBytesMax: number
  readonly #lines: Lines
  #lineNumber = 0
  /** Whether `#lines` may hold whole lines that were not taken yet for lack of room. */
  #more = false
  /** The client has sent everything; lines of it may still wait in `#lines`, for this is said while reading pauses too. */
  #allCame = false
  /** No further line is taken. */
  #ended = false
  #results: Result[] = []
  #flushPlanned = false
  #waitsForTurn = false
  #watch: Timer | undefined
  #activeAtMs: number

  constructor(serving: Serving, request: IncomingMessage, response: ServerResponse, how: HowToWrite) {
    const { router, spread, world, forwarding } = serving
    const { topic, acks } = how
    this.#serving = serving
    this.#request = request
    this.#response = response
    this.#how = how
    this.#writing = new Writing({ router, clock: world.clock, topic, acks, spread, forwarding }, () =>
      this.#planFlush(),
    )
    const recordBytesMax = router.find(topic, 0)?.settings.maxMessageBytes ?? MIB
    this.#lineBytesMax = Math.min(router.settings.httpBodyMaxBytes, escapedBytes * recordBytesMax + 4 * KIB)
    this.#lines = new Lines(this.#lineBytesMax)
    this.#activeAtMs = world.clock.monotonicMs()
  }

  start(): void {
    const unwatchStop = this.#serving.stopping.whenBegun(() => {
      this.#breakOff(
        new Refusal('BROKER_STOPPING', 'The broker is stopping: from this line on nothing was taken'),
      )
    })
    this.#response.on('drain', () => this.#flush())
    this.#response.on('close', () => {
      unwatchStop()
      this.#watch?.cancel()
      this.#ended = true
      this.#more = false
    })
    this.#request.on('data', (chunk: Buffer) => this.#onChunk(chunk))
    this.#request.on('end', () => {
      this.#allCame = true
      this.#pump()
    })
    this.#watchStalls()
  }

  #onChunk(chunk: Buffer): void {
    if (this.#ended) return
    this.#activeAtMs = this.#serving.world.clock.monotonicMs()
    this.#lines.give(chunk)
    this.#more = true
    this.#pump()
  }

  /** Takes as many lines as there is room for, and reads on when there is room for more. */
  #pump(): void {
    const { lines: share } = this.#serving
    while (this.#more && this.#hasRoom()) {
      if (!share.take()) {
        this.#waitForTurn()
        break
      }
      const line = this.#lines.next()
      if (line === undefined) this.#more = false
      else this.#take(line)
    }
    if (this.#allCame && !this.#more) this.#takeRest()
    this.#writing.send()
    if (this.#ended) this.#endWhenAnswered()
    else if (this.#more || !this.#hasRoom()) this.#request.pause()
    else this.#request.resume()
  }

  /** The last line may have no newline. */
  #takeRest(): void {
    if (this.#ended) return
    const rest = this.#lines.rest()
    if (rest !== undefined) this.#take(rest)
    this.#ended = true
  }

  #waitForTurn(): void {
    if (this.#waitsForTurn) return
    this.#waitsForTurn = true
    this.#serving.lines.wait(() => {
      this.#waitsForTurn = false
      this.#pump()
    })
  }

  #hasRoom(): boolean {
    return this.#results.length < linesInFlightMax && this.#writing.bytesInFlight < bytesInFlightMax
  }

  #take(line: Line): void {
    this.#lineNumber += 1
    if (typeof line === 'string' && isBlank(line)) return
    try {
      const went = this.#writing.add(this.#parse(line))
      this.#results.push({ line: this.#lineNumber, went })
      if (went.sent.settled) this.#planFlush()
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#results.push({ line: this.#lineNumber, went: error })
      this.#planFlush()
    }
  }

  #parse(line: Line): WantedRecord {
    if (line === tooLong) {
      throw new Refusal('BODY_TOO_LARGE', `The line is longer than ${this.#lineBytesMax} bytes`)
    }
    if (line === notText) throw new Refusal('INVALID_JSON', 'The line is not UTF-8, and JSON must be')
    const json = parseJsonText(line, 'The line')
    if (isNumberOrObject((json as { value?: unknown } | null)?.value) && hasDelicateNumber(line)) {
      takeExactValue(json, parseKeepingNumbers(line))
    }
    return recordOf(json, this.#how.encoding)
  }

  #planFlush(): void {
    if (this.#flushPlanned) return
    this.#flushPlanned = true
    this.#serving.world.clock.endOfTurn(() => this.#flush())
  }

  /** Sends the results that are known, up to the first that is not, as far as the client takes them. */
  #flush(): void {
    this.#flushPlanned = false
    if (this.#response.destroyed) return
    while (!this.#response.writableNeedDrain) {
      const text = this.#nextResults()
      if (text === '') break
      this.#activeAtMs = this.#serving.world.clock.monotonicMs()
      this.#response.write(text)
    }
    this.#pump()
  }

  #nextResults(): string {
    let text = ''
    let count = 0
    for (const { line, went } of this.#results) {
      if (text.length >= pieceChars || (!(went instanceof Refusal) && !went.sent.settled)) break
      const refusal = went instanceof Refusal ? went : went.sent.refusal
      text +=
        refusal === undefined
          ? renderPlaced(went as Placed, this.#how)
          : `${JSON.stringify({ ...errorBody(refusal), line })}\n`
      count += 1
    }
    this.#results.splice(0, count)
    return text
  }

  #endWhenAnswered(): void {
    if (this.#results.length > 0 || this.#response.writableEnded || this.#response.destroyed) return
    this.#response.end()
  }

  /** Takes no further line; the answer ends with `refusal` for the first that was not taken. */
  #breakOff(refusal: Refusal): void {
    if (this.#ended) return
    this.#ended = true
    this.#more = false
    this.#results.push({ line: this.#lineNumber + 1, went: refusal })
    this.#planFlush()
  }

  #watchStalls(): void {
    const { clock } = this.#serving.world
    this.#watch = clock.after(stallMsMax, () => {
      const stalled = clock.monotonicMs() - this.#activeAtMs >= stallMsMax
      if (stalled && this.#response.writableNeedDrain) this.#request.destroy()
      else if (stalled && this.#lines.begunBytes > 0) {
        this.#breakOff(
          new Refusal('REQUEST_TOO_SLOW', `The rest of the line did not come for ${stallMsMax / 1000} s`),
        )
      } else this.#watchStalls()
    })
  }
}

const isNumberOrObject = (json: unknown): boolean =>
  typeof json === 'number' || (typeof json === 'object' && json !== null)

const isBlank = (line: string): boolean => line === '' || (line.charCodeAt(0) <= 0x20 && line.trim() === '')

function renderPlaced({ sent, index }: Placed, { acks }: HowToWrite): string {
  if (acks === 0) return `{"partition":${sent.partition}}\n`
  return `{"partition":${sent.partition},"offset":${sent.baseOffset + index}}\n`
}
