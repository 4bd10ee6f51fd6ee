import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Offset } from '../../../base/quantities.ts'
import { MIB } from '../../../base/quantities.ts'
import type { StoredRecord } from '../../../protocol/kafka/records.ts'
import type { Tablet } from '../../tablet/tablet.ts'
import { deleteRecordsDocs, recordsOutDocs } from './docs-records.ts'
import { invalid } from './errors.ts'
import { offsetOf, startOf } from './offsets.ts'
import { encodingOf, parametersOf, partitionOf, wholeNumber, type Parameters } from './parameters.ts'
import { readOn } from './reading.ts'
import { renderRecord } from './record-out.ts'
import type { Serving } from './serving.ts'
import { readable } from './waiting.ts'

const answerBytesDefault = MIB
const answerBytesMax = 8 * MIB
const waitMsMax = 60_000

const recordsPath = '/v1/topics/:topic/partitions/:partition/records'

export function addRecordsOut(app: FastifyInstance, serving: Serving): void {
  app.get(recordsPath, { schema: recordsOutDocs }, async (request, reply) => {
    const parameters = parametersOf(request.url, ['offset', 'timestamp', 'max_bytes', 'wait_ms', 'encoding'])
    const encoding = encodingOf(parameters)
    const { topic, partition } = tabletAsked(request)
    const render = (record: StoredRecord): string => renderRecord(partition, record, encoding)
    const answer = await answerOf(serving, request, { topic, partition, parameters, render })
    return wantsLines(request) ? sendLines(reply, answer) : sendJson(reply, answer)
  })

  app.delete(recordsPath, { schema: deleteRecordsDocs }, async request => {
    const before = parametersOf(request.url, ['before']).get('before')
    if (before === undefined) {
      throw invalid(
        'The query parameter before is missing',
        'Say up to which offset to delete, or before=latest for all.',
      )
    }
    const { topic, partition } = tabletAsked(request)
    const tablet = serving.router.forDeletion(topic, partition)
    const offset = offsetOf('before', before, { latest: tablet.highWatermark })
    return { log_start_offset: await tablet.deleteRecordsBefore(offset as Offset) }
  })
}

/** @throws Refusal INVALID_REQUEST */
export function tabletAsked(request: FastifyRequest): { topic: string; partition: number } {
  const { topic, partition } = request.params as { topic: string; partition: string }
  return { topic, partition: partitionOf(partition) }
}

export type Asked = {
  readonly topic: string
  readonly partition: number
  /** offset, timestamp, max_bytes and wait_ms count. */
  readonly parameters: Parameters
  /** A record as a piece of the answer. */
  readonly render: (record: StoredRecord) => string
}

export type Answer = { readonly pieces: string[]; readonly nextOffset: number; readonly tablet: Tablet }

/**
 * Reads as much as the request allows; when there is nothing yet, waits for it as long as the request says. At least one
 * record is answered where there is one, however large it is.
 */
export async function answerOf(serving: Serving, request: FastifyRequest, asked: Asked): Promise<Answer> {
  const { topic, partition, parameters, render } = asked
  const { router, world, unpacking, stopping } = serving
  const bytesMax = Math.min(
    wholeNumber('max_bytes', parameters.get('max_bytes') ?? `${answerBytesDefault}`, 1, 2 ** 31),
    answerBytesMax,
  )
  const waitMs = wholeNumber('wait_ms', parameters.get('wait_ms') ?? '0', 0, waitMsMax)
  const deadlineMs = world.clock.monotonicMs() + waitMs
  let nextOffset = await startOf(router.leading(topic, partition), parameters)
  for (;;) {
    const tablet = router.leading(topic, partition)
    const pieces: string[] = []
    let bytes = 0
    const take = (record: StoredRecord): boolean => {
      const piece = render(record)
      bytes += Buffer.byteLength(piece) + 1
      if (bytes > bytesMax && pieces.length > 0) return false
      pieces.push(piece)
      return true
    }
    nextOffset = await readOn(tablet, {
      from: nextOffset,
      bytesMax: Math.min(bytesMax, MIB),
      unpacking,
      take,
    })
    const leftMs = deadlineMs - world.clock.monotonicMs()
    if (pieces.length > 0 || leftMs <= 0 || stopping.begun || request.raw.socket.destroyed)
      return { pieces, nextOffset, tablet }
    await readable(serving, tablet, nextOffset, leftMs, request.raw)
  }
}

const wantsLines = (request: FastifyRequest): boolean =>
  /application\/(?:x-)?(?:ndjson|jsonl|jsonlines)\b/i.test(request.headers.accept ?? '')

function sendJson(reply: FastifyReply, { pieces, nextOffset, tablet }: Answer): FastifyReply {
  const { highWatermark, logStart } = tablet
  const tail = `"next_offset":${nextOffset},"high_watermark":${highWatermark},"log_start_offset":${logStart}`
  return reply.type('application/json; charset=utf-8').send(`{"records":[${pieces.join(',')}],${tail}}`)
}

function sendLines(reply: FastifyReply, { pieces, nextOffset, tablet }: Answer): FastifyReply {
  reply.header('stele-next-offset', nextOffset)
  reply.header('stele-high-watermark', tablet.highWatermark)
  reply.header('stele-log-start-offset', tablet.logStart)
  pieces.push('')
  return reply.type('application/x-ndjson; charset=utf-8').send(pieces.join('\n'))
}
