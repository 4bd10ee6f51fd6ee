import { errorsOf, json, queries, type Docs } from './docs-shapes.ts'

const tags = ['short ways'] as const
const topic = { type: 'string', default: 'default', description: 'The name of the topic.' }

export const appendDocs: Docs = {
  operationId: 'append',
  summary: 'Append the body as one record',
  description:
    'The body, whatever its content type, is the value. The topic is made on first use when auto.create.topics.enable says so.',
  tags,
  querystring: {
    type: 'object',
    properties: {
      topic,
      key: { type: 'string', description: 'The key of the record.' },
      partition: {
        type: 'integer',
        minimum: 0,
        description: 'Default: by the key; without one, round robin.',
      },
      acks: queries.acks,
    },
  },
  body: {
    content: { 'text/plain': { schema: { type: 'string', examples: ['hello'] } }, '*/*': { schema: {} } },
  },
  response: {
    200: json(
      {
        type: 'object',
        properties: {
          topic: { type: 'string' },
          partition: { type: 'integer' },
          offset: { type: 'integer' },
        },
      },
      'The record is written.',
      { topic: 'default', partition: 0, offset: 17 },
    ),
    202: json(
      { type: 'object', properties: { topic: { type: 'string' }, partition: { type: 'integer' } } },
      'With acks=0: sent, and nobody has looked whether it arrived.',
    ),
    ...errorsOf(
      'INVALID_REQUIRED_ACKS',
      'INVALID_TOPIC_EXCEPTION',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'MESSAGE_TOO_LARGE',
      'BODY_TOO_LARGE',
      'REQUEST_TOO_SLOW',
      'NOT_ENOUGH_REPLICAS',
      'KAFKA_STORAGE_ERROR',
      'REQUEST_TIMED_OUT',
    ),
  },
}

export const readDocs: Docs = {
  operationId: 'read',
  summary: 'Read the values of a partition, one a line',
  description:
    'The bytes of the values, each with a newline behind it; an empty line for a value that is null. The header stele-next-offset says where to read on. The answer is text/plain when it is UTF-8, otherwise application/octet-stream.',
  tags,
  querystring: {
    type: 'object',
    properties: {
      topic,
      partition: { type: 'integer', minimum: 0, default: 0, description: 'The number of the partition.' },
      offset: queries.offset,
      max_bytes: queries.maxBytes,
      wait_ms: queries.waitMs,
    },
  },
  response: {
    200: {
      description: 'The values there are, up to max_bytes.',
      content: {
        'text/plain': { schema: { type: 'string' }, example: 'hello\nworld\n' },
        'application/octet-stream': { schema: {} },
      },
    },
    ...errorsOf(
      'UNKNOWN_TOPIC_OR_PARTITION',
      'OFFSET_OUT_OF_RANGE',
      'CORRUPT_MESSAGE',
      'KAFKA_STORAGE_ERROR',
    ),
  },
}
