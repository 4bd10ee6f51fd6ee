/** Copies of compacted topics: a leader has less than what its followers were sent, and the offsets mean the same everywhere. */
import { expect, test } from 'vitest'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { offset } from '../../base/quantities.ts'
import { batchBytesOf, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords } from '../../protocol/kafka/records.ts'
import { append } from './broker.ts'
import { SimCluster, type SimNode } from './cluster.ts'

const settings = {
  'cleanup.policy': 'compact',
  'segment.bytes': '1500',
  'min.cleanable.dirty.ratio': '0',
  'file.delete.delay.ms': '0',
}

async function compacting(seed: number) {
  const cluster = new SimCluster({ seed, brokers: 3 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', settings)
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  let written = 0
  const leader = (): Tablet => {
    const tablet = cluster.leader(topic.id)
    if (tablet === undefined) throw new Error('nobody leads')
    return tablet
  }
  const nodeOf = (tablet: Tablet): SimNode => {
    const node = cluster.nodes.find(({ id }) => id === tablet.leader)
    if (node === undefined) throw new Error('nobody leads')
    return node
  }
  return {
    cluster,
    topic,
    leader,
    nodeOf,
    /** One record of the key in a batch of its own. */
    write: async (key: string): Promise<void> => {
      const record = {
        key: Buffer.from(key),
        value: Buffer.from(String(written++)),
        headers: [],
        timestamp: 1,
      }
      const answer = await cluster.clock.finish(append(leader(), buildBatch([record]), -1))
      if (!('baseOffset' in answer)) throw answer.refusal
    },
    compact: async (node: SimNode): Promise<void> => {
      if (node.broker === undefined) throw new Error('it does not run')
      const { tablets } = node.broker
      for (const tablet of tablets.all()) await cluster.clock.finish(tablet.checkpoint())
      await cluster.clock.finish(node.broker.compact())
    },
    /** The newest value of each key, and where it stands. */
    newest: async (tablet: Tablet): Promise<Map<string, string>> => {
      const seen = new Map<string, string>()
      for (let at = 0; at < tablet.highWatermark;) {
        const batches = await cluster.clock.finish(Promise.resolve(tablet.read(offset(at), 10_000, true)))
        for (const piece of batches.pieces) {
          for (let from = 0; from < piece.length; from += batchBytesOf(piece, from)) {
            for (const record of readRecords(piece, from, 1_000))
              seen.set(String(record.key), `${String(record.value)} at ${record.offset}`)
            at = lastOffsetOf(piece, from) + 1
          }
        }
        batches.release()
      }
      return seen
    },
  }
}

test('a follower goes on in the middle of what its leader has joined', async () => {
  const { cluster, topic, leader, nodeOf, write, compact, newest } = await compacting(1)
  for (let n = 0; n < 20; n++) await write('a')
  const old = nodeOf(leader())
  const away = cluster.nodes.find(node => node !== old)
  away?.kill()
  for (let n = 0; n < 60; n++) await write('a')
  await write('b')
  for (const node of cluster.nodes) if (node !== away) await compact(node)
  const before = await newest(leader())
  expect(leader().keeping?.compaction?.counters.recordsRemoved).toBeGreaterThan(50)
  away?.start()
  await cluster.until(() => cluster.replicas(topic.id).every(({ tablet }) => tablet.highWatermark === 81))
  for (const node of cluster.nodes) if (node !== away) node.kill()
  // It was let in before the others went.
  await cluster.until(() => cluster.leader(topic.id)?.leader === away?.id)
  expect(await newest(leader())).toEqual(before)
})
