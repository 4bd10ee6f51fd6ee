import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { TestClient } from '../../broker/doors/kafka/client.fixture.ts'
import { deleteGroups } from '../../protocol/kafka/apis/delete-groups.ts'
import { findCoordinator } from '../../protocol/kafka/apis/find-coordinator.ts'
import { listGroups } from '../../protocol/kafka/apis/list-groups.ts'
import { offsetCommit } from '../../protocol/kafka/apis/offset-commit.ts'
import { offsetFetch } from '../../protocol/kafka/apis/offset-fetch.ts'
import { explainFailures, foreignBootstrap, isKafka, startBroker, type Broker } from './broker.ts'
import { createTopic } from './topics.ts'

let broker: Broker | undefined
let data = ''
explainFailures(() => broker?.log() ?? '')
afterEach(async () => {
  await broker?.stop()
  await rm(data, { recursive: true, force: true })
})

const settings = {
  'offsets.topic.num.partitions': '2',
  'offsets.topic.segment.bytes': '10000',
  'log.cleaner.backoff.ms': '50',
  'stele.compaction.time.share': '1',
  'log.flush.offset.checkpoint.interval.ms': '200',
}
const groups = ['a', 'b', 'c']

describe.skipIf(isKafka || foreignBootstrap !== undefined)('the log of committed offsets', () => {
  test('is compacted while it is written, and nothing that counts is lost', async () => {
    data = await mkdtemp(join(tmpdir(), 'stele-group-compaction-'))
    broker = await startBroker({ data, settings })
    const topic = await createTopic(broker.kafka, 'committed', 4)
    let client = await TestClient.open(Number(broker.kafka.split(':').at(-1)))
    await client.ask(findCoordinator, 4, { coordinatorKeys: groups })
    const commit = async (groupId: string, committedOffset: number): Promise<void> => {
      const partitions = [0, 1, 2, 3].map(partitionIndex => ({
        partitionIndex,
        committedOffset,
        committedMetadata: '',
      }))
      const { topics } = await client.ask(offsetCommit, 7, {
        groupId,
        memberId: '',
        topics: [{ name: topic, partitions }],
      })
      expect(topics[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([0, 0, 0, 0])
    }
    const sizeBytes = async (): Promise<number> => {
      const described = await fetch(`${broker?.http}/v1/topics/__consumer_offsets`)
      const { partitions } = (await described.json()) as { partitions: { size_bytes: number }[] }
      return partitions.reduce((sum, partition) => sum + partition.size_bytes, 0)
    }

    await commit('gone', 1)
    let written = 0
    for (; written < 400; written++) for (const group of groups) await commit(group, written)
    await client.ask(deleteGroups, 2, { groupsNames: ['gone'] })
    // About 250 bytes a commit were written, and at most a few segments stay.
    while ((await sizeBytes()) > 80_000) await commit('a', written - 1)

    client.close()
    await broker.kill('SIGKILL')
    broker = await startBroker({ data, settings })
    client = await TestClient.open(Number(broker.kafka.split(':').at(-1)))
    const listed = async () => await client.ask(listGroups, 5, {})
    while ((await listed()).errorCode !== 0) await new Promise(resolve => setTimeout(resolve, 20))
    expect(new Set((await listed()).groups.map(({ groupId }) => groupId))).toEqual(new Set(groups))
    for (const groupId of groups) {
      const { topics } = await client.ask(offsetFetch, 7, { groupId, topics: null })
      expect(topics[0]?.partitions.map(({ committedOffset }) => committedOffset)).toEqual(
        Array(4).fill(written - 1),
      )
    }
    client.close()
  })
})
