import { logTopics, replicationMax } from '../control/kubernetes/resources/log-topic.ts'
import { topicTabletsMax as tabletsMax } from '../control/placement.ts'
import { conditions, observedGeneration } from './condition.ts'
import { conditionPath, definition } from './definition.ts'
import { integer, object, oneOf, optional, record, scalar, text } from './schema.ts'

/** Kafka's own bound; names of objects may be longer by four characters. */
const nameMax = 249

const spec = object('What the topic shall be.', {
  cluster: text('The LogCluster in the same namespace that holds the topic. It never changes.', {
    minLength: 1,
    maxLength: 253,
    rules: [
      {
        rule: 'self == oldSelf',
        message: 'spec.cluster cannot change: make a LogTopic of another name for the other cluster',
      },
    ],
  }),
  name: optional(
    text(
      `The topic's name for Kafka's clients, when it cannot be that of the LogTopic: with capital letters or underscores, or when a topic of another cluster in the namespace has taken it. It never changes.`,
      {
        minLength: 1,
        maxLength: 1024,
        rules: [
          {
            rule: `self.matches('^[A-Za-z0-9._-]{1,${nameMax}}$') && self != '.' && self != '..'`,
            message: `spec.name must be a topic's name in Kafka: 1 to ${nameMax} characters of A-Z, a-z, 0-9, ., _ and -, and neither . nor ..`,
          },
        ],
      },
    ),
  ),
  tablets: integer(
    "How many tablets the topic has; Kafka's clients call them partitions. More may be added, which changes where new keys go; it never shrinks.",
    {
      default: 1,
      rules: [
        {
          rule: `self >= 1 && self <= ${tabletsMax}`,
          message: `spec.tablets must be from 1 to ${tabletsMax}`,
        },
        {
          rule: 'self >= oldSelf',
          message:
            'spec.tablets cannot shrink, that would lose records: put it back, or copy the records into a new topic with fewer tablets',
        },
      ],
    },
  ),
  replication: integer(
    'How many brokers hold each tablet; at most as many as there are. When it changes, copies are made or taken away, a few tablets at a time.',
    {
      default: 1,
      rules: [
        {
          rule: `self >= 1 && self <= ${replicationMax}`,
          message: `spec.replication must be from 1 to ${replicationMax}, and at most the number of brokers`,
        },
      ],
    },
  ),
  config: optional(
    record(
      "Settings of the topic, by Kafka's names: retention.ms: 86400000, cleanup.policy: compact. An unknown one is reported in the condition Ready.",
      scalar('Text, a number, true or false.'),
    ),
  ),
  deletionPolicy: oneOf(
    'What becomes of the records when the LogTopic is deleted. Retain: they stay on the volumes, and a LogTopic of the same name takes them back. Delete: they go with it.',
    ['Retain', 'Delete'],
    { default: 'Retain' },
  ),
})

const status = object('What the topic is, written by the operator.', {
  observedGeneration: optional(observedGeneration),
  conditions: optional(conditions('Ready (every tablet is placed and led)')),
  topicId: optional(text("Kafka's id of the topic.")),
  replication: optional(
    integer('What spec.replication was when all tablets were last told to have as many copies.', {
      minimum: 1,
    }),
  ),
  tablets: optional(integer('How many tablets are placed.', { minimum: 0 })),
  led: optional(integer('How many tablets have a leader, so that clients can use them.', { minimum: 0 })),
})

const kafkaName = (object: string): string =>
  `(has(${object}.spec.name) ? ${object}.spec.name : ${object}.metadata.name)`

export const logTopic = object(
  "A topic of a LogCluster. Kafka's admin tools see and change the same one.",
  { spec, status: optional(status) },
  {
    rules: [
      {
        rule: `has(self.spec.name) || self.metadata.name.size() <= ${nameMax}`,
        message: `metadata.name is too long for a topic's name in Kafka: shorten it to ${nameMax} characters, or say spec.name`,
        fieldPath: '.metadata',
      },
      {
        rule: `${kafkaName('self')} == ${kafkaName('oldSelf')}`,
        message: 'spec.name cannot change: make a new LogTopic with the other name',
        fieldPath: '.spec.name',
      },
    ],
  },
)

export const logTopicDefinition = definition({
  resource: logTopics,
  shortNames: ['lt'],
  schema: logTopic,
  columns: [
    { name: 'Cluster', type: 'string', path: '.spec.cluster' },
    { name: 'Tablets', type: 'integer', path: '.spec.tablets', description: 'How many there shall be.' },
    { name: 'Led', type: 'integer', path: '.status.led', description: 'How many can be used.' },
    { name: 'Replication', type: 'integer', path: '.spec.replication' },
    { name: 'Ready', type: 'string', path: conditionPath('Ready', 'status') },
    { name: 'Reason', type: 'string', path: conditionPath('Ready', 'reason') },
    {
      name: 'Name',
      type: 'string',
      path: '.spec.name',
      description: "The name for Kafka's clients, if it is another.",
      wide: true,
    },
    { name: 'Deletion', type: 'string', path: '.spec.deletionPolicy', wide: true },
    { name: 'Message', type: 'string', path: conditionPath('Ready', 'message'), wide: true },
  ],
  subresources: { status: {} },
  selectable: ['.spec.cluster'],
})
