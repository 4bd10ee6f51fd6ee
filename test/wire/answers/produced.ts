/** Questions that write: each batch that Kafka takes or refuses. */
import { findCoordinator } from '../../../protocol/kafka/apis/find-coordinator.ts'
import { listOffsets } from '../../../protocol/kafka/apis/list-offsets.ts'
import { produce } from '../../../protocol/kafka/apis/produce.ts'
import { codecs } from '../../../protocol/kafka/record-batch.ts'
import { altered, batch, epochMs, oldMessage } from './batches.ts'
import { versionsOf, type Interview, type Theme } from './interview.ts'

type Place = { topic: string; index?: number; records: Buffer | null }

const body = (places: readonly Place[], more: object = {}) => ({
  transactionalId: null,
  acks: -1,
  timeoutMs: 10_000,
  topicData: places.map(({ topic, index = 0, records }) => ({
    name: topic,
    partitionData: [{ index, records }],
  })),
  ...more,
})

const forever = { 'retention.ms': '-1' }
const good = batch(['a', 'b', 'c'])
const producer = (id: number, epoch: number, baseSequence: number) =>
  batch(['a', 'b'], { producer: { id, epoch, baseSequence } })

async function prepare(i: Interview): Promise<void> {
  for (const version of versionsOf(produce)) {
    await i.topic(`written-v${version}`, 2, forever)
    await i.topic(`apart-v${version}`, 5, forever)
    await i.topic(`numbered-v${version}`, 1, forever)
    await i.topic(`unanswered-v${version}`, 1, forever)
  }
  await i.until(async () => (await i.quietly(findCoordinator, 1, { key: 'any' })).errorCode === 0)
  await i.topic('small', 1, { ...forever, 'max.message.bytes': '200' })
  await i.topic('keyed', 1, { ...forever, 'cleanup.policy': 'compact' })
  await i.topic('stamped', 1, { ...forever, 'message.timestamp.type': 'LogAppendTime' })
  await i.topic('strict', 1, {
    ...forever,
    'message.timestamp.before.max.ms': '1000',
    'message.timestamp.after.max.ms': '1000',
  })
  await i.topic('copied', 1, { ...forever, 'min.insync.replicas': '2' })
  await i.topic('segments', 1, { ...forever, 'segment.bytes': '1048576', 'max.message.bytes': '4000000' })
}

const spoilt: readonly (readonly [string, (batch: Buffer) => void])[] = [
  ['more records than offsets', b => b.writeInt32BE(1, 23)],
  ['fewer records than offsets', b => b.writeInt32BE(5, 23)],
  ['fewer records than it says', b => b.writeInt32BE(4, 57)],
  ['more records than it says', b => b.writeInt32BE(2, 57)],
  ['no records', b => b.writeInt32BE(0, 57)],
  ['a negative count', b => b.writeInt32BE(-1, 57)],
  ['a base offset that is not 0', b => b.writeBigInt64BE(7n, 0)],
  ['a leader epoch', b => b.writeInt32BE(7, 12)],
  ['an unknown codec', b => b.writeInt16BE(6, 21)],
  ['an append time', b => b.writeInt16BE(8, 21)],
  ['a transaction', b => b.writeInt16BE(16, 21)],
  ['control records', b => b.writeInt16BE(32, 21)],
  ['a delete horizon', b => b.writeInt16BE(64, 21)],
  ['an attribute of the future', b => b.writeInt16BE(128, 21)],
  ['a largest time that is not', b => b.writeBigInt64BE(5n, 35)],
  ['no time at all', b => (b.writeBigInt64BE(-1n, 27), b.writeBigInt64BE(-1n, 35))],
  ['a producer without an epoch', b => b.writeBigInt64BE(77n, 43)],
  ['a producer without a sequence', b => (b.writeBigInt64BE(77n, 43), b.writeInt16BE(0, 51))],
  ['magic 3', b => b.writeInt8(3, 16)],
  ['magic -1', b => b.writeInt8(-1, 16)],
  ['a length that is too short', b => b.writeInt32BE(10, 8)],
  ['a length that is negative', b => b.writeInt32BE(-1, 8)],
  ['a length that is too long', b => b.writeInt32BE(b.length, 8)],
]

const batches: Theme = async i => {
  for (const version of versionsOf(produce)) {
    const topic = `written-v${version}`
    const ask = (what: string, records: Buffer | null, more: object = {}, called = topic, index = 0) =>
      i.ask(what, produce, version, body([{ topic: called, index, records }], more))
    await ask('a batch', good)
    await ask('a batch that only the leader has to have', good, { acks: 1 })
    if (version < 3) continue
    // Whether all have it within no time depends on the moment; what is refused does not.
    for (const timeoutMs of [0, -1]) {
      const within = `within ${timeoutMs} ms`
      await ask(`a batch that only the leader has to have, ${within}`, good, { acks: 1, timeoutMs })
      await ask(`an unknown topic, ${within}`, good, { timeoutMs }, 'nowhere')
      await ask(`an unknown partition, ${within}`, good, { timeoutMs }, topic, 9)
      await ask(`a few bytes, ${within}`, Buffer.alloc(11), { timeoutMs })
      await ask(`too large for its topic, ${within}`, batch(['x'.repeat(300)]), { timeoutMs }, 'small')
      await ask(`nothing, ${within}`, good, { timeoutMs, topicData: [] })
    }
    for (const acks of [2, -2]) await ask(`acks ${acks}`, good, { acks })
    await ask('an unknown topic', good, {}, 'nowhere')
    await ask('an unknown partition', good, {}, topic, 9)
    await ask('a negative partition', good, {}, topic, -1)
    await ask('a name that no topic may have', good, {}, 'a b')
    await ask('a topic without a name', good, {}, '')
    await ask('a good and an unknown topic', good, {
      topicData: [topic, 'nowhere'].map(name => ({ name, partitionData: [{ index: 0, records: good }] })),
    })
    await ask('two partitions', good, {
      topicData: [{ name: topic, partitionData: [0, 1].map(index => ({ index, records: good })) }],
    })
    // What Kafka and others may take differently goes where nothing else is, so that what follows has the same offsets.
    const apart = `apart-v${version}`
    await ask('one partition twice', good, {
      topicData: [{ name: apart, partitionData: [1, 1].map(index => ({ index, records: good })) }],
    })
    await ask('one topic twice', good, {
      topicData: [2, 2].map(index => ({ name: apart, partitionData: [{ index, records: good }] })),
    })
    await ask('nothing', good, { topicData: [] })
    await ask('a topic without partitions', good, { topicData: [{ name: topic, partitionData: [] }] })
    await ask('null', null)
    await ask('no bytes', Buffer.alloc(0))
    await ask('a few bytes', Buffer.alloc(11))
    await ask('two batches', Buffer.concat([good, good]))
    await ask('a batch and a bit', Buffer.concat([good, Buffer.alloc(5)]), {}, apart, 3)
    await ask('a batch that lost its end', good.subarray(0, -3))
    const flipped = Buffer.from(good)
    flipped[flipped.length - 2] = 0xff
    await ask('a batch with a flipped bit', flipped)
    await ask('a message of format 0', oldMessage(0))
    await ask('a message of format 1', oldMessage(1))
    for (const [what, alter] of spoilt) await ask(`a batch with ${what}`, altered(good, alter))
    const mispacked = altered(good, b => b.writeInt16BE(1, 21))
    await ask('a batch with a codec that it was not packed with', mispacked, {}, apart, 4)
    for (const codec of codecs) await ask(`packed with ${codec}`, batch(['a', 'b', 'c'], { codec }))
    await ask('too large for its topic', batch(['x'.repeat(300)]), {}, 'small')
    await ask('packed small enough for its topic', batch(['x'.repeat(300)], { codec: 'gzip' }), {}, 'small')
    await ask('too large for a segment', batch(['x'.repeat(2_000_000)]), {}, 'segments')
    await ask('a record without a key to a compacted topic', batch(['a', 'b']), {}, 'keyed')
    await ask('records with keys to a compacted topic', batch(['a', 'b'], { key: 'k' }), {}, 'keyed')
    await ask('a topic that stamps', good, {}, 'stamped')
    await ask('a time too long ago', good, {}, 'strict')
    await ask('a time too far ahead', batch(['a'], { atMs: epochMs * 2 }), {}, 'strict')
    await ask('a topic with too few copies', good, {}, 'copied')
    await ask('a topic with too few copies, when one is enough', good, { acks: 1 }, 'copied')
    await ask('with a transactional id', good, { transactionalId: 'tx' }, apart)
    await ask('a topic of the broker itself', good, {}, '__consumer_offsets')
  }
}

/** Batches of producers with a number: duplicates, gaps, epochs. */
const numbered: Theme = async i => {
  for (const version of versionsOf(produce, 3)) {
    const topic = `numbered-v${version}`
    const ask = (what: string, records: Buffer) =>
      i.ask(`of a numbered producer, ${what}`, produce, version, body([{ topic, records }]))
    const id = 4000
    await ask('the first', producer(id, 0, 0))
    await ask('the first again', producer(id, 0, 0))
    await ask('the second', producer(id, 0, 2))
    await ask('the first once more', producer(id, 0, 0))
    await ask('with a gap', producer(id, 0, 9))
    await ask('that overlaps', producer(id, 0, 3))
    await ask('of a newer epoch, not from 0', producer(id, 2, 4))
    await ask('of a newer epoch', producer(id, 2, 0))
    await ask('of an older epoch', producer(id, 1, 0))
    await ask('of the first epoch, again', producer(id, 0, 2))
    await ask('unknown, not from 0', producer(id + 1, 0, 5))
    await ask('unknown, going on', producer(id + 1, 0, 7))
    await ask('of a high epoch', producer(id + 2, 32767, 0))
    await ask('at the end of the numbers', producer(id + 3, 0, 0x7fffffff))
    await ask('behind the end of the numbers', producer(id + 3, 0, 1))
    for (let n = 0; n < 6; n++)
      await i.quietly(produce, version, body([{ topic, records: producer(id + 4, 0, 2 * n) }]))
    await ask('the fifth last again', producer(id + 4, 0, 2))
    await ask('the sixth last again', producer(id + 4, 0, 0))
    const two = [producer(id + 5, 0, 0), producer(id + 5, 0, 2)]
    await ask('two at once', Buffer.concat(two))
    i.note('Produce: of a numbered producer, what is there in the end', version, await endOf(i, topic))
  }
}

const endOf = (i: Interview, name: string) => i.quietly(listOffsets, 5, end(name))

const end = (name: string) => ({
  replicaId: -1,
  topics: [{ name, partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
})

/** Without an answer: what is there afterwards, and whether the connection was kept. */
const unanswered: Theme = async i => {
  for (const version of versionsOf(produce, 3)) {
    const topic = `unanswered-v${version}`
    const bad = altered(good, b => b.writeInt8(3, 16))
    const cases: [string, Place[]][] = [
      ['a batch', [{ topic, records: good }]],
      ['a bad batch', [{ topic, records: bad }]],
      ['an unknown topic', [{ topic: 'nowhere', records: good }]],
    ]
    for (const [what, places] of cases) {
      const client = await i.other()
      client.socket.write(client.encode(produce, version, body(places, { acks: 0 })))
      const answer = await i.within(client.ask(listOffsets, 5, end(topic)))
      // Who is not answered learns nothing of when his records are there.
      if (what === 'a batch')
        await i.until(async () => (await endOf(i, topic)).topics[0]?.partitions[0]?.offset === 3)
      else i.note(`Produce: without an answer, ${what}`, version, answer)
      client.close()
    }
  }
}

export const produced: Theme = async i => {
  await prepare(i)
  for (const theme of [batches, numbered, unanswered]) await theme(i)
}
