/** Questions about topics: making, growing, emptying and deleting them, and what is told of them. */
import { createPartitions } from '../../../protocol/kafka/apis/create-partitions.ts'
import { createTopics } from '../../../protocol/kafka/apis/create-topics.ts'
import { deleteRecords } from '../../../protocol/kafka/apis/delete-records.ts'
import { deleteTopics } from '../../../protocol/kafka/apis/delete-topics.ts'
import { describeTopicPartitions } from '../../../protocol/kafka/apis/describe-topic-partitions.ts'
import { metadata } from '../../../protocol/kafka/apis/metadata.ts'
import { produce } from '../../../protocol/kafka/apis/produce.ts'
import type { RequestOf } from '../../../protocol/kafka/schema.ts'
import { batchOf, produceBody } from '../../../broker/doors/kafka/broker.fixture.ts'
import { noId } from './names.ts'
import { versionsOf, type Interview, type Theme } from './interview.ts'

/** A topic to ask for, by name or by id. */
type Named = { name: string | null; topicId?: string }
const asked = (topics: readonly Named[]) => topics.map(({ name, topicId = noId }) => ({ name, topicId }))
const unknownId = 'AAECAwQFBgcICQoLDA0ODw'

const told: Theme = async i => {
  await i.topic('t', 3)
  await i.topic('u', 1)
  const id = await i.topicId('t')
  for (const version of versionsOf(metadata)) {
    const ask = (what: string, topics: Named[] | null, more = {}) =>
      i.ask(what, metadata, version, {
        topics: topics === null ? null : asked(topics),
        allowAutoTopicCreation: false,
        ...more,
      })
    const operations = { includeTopicAuthorizedOperations: true, includeClusterAuthorizedOperations: true }
    await ask('all topics', version === 0 ? [] : null)
    if (version > 0) await ask('no topics', [])
    await ask('one topic', [{ name: 't' }])
    await ask('one topic, twice', [{ name: 't' }, { name: 't' }])
    await ask('with what one may do', [{ name: 't' }], operations)
    if (version >= 4) {
      await ask('an unknown topic among others', [{ name: 'u' }, { name: 'nowhere' }])
      await ask('names that no topic may have', [
        { name: '' },
        { name: 'a b' },
        { name: '..' },
        { name: 'x'.repeat(250) },
      ])
    }
    if (version >= 10) {
      await ask('a topic by its id', [{ name: null, topicId: id }])
      await ask('a topic by its id and a name', [{ name: 'u', topicId: id }])
      await ask('an unknown id', [{ name: null, topicId: unknownId }])
      await ask('neither name nor id', [{ name: null }])
    }
  }
  const listed = (topics: readonly string[], more = {}) => ({
    topics: topics.map(name => ({ name })),
    ...more,
  })
  const ask = (what: string, body: ReturnType<typeof listed>) =>
    i.ask(what, describeTopicPartitions, 0, { cursor: null, ...body })
  await ask('one topic', listed(['t']))
  await ask('all topics', listed([]))
  await ask('unknown ones among others', listed(['u', 'nowhere', 't']))
  await ask('names that no topic may have', listed(['', 'a b']))
  await ask('twice', listed(['t', 't']))
  await ask('two at most', listed(['t', 'u'], { responsePartitionLimit: 2 }))
  await ask('none at most', listed(['t'], { responsePartitionLimit: 0 }))
  await ask('less than none', listed(['t'], { responsePartitionLimit: -1 }))
  await ask('from a cursor on', listed(['t', 'u'], { cursor: { topicName: 't', partitionIndex: 2 } }))
  await ask('from the next topic on', listed(['t', 'u'], { cursor: { topicName: 'tt', partitionIndex: 0 } }))
  await ask('from behind the end', listed(['t', 'u'], { cursor: { topicName: 't', partitionIndex: 9 } }))
  await ask('from before the beginning', listed(['t'], { cursor: { topicName: 't', partitionIndex: -1 } }))
  await ask(
    'from an unknown topic on',
    listed(['t'], { cursor: { topicName: 'nowhere', partitionIndex: 0 } }),
  )
  for (const version of versionsOf(metadata, 4)) {
    const name = `asked-v${version}`
    await i.quietly(metadata, version, { topics: asked([{ name }]), allowAutoTopicCreation: true })
    await i.served(name, 1)
    await i.ask('a topic made by asking for it', metadata, version, {
      topics: asked([{ name }]),
      allowAutoTopicCreation: true,
    })
  }
}

type NewTopic = RequestOf<typeof createTopics>['topics'][number]
const topic = (name: string, wanted: Partial<NewTopic> = {}) => ({
  name,
  numPartitions: 1,
  replicationFactor: 1,
  assignments: [],
  configs: [],
  ...wanted,
})
const byHand = (...brokers: number[][]) => ({
  numPartitions: -1,
  replicationFactor: -1,
  assignments: brokers.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
})
const configured = (...pairs: [string, string | null][]) => ({
  configs: pairs.map(([name, value]) => ({ name, value })),
})

const made: Theme = async i => {
  await i.topic('there')
  await i.topic('dotted.name')
  for (const version of versionsOf(createTopics)) {
    const ask = (what: string, topics: ReturnType<typeof topic>[], validateOnly = false) =>
      i.ask(what, createTopics, version, { topics, validateOnly, timeoutMs: 10_000 })
    const fresh = (n: number) => `made-${n}-v${version}`
    await ask('a topic', [topic(fresh(1))])
    await ask('several, one of them there', [topic(fresh(2), { numPartitions: 3 }), topic('there')])
    await ask('with the defaults', [topic(fresh(3), { numPartitions: -1, replicationFactor: -1 })])
    await ask('with settings', [
      topic(
        fresh(4),
        configured(['cleanup.policy', 'compact'], ['retention.ms', '1000'], ['min.insync.replicas', '1']),
      ),
    ])
    await ask('placed by hand', [topic(fresh(5), byHand([1], [1]))])
    await ask('only checked', [topic(fresh(6))], true)
    await ask('only checked, and there', [topic('there')], true)
    await ask('only checked, and wrong', [topic(fresh(6), { numPartitions: 0 })], true)
    await ask('none', [])
    await ask('twice', [topic(fresh(7)), topic(fresh(7))])
    await ask('twice, beside another', [topic(fresh(8)), topic(fresh(8)), topic(fresh(9))])
    for (const name of ['', '.', '..', 'a b', 'a/b', 'ö', 'x'.repeat(250)])
      await ask(`called ${JSON.stringify(name).slice(0, 20)}`, [topic(name)])
    await ask('called like another but for a dot', [topic('dotted_name')])
    for (const numPartitions of [0, -2])
      await ask(`${numPartitions} partitions`, [topic(fresh(10), { numPartitions })])
    for (const replicationFactor of [0, -2, 2])
      await ask(`${replicationFactor} replicas`, [topic(fresh(10), { replicationFactor })])
    await ask('no partitions and no replicas', [topic(fresh(10), { numPartitions: 0, replicationFactor: 0 })])
    await ask('placed on an unknown broker', [topic(fresh(10), byHand([7]))])
    await ask('placed on no broker', [topic(fresh(10), byHand([]))])
    await ask('placed twice on one broker', [topic(fresh(10), byHand([1, 1]))])
    await ask('placed unevenly', [topic(fresh(10), byHand([1], []))])
    await ask('placed on a negative broker', [topic(fresh(10), byHand([-1]))])
    const second = { ...byHand([1]), assignments: [{ partitionIndex: 1, brokerIds: [1] }] }
    await ask('placed without its first partition', [topic(fresh(10), second)])
    const twice = {
      ...byHand([1]),
      assignments: [
        { partitionIndex: 0, brokerIds: [1] },
        { partitionIndex: 0, brokerIds: [1] },
      ],
    }
    await ask('one partition placed twice', [topic(fresh(10), twice)])
    await ask('placed by hand and counted', [topic(fresh(10), { ...byHand([1]), numPartitions: 1 })])
    await ask('placed by hand and copies counted', [
      topic(fresh(10), { ...byHand([1]), replicationFactor: 1 }),
    ])
    await ask('an unknown setting', [topic(fresh(10), configured(['no.such', '1']))])
    await ask('a setting that is no number', [topic(fresh(10), configured(['retention.ms', 'long']))])
    await ask('a setting that is too small', [topic(fresh(10), configured(['segment.bytes', '1']))])
    await ask('a setting that is none of its values', [
      topic(fresh(10), configured(['cleanup.policy', 'burn'])),
    ])
    await ask('a setting that is no yes or no', [topic(fresh(10), configured(['preallocate', 'maybe']))])
    await ask('a codec for all records', [topic(fresh(13), configured(['compression.type', 'zstd']))])
    await ask('a setting that is null', [topic(fresh(10), configured(['retention.ms', null]))])
    await ask('a setting that is empty', [topic(fresh(10), configured(['retention.ms', '']))])
    await ask('a setting with spaces around', [topic(fresh(11), configured(['retention.ms', ' 7 ']))])
    await ask('a setting twice', [topic(fresh(12), configured(['retention.ms', '1'], ['retention.ms', '2']))])
    await ask('a wrong name and a wrong setting', [topic('a b', configured(['no.such', '1']))])
  }
}

type Growth = RequestOf<typeof createPartitions>['topics'][number]

const grown: Theme = async i => {
  for (const version of versionsOf(createPartitions)) {
    const name = `grown-v${version}`
    await i.topic(name, 2)
    const more = (count: number, brokers: number[][] | null = null, called = name): Growth => ({
      name: called,
      count,
      assignments: brokers === null ? null : brokers.map(brokerIds => ({ brokerIds })),
    })
    const ask = (what: string, topics: Growth[], validateOnly = false) =>
      i.ask(what, createPartitions, version, { topics, timeoutMs: 10_000, validateOnly })
    await ask('only checked', [more(3)], true)
    await ask('as many as there are', [more(2)])
    await ask('fewer', [more(1)])
    await ask('none', [more(0)])
    await ask('fewer than none', [more(-1)])
    await ask('an unknown topic', [more(3, null, 'nowhere')])
    await ask('a topic without a name', [more(3, null, '')])
    await ask('twice', [more(3), more(4)])
    await ask('nothing', [])
    await ask('placed too few', [more(4, [[1]])])
    await ask('placed too many', [more(3, [[1], [1]])])
    await ask('placed on an unknown broker', [more(3, [[7]])])
    await ask('placed on no broker', [more(3, [[]])])
    await ask('placed nowhere', [more(3, [])])
    await ask('placed twice on one broker', [more(3, [[1, 1]])])
    await ask('placed by hand', [more(3, [[1]])])
    await i.served(name, 3)
    await ask('more', [more(5)])
    await i.served(name, 5)
  }
}

const emptied: Theme = async i => {
  await i.topic('kept-compacted', 1, { 'cleanup.policy': 'compact' })
  for (const version of versionsOf(deleteRecords)) {
    const name = `emptied-v${version}`
    await i.topic(name, 2, { 'retention.ms': '-1' })
    for (let n = 0; n < 5; n++) await i.quietly(produce, 9, produceBody(name, batchOf(`record ${n}`)))
    const ask = (what: string, places: readonly (readonly [number, number])[], called = name) =>
      i.ask(what, deleteRecords, version, {
        topics: [
          {
            name: called,
            partitions: places.map(([partitionIndex, offset]) => ({ partitionIndex, offset })),
          },
        ],
        timeoutMs: 10_000,
      })
    await ask('before 2', [[0, 2]])
    await ask('before 2, once more', [[0, 2]])
    await ask('before 1, when there is none', [[0, 1]])
    await ask('behind the end', [[0, 6]])
    await ask('before -2', [[0, -2]])
    await ask('everything', [[0, -1]])
    await ask('everything of nothing', [[1, -1]])
    await ask('an unknown partition', [
      [0, 3],
      [9, 0],
    ])
    await ask('a negative partition', [[-1, 0]])
    await ask('an unknown topic', [[0, 0]], 'nowhere')
    await ask('a topic without a name', [[0, 0]], '')
    await ask('of a compacted topic', [[0, -1]], 'kept-compacted')
    await i.ask('nothing', deleteRecords, version, { topics: [], timeoutMs: 10_000 })
  }
}

const deleted: Theme = async i => {
  for (const version of versionsOf(deleteTopics)) {
    const ask = (what: string, topics: Named[]) =>
      i.ask(what, deleteTopics, version, {
        ...(version < 6 ? { topicNames: topics.map(({ name }) => name ?? '') } : { topics: asked(topics) }),
        timeoutMs: 10_000,
      })
    const names = [1, 2, 3, 4, 5].map(n => `deleted-${n}-v${version}`)
    for (const name of names) await i.topic(name)
    const [first = '', second = '', third = '', fourth = '', fifth = ''] = names
    await ask('by name', [{ name: first }])
    await i.gone(first)
    await ask('by name, once more', [{ name: first }])
    await ask('one and an unknown one', [{ name: second }, { name: 'nowhere' }])
    await ask('a name that no topic may have', [{ name: 'a b' }])
    await ask('no name', [{ name: '' }])
    await ask('twice', [{ name: third }, { name: third }])
    await ask('nothing', [])
    if (version < 6) continue
    const topicId = await i.topicId(fourth)
    await ask('by id', [{ name: null, topicId }])
    await i.gone(fourth)
    await ask('by an unknown id', [{ name: null, topicId: unknownId }])
    await ask('neither name nor id', [{ name: null }])
    const other = await i.topicId(fifth)
    await ask('by name and id', [{ name: fifth, topicId: other }])
    await ask('by name, and by id', [{ name: fifth }, { name: null, topicId: other }])
    await ask('by id, twice', [
      { name: null, topicId: other },
      { name: null, topicId: other },
    ])
  }
}

export const topics: Theme = async (i: Interview) => {
  for (const theme of [told, made, grown, emptied, deleted]) await theme(i)
}
