import { errorsOf, json, topicParams, type Docs } from './docs-shapes.ts'

const tags = ['topics'] as const
const topic = { $ref: 'Topic#' }
const config = {
  type: 'object',
  additionalProperties: { type: ['string', 'number', 'boolean'] },
  description: 'Settings of the topic under Kafka’s names.',
  examples: [{ 'retention.ms': '86400000' }],
}

export const listTopicsDocs: Docs = {
  operationId: 'listTopics',
  summary: 'List the topics',
  tags,
  response: {
    200: json(
      {
        type: 'object',
        properties: {
          topics: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                name: { type: 'string' },
                topic_id: { type: 'string' },
                partitions: { type: 'integer' },
                replication_factor: { type: 'integer' },
                internal: { type: 'boolean', description: 'Whether it is the broker’s own.' },
              },
            },
          },
        },
      },
      'All topics, by name.',
      {
        topics: [
          {
            name: 'orders',
            topic_id: 'nPuTcW7DT3S7JQsvXmmWbA',
            partitions: 3,
            replication_factor: 1,
            internal: false,
          },
        ],
      },
    ),
    ...errorsOf(),
  },
}

export const createTopicDocs: Docs = {
  operationId: 'createTopic',
  summary: 'Create a topic',
  tags,
  body: {
    content: {
      'application/json': {
        schema: {
          type: 'object',
          required: ['name'],
          additionalProperties: false,
          properties: {
            name: { type: 'string', description: '1 to 249 letters, digits, dots, underscores and hyphens.' },
            partitions: {
              type: 'integer',
              minimum: 1,
              description: 'Default: num.partitions of the broker.',
            },
            replication_factor: {
              type: 'integer',
              minimum: 1,
              description: 'Default: default.replication.factor of the broker.',
            },
            config,
            validate_only: {
              type: 'boolean',
              default: false,
              description: 'Only say whether it could be made.',
            },
          },
          examples: [{ name: 'orders', partitions: 3, config: { 'retention.ms': '86400000' } }],
        },
      },
    },
  },
  response: {
    200: json(topic, 'With validate_only: what would be made.'),
    201: json(topic, 'The topic is there and can be used.'),
    ...errorsOf(
      'INVALID_JSON',
      'INVALID_TOPIC_EXCEPTION',
      'TOPIC_ALREADY_EXISTS',
      'INVALID_PARTITIONS',
      'INVALID_REPLICATION_FACTOR',
      'INVALID_CONFIG',
      'BODY_TOO_LARGE',
      'KAFKA_STORAGE_ERROR',
    ),
  },
}

export const describeTopicDocs: Docs = {
  operationId: 'describeTopic',
  summary: 'Describe a topic: its partitions and settings',
  tags,
  params: topicParams,
  response: { 200: json(topic, 'The topic.'), ...errorsOf('UNKNOWN_TOPIC_OR_PARTITION') },
}

export const alterTopicDocs: Docs = {
  operationId: 'alterTopic',
  summary: 'Change the settings of a topic, or give it more partitions',
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
              type: 'integer',
              minimum: 1,
              description: 'How many there shall be; never fewer than now.',
            },
            config: {
              ...config,
              additionalProperties: { type: ['string', 'number', 'boolean', 'null'] },
              description: 'Settings to change; null goes back to the broker’s value.',
            },
          },
          examples: [{ partitions: 6, config: { 'retention.ms': null } }],
        },
      },
    },
  },
  response: {
    200: json(topic, 'The topic as it is now.'),
    ...errorsOf(
      'INVALID_JSON',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'INVALID_PARTITIONS',
      'INVALID_CONFIG',
      'BODY_TOO_LARGE',
      'KAFKA_STORAGE_ERROR',
    ),
  },
}

export const deleteTopicDocs: Docs = {
  operationId: 'deleteTopic',
  summary: 'Delete a topic and all its records',
  tags,
  params: topicParams,
  response: {
    204: { description: 'The topic is gone.', type: 'null' },
    ...errorsOf('UNKNOWN_TOPIC_OR_PARTITION', 'POLICY_VIOLATION', 'KAFKA_STORAGE_ERROR'),
  },
}
