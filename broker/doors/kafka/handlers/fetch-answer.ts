import { InvariantViolation } from '../../../../base/assert.ts'
import type { Timer } from '../../../../base/world.ts'
import type { fetch } from '../../../../protocol/kafka/apis/fetch.ts'
import type { FetchResponseWriter } from '../../../../protocol/kafka/fetch-response.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import { endOfEmpty, type Batches } from '../../../log/read.ts'
import type { Answer, Arrival } from '../answer.ts'
import type { Outgoing } from '../outgoing.ts'
import { FetchPart } from './fetch-part.ts'
import { codeOf, failureOf, stopProcess, type Call, type Desk } from './handler.ts'

type Request = RequestOf<typeof fetch>
type State = 'reading' | 'waiting for records' | 'waiting for memory' | 'ready' | 'dropped'

/**
 * One fetch, from its arrival to its answer. It reads; with less than `minBytes` found it gives everything back and waits
 * until that much more can be read or its time is up; then it reads again.
 */
export class FetchAnswer implements Answer {
  readonly pipelined = false
  readonly #desk: Desk
  readonly #writer: FetchResponseWriter
  readonly #arrival: Pick<Arrival, 'connection' | 'nowMs'>
  readonly #call: Call
  readonly #correlationId: number
  readonly #topics: readonly { readonly name: string; readonly parts: readonly FetchPart[] }[]
  readonly #parts: readonly FetchPart[]
  readonly #minBytes: number
  readonly #maxBytes: number
  readonly #maxWaitMs: number
  #state: State = 'reading'
  #timeIsUp: boolean
  #timer: Timer | undefined
  #stopWaiting: (() => void)[] = []
  #wakes = false
  /** There was more than the budget allowed to read. */
  #cutShort = false
  /** What the parts hold, which counts in the budget. */
  #bytes = 0
  /** The same without batches that compaction has emptied: a client is not woken up for them. */
  #recordBytes = 0

  constructor(desk: Desk, writer: FetchResponseWriter, arrival: Arrival, request: Request) {
    const { connection, header, nowMs } = arrival
    const { client, localAddress, listener } = connection
    const asker = { version: header.apiVersion, rack: request.rackId, listener }
    this.#desk = desk
    this.#writer = writer
    this.#arrival = { connection, nowMs }
    this.#call = {
      desk,
      version: header.apiVersion,
      clientId: header.clientId,
      client,
      localAddress,
      listener,
    }
    this.#correlationId = header.correlationId
    this.#topics = request.topics.map(({ topic, partitions }) => ({
      name: topic,
      parts: partitions.map(wanted => new FetchPart(topic, wanted, asker)),
    }))
    this.#parts = this.#topics.flatMap(({ parts }) => parts)
    this.#maxBytes = Math.min(request.maxBytes, desk.router.settings.fetchMaxBytes)
    this.#minBytes = Math.min(request.minBytes, this.#maxBytes)
    this.#maxWaitMs = request.maxWaitMs
    this.#timeIsUp = this.#maxWaitMs <= 0
  }

  get ready(): boolean {
    return this.#state === 'ready'
  }

  /** Looks for records; called again for every new try. */
  begin(): void {
    const { fetchBudget, router } = this.#desk
    if (fetchBudget.leftBytes <= 0) {
      this.#state = 'waiting for memory'
      this.#stopWaiting.push(fetchBudget.wait(() => this.#tryAgain()))
      return
    }
    this.#state = 'reading'
    for (const part of this.#parts) {
      try {
        part.look(router)
      } catch (error) {
        this.#fail(part, error)
      }
    }
    this.#readFrom(0)
  }

  /** Answers with what is there now. */
  answerNow(): void {
    this.#timeIsUp = true
    if (this.#state === 'waiting for records') this.#tryAgain()
  }

  write(out: Outgoing): void {
    const writer = this.#writer
    writer.begin(this.#call.version, this.#correlationId, this.#topics.length)
    for (const { name, parts } of this.#topics) {
      writer.topic(name, parts.length)
      for (const part of parts) {
        part.write(writer)
        this.#desk.counters.followerBytesOut += part.copiedBytes
      }
    }
    for (const piece of writer.finish()) out.piece(piece)
    if (this.#bytes > 0) out.whenSent(() => this.#release())
    this.#desk.counters.fetchMs.observe(out.nowMs - this.#arrival.nowMs)
  }

  drop(): void {
    this.#timer?.cancel()
    this.#endWaiting()
    const reading = this.#state === 'reading'
    this.#state = 'dropped'
    if (!reading) this.#release()
  }

  /** Reads the parts one after the other; what is in memory at once, so that a fetch of new records is answered in this turn. */
  #readFrom(first: number): void {
    const { fetchBudget } = this.#desk
    for (let p = first; p < this.#parts.length; p++) {
      const part = this.#parts[p] as FetchPart
      const wantedBytes = Math.min(part.bytesMax, this.#maxBytes - this.#bytes)
      const bytesMax = Math.max(0, Math.min(wantedBytes, fetchBudget.leftBytes))
      if (bytesMax < wantedBytes) this.#cutShort = true
      if (bytesMax === 0 && this.#bytes > 0) break
      const read = this.#read(part, bytesMax)
      if (read instanceof Promise) {
        fetchBudget.use(bytesMax)
        const goOn = (): void => {
          fetchBudget.giveBack(bytesMax)
          if (this.#state === 'dropped') this.#release()
          else this.#readFrom(p + 1)
        }
        read
          .then(
            batches => this.#take(part, batches),
            (error: unknown) => this.#fail(part, error),
          )
          .then(goOn)
          .catch(stopProcess)
        return
      }
      if (read !== undefined) this.#take(part, read)
    }
    this.#decide()
  }

  #read(part: FetchPart, bytesMax: number): Batches | Promise<Batches> | undefined {
    try {
      return part.read(bytesMax, this.#bytes === 0)
    } catch (error) {
      this.#fail(part, error)
      return undefined
    }
  }

  #take(part: FetchPart, batches: Batches): void {
    part.found(batches)
    this.#bytes += batches.bytes
    if (endOfEmpty(batches) === undefined) this.#recordBytes += batches.bytes
    this.#desk.fetchBudget.use(batches.bytes)
  }

  #fail(part: FetchPart, error: unknown): void {
    if (error instanceof InvariantViolation) throw error
    const { errorCode } = failureOf(error, this.#call, 'Fetch')
    const moved = errorCode === codeOf('NOT_LEADER_OR_FOLLOWER')
    part.failed(errorCode, (moved && this.#desk.router.leaderOf(part.topic, part.partition)) || null)
  }

  #decide(): void {
    if (this.#timeIsUp) for (const part of this.#parts) part.timeIsUp()
    const enough =
      this.#recordBytes >= this.#minBytes || this.#timeIsUp || this.#cutShort || this.#parts.length === 0
    if (!enough && !this.#parts.some(part => part.urgent)) return this.#wait()
    this.#state = 'ready'
    this.#timer?.cancel()
    this.#arrival.connection.answered()
  }

  #wait(): void {
    const { clock } = this.#desk.world
    const missingBytes = this.#minBytes - this.#recordBytes
    this.#release()
    this.#state = 'waiting for records'
    const { waitingFetches } = this.#desk
    waitingFetches.add(this)
    this.#stopWaiting.push(() => waitingFetches.delete(this))
    const moved = (): void => this.#moved(missingBytes)
    for (const part of this.#parts) {
      const stop = part.onReadable(moved)
      if (stop !== undefined) this.#stopWaiting.push(stop)
    }
    this.#timer ??= clock.after(this.#maxWaitMs, () => this.answerNow())
    this.#moved(missingBytes)
  }

  /** Once enough can be read it goes on, at the end of the turn: until then more may come. */
  #moved(missingBytes: number): void {
    if (this.#wakes) return
    let newBytes = 0
    for (const part of this.#parts) newBytes += part.newBytes
    if (newBytes < missingBytes) return
    this.#wakes = true
    this.#desk.world.clock.endOfTurn(() => {
      this.#wakes = false
      if (this.#state === 'waiting for records') this.#tryAgain()
    })
  }

  #tryAgain(): void {
    this.#endWaiting()
    this.begin()
  }

  #endWaiting(): void {
    for (const stop of this.#stopWaiting) stop()
    this.#stopWaiting = []
  }

  #release(): void {
    for (const part of this.#parts) part.release()
    const bytes = this.#bytes
    this.#bytes = 0
    this.#recordBytes = 0
    if (bytes > 0) this.#desk.fetchBudget.giveBack(bytes)
  }
}
