import { sliceTablets } from '../control/model.ts'
import { tabletSlices } from '../control/kubernetes/resources/tablet-slice.ts'
import { definition } from './definition.ts'
import { integer, list, object, oneOf, optional, text, yesOrNo } from './schema.ts'

/** Copies, and as many again while a tablet moves. */
const replicasMax = 30

const brokerId = (description: string) => integer(description, { minimum: 0 })
const brokerIds = (description: string) =>
  list(description, brokerId('Id of a broker.'), { default: [], maxItems: replicasMax, unique: 'itself' })

const tablet = object(
  'Who leads and holds one tablet.',
  {
    epoch: integer('Grows by one with each new leader.', { minimum: 0 }),
    version: integer('Grows by one with every change.', { minimum: 0, format: 'int64' }),
    leader: optional(brokerId('The broker that leads it; missing while nobody does.')),
    replicas: list('The brokers that hold it, the one that should lead first.', brokerId('Id of a broker.'), {
      minItems: 1,
      maxItems: replicasMax,
      unique: 'itself',
    }),
    adding: brokerIds('Replicas that are on their way in.'),
    removing: brokerIds('Replicas that are on their way out.'),
    isr: list(
      'The replicas that hold everything acknowledged.',
      object('A replica in sync.', {
        broker: brokerId('Id of the broker.'),
        incarnation: integer('Which start of the broker it counts for.', { minimum: 0, format: 'int64' }),
      }),
      { maxItems: replicasMax, unique: { by: 'broker' } },
    ),
    found: optional(
      list(
        'What replicas hold that may not lead by themselves, as they have said since nobody leads.',
        object('What one replica holds.', {
          broker: brokerId('Id of the broker.'),
          incarnation: integer('Which start of the broker said so.', { minimum: 0, format: 'int64' }),
          epoch: integer('The epoch of its last batch; -1 when it has none.', { minimum: -1 }),
          end: integer('The offset behind its last record.', { minimum: 0, format: 'int64' }),
          trouble: optional(
            oneOf('lost: what it was in sync with is gone. offline: it cannot be served.', [
              'lost',
              'offline',
            ]),
          ),
        }),
        { maxItems: replicasMax, unique: { by: 'broker' } },
      ),
    ),
    unclean: optional(
      yesOrNo(
        "The owner's word for the end of this epoch: the replica that has most leads, in sync or not; what only others had is lost.",
      ),
    ),
  },
  {
    rules: [
      {
        rule: 'self.isr.all(member, member.broker in self.replicas)',
        message: 'isr may hold replicas only: a broker that holds no copy cannot be in sync',
      },
      {
        rule: '!has(self.leader) || self.isr.exists(member, member.broker == self.leader)',
        message: 'leader must be in isr: only a replica in sync may lead',
      },
    ],
  },
)

const topic = object('The topic it is a part of.', {
  name: text("Kafka's name of the topic.", { minLength: 1, maxLength: 249 }),
  id: text("Kafka's id of the topic: 22 characters of base64url.", {
    maxLength: 64,
    rules: [
      {
        rule: "self.matches('^[A-Za-z0-9_-]{22}$')",
        message: 'topic.id must be 22 characters of base64url',
      },
      { rule: 'self == oldSelf', message: 'topic.id cannot change: another topic has other slices' },
    ],
  }),
  deletionPolicy: oneOf("The LogTopic's, so that it is known when that is gone.", ['Retain', 'Delete']),
})

export const tabletSlice = object(
  `Up to ${sliceTablets} tablets of one topic: who leads and holds them. The operator and the brokers write it by guarded patches; do not edit or delete it: with it goes the knowledge of where records are.`,
  {
    topic,
    first: integer(`The number of its first tablet: a multiple of ${sliceTablets}.`, {
      minimum: 0,
      rules: [
        {
          rule: `self % ${sliceTablets} == 0`,
          message: `first must be a multiple of ${sliceTablets}`,
        },
        { rule: 'self == oldSelf', message: 'first cannot change: tablets keep their numbers' },
      ],
    }),
    tablets: list('Its tablets, by number.', tablet, {
      minItems: 1,
      maxItems: sliceTablets,
      rules: [
        {
          rule: 'self.size() >= oldSelf.size()',
          message: 'tablets cannot become fewer: that would lose records',
        },
      ],
    }),
  },
)

export const tabletSliceDefinition = definition({
  resource: tabletSlices,
  shortNames: ['ts'],
  schema: tabletSlice,
  columns: [
    { name: 'Topic', type: 'string', path: '.topic.name' },
    { name: 'First', type: 'integer', path: '.first', description: 'The number of its first tablet.' },
    { name: 'Deletion', type: 'string', path: '.topic.deletionPolicy' },
    { name: 'Id', type: 'string', path: '.topic.id', wide: true },
  ],
})
