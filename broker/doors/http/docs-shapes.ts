import type { RefusalCode } from '../../../base/refusals.ts'
import { refusals } from '../../../base/refusals.ts'

/** The shapes that several routes of the API description share, by `$id`. */
export const shapes = [
  {
    $id: 'Record',
    title: 'Record',
    type: 'object',
    description:
      'A record to write. A record as it is read back is one as well: its offset is passed over, its partition is kept.',
    required: ['value'],
    additionalProperties: false,
    properties: {
      key: {
        type: ['string', 'null'],
        description: 'Records of one key go to one partition, the one that Kafka clients choose (murmur2).',
      },
      value: {
        description:
          'A string is stored as it is; an object, array, number or boolean as its JSON; null deletes what the key stood for.',
      },
      headers: {
        description: 'An object, or an array of [name, value] pairs where names repeat.',
        anyOf: [
          { type: 'object', additionalProperties: { type: ['string', 'null'] } },
          { type: 'array', items: { type: 'array', items: { type: ['string', 'null'] } } },
        ],
      },
      timestamp: {
        description: 'Milliseconds since 1970, or ISO 8601 with the time zone. Default: now.',
        anyOf: [{ type: 'integer' }, { type: 'string' }],
      },
      partition: {
        type: 'integer',
        minimum: 0,
        description: 'Default: by the key; without one, round robin.',
      },
      encoding: {
        type: 'string',
        enum: ['text', 'base64'],
        description:
          'How key, value and header values are written. Default: the query parameter encoding, or text.',
      },
      offset: { type: 'integer', description: 'Passed over.' },
    },
    examples: [{ key: 'user-17', value: { action: 'login' }, headers: { source: 'web' } }],
  },
  {
    $id: 'StoredRecord',
    title: 'StoredRecord',
    type: 'object',
    required: ['partition', 'offset', 'timestamp', 'key', 'value', 'headers', 'encoding'],
    properties: {
      partition: { type: 'integer' },
      offset: { type: 'integer' },
      timestamp: { type: 'integer', description: 'Milliseconds since 1970.' },
      key: { type: ['string', 'null'] },
      value: { type: ['string', 'null'] },
      headers: {
        type: 'array',
        description: '[name, value] pairs, in order.',
        items: { type: 'array', items: { type: ['string', 'null'] } },
      },
      encoding: {
        type: 'string',
        enum: ['text', 'base64'],
        description:
          'text when key, value and header values are all UTF-8, otherwise base64 for all of them.',
      },
    },
    examples: [
      {
        partition: 0,
        offset: 17,
        timestamp: 1735689600000,
        key: 'user-17',
        value: '{"action":"login"}',
        headers: [['source', 'web']],
        encoding: 'text',
      },
    ],
  },
  {
    $id: 'Error',
    title: 'Error',
    type: 'object',
    required: ['error'],
    properties: {
      error: {
        type: 'object',
        required: ['code', 'message', 'todo', 'retriable'],
        properties: {
          code: {
            type: 'string',
            enum: Object.keys(refusals),
            description: 'Stable: programs may branch on it. Kafka’s name where Kafka has the error.',
          },
          message: { type: 'string', description: 'What was refused.' },
          todo: { type: 'string', description: 'What to do about it.' },
          retriable: { type: 'boolean', description: 'Whether the same request may succeed later.' },
        },
      },
    },
    examples: [
      {
        error: {
          code: 'UNKNOWN_TOPIC_OR_PARTITION',
          message: 'there is no topic orders',
          todo: refusals.UNKNOWN_TOPIC_OR_PARTITION.todo,
          retriable: true,
        },
      },
    ],
  },
  {
    $id: 'Topic',
    title: 'Topic',
    type: 'object',
    required: ['name', 'topic_id', 'partitions', 'config'],
    properties: {
      name: { type: 'string' },
      topic_id: { type: 'string', description: 'A topic deleted and made again has another one.' },
      partitions: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            partition: { type: 'integer' },
            leader: { type: ['integer', 'null'], description: 'The broker that serves it.' },
            leader_epoch: { type: 'integer' },
            offline: {
              type: 'string',
              description: 'Why nobody serves it, as far as this broker knows; missing while it is served.',
            },
            todo: {
              type: 'string',
              description: 'What to do while nobody serves it, where the reason does not say.',
            },
            replicas: { type: 'array', items: { type: 'integer' } },
            adding: {
              type: 'array',
              items: { type: 'integer' },
              description: 'While replicas move: those that are new, and copy; missing otherwise.',
            },
            removing: {
              type: 'array',
              items: { type: 'integer' },
              description: 'While replicas move: those that go when the new ones are in sync.',
            },
            isr: { type: 'array', items: { type: 'integer' }, description: 'The replicas in sync.' },
            log_start_offset: { type: ['integer', 'null'] },
            high_watermark: { type: ['integer', 'null'], description: 'Records below it can be read.' },
            size_bytes: { type: ['integer', 'null'] },
            copying: {
              type: 'array',
              description: 'Replicas that are there and not in sync yet.',
              items: {
                type: 'object',
                properties: {
                  broker: { type: 'integer' },
                  bytes_left: { type: 'integer', description: 'What it still lacks.' },
                },
              },
            },
          },
        },
      },
      config: {
        type: 'object',
        additionalProperties: {
          type: 'object',
          properties: {
            value: { type: 'string' },
            source: { type: 'string', enum: ['topic', 'broker', 'default'] },
          },
        },
      },
    },
    examples: [
      {
        name: 'orders',
        topic_id: 'nPuTcW7DT3S7JQsvXmmWbA',
        partitions: [
          {
            partition: 0,
            leader: 0,
            leader_epoch: 0,
            replicas: [0],
            isr: [0],
            log_start_offset: 0,
            high_watermark: 18,
            size_bytes: 1812,
            copying: [],
          },
        ],
        config: { 'retention.ms': { value: '604800000', source: 'default' } },
      },
    ],
  },
] as const

/** The error answers of a route: one for each HTTP status, naming the codes. */
export function errorsOf(...codes: readonly RefusalCode[]): Record<number, object> {
  const always = [
    'POLICY_VIOLATION',
    'LEADER_NOT_AVAILABLE',
    'BROKER_STOPPING',
    'UNKNOWN_SERVER_ERROR',
  ] as const
  const all: readonly RefusalCode[] = [...new Set<RefusalCode>(['INVALID_REQUEST', ...codes, ...always])]
  const answers: Record<number, object> = {}
  for (const code of all) {
    const status = refusals[code].http
    const names = all.filter(other => refusals[other].http === status)
    const schema = { $ref: 'Error#' }
    answers[status] = { description: names.join(', '), content: { 'application/json': { schema } } }
  }
  return answers
}

/** A schema as fastify takes it, with what the API description needs. */
export type Docs = {
  readonly summary: string
  readonly description?: string
  readonly operationId: string
  readonly tags: readonly string[]
  readonly params?: object
  readonly querystring?: object
  readonly headers?: object
  readonly body?: object
  readonly response: Record<number, object>
}

export const json = (schema: object, description: string, example?: unknown): object => ({
  description,
  content: { 'application/json': { schema, ...(example === undefined ? {} : { example }) } },
})

export const topicParams = {
  type: 'object',
  required: ['topic'],
  properties: { topic: { type: 'string', description: 'The name of the topic.', examples: ['orders'] } },
}

export const partitionParams = {
  type: 'object',
  required: ['topic', 'partition'],
  properties: {
    ...topicParams.properties,
    partition: { type: 'integer', minimum: 0, description: 'The number of the partition.', examples: [0] },
  },
}

/** Query parameters that several routes take. */
export const queries = {
  acks: {
    type: 'string',
    enum: ['all', '-1', '1', '0'],
    default: 'all',
    description:
      'all (-1): answer when every in-sync replica has it, on its disk. 1: when the leader has it. 0: at once.',
  },
  encodingIn: {
    type: 'string',
    enum: ['text', 'base64'],
    default: 'text',
    description: 'How keys, values and header values are written, unless a record says it itself.',
  },
  encodingOut: {
    type: 'string',
    enum: ['text', 'base64'],
    description: 'base64: for every record. Otherwise only for those that are not UTF-8.',
  },
  offset: {
    type: 'string',
    default: 'earliest',
    description: 'Where to begin: an offset, earliest or latest.',
    examples: ['17'],
  },
  timestamp: {
    type: 'string',
    description:
      'Instead of offset: begin at the first record at least as new. Milliseconds since 1970 or ISO 8601.',
    examples: ['2025-01-01T00:00:00Z'],
  },
  maxBytes: {
    type: 'integer',
    minimum: 1,
    default: 1_048_576,
    description:
      'About the largest answer, in bytes; at most 8 MiB. One record is answered however large it is.',
  },
  waitMs: {
    type: 'integer',
    minimum: 0,
    maximum: 60_000,
    default: 0,
    description: 'How long to wait for a record when there is none yet, in milliseconds.',
  },
} as const
