/** Questions about places in the log. */
import { deleteRecords } from '../../../protocol/kafka/apis/delete-records.ts'
import { listOffsets } from '../../../protocol/kafka/apis/list-offsets.ts'
import { offsetForLeaderEpoch } from '../../../protocol/kafka/apis/offset-for-leader-epoch.ts'
import { produce } from '../../../protocol/kafka/apis/produce.ts'
import { produceBody } from '../../../broker/doors/kafka/broker.fixture.ts'
import { batch, epochMs } from './batches.ts'
import { versionsOf, type Interview, type Theme } from './interview.ts'

const forever = { 'retention.ms': '-1' }

/** Partition 0 has records 0 to 8, of which 0 and 1 were deleted; 1 has none; 2 has one without a time. */
async function prepare(i: Interview): Promise<void> {
  await i.topic('placed', 3, forever)
  const write = (records: Buffer, index = 0) =>
    i.quietly(produce, 9, produceBody('placed', records, -1, index))
  await write(batch(['a', 'b', 'c']))
  await write(batch(['d', 'e', 'f'], { atMs: epochMs + 10_000, codec: 'gzip' }))
  await write(batch(['g', 'h', 'i'], { atMs: epochMs + 5_000 }))
  await write(batch(['no time'], { atMs: -1 }), 2)
  await i.topic('stamps', 1, { ...forever, 'message.timestamp.type': 'LogAppendTime' })
  await i.quietly(produce, 9, produceBody('stamps', batch(['a', 'b', 'c'])))
  const partitions = [{ partitionIndex: 0, offset: 2 }]
  await i.quietly(deleteRecords, 1, { topics: [{ name: 'placed', partitions }], timeoutMs: 10_000 })
}

const times: Theme = async i => {
  for (const version of versionsOf(listOffsets)) {
    const ask = (
      what: string,
      places: { partitionIndex: number; timestamp: number; currentLeaderEpoch?: number }[],
      more: object = {},
    ) =>
      i.ask(what, listOffsets, version, {
        replicaId: -1,
        topics: [{ name: 'placed', partitions: places }],
        ...more,
      })
    for (const [partitionIndex, which] of ['full', 'empty', 'timeless'].entries()) {
      for (const timestamp of [-1, -2, -3, -4, -5, -6, -7, -100, 0])
        await ask(`${timestamp} of a ${which} partition`, [{ partitionIndex, timestamp }])
    }
    for (const [what, behindMs] of [
      ['before all', -1],
      ['of one that was deleted', 0],
      ['of a record', 2_000],
      ['between records', 2_001],
      ['between batches', 4_000],
      ['of a packed record', 11_000],
      ['between packed records', 11_001],
      ['of the last', 12_000],
      ['behind all', 12_001],
    ] as const) {
      await ask(`a time ${what}`, [{ partitionIndex: 0, timestamp: epochMs + behindMs }])
    }
    await ask('an unknown partition', [{ partitionIndex: 9, timestamp: -1 }])
    await ask('a negative partition', [{ partitionIndex: -1, timestamp: -1 }])
    await ask('one partition twice', [
      { partitionIndex: 0, timestamp: -1 },
      { partitionIndex: 0, timestamp: -2 },
    ])
    await ask(
      'several partitions',
      [0, 1, 2].map(partitionIndex => ({ partitionIndex, timestamp: -1 })),
    )
    await ask('only what is committed', [{ partitionIndex: 0, timestamp: -1 }], { isolationLevel: 1 })
    await ask('the largest time of what is committed', [{ partitionIndex: 0, timestamp: -3 }], {
      isolationLevel: 1,
    })
    await ask('an unknown isolation', [{ partitionIndex: 0, timestamp: -1 }], { isolationLevel: 9 })
    for (const currentLeaderEpoch of [0, 7, -2])
      await ask(`from leader epoch ${currentLeaderEpoch}`, [
        { partitionIndex: 0, timestamp: -1, currentLeaderEpoch },
      ])
    for (const name of ['nowhere', 'a b', ''])
      await ask(`of the topic ${JSON.stringify(name)}`, [], {
        topics: [{ name, partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
      })
    await ask('nothing', [], { topics: [] })
    await ask('a topic without partitions', [])
    await ask('the end where the broker stamps', [], {
      topics: [{ name: 'stamps', partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
    })
    await ask('a time ahead where the broker stamps', [], {
      topics: [{ name: 'stamps', partitions: [{ partitionIndex: 0, timestamp: epochMs * 2 }] }],
    })
    await ask('as a follower', [{ partitionIndex: 0, timestamp: -1 }], { replicaId: 7 })
    await ask('as a debugger', [{ partitionIndex: 0, timestamp: -1 }], { replicaId: -2 })
  }
}

const epochs: Theme = async i => {
  for (const version of versionsOf(offsetForLeaderEpoch)) {
    const ask = (
      what: string,
      places: { partition: number; leaderEpoch: number; currentLeaderEpoch?: number }[],
      topic = 'placed',
      more: object = {},
    ) => i.ask(what, offsetForLeaderEpoch, version, { topics: [{ topic, partitions: places }], ...more })
    for (const leaderEpoch of [0, 7, -1, -2]) {
      await ask(`epoch ${leaderEpoch}`, [{ partition: 0, leaderEpoch }])
      await ask(`epoch ${leaderEpoch} of an empty partition`, [{ partition: 1, leaderEpoch }])
    }
    for (const currentLeaderEpoch of [0, 7, -2])
      await ask(`from leader epoch ${currentLeaderEpoch}`, [
        { partition: 0, leaderEpoch: 0, currentLeaderEpoch },
      ])
    await ask('an unknown partition', [{ partition: 9, leaderEpoch: 0 }])
    await ask('a negative partition', [{ partition: -1, leaderEpoch: 0 }])
    await ask('one partition twice', [
      { partition: 0, leaderEpoch: 0 },
      { partition: 0, leaderEpoch: 7 },
    ])
    for (const topic of ['nowhere', 'a b', ''])
      await ask(`of the topic ${JSON.stringify(topic)}`, [{ partition: 0, leaderEpoch: 0 }], topic)
    await ask('nothing', [], 'placed', { topics: [] })
    await ask('as a consumer', [{ partition: 0, leaderEpoch: 0 }], 'placed', { replicaId: -1 })
    await ask('as a follower', [{ partition: 0, leaderEpoch: 0 }], 'placed', { replicaId: 7 })
  }
}

export const offsets: Theme = async i => {
  await prepare(i)
  for (const theme of [times, epochs]) await theme(i)
}
