import { errorsOf, json, topicParams, type Docs } from './docs-shapes.ts'

const tags = ['topics'] as const
const error = {
  type: 'object',
  description: 'Why not, as in every error; missing otherwise.',
  properties: { code: { type: 'string' }, message: { type: 'string' }, todo: { type: 'string' } },
}

export const electDocs: Docs = {
  operationId: 'electLeaders',
  summary: 'Give partitions back to their preferred leaders, or let one lead that nobody in sync can lead',
  tags,
  params: topicParams,
  body: {
    content: {
      'application/json': {
        schema: {
          type: 'object',
          additionalProperties: false,
          properties: {
            partitions: {
              type: 'array',
              items: { type: 'integer', minimum: 0 },
              description: 'Default: all of the topic.',
            },
            unclean: {
              type: 'boolean',
              default: false,
              description:
                'Partitions that nobody in sync can lead get the leader that holds most. What only others held is lost. Those that are led stay as they are.',
            },
            timeout_ms: {
              type: 'integer',
              minimum: 0,
              maximum: 60_000,
              default: 15_000,
              description: 'How long the answer waits for them.',
            },
          },
          examples: [{ partitions: [0] }],
        },
      },
    },
  },
  response: {
    200: json(
      {
        type: 'object',
        properties: {
          elections: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                partition: { type: 'integer' },
                leader: { type: ['integer', 'null'], description: 'Who leads now.' },
                elected: { type: 'boolean', description: 'False when there was nothing to do.' },
                error,
              },
            },
          },
        },
      },
      'What became of each.',
      { elections: [{ partition: 0, leader: 1, elected: true }] },
    ),
    ...errorsOf('INVALID_JSON', 'UNKNOWN_TOPIC_OR_PARTITION', 'BODY_TOO_LARGE', 'KAFKA_STORAGE_ERROR'),
  },
}

export const moveDocs: Docs = {
  operationId: 'moveReplicas',
  summary: 'Move replicas to other brokers, or change how many there are',
  tags,
  params: topicParams,
  body: {
    content: {
      'application/json': {
        schema: {
          type: 'object',
          required: ['moves'],
          additionalProperties: false,
          properties: {
            moves: {
              type: 'array',
              items: {
                type: 'object',
                required: ['partition', 'replicas'],
                additionalProperties: false,
                properties: {
                  partition: { type: 'integer', minimum: 0 },
                  replicas: {
                    type: ['array', 'null'],
                    items: { type: 'integer' },
                    description:
                      'The brokers that shall have it, the preferred leader first. Null takes back what is under way.',
                  },
                },
              },
            },
          },
          examples: [{ moves: [{ partition: 0, replicas: [0] }] }],
        },
      },
    },
  },
  response: {
    200: json(
      {
        type: 'object',
        properties: {
          moves: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                partition: { type: 'integer' },
                replicas: { type: 'array', items: { type: 'integer' }, description: 'Where it shall be.' },
                adding: { type: 'array', items: { type: 'integer' }, description: 'Those that copy it now.' },
                removing: {
                  type: 'array',
                  items: { type: 'integer' },
                  description: 'Those that go when the new ones are in sync.',
                },
                error,
              },
            },
          },
        },
      },
      'They begin; the topic’s description says how far they are.',
      { moves: [{ partition: 0, replicas: [1, 2, 3], adding: [3], removing: [0] }] },
    ),
    ...errorsOf('INVALID_JSON', 'UNKNOWN_TOPIC_OR_PARTITION', 'BODY_TOO_LARGE', 'KAFKA_STORAGE_ERROR'),
  },
}
