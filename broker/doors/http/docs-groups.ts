import { errorsOf, json, type Docs } from './docs-shapes.ts'

const tags = ['groups'] as const
const params = {
  type: 'object',
  required: ['group'],
  properties: { group: { type: 'string', description: 'The name of the group.', examples: ['billing'] } },
}
const coordinating = ['COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_LOAD_IN_PROGRESS', 'NOT_COORDINATOR'] as const
const state = {
  type: 'string',
  enum: ['Empty', 'PreparingRebalance', 'CompletingRebalance', 'Stable', 'Dead'],
  description: 'Kafka’s names: Stable is a group at work, Empty one without members.',
}
const count = { type: ['integer', 'null'] }

export const listGroupsDocs: Docs = {
  operationId: 'listGroups',
  summary: 'List the consumer groups',
  tags,
  response: {
    200: json(
      {
        type: 'object',
        properties: {
          groups: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                group: { type: 'string' },
                state,
                protocol_type: {
                  type: ['string', 'null'],
                  description: 'consumer, or what its members are.',
                },
                members: { type: 'integer' },
                lag: { type: 'integer', description: 'Records behind its committed offsets, altogether.' },
              },
            },
          },
        },
      },
      'All groups that this broker coordinates.',
      { groups: [{ group: 'billing', state: 'Stable', protocol_type: 'consumer', members: 2, lag: 17 }] },
    ),
    ...errorsOf(...coordinating),
  },
}

const place = { topic: { type: 'string' }, partition: { type: 'integer' } }

export const describeGroupDocs: Docs = {
  operationId: 'describeGroup',
  summary: 'Describe a consumer group: its members, its offsets and how far it is behind',
  tags,
  params,
  response: {
    200: json(
      {
        type: 'object',
        properties: {
          group: { type: 'string' },
          state,
          protocol_type: { type: ['string', 'null'] },
          protocol: { type: ['string', 'null'], description: 'How the members share out the partitions.' },
          generation: { type: 'integer', description: 'Grows each time the work is shared out anew.' },
          members: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                member_id: { type: 'string' },
                instance_id: {
                  type: ['string', 'null'],
                  description: 'group.instance.id of a static member.',
                },
                client_id: { type: 'string' },
                host: { type: 'string' },
                assigned: {
                  type: 'array',
                  items: {
                    type: 'object',
                    properties: {
                      topic: { type: 'string' },
                      partitions: { type: 'array', items: { type: 'integer' } },
                    },
                  },
                },
              },
            },
          },
          offsets: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                ...place,
                committed_offset: {
                  type: ['integer', 'string', 'null'],
                  description:
                    'Null when a member reads it and never committed. A text beyond 2^53, where a number would not be exact.',
                },
                high_watermark: { ...count, description: 'Where the partition ends.' },
                lag: count,
                metadata: { type: ['string', 'null'] },
                committed_at: { ...count, description: 'Milliseconds since 1970.' },
                member_id: { type: ['string', 'null'], description: 'Who reads it now.' },
              },
            },
          },
        },
      },
      'The group.',
    ),
    ...errorsOf('INVALID_GROUP_ID', 'GROUP_ID_NOT_FOUND', ...coordinating),
  },
}

export const resetGroupDocs: Docs = {
  operationId: 'resetGroup',
  summary: 'Move a consumer group without members to other offsets',
  description:
    'Exactly one of offset, timestamp and shift says where to. What lies outside of a partition is moved to its nearest end.',
  tags,
  params,
  body: {
    content: {
      'application/json': {
        schema: {
          type: 'object',
          additionalProperties: false,
          properties: {
            topic: {
              type: 'string',
              description: 'Default: every partition that the group has committed for.',
            },
            partitions: {
              type: 'array',
              items: { type: 'integer', minimum: 0 },
              description: 'Default: all partitions of the topic.',
            },
            offset: {
              description: 'earliest, latest or an offset.',
              anyOf: [
                { type: 'integer', minimum: 0 },
                { type: 'string', enum: ['earliest', 'latest'] },
              ],
            },
            timestamp: {
              description:
                'The first record at least as new: milliseconds since 1970, or ISO 8601 with the time zone.',
              anyOf: [{ type: 'integer' }, { type: 'string' }],
            },
            shift: { type: 'integer', description: 'So many records forwards, or backwards when negative.' },
            dry_run: { type: 'boolean', default: false, description: 'Only say what would be moved.' },
          },
        },
        example: { topic: 'orders', offset: 'earliest', dry_run: true },
      },
    },
  },
  response: {
    200: json(
      {
        type: 'object',
        properties: {
          group: { type: 'string' },
          new_group: { type: 'boolean', description: 'Whether there was no group of that name before.' },
          offsets: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                ...place,
                from: {
                  type: ['integer', 'string', 'null'],
                  description: 'Null when none was committed. A text beyond 2^53.',
                },
                to: { type: 'integer' },
                asked: {
                  type: 'integer',
                  description: 'Only there when it lies outside of the partition: `to` is the nearest end.',
                },
              },
            },
          },
        },
      },
      'Where each partition was and is now.',
      { group: 'billing', new_group: false, offsets: [{ topic: 'orders', partition: 0, from: 4711, to: 0 }] },
    ),
    ...errorsOf(
      'INVALID_JSON',
      'INVALID_GROUP_ID',
      'GROUP_ID_NOT_FOUND',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'NON_EMPTY_GROUP',
      'BODY_TOO_LARGE',
      'INVALID_COMMIT_OFFSET_SIZE',
      'KAFKA_STORAGE_ERROR',
      ...coordinating,
    ),
  },
}

export const deleteGroupDocs: Docs = {
  operationId: 'deleteGroup',
  summary: 'Delete a consumer group without members, with its offsets',
  tags,
  params,
  response: {
    204: { description: 'The group is gone.', type: 'null' },
    ...errorsOf('INVALID_GROUP_ID', 'GROUP_ID_NOT_FOUND', 'NON_EMPTY_GROUP', ...coordinating),
  },
}
