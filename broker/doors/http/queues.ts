/** Queues over HTTP: consumers of a group that receive batches and acknowledge them. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { KIB, MIB } from '../../../base/quantities.ts'
import type { Refusal } from '../../../base/refusals.ts'
import type { StoredRecord } from '../../../protocol/kafka/records.ts'
import { silenceMsMax } from '../../queues/consumer.ts'
import type { Delivery } from '../../queues/handing-out.ts'
import type { QueuedConsumer } from '../../queues/queues.ts'
import { withBody } from './body.ts'
import {
  acknowledgeDocs,
  createConsumerDocs,
  deleteConsumerDocs,
  describeConsumerDocs,
  extendDocs,
  listConsumersDocs,
  receiveDocs,
  releaseDocs,
} from './docs-queues.ts'
import { errorBody, statusOf } from './errors.ts'
import { encodingOf, parametersOf, type Encoding } from './parameters.ts'
import {
  consumerFields,
  consumerWish,
  extendFields,
  extensionOf,
  receiptFields,
  receiptsOf,
  receiveFields,
  receiveWish,
} from './queue-wishes.ts'
import { readOn } from './reading.ts'
import { renderRecord } from './record-out.ts'
import { bodyLimits } from './records-in.ts'
import type { Serving } from './serving.ts'
import { fieldsOf } from './topics.ts'

const consumersPath = '/v1/groups/:group/consumers'
const consumerPath = `${consumersPath}/:consumer`

export function addQueues(app: FastifyInstance, serving: Serving): void {
  const { queues } = serving
  const fieldsIn = (request: FastifyRequest, fields: readonly string[]): Promise<Record<string, unknown>> =>
    withBody(request.raw, bodyLimits(serving), async body =>
      body.length === 0 ? {} : fieldsOf(body, fields),
    )

  app.post(consumersPath, { schema: createConsumerDocs }, async (request, reply) => {
    parametersOf(request.url, [])
    const { group } = request.params as { group: string }
    const wish = consumerWish(await fieldsIn(request, consumerFields))
    const made = await queues.add(group, wish)
    const at = `/v1/groups/${encodeURIComponent(group)}/consumers/${made.consumer.id}`
    return reply.code(201).header('location', at).send(consumerRow(made))
  })

  app.get(consumersPath, { schema: listConsumersDocs }, async request => {
    parametersOf(request.url, [])
    const { group } = request.params as { group: string }
    const queue = queues.of(group)
    if (queue === undefined) return { assigned: [], consumers: [] }
    const consumers = [...queue.consumers()].map(consumer => consumerRow({ queue, consumer }))
    return { assigned: queue.share, consumers }
  })

  app.get(consumerPath, { schema: describeConsumerDocs }, async request => {
    parametersOf(request.url, [])
    const asked = await consumerAsked(request, serving)
    const held = [...asked.queue.heldBy(asked.consumer)].map(({ leftMs, ...record }) => ({
      ...record,
      visible_in_ms: leftMs,
    }))
    return { ...consumerRow(asked), assigned: asked.queue.share, held }
  })

  app.delete(consumerPath, { schema: deleteConsumerDocs }, async (request, reply) => {
    parametersOf(request.url, [])
    const { queue, consumer } = await consumerAsked(request, serving)
    queue.remove(consumer)
    return reply.code(204).send()
  })

  app.post(`${consumerPath}/receive`, { schema: receiveDocs }, async (request, reply) => {
    const encoding = encodingOf(parametersOf(request.url, ['encoding']))
    const wish = receiveWish(await fieldsIn(request, receiveFields))
    const asked = await consumerAsked(request, serving)
    const pieces = await receive(serving, request, asked, wish, encoding)
    return reply.type('application/json; charset=utf-8').send(`{"records":[${pieces.join(',')}]}`)
  })

  app.post(`${consumerPath}/acknowledge`, { schema: acknowledgeDocs }, async (request, reply) => {
    parametersOf(request.url, [])
    const receipts = receiptsOf(await fieldsIn(request, receiptFields))
    const { queue, consumer } = await consumerAsked(request, serving)
    return sendEach(reply, receipts, await queue.acknowledge(consumer, receipts))
  })

  app.post(`${consumerPath}/release`, { schema: releaseDocs }, async (request, reply) => {
    parametersOf(request.url, [])
    const receipts = receiptsOf(await fieldsIn(request, receiptFields))
    const { queue, consumer } = await consumerAsked(request, serving)
    return sendEach(reply, receipts, queue.release(consumer, receipts))
  })

  app.post(`${consumerPath}/extend`, { schema: extendDocs }, async (request, reply) => {
    parametersOf(request.url, [])
    const fields = await fieldsIn(request, extendFields)
    const receipts = receiptsOf(fields)
    const { queue, consumer } = await consumerAsked(request, serving)
    return sendEach(reply, receipts, queue.extend(consumer, receipts, extensionOf(fields)))
  })
}

/** See `Queues.resume`. */
function consumerAsked(request: FastifyRequest, { queues }: Serving): Promise<QueuedConsumer> {
  const { group, consumer } = request.params as { group: string; consumer: string }
  return queues.resume(group, consumer)
}

const consumerRow = ({ queue, consumer }: QueuedConsumer): object => ({
  consumer: consumer.id,
  group: queue.group,
  topics: consumer.topics,
  visibility_timeout_ms: consumer.visibilityTimeoutMs,
  max_unacknowledged: consumer.maxUnacknowledged,
  offset_reset: consumer.offsetReset,
  idle_timeout_ms: consumer.visibilityTimeoutMs + silenceMsMax,
  unacknowledged: consumer.unacknowledged,
})

/** The records as pieces of JSON. When the client is gone meanwhile, they are visible again at once. */
async function receive(
  { unpacking }: Serving,
  { raw: { socket } }: FastifyRequest,
  { queue, consumer }: QueuedConsumer,
  { bytesMax, ...wish }: ReturnType<typeof receiveWish>,
  encoding: Encoding | undefined,
): Promise<string[]> {
  const pieces: string[] = []
  const receipts: string[] = []
  let bytes = 0
  const take = (record: StoredRecord, delivery: Delivery): boolean => {
    const piece = rendered(record, delivery, encoding)
    bytes += Buffer.byteLength(piece) + 1
    if (bytes > bytesMax && pieces.length > 0) return false
    pieces.push(piece)
    receipts.push(delivery.receipt)
    return true
  }
  // Few records need no long stretch of the log.
  const stretchBytes = Math.min(bytesMax, MIB, wish.recordsMax * 4 * KIB)
  const gone = new AbortController()
  const leave = (): void => gone.abort()
  socket.on('close', leave)
  if (socket.destroyed) leave()
  try {
    await queue.receive(consumer, {
      ...wish,
      take,
      signal: gone.signal,
      read: (tablet, wanted) => readOn(tablet, { ...wanted, unpacking, bytesMax: stretchBytes }),
    })
  } finally {
    socket.off('close', leave)
  }
  if (gone.signal.aborted) queue.release(consumer, receipts)
  return pieces
}

function rendered(record: StoredRecord, delivery: Delivery, encoding: Encoding | undefined): string {
  const { topic, partition, deliveries, receipt } = delivery
  const inner = renderRecord(partition, record, encoding).slice(1, -1)
  // Neither a topic's name nor a receipt needs escaping.
  return `{"topic":"${topic}",${inner},"deliveries":${deliveries},"receipt":"${receipt}"}`
}

/** What became of each receipt; the status and the error are those of the first one that was refused. */
function sendEach(
  reply: FastifyReply,
  receipts: readonly string[],
  answers: readonly (Refusal | undefined)[],
): FastifyReply {
  const results = receipts.map((receipt, index) => {
    const refusal = answers[index]
    return refusal === undefined ? { receipt } : { receipt, ...errorBody(refusal) }
  })
  const first = answers.find(answer => answer !== undefined)
  if (first === undefined) return reply.send({ results })
  return reply.code(statusOf(first)).send({ ...errorBody(first), results })
}
