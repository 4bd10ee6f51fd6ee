import { bounds } from '../../queues/consumer.ts'
import { errorsOf, json, queries, type Docs } from './docs-shapes.ts'
import { receiptsMax, receiveBounds } from './queue-wishes.ts'

const tags = ['queues'] as const
const groupParam = { type: 'string', description: 'The name of the group.', examples: ['billing'] }
const groupParams = { type: 'object', required: ['group'], properties: { group: groupParam } }
const params = {
  type: 'object',
  required: ['group', 'consumer'],
  properties: {
    group: groupParam,
    consumer: { type: 'string', description: 'As it was answered when the consumer was made.' },
  },
}
const coordinating = ['COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_LOAD_IN_PROGRESS', 'NOT_COORDINATOR'] as const

/** Beside UNKNOWN_CONSUMER, of one that goes on after its coordinator was lost. */
const resuming = [
  'UNKNOWN_TOPIC_OR_PARTITION',
  'INVALID_TOPIC_EXCEPTION',
  'GROUP_MAX_SIZE_REACHED',
  ...coordinating,
] as const

const number = (
  { min, max, default: without }: { readonly min: number; readonly max: number; readonly default?: number },
  description: string,
): object => ({
  type: 'integer',
  minimum: min,
  maximum: max,
  ...(without === undefined ? {} : { default: without }),
  description,
})

const wish = {
  topics: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: bounds.topics },
  visibility_timeout_ms: number(
    bounds.visibilityTimeoutMs,
    'A record that is not acknowledged so long after it was received goes to who asks next.',
  ),
  max_unacknowledged: number(bounds.maxUnacknowledged, 'So many records the consumer may hold.'),
  offset_reset: {
    type: 'string',
    enum: ['earliest', 'latest'],
    default: 'earliest',
    description: 'Where the group begins in a partition that it has never committed for.',
  },
}
const assigned = {
  type: 'array',
  description: 'What this broker’s member of the group was given; all of its HTTP consumers share it.',
  items: {
    type: 'object',
    properties: { topic: { type: 'string' }, partitions: { type: 'array', items: { type: 'integer' } } },
  },
}
const consumer = {
  consumer: { type: 'string' },
  group: { type: 'string' },
  ...wish,
  idle_timeout_ms: {
    type: 'integer',
    description: 'After so long without a request the consumer goes by itself.',
  },
  unacknowledged: { type: 'integer', description: 'Records it holds.' },
}
const made = {
  consumer: 'fJ2qkqPYlXc0Zt3u~0~30000~1000~earliest~orders',
  group: 'billing',
  topics: ['orders'],
  visibility_timeout_ms: 30_000,
  max_unacknowledged: 1_000,
  offset_reset: 'earliest',
  idle_timeout_ms: 90_000,
  unacknowledged: 0,
}

const body = (properties: object, example?: object, required: readonly string[] = []): object => ({
  content: {
    'application/json': {
      schema: {
        type: 'object',
        additionalProperties: false,
        ...(required.length === 0 ? {} : { required }),
        properties,
        ...(example === undefined ? {} : { examples: [example] }),
      },
    },
  },
})

export const createConsumerDocs: Docs = {
  operationId: 'createConsumer',
  summary: 'Make a consumer of a group that receives over HTTP',
  description:
    'All HTTP consumers of a group on this broker compete for its records; together they are one member of the Kafka consumer group of that name, so Kafka clients may share its partitions. A consumer lives in memory. When the broker is gone, or another one coordinates the group, it goes on there under its name with the next request: what it held comes again. One whose topics’ names are too long together (600 characters with all that the name says) is UNKNOWN_CONSUMER then.',
  tags,
  params: groupParams,
  body: body(wish, { topics: ['orders'], visibility_timeout_ms: 30_000 }, ['topics']),
  response: {
    201: json({ type: 'object', properties: consumer }, 'The consumer; Location has its address.', made),
    ...errorsOf(
      'INVALID_JSON',
      'BODY_TOO_LARGE',
      'INVALID_GROUP_ID',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'INVALID_TOPIC_EXCEPTION',
      'GROUP_MAX_SIZE_REACHED',
      'INCONSISTENT_GROUP_PROTOCOL',
      ...coordinating,
    ),
  },
}

export const listConsumersDocs: Docs = {
  operationId: 'listConsumers',
  summary: 'List the HTTP consumers of a group on this broker',
  tags,
  params: groupParams,
  response: {
    200: json(
      {
        type: 'object',
        properties: {
          assigned,
          consumers: { type: 'array', items: { type: 'object', properties: consumer } },
        },
      },
      'The oldest one first.',
      { assigned: [{ topic: 'orders', partitions: [0, 1] }], consumers: [made] },
    ),
    ...errorsOf(),
  },
}

export const describeConsumerDocs: Docs = {
  operationId: 'describeConsumer',
  summary: 'Describe a consumer and what it holds',
  tags,
  params,
  response: {
    200: json(
      {
        type: 'object',
        properties: {
          ...consumer,
          assigned,
          held: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                topic: { type: 'string' },
                partition: { type: 'integer' },
                offset: { type: 'integer' },
                deliveries: { type: 'integer' },
                visible_in_ms: { type: 'integer', description: 'Then it goes to who asks next.' },
              },
            },
          },
        },
      },
      'The consumer.',
    ),
    ...errorsOf('UNKNOWN_CONSUMER', ...resuming),
  },
}

export const deleteConsumerDocs: Docs = {
  operationId: 'deleteConsumer',
  summary: 'Take a consumer away',
  description: 'What it held goes to who asks next, at once. With the last one this broker leaves the group.',
  tags,
  params,
  response: {
    204: { description: 'The consumer is gone.', type: 'null' },
    ...errorsOf('UNKNOWN_CONSUMER', ...resuming),
  },
}

export const receiveDocs: Docs = {
  operationId: 'receiveRecords',
  summary: 'Receive records to work on',
  description:
    'Each record stays with the consumer until it is acknowledged or released, or its visibility time-out is over. Without records there is an empty answer after wait_ms. The body may be left out.',
  tags,
  params,
  querystring: { type: 'object', properties: { encoding: queries.encodingOut } },
  body: body(
    {
      max_records: number(receiveBounds.maxRecords, 'So many records at most.'),
      max_bytes: number(
        receiveBounds.maxBytes,
        'About the largest answer, in bytes. One record is answered however large it is.',
      ),
      wait_ms: number(receiveBounds.waitMs, 'How long to wait when there is none yet.'),
    },
    { max_records: 10 },
  ),
  response: {
    200: json(
      {
        type: 'object',
        required: ['records'],
        properties: {
          records: {
            type: 'array',
            items: {
              allOf: [
                { $ref: 'StoredRecord#' },
                {
                  type: 'object',
                  properties: {
                    topic: { type: 'string' },
                    deliveries: {
                      type: 'integer',
                      description: 'How often it was handed out by now, since this broker has the partition.',
                    },
                    receipt: { type: 'string', description: 'To acknowledge, release or extend it by.' },
                  },
                },
              ],
            },
          },
        },
      },
      'The records there are.',
    ),
    ...errorsOf(
      'INVALID_JSON',
      'BODY_TOO_LARGE',
      'UNKNOWN_CONSUMER',
      'LEADER_NOT_AVAILABLE',
      'CORRUPT_MESSAGE',
      'KAFKA_STORAGE_ERROR',
      'INCONSISTENT_GROUP_PROTOCOL',
      'FENCED_INSTANCE_ID',
      'INVALID_COMMIT_OFFSET_SIZE',
      ...resuming,
    ),
  },
}

const receipts = {
  type: 'array',
  items: { type: 'string' },
  maxItems: receiptsMax,
  examples: [['mNHf1oVgQ2Kc.17.1']],
}
const results = {
  type: 'object',
  properties: {
    results: {
      type: 'array',
      items: {
        anyOf: [{ type: 'object', properties: { receipt: { type: 'string' } } }, { $ref: 'Error#' }],
      },
    },
  },
}
const perReceipt =
  ' Every receipt has its result. A record that is not with the consumer any more is left as it is: the status and the error are those of the first such receipt.'

const receiptDocs = (operationId: string, summary: string, description: string, more: object = {}): Docs => ({
  operationId,
  summary,
  description: description + perReceipt,
  tags,
  params,
  body: body({ receipts, ...more }, undefined, ['receipts', ...Object.keys(more)]),
  response: {
    200: json(results, 'All of them are done.', { results: [{ receipt: 'mNHf1oVgQ2Kc.17.1' }] }),
    ...errorsOf(
      'INVALID_JSON',
      'BODY_TOO_LARGE',
      'UNKNOWN_CONSUMER',
      'INVALID_RECORD_STATE',
      ...(operationId === 'acknowledgeRecords'
        ? (['KAFKA_STORAGE_ERROR', 'INVALID_COMMIT_OFFSET_SIZE'] as const)
        : []),
      ...resuming,
    ),
  },
})

export const acknowledgeDocs: Docs = receiptDocs(
  'acknowledgeRecords',
  'Say that records are done',
  'The group’s committed offset is the lowest one that is not acknowledged; it is on the disk before this is answered. Saying it again is answered the same for as long as the partition stays with this broker.',
)

export const releaseDocs: Docs = receiptDocs(
  'releaseRecords',
  'Give records back',
  'They go to who asks next, at once.',
)

export const extendDocs: Docs = receiptDocs(
  'extendRecords',
  'Keep records for longer',
  'They stay with the consumer for so long from now.',
  {
    visibility_timeout_ms: number(
      { min: bounds.visibilityTimeoutMs.min, max: bounds.visibilityTimeoutMs.max },
      'How long.',
    ),
  },
)
