import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { KIB } from '../../../base/quantities.ts'
import { InvariantViolation } from '../../../base/assert.ts'
import { Refusal } from '../../../base/refusals.ts'
import type { StoredRecord } from '../../../protocol/kafka/records.ts'
import type { Timer } from '../../../base/world.ts'
import { streamDocs } from './docs-records.ts'
import { errorBody, invalid } from './errors.ts'
import { checkInLog, startOf } from './offsets.ts'
import { encodingOf, parametersOf, type Encoding } from './parameters.ts'
import { readOn } from './reading.ts'
import { renderRecord } from './record-out.ts'
import { tabletAsked } from './records-out.ts'
import type { Serving } from './serving.ts'
import { readable } from './waiting.ts'

const heartbeatMs = 15_000

/** Events leave in pieces of about this size; a client that does not read holds no more. */
const pieceChars = 256 * KIB

export function addStream(app: FastifyInstance, serving: Serving): void {
  app.get(
    '/v1/topics/:topic/partitions/:partition/stream',
    { schema: streamDocs },
    async (request, reply) => {
      const parameters = parametersOf(request.url, ['offset', 'encoding'])
      const encoding = encodingOf(parameters)
      const { topic, partition } = tabletAsked(request)
      const tablet = serving.router.leading(topic, partition)
      const from = resumedAt(request) ?? (await startOf(tablet, parameters))
      checkInLog(tablet, from)
      reply.hijack()
      reply.raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      })
      reply.raw.flushHeaders()
      const events = new EventStream(serving, request, reply.raw, { topic, partition, encoding })
      events.run(from).catch((error: unknown) => {
        // Nobody waits for it: a broken promise of our own code must stop the process as anywhere else.
        queueMicrotask(() => {
          throw error
        })
      })
      return reply
    },
  )
}

/** Behind the last event that a client which comes back has seen. */
function resumedAt(request: FastifyRequest): number | undefined {
  const id = request.headers['last-event-id']
  if (id === undefined || id === '') return undefined
  const seen = typeof id === 'string' && /^\d{1,16}$/.test(id) ? Number(id) : Number.NaN
  if (Number.isSafeInteger(seen + 1)) return seen + 1
  throw invalid(
    'The header Last-Event-ID is not an offset',
    'Send back the id of the last event, or leave it out.',
  )
}

type Source = { readonly topic: string; readonly partition: number; readonly encoding: Encoding | undefined }

class EventStream {
  readonly #serving: Serving
  readonly #request: FastifyRequest
  readonly #response: ServerResponse
  readonly #source: Source
  #heartbeat: Timer | undefined

  constructor(serving: Serving, request: FastifyRequest, response: ServerResponse, source: Source) {
    this.#serving = serving
    this.#request = request
    this.#response = response
    this.#source = source
  }

  /** Sends events until the client goes, the broker stops, or reading fails. */
  async run(from: number): Promise<void> {
    this.#beat()
    try {
      await this.#send(from)
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      if (this.#response.destroyed) return
      this.#response.write(`event: error\ndata: ${JSON.stringify(this.#errorBody(error))}\n\n`)
    } finally {
      this.#heartbeat?.cancel()
      this.#response.end()
    }
  }

  async #send(from: number): Promise<void> {
    const { router, unpacking, stopping } = this.#serving
    const { topic, partition, encoding } = this.#source
    let next = from
    while (!this.#response.destroyed && !stopping.begun) {
      const tablet = router.leading(topic, partition)
      let events = ''
      const take = (record: StoredRecord): boolean => {
        if (events.length >= pieceChars) return false
        events += `id: ${record.offset}\ndata: ${renderRecord(partition, record, encoding)}\n\n`
        return true
      }
      next = await readOn(tablet, { from: next, bytesMax: pieceChars, unpacking, take })
      if (events === '') await readable(this.#serving, tablet, next, Infinity, this.#request.raw)
      else if (!this.#response.write(events)) await this.#drained()
    }
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#response.on('drain', resolve).on('close', resolve)
    const forgetStopping = this.#serving.stopping.whenBegun(resolve)
    await promise
    forgetStopping()
    this.#response.off('drain', resolve).off('close', resolve)
  }

  /** A comment now and then, so that what stands between does not take the connection for dead. */
  #beat(): void {
    this.#heartbeat = this.#serving.world.clock.after(heartbeatMs, () => {
      if (!this.#response.writableNeedDrain) this.#response.write(': still here\n\n')
      this.#beat()
    })
  }

  #errorBody(error: unknown): object {
    if (error instanceof Refusal) return errorBody(error)
    this.#serving.log.error({ err: error, ...this.#source }, 'an event stream failed')
    return errorBody(new Refusal('UNKNOWN_SERVER_ERROR', 'The broker failed to go on reading'))
  }
}
