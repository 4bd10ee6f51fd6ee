import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import type { StoredRecord } from '../../../protocol/kafka/records.ts'
import { withBody } from './body.ts'
import { appendDocs, readDocs } from './docs-short-ways.ts'
import { acksOf, parametersOf, partitionOf } from './parameters.ts'
import { bodyLimits, writeAll } from './records-in.ts'
import { answerOf } from './records-out.ts'
import type { Serving } from './serving.ts'

export const topicDefault = 'default'

/** Latin-1 keeps every byte as one character. */
const bytesAsText = ({ value }: StoredRecord): string => value?.toString('latin1') ?? ''

/** The shortest possible ways in and out: one request, no JSON to write. */
export function addShortWays(app: FastifyInstance, serving: Serving): void {
  app.post('/append', { schema: appendDocs }, async (request, reply) => {
    const parameters = parametersOf(request.url, ['topic', 'key', 'partition', 'acks'])
    const topic = parameters.get('topic') ?? topicDefault
    const key = parameters.get('key')
    const partition = parameters.get('partition')
    const acks = acksOf(parameters)
    const wanted = {
      key: key === undefined ? null : Buffer.from(key),
      headers: [],
      timestampMs: undefined,
      partition: partition === undefined ? undefined : partitionOf(partition),
    }
    await serving.router.ensureTopic(topic)
    return withBody(request.raw, bodyLimits(serving), async value => {
      const [placed] = await writeAll(serving, [{ ...wanted, value }], { topic, acks, encoding: 'text' })
      if (placed?.sent.refusal !== undefined) throw placed.sent.refusal
      if (acks === 0) return reply.code(202).send({ topic, partition: placed?.sent.partition })
      return { topic, partition: placed?.sent.partition, offset: placed?.sent.baseOffset }
    })
  })

  app.get('/read', { schema: readDocs }, async (request, reply) => {
    const parameters = parametersOf(request.url, ['topic', 'partition', 'offset', 'max_bytes', 'wait_ms'])
    const topic = parameters.get('topic') ?? topicDefault
    const partition = partitionOf(parameters.get('partition') ?? '0')
    const { pieces, nextOffset } = await answerOf(serving, request, {
      topic,
      partition,
      parameters,
      render: bytesAsText,
    })
    pieces.push('')
    const body = Buffer.from(pieces.join('\n'), 'latin1')
    reply.header('stele-next-offset', nextOffset)
    return reply.type(isUtf8(body) ? 'text/plain; charset=utf-8' : 'application/octet-stream').send(body)
  })
}
