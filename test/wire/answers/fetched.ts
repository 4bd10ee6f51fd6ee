/** Questions that read. */
import { deleteRecords } from '../../../protocol/kafka/apis/delete-records.ts'
import { fetch } from '../../../protocol/kafka/apis/fetch.ts'
import { produce } from '../../../protocol/kafka/apis/produce.ts'
import type { RequestOf } from '../../../protocol/kafka/schema.ts'
import { produceBody } from '../../../broker/doors/kafka/broker.fixture.ts'
import { batch, epochMs } from './batches.ts'
import { versionsOf, type Interview, type Theme } from './interview.ts'

type Wanted = RequestOf<typeof fetch>['topics'][number]['partitions'][number]

const forever = { 'retention.ms': '-1' }

/** Partition 0 has three batches of three, of which the first lost two records; 1 has none; 2 has one batch. */
async function prepare(i: Interview): Promise<void> {
  await i.topic('read', 3, forever)
  const write = (records: Buffer, index = 0, topic = 'read') =>
    i.quietly(produce, 9, produceBody(topic, records, -1, index))
  await write(batch(['a', 'b', 'c']))
  await write(batch(['d', 'e', 'f'], { codec: 'zstd' }))
  await write(batch(['g', 'h', 'i'], { producer: { id: 4000, epoch: 1, baseSequence: 0 } }))
  await write(batch(['x'.repeat(500)]), 2)
  await i.topic('squeezed-already', 1, { ...forever, 'compression.type': 'producer' })
  await write(batch(['z'], { codec: 'zstd' }), 0, 'squeezed-already')
  const partitions = [{ partitionIndex: 0, offset: 2 }]
  await i.quietly(deleteRecords, 1, { topics: [{ name: 'read', partitions }], timeoutMs: 10_000 })
  await i.topic('old-times', 1, { ...forever, 'message.timestamp.type': 'CreateTime' })
  await write(batch(['t'], { atMs: epochMs - 1 }), 0, 'old-times')
}

const part = (partition: number, fetchOffset: number, more: Partial<Wanted> = {}) => ({
  partition,
  fetchOffset,
  partitionMaxBytes: 1 << 20,
  ...more,
})

const whole = (parts: ReturnType<typeof part>[], more: object = {}, topic = 'read') => ({
  maxWaitMs: 0,
  minBytes: 1,
  topics: [{ topic, partitions: parts }],
  ...more,
})

const full: Theme = async i => {
  for (const version of versionsOf(fetch)) {
    const ask = (what: string, parts: ReturnType<typeof part>[], more: object = {}, topic = 'read') =>
      i.ask(what, fetch, version, whole(parts, more, topic))
    await ask('from the start', [part(0, 2)])
    await ask('from the middle of a batch', [part(0, 4)])
    await ask('from the last record', [part(0, 8)])
    await ask('from the end', [part(0, 9)])
    await ask('from the end, with some patience', [part(0, 9)], { maxWaitMs: 10 })
    await ask('without wanting any bytes', [part(0, 9)], { minBytes: 0, maxWaitMs: 600_000 })
    await ask('behind the end', [part(0, 10)])
    await ask('before the start', [part(0, 1)])
    await ask('before all', [part(0, -1)])
    await ask('an empty partition', [part(1, 0)])
    await ask('behind the end of an empty partition', [part(1, 1)])
    await ask('an unknown partition', [part(9, 0)])
    await ask('a negative partition', [part(-1, 0)])
    for (const topic of ['nowhere', 'a b', ''])
      await ask(`of the topic ${JSON.stringify(topic)}`, [part(0, 0)], {}, topic)
    await ask('several partitions', [part(0, 3), part(1, 0), part(2, 0)])
    await ask('a good and a bad partition, with some patience', [part(1, 0), part(9, 0)], { maxWaitMs: 10 })
    await ask('one partition twice', [part(0, 6), part(0, 3)])
    await ask('one topic twice', [], {
      topics: [6, 3].map(offset => ({ topic: 'read', partitions: [part(0, offset)] })),
    })
    await ask('nothing', [], { topics: [] })
    await ask('a topic without partitions', [])
    for (const bytes of [1, 0, -1]) {
      await ask(`${bytes} bytes of a partition`, [part(0, 3, { partitionMaxBytes: bytes })])
      await ask(`${bytes} bytes of two partitions`, [
        part(0, 3, { partitionMaxBytes: bytes }),
        part(2, 0, { partitionMaxBytes: bytes }),
      ])
      await ask(`${bytes} bytes in all`, [part(0, 3), part(2, 0)], { maxBytes: bytes })
    }
    await ask('room for a batch and a half', [part(0, 3, { partitionMaxBytes: 140 })])
    await ask('room for a batch and a half in all', [part(0, 3), part(2, 0)], { maxBytes: 140 })
    await ask('more bytes than there are', [part(0, 3)], { minBytes: 10_000, maxWaitMs: 10 })
    await ask('less time than none', [part(0, 9)], { maxWaitMs: -1 })
    await ask('only what is committed', [part(0, 3)], { isolationLevel: 1 })
    await ask('an unknown isolation', [part(0, 3)], { isolationLevel: 9 })
    await ask('what was packed with zstd', [part(0, 0)], {}, 'squeezed-already')
    await ask('older times', [part(0, 0)], {}, 'old-times')
    if (version >= 9)
      for (const currentLeaderEpoch of [0, 7, -2])
        await ask(`from leader epoch ${currentLeaderEpoch}`, [part(0, 3, { currentLeaderEpoch })])
    if (version >= 11) await ask('from a rack', [part(0, 3)], { rackId: 'r1' })
    if (version < 12) continue
    for (const lastFetchedEpoch of [0, 7, -2])
      await ask(`after epoch ${lastFetchedEpoch}`, [part(0, 3, { lastFetchedEpoch })])
    await ask('after epoch 0, behind the end', [part(0, 12, { lastFetchedEpoch: 0 })])
    await ask('of another cluster', [part(0, 3)], { clusterId: 'other' })
  }
}

const sessions: Theme = async i => {
  for (const version of versionsOf(fetch, 7)) {
    const ask = (what: string, parts: ReturnType<typeof part>[], more: object = {}) =>
      i.ask(`in a session, ${what}`, fetch, version, whole(parts, more))
    await ask('of no session', [part(0, 6)], { sessionId: 0, sessionEpoch: -1 })
    await ask('that is unknown', [part(0, 6)], { sessionId: 12_345, sessionEpoch: 1 })
    await ask('that is unknown, from its first epoch', [part(0, 6)], { sessionId: 12_345, sessionEpoch: 0 })
    await ask('that is unknown, at its end', [part(0, 6)], { sessionId: 12_345, sessionEpoch: -1 })
    await ask('without an id, at an epoch', [part(0, 6)], { sessionId: 0, sessionEpoch: 5 })
    const begun = await ask('begun', [part(0, 6), part(1, 0)], { sessionId: 0, sessionEpoch: 0 })
    const sessionId = begun?.sessionId ?? 0
    await ask('going on', [], { sessionId, sessionEpoch: 1, topics: [] })
    await ask('going on elsewhere', [part(0, 9)], { sessionId, sessionEpoch: 2 })
    await ask('at a wrong epoch', [], { sessionId, sessionEpoch: 9, topics: [] })
    await ask('forgetting', [], {
      sessionId,
      sessionEpoch: 3,
      topics: [],
      forgottenTopicsData: [{ topic: 'read', partitions: [0] }],
    })
    await ask('ended', [part(0, 6)], { sessionId, sessionEpoch: -1 })
    await ask('after its end', [], { sessionId, sessionEpoch: 4, topics: [] })
  }
}

export const fetched: Theme = async i => {
  await prepare(i)
  for (const theme of [full, sessions]) await theme(i)
}
