/**
 * Enters: Produce requests. Leaves: each partition's batch to its tablet, and one answer when the last of them is decided.
 * Always holds: everything of the request's bytes was used when `serve` returns; one object and no closures a request.
 */
import type { Logger } from 'pino'
import { assert, InvariantViolation } from '../../../../base/assert.ts'
import { Refusal } from '../../../../base/refusals.ts'
import { isInternal } from '../../../../control/model.ts'
import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import { ProduceRequest } from '../../../../protocol/kafka/produce-request.ts'
import { batchHeaderBytes, codecOf } from '../../../../protocol/kafka/record-batch.ts'
import type { Router } from '../../../router/router.ts'
import type { Acks, Appending } from '../../../tablet/appending.ts'
import type { Tablet } from '../../../tablet/tablet.ts'
import type { Answer, Arrival } from '../answer.ts'
import type { Connection } from '../connection.ts'
import type { Counters } from '../metrics.ts'
import type { Outgoing } from '../outgoing.ts'
import { codeOf, type Desk, type Handler } from './handler.ts'

/** The first version that may carry zstd. */
const zstdSince = 7
const resultFields = 5
/** Stands for an error code until there is one. */
const undecided = 0x7fff

export function produceHandler(desk: Desk): Handler {
  const { router } = desk
  const request = new ProduceRequest()
  const serve = (arrival: Arrival): Answer | undefined => {
    request.read(arrival.reader, arrival.header.apiVersion)
    const answer = new ProduceAnswer(request, arrival, desk)
    const refusal = refusalOf(request)
    for (let t = 0; t < request.topicCount; t++) {
      const topic = request.topics[t] ?? ''
      const end = request.firstPartition[t + 1] ?? 0
      for (let p = request.firstPartition[t] ?? 0; p < end; p++) {
        if (refusal !== undefined) answer.refused(p, refusal)
        else offer(router, topic, p, request, arrival, answer)
      }
    }
    return request.acks === 0 ? undefined : answer
  }
  return { api: produce, serve }
}

/** Why nothing of the request is taken. */
function refusalOf({ acks, transactionalId }: ProduceRequest): Refusal | undefined {
  if (transactionalId !== null) {
    return new Refusal('TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'there are no transactions')
  }
  if (acks < -1 || acks > 1) return new Refusal('INVALID_REQUIRED_ACKS', `acks is ${acks}`)
  return undefined
}

function offer(
  router: Router,
  topic: string,
  slot: number,
  request: ProduceRequest,
  { reader, nowMs }: Arrival,
  answer: ProduceAnswer,
): void {
  const partition = request.partitionIndex[slot] ?? -1
  const at = request.recordsAt[slot] ?? -1
  const end = request.recordsEnd[slot] ?? -1
  const found = isInternal(topic) ? undefined : router.find(topic, partition)
  const tablet = found ?? whyNot(router, topic, partition)
  if (tablet instanceof Refusal) answer.refused(slot, tablet)
  else if (end - at < batchHeaderBytes) {
    answer.refused(slot, new Refusal('INVALID_RECORD', 'the records must be exactly one batch'))
  } else if (request.version < zstdSince && codecOf(reader.buffer, at) === 'zstd') {
    answer.refused(
      slot,
      new Refusal('UNSUPPORTED_COMPRESSION_TYPE', 'zstd may be sent from Produce version 7 on'),
    )
  } else {
    const deadlineMs = nowMs + Math.max(0, request.timeoutMs)
    try {
      tablet.append(reader.buffer, at, end, request.acks as Acks, deadlineMs, answer, slot)
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      answer.failed(slot, error)
    }
  }
}

function whyNot(router: Router, topic: string, partition: number): Tablet | Refusal {
  try {
    return router.forClients(topic, partition)
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}

class ProduceAnswer implements Answer, Appending {
  readonly pipelined = true
  readonly #connection: Connection
  readonly #counters: Counters
  readonly #router: Router
  readonly #log: Logger
  readonly #version: number
  readonly #correlationId: number
  readonly #silent: boolean
  readonly #startedMs: number
  readonly #topics: readonly string[]
  readonly #firstPartition: readonly number[]
  /** By slot, `resultFields` numbers each: partition, error code, base offset, append time in ms, log start. */
  readonly #results: number[] = []
  /** By slot; made when the first one is refused. */
  #messages: (string | undefined)[] | undefined
  #left: number

  constructor(
    request: ProduceRequest,
    { connection, header, nowMs }: Arrival,
    { counters, log, router }: Desk,
  ) {
    const { topicCount, partitionCount, version, acks } = request
    this.#connection = connection
    this.#counters = counters
    this.#router = router
    this.#log = log
    this.#version = version
    this.#correlationId = header.correlationId
    this.#silent = acks === 0
    this.#startedMs = nowMs
    this.#topics = request.topics.slice(0, topicCount)
    this.#firstPartition = request.firstPartition.slice(0, topicCount + 1)
    for (let p = 0; p < partitionCount; p++)
      this.#results.push(request.partitionIndex[p] ?? -1, undecided, -1, -1, -1)
    this.#left = partitionCount
  }

  get ready(): boolean {
    return this.#left === 0
  }

  appended(slot: number, baseOffset: number, logAppendTimeMs: number, logStart: number): void {
    const at = slot * resultFields
    if (!this.#decides(slot, 0)) return
    this.#results[at + 2] = baseOffset
    this.#results[at + 3] = logAppendTimeMs
    this.#results[at + 4] = logStart
    this.#decided()
  }

  refused(slot: number, refusal: Refusal): void {
    if (!this.#decides(slot, codeOf(refusal.code))) return
    this.#messages ??= []
    this.#messages[slot] = refusal.message
    this.#counters.produceRefused += 1
    // Without an answer, a closed connection is how the client learns of it: as in Kafka.
    if (this.#silent) {
      this.#connection.broken(`Produce with acks=0 was refused: ${refusal.code}: ${refusal.message}`)
    }
    this.#decided()
  }

  /** Something that should not have happened, and that says nothing about whether the batch was taken. */
  failed(slot: number, error: unknown): void {
    this.#log.error({ err: error, client: this.#connection.client }, 'Produce failed')
    this.refused(slot, new Refusal('UNKNOWN_SERVER_ERROR', "Produce failed: see the broker's log"))
  }

  write(out: Outgoing): void {
    const { produce } = out
    produce.begin(this.#version, this.#correlationId, this.#topics.length)
    for (let t = 0; t < this.#topics.length; t++) {
      const first = this.#firstPartition[t] ?? 0
      const end = this.#firstPartition[t + 1] ?? 0
      const topic = this.#topics[t] ?? ''
      produce.topic(topic, end - first)
      for (let p = first; p < end; p++) this.#writePartition(out, topic, p)
    }
    produce.finish()
    this.#counters.produceMs.observe(out.nowMs - this.#startedMs)
  }

  drop(): void {}

  /** False for a batch that failed before: what becomes of it later changes nothing. */
  #decides(slot: number, code: number): boolean {
    const at = slot * resultFields + 1
    if (this.#results[at] === codeOf('UNKNOWN_SERVER_ERROR')) return false
    assert(this.#results[at] === undecided, 'each batch is answered once')
    this.#results[at] = code
    return true
  }

  #decided(): void {
    this.#left -= 1
    if (this.#left === 0 && !this.#silent) this.#connection.answered()
  }

  /** So that the client finds it without asking again (KIP-951). */
  #leaderOf(topic: string, partition: number) {
    return this.#router.leaderOf(topic, partition) ?? null
  }

  #writePartition({ produce }: Outgoing, topic: string, slot: number): void {
    const results = this.#results
    const at = slot * resultFields
    produce.partition(
      results[at] ?? -1,
      results[at + 1] ?? 0,
      results[at + 2] ?? -1,
      results[at + 3] ?? -1,
      results[at + 4] ?? -1,
      this.#messages?.[slot] ?? null,
      results[at + 1] === codeOf('NOT_LEADER_OR_FOLLOWER') ? this.#leaderOf(topic, results[at] ?? -1) : null,
    )
  }
}
