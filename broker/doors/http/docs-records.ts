import { errorsOf, json, partitionParams, queries, topicParams, type Docs } from './docs-shapes.ts'

const tags = ['records'] as const
const record = { $ref: 'Record#' }
const stored = { $ref: 'StoredRecord#' }
const error = { $ref: 'Error#' }

export const recordsInDocs: Docs = {
  operationId: 'appendRecords',
  summary: 'Append one record, many, or a stream of them',
  description: [
    'application/json: one record, or {"records": […]}. All records are sound, or none is written. The results stand in the order of',
    'the records. When a partition refuses its records the others are still written: the status and the error are those of the first refusal,',
    'and results says how each record fared.',
    '\n\napplication/x-ndjson: a record a line. It may be endless: a result a line comes back, in order, while the lines still go out. A line',
    'that is wrong gets its error and stops nothing. Read the results while you send: when they are not read, the lines are not read either.',
    '\n\nThe topic is made on first use when auto.create.topics.enable says so.',
  ].join(' '),
  tags,
  params: topicParams,
  querystring: { type: 'object', properties: { acks: queries.acks, encoding: queries.encodingIn } },
  body: {
    content: {
      'application/json': {
        schema: {
          anyOf: [
            record,
            {
              type: 'object',
              required: ['records'],
              additionalProperties: false,
              properties: { records: { type: 'array', items: record } },
            },
          ],
          examples: [
            { key: 'user-17', value: 'hello' },
            { records: [{ key: 'user-17', value: { action: 'login' } }, { value: 'hello' }] },
          ],
        },
      },
      'application/x-ndjson': {
        schema: {
          type: 'string',
          description: 'A record a line.',
          examples: ['{"key":"user-17","value":"hello"}\n{"value":{"action":"login"}}\n'],
        },
      },
    },
  },
  response: {
    200: {
      description: 'All records are written.',
      content: {
        'application/json': {
          schema: { type: 'object', properties: { results: { type: 'array', items: result() } } },
          example: { results: [{ partition: 0, offset: 17, timestamp: 1735689600000 }] },
        },
        'application/x-ndjson': {
          schema: { type: 'string', description: 'A result a line, an error with its line number.' },
          example: '{"partition":0,"offset":17}\n{"partition":0,"offset":18}\n',
        },
      },
    },
    202: json(
      { type: 'object', properties: { results: { type: 'array', items: result() } } },
      'With acks=0: sent, and nobody has looked whether they arrived.',
      { results: [{ partition: 0 }] },
    ),
    ...errorsOf(
      'INVALID_JSON',
      'INVALID_REQUIRED_ACKS',
      'INVALID_TOPIC_EXCEPTION',
      'INVALID_TIMESTAMP',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'MESSAGE_TOO_LARGE',
      'BODY_TOO_LARGE',
      'REQUEST_TOO_SLOW',
      'NOT_LEADER_OR_FOLLOWER',
      'NOT_ENOUGH_REPLICAS',
      'KAFKA_STORAGE_ERROR',
      'REQUEST_TIMED_OUT',
    ),
  },
}

function result(): object {
  return {
    anyOf: [
      {
        type: 'object',
        properties: {
          partition: { type: 'integer' },
          offset: { type: 'integer' },
          timestamp: {
            type: 'integer',
            description: 'The time the record has now, milliseconds since 1970.',
          },
        },
      },
      error,
    ],
  }
}

const readErrors = [
  'UNKNOWN_TOPIC_OR_PARTITION',
  'OFFSET_OUT_OF_RANGE',
  'CORRUPT_MESSAGE',
  'NOT_LEADER_OR_FOLLOWER',
  'KAFKA_STORAGE_ERROR',
] as const

export const recordsOutDocs: Docs = {
  operationId: 'readRecords',
  summary: 'Read records from an offset or a time on',
  description:
    'Go on reading with offset=next_offset. With "Accept: application/x-ndjson" the answer is a record a line, and the offsets are headers: stele-next-offset, stele-high-watermark, stele-log-start-offset.',
  tags,
  params: partitionParams,
  querystring: {
    type: 'object',
    properties: {
      offset: queries.offset,
      timestamp: queries.timestamp,
      max_bytes: queries.maxBytes,
      wait_ms: queries.waitMs,
      encoding: queries.encodingOut,
    },
  },
  response: {
    200: {
      description: 'The records there are, up to max_bytes.',
      content: {
        'application/json': {
          schema: {
            type: 'object',
            required: ['records', 'next_offset', 'high_watermark', 'log_start_offset'],
            properties: {
              records: { type: 'array', items: stored },
              next_offset: { type: 'integer', description: 'Where to read on.' },
              high_watermark: { type: 'integer', description: 'Records below it can be read.' },
              log_start_offset: { type: 'integer', description: 'The first offset there is.' },
            },
          },
        },
        'application/x-ndjson': { schema: { type: 'string', description: 'A record a line.' } },
      },
    },
    ...errorsOf(...readErrors),
  },
}

export const deleteRecordsDocs: Docs = {
  operationId: 'deleteRecords',
  summary: 'Delete the oldest records of a partition',
  tags,
  params: partitionParams,
  querystring: {
    type: 'object',
    required: ['before'],
    properties: {
      before: {
        type: 'string',
        description: 'Every record below this offset goes; latest: all there are.',
        examples: ['17', 'latest'],
      },
    },
  },
  response: {
    200: json(
      { type: 'object', properties: { log_start_offset: { type: 'integer' } } },
      'The first offset there is now.',
      { log_start_offset: 17 },
    ),
    ...errorsOf(...readErrors, 'INVALID_TOPIC_EXCEPTION', 'POLICY_VIOLATION'),
  },
}

export const streamDocs: Docs = {
  operationId: 'streamRecords',
  summary: 'Follow a partition as server-sent events',
  description:
    'Each record is an event with its offset as id and its JSON as data. A client that comes back with Last-Event-ID gets what lies behind it. A comment comes every 15 s. An error is an event named error with the error as data, and ends the stream.',
  tags,
  params: partitionParams,
  headers: {
    type: 'object',
    properties: { 'last-event-id': { type: 'string', description: 'The offset of the last event seen.' } },
  },
  querystring: { type: 'object', properties: { offset: queries.offset, encoding: queries.encodingOut } },
  response: {
    200: {
      description: 'The stream of events; it does not end by itself.',
      content: {
        'text/event-stream': {
          schema: { type: 'string' },
          example:
            'id: 17\ndata: {"partition":0,"offset":17,"timestamp":1735689600000,"key":null,"value":"hello","headers":[],"encoding":"text"}\n\n',
        },
      },
    },
    ...errorsOf(...readErrors),
  },
}
