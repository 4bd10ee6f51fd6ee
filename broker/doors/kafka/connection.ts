/**
 * Enters: the frames of one client. Leaves: their answers in the same order, all answers of a turn in one write.
 * Always holds: Produce requests start as they come, any other waits for its answer before the next request is taken; no
 * request is taken while answers wait for the client to read, nor while 1,000 are unanswered.
 */
import type { Socket } from 'node:net'
import type { RequestHeader } from '../../../protocol/kafka/frame.ts'
import { MalformedRequest } from '../../../protocol/kafka/malformed.ts'
import type { Reader } from '../../../protocol/kafka/reader.ts'
import type { Clock } from '../../../base/world.ts'
import type { Answer, Serve } from './answer.ts'
import type { FairTurn, Share } from './fair-turn.ts'
import type { FrameMemory } from './frame-memory.ts'
import { Frames, type FrameTaker } from './frames.ts'
import { Manners, type Wanted } from './manners.ts'
import type { Counters } from './metrics.ts'
import type { Outgoing } from './outgoing.ts'
import { receive, type Received } from './receive.ts'

/** Two ways in, each with addresses of its own for all brokers. */
export type KafkaListener = 'kafka' | 'external'

const unansweredMax = 1_000
/** What all connections of a door have in common. */
export type Surroundings = {
  readonly clock: Clock
  readonly serve: Serve
  readonly memory: FrameMemory
  /** Where the system puts bytes; used by all connections in turn. */
  readonly readBuffer: Buffer
  readonly turn: FairTurn
  readonly outgoing: Outgoing
  /** Read the requests of all connections, one at a time. */
  readonly header: RequestHeader
  readonly reader: Reader
  readonly counters: Counters
  frameBytesMax(): number
  idleMsMax(): number
  wanted(): Wanted
  /** Says in the log why a connection was closed by us. */
  report(connection: Connection, reason: string): void
  /** The connection is closed for good. */
  closed(connection: Connection): void
}

// Why no request is taken at the moment; any number of these at once.
const unanswered = 1
const unsent = 2
const crowded = 4
const closing = 8

export class Connection implements FrameTaker {
  /** The client's address and port. */
  readonly client: string
  /** Our address as the client sees it. */
  readonly localAddress: string
  readonly listener: KafkaListener
  readonly #around: Surroundings
  readonly #socket: Socket
  readonly #received: Received
  readonly #frames: Frames
  readonly #answers: Answer[] = []
  readonly #flush = (): void => this.#writeAnswers()
  #obstacles = 0
  #flushPlanned = false
  #paused = false
  /** Has had his share of this turn. */
  #sated = false
  readonly #share: Share = {
    turn: 0,
    bytes: 0,
    goOn: () => {
      this.#sated = false
      this.#steerReading()
    },
  }
  readonly #manners: Manners
  #bytesIn = 0
  #requests = 0

  /** Takes over `accepted`, a socket of a server with `pauseOnConnect`. */
  constructor(
    accepted: Socket,
    around: Surroundings,
    asTargets?: boolean,
    listener: KafkaListener = 'kafka',
  ) {
    this.#around = around
    this.listener = listener
    this.client = hostPort(accepted.remoteAddress, accepted.remotePort)
    this.localAddress = accepted.localAddress ?? ''
    const nowMs = around.clock.monotonicMs()
    this.#manners = new Manners(nowMs)
    this.#frames = new Frames(around.memory, around.readBuffer, () => around.frameBytesMax(), this)
    this.#received = receive(
      accepted,
      {
        target: () => this.#frames.target(),
        arrived: (buffer, bytes) => this.#arrived(buffer, bytes),
      },
      asTargets,
    )
    this.#socket = this.#received.socket
    this.#socket.on('error', () => {}) // 'close' follows, and a client that goes away is no error of ours
    this.#socket.on('close', () => this.#gone())
  }

  get ready(): boolean {
    return this.#obstacles === 0
  }

  /** Nothing is asked, held or unsent. */
  get idle(): boolean {
    return this.#answers.length === 0 && this.#frames.heldBytes === 0 && (this.#obstacles & unsent) === 0
  }

  frame(buffer: Buffer, start: number, end: number): void {
    const { header, reader } = this.#around
    this.#requests += 1
    reader.reset(buffer, start, end)
    try {
      header.read(reader)
      const answer = this.#around.serve({
        connection: this,
        header,
        reader,
        nowMs: this.#around.outgoing.nowMs,
      })
      if (answer !== undefined) this.#enqueue(answer)
    } catch (error) {
      if (!(error instanceof MalformedRequest)) throw error
      this.#around.counters.malformed += 1
      this.broken(`${header.spoken?.api.name ?? 'request'}: ${error.reason}`)
    }
  }

  broken(reason: string): void {
    if ((this.#obstacles & closing) !== 0) return
    this.#around.report(this, reason)
    this.close()
  }

  roomAgain(): void {
    this.#planFlush()
  }

  /** An answer that had its place has become ready. */
  answered(): void {
    if (this.#answers[0]?.ready === true) this.#planFlush()
  }

  /** Takes no more requests, and closes when the last answer has left. */
  finish(): void {
    this.#obstacles |= closing
    this.#endWhenDone()
  }

  /** Drops everything at once. */
  close(): void {
    this.#obstacles |= closing
    this.#socket.destroy()
  }

  /** Called from time to time: closes a connection that is idle or stuck for too long. */
  sweep(nowMs: number): void {
    const doing = {
      halfRequest: this.ready && this.#frames.heldBytes > 0 && !this.#frames.waitsForMemory,
      unread: (this.#obstacles & unsent) !== 0,
      idle: this.idle,
      bytesIn: this.#bytesIn,
      bytesOut: this.#received.sentBytes(),
      requests: this.#requests,
    }
    const verdict = this.#manners.judge(nowMs, doing, this.#around.wanted(), this.#around.idleMsMax())
    if (verdict === 'idle') this.close()
    else if (verdict !== undefined) this.broken(verdict)
  }

  #arrived(buffer: Buffer, bytes: number): void {
    this.#bytesIn += bytes
    this.#around.outgoing.nowMs = this.#around.clock.monotonicMs()
    this.#around.counters.bytesIn += bytes
    if ((this.#obstacles & closing) !== 0) return
    this.#sated = this.#around.turn.read(this.#share, bytes)
    this.#frames.arrived(buffer, bytes)
    this.#steerReading()
  }

  #enqueue(answer: Answer): void {
    this.#answers.push(answer)
    if (!answer.pipelined) this.#obstacles |= unanswered
    if (this.#answers.length >= unansweredMax) this.#obstacles |= crowded
    if (answer.ready) this.answered()
  }

  #planFlush(): void {
    if (this.#flushPlanned) return
    this.#flushPlanned = true
    this.#around.clock.endOfTurn(this.#flush)
  }

  #writeAnswers(): void {
    this.#flushPlanned = false
    if ((this.#obstacles & unsent) !== 0 || this.#socket.destroyed) return
    const { outgoing, clock } = this.#around
    outgoing.nowMs = clock.monotonicMs()
    let written = 0
    for (const answer of this.#answers) {
      if (!answer.ready) break
      answer.write(outgoing)
      written += 1
    }
    if (written === this.#answers.length) this.#answers.length = 0
    else this.#answers.splice(0, written)
    if (outgoing.send(this.#socket, () => this.#allSent()) === 'rest follows') this.#obstacles |= unsent
    this.#getOn()
  }

  #allSent(): void {
    this.#obstacles &= ~unsent
    this.answered()
    if (!this.#socket.destroyed) this.#getOn()
  }

  /** Takes the requests that had to wait for what has just ended. */
  #getOn(): void {
    if (this.#answers.length === 0) this.#obstacles &= ~unanswered
    if (this.#answers.length < unansweredMax) this.#obstacles &= ~crowded
    if ((this.#obstacles & closing) !== 0) return this.#endWhenDone()
    if (this.ready) this.#frames.proceed()
    this.#steerReading()
  }

  /** Reading stops only for the rest of a turn, or while bytes are held that may not be handled: so a client that goes away is noticed. */
  #steerReading(): void {
    const mustWait = this.#frames.waitsForMemory || (!this.ready && this.#frames.heldBytes > 0)
    const stop = (mustWait || this.#sated) && (this.#obstacles & closing) === 0
    if (stop === this.#paused || this.#socket.destroyed) return
    this.#paused = stop
    if (stop) this.#socket.pause()
    else this.#socket.resume()
  }

  #endWhenDone(): void {
    if (this.#answers.length > 0 || (this.#obstacles & unsent) !== 0) return
    this.#steerReading()
    this.#socket.end()
  }

  #gone(): void {
    this.#obstacles |= closing
    this.#frames.drop()
    for (const answer of this.#answers) answer.drop()
    this.#answers.length = 0
    this.#around.closed(this)
  }
}

const hostPort = (host: string | undefined, port: number | undefined): string =>
  host === undefined ? 'a client that is gone' : `${host.includes(':') ? `[${host}]` : host}:${port}`
