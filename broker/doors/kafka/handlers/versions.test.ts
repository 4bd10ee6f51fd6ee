import { afterAll, beforeAll, expect, test } from 'vitest'
import { alterConfigs } from '../../../../protocol/kafka/apis/alter-configs.ts'
import { alterPartitionReassignments } from '../../../../protocol/kafka/apis/alter-partition-reassignments.ts'
import { apiVersions } from '../../../../protocol/kafka/apis/api-versions.ts'
import { createPartitions } from '../../../../protocol/kafka/apis/create-partitions.ts'
import { createTopics } from '../../../../protocol/kafka/apis/create-topics.ts'
import { deleteGroups } from '../../../../protocol/kafka/apis/delete-groups.ts'
import { deleteRecords } from '../../../../protocol/kafka/apis/delete-records.ts'
import { deleteTopics } from '../../../../protocol/kafka/apis/delete-topics.ts'
import { describeCluster } from '../../../../protocol/kafka/apis/describe-cluster.ts'
import { describeConfigs } from '../../../../protocol/kafka/apis/describe-configs.ts'
import { describeGroups } from '../../../../protocol/kafka/apis/describe-groups.ts'
import { describeLogDirs } from '../../../../protocol/kafka/apis/describe-log-dirs.ts'
import { describeTopicPartitions } from '../../../../protocol/kafka/apis/describe-topic-partitions.ts'
import { electLeaders } from '../../../../protocol/kafka/apis/elect-leaders.ts'
import { fetch } from '../../../../protocol/kafka/apis/fetch.ts'
import { findCoordinator } from '../../../../protocol/kafka/apis/find-coordinator.ts'
import { heartbeat } from '../../../../protocol/kafka/apis/heartbeat.ts'
import { incrementalAlterConfigs } from '../../../../protocol/kafka/apis/incremental-alter-configs.ts'
import { initProducerId } from '../../../../protocol/kafka/apis/init-producer-id.ts'
import { joinGroup } from '../../../../protocol/kafka/apis/join-group.ts'
import { leaveGroup } from '../../../../protocol/kafka/apis/leave-group.ts'
import { listGroups } from '../../../../protocol/kafka/apis/list-groups.ts'
import { listOffsets } from '../../../../protocol/kafka/apis/list-offsets.ts'
import { listPartitionReassignments } from '../../../../protocol/kafka/apis/list-partition-reassignments.ts'
import { metadata } from '../../../../protocol/kafka/apis/metadata.ts'
import { offsetCommit } from '../../../../protocol/kafka/apis/offset-commit.ts'
import { offsetDelete } from '../../../../protocol/kafka/apis/offset-delete.ts'
import { offsetFetch } from '../../../../protocol/kafka/apis/offset-fetch.ts'
import { offsetForLeaderEpoch } from '../../../../protocol/kafka/apis/offset-for-leader-epoch.ts'
import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import { syncGroup } from '../../../../protocol/kafka/apis/sync-group.ts'
import { registry } from '../../../../protocol/kafka/registry.ts'
import type { Api, Shape, Written } from '../../../../protocol/kafka/schema.ts'
import { batchOf, fetchBody, makeTopic, produceBody, TestBroker } from '../broker.fixture.ts'
import type { TestClient } from '../client.fixture.ts'

let broker: TestBroker
let client: TestClient
beforeAll(async () => {
  broker = await TestBroker.start({ 'offsets.topic.num.partitions': '3' })
  client = await broker.client()
  await client.ask(findCoordinator, 0, { key: 'any' })
  await makeTopic(client, 'known', 3)
  await makeTopic(client, 'written')
  await client.ask(produce, 9, produceBody('known', batchOf('a', 'b')))
})
afterAll(() => broker.stop())

const noId = 'AAAAAAAAAAAAAAAAAAAAAA'
const topicResource = { resourceType: 2, resourceName: 'known' }
const brokerResource = { resourceType: 4, resourceName: '0' }
const consumerRange = { protocolType: 'consumer', protocolName: 'range' }
const software = { clientSoftwareName: 'test', clientSoftwareVersion: '1.0' }

type Case = {
  readonly api: Api
  readonly ask: (version: number) => Promise<unknown>
  readonly expected: (version: number) => object
}

/** `expected` is what must stand in the answer to `body`. */
const everyVersion = <Request extends Shape, Response extends Shape>(
  api: Api<Request, Response>,
  body: (version: number) => Written<Request>,
  expected: (version: number) => object,
): Case => ({ api, ask: version => client.ask(api, version, body(version)), expected })

const cases: Case[] = [
  everyVersion(
    produce,
    version => produceBody('written', version < 3 ? null : batchOf('x')),
    version => ({
      responses: [{ name: 'written', partitionResponses: [{ index: 0, errorCode: version < 3 ? 35 : 0 }] }],
    }),
  ),
  everyVersion(
    fetch,
    () => fetchBody('known'),
    () => ({
      errorCode: 0,
      responses: [{ topic: 'known', partitions: [{ errorCode: 0, highWatermark: 2, lastStableOffset: 2 }] }],
    }),
  ),
  everyVersion(
    apiVersions,
    () => software,
    () => ({
      errorCode: 0,
      apiKeys: registry.map(({ api, advertised }) => ({
        apiKey: api.key,
        minVersion: advertised.min,
        maxVersion: advertised.max,
      })),
    }),
  ),
  everyVersion(
    electLeaders,
    () => ({ topicPartitions: [{ topic: 'known', partitions: [0, 3] }], timeoutMs: 1_000 }),
    () => ({
      errorCode: 0,
      replicaElectionResults: [
        {
          topic: 'known',
          partitionResult: [
            { partitionId: 0, errorCode: 84 },
            { partitionId: 3, errorCode: 3 },
          ],
        },
      ],
    }),
  ),
  everyVersion(
    metadata,
    () => ({
      topics: [{ topicId: noId, name: 'known' }],
      allowAutoTopicCreation: false,
      includeClusterAuthorizedOperations: true,
      includeTopicAuthorizedOperations: true,
    }),
    version => ({
      brokers: [{ nodeId: 0, host: '127.0.0.1', port: broker.port, rack: null }],
      controllerId: version >= 1 ? 0 : -1,
      topics: [
        {
          errorCode: 0,
          name: 'known',
          partitions: [0, 1, 2].map(partitionIndex => ({
            errorCode: 0,
            partitionIndex,
            leaderId: 0,
            replicaNodes: [0],
            isrNodes: [0],
          })),
          topicAuthorizedOperations: version >= 8 ? 3576 : -0x8000_0000,
        },
      ],
      clusterAuthorizedOperations: version >= 8 && version <= 10 ? 8096 : -0x8000_0000,
    }),
  ),
  everyVersion(
    listOffsets,
    () => ({
      replicaId: -1,
      topics: [{ name: 'known', partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
    }),
    () => ({ topics: [{ name: 'known', partitions: [{ partitionIndex: 0, errorCode: 0, offset: 2 }] }] }),
  ),
  everyVersion(
    offsetCommit,
    version => ({
      groupId: `commits-${version}`,
      memberId: '',
      topics: [
        {
          name: 'known',
          partitions: [
            { partitionIndex: 0, committedOffset: 7, committedMetadata: null },
            { partitionIndex: 9, committedOffset: 7, committedMetadata: null },
          ],
        },
      ],
    }),
    () => ({
      topics: [
        {
          name: 'known',
          partitions: [
            { partitionIndex: 0, errorCode: 0 },
            { partitionIndex: 9, errorCode: 3 },
          ],
        },
      ],
    }),
  ),
  everyVersion(
    offsetFetch,
    version => {
      const topics = [{ name: 'known', partitionIndexes: [0] }]
      return version < 8 ? { groupId: 'nobody', topics } : { groups: [{ groupId: 'nobody', topics }] }
    },
    version => {
      const nothing = { partitionIndex: 0, committedOffset: -1, metadata: '', errorCode: 0 }
      const topics = [{ name: 'known', partitions: [nothing] }]
      return version < 8
        ? { errorCode: 0, topics }
        : { groups: [{ groupId: 'nobody', errorCode: 0, topics }] }
    },
  ),
  everyVersion(
    findCoordinator,
    version => (version < 4 ? { key: 'group' } : { coordinatorKeys: ['group', 'other'] }),
    version => {
      const here = { errorCode: 0, nodeId: 0, host: '127.0.0.1', port: broker.port }
      return version < 4
        ? here
        : {
            coordinators: [
              { key: 'group', ...here },
              { key: 'other', ...here },
            ],
          }
    },
  ),
  everyVersion(
    joinGroup,
    version => ({
      groupId: `joins-${version}`,
      sessionTimeoutMs: 10_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('m') }],
    }),
    version =>
      version < 4
        ? { errorCode: 0, generationId: 1, protocolName: 'range', members: [{ metadata: Buffer.from('m') }] }
        : { errorCode: 79, generationId: -1, memberId: expect.stringMatching(/^test-/), members: [] },
  ),
  everyVersion(
    heartbeat,
    () => ({ groupId: 'nobody', generationId: 1, memberId: 'm' }),
    () => ({ errorCode: 25 }),
  ),
  everyVersion(
    leaveGroup,
    version =>
      version < 3
        ? { groupId: 'commits-2', memberId: 'm' }
        : { groupId: 'commits-2', members: [{ memberId: 'm' }] },
    version =>
      version < 3 ? { errorCode: 25 } : { errorCode: 0, members: [{ memberId: 'm', errorCode: 25 }] },
  ),
  everyVersion(
    syncGroup,
    () => ({ groupId: 'nobody', generationId: 1, memberId: 'm', ...consumerRange, assignments: [] }),
    () => ({ errorCode: 25, assignment: Buffer.alloc(0) }),
  ),
  everyVersion(
    describeGroups,
    () => ({ groups: ['nobody'], includeAuthorizedOperations: true }),
    version => ({
      groups: [
        {
          groupId: 'nobody',
          errorCode: 0,
          groupState: 'Dead',
          members: [],
          authorizedOperations: version >= 3 ? 3400 : -0x8000_0000,
        },
      ],
    }),
  ),
  everyVersion(
    listGroups,
    () => ({ statesFilter: ['empty'], typesFilter: ['classic'] }),
    version => ({
      errorCode: 0,
      groups: expect.arrayContaining([
        expect.objectContaining({
          groupId: 'commits-2',
          groupState: version >= 4 ? 'Empty' : '',
          groupType: version >= 5 ? 'classic' : '',
        }),
      ]),
    }),
  ),
  everyVersion(
    deleteGroups,
    () => ({ groupsNames: ['nobody'] }),
    () => ({ results: [{ groupId: 'nobody', errorCode: 69 }] }),
  ),
  everyVersion(
    offsetDelete,
    () => ({ groupId: 'nobody', topics: [] }),
    () => ({ errorCode: 69, topics: [] }),
  ),
  everyVersion(
    createTopics,
    version => ({
      topics: [
        {
          name: `made-${version}`,
          numPartitions: 2,
          replicationFactor: -1,
          assignments: [],
          configs: [{ name: 'retention.ms', value: '1000' }],
        },
      ],
    }),
    version => ({
      topics: [
        {
          name: `made-${version}`,
          errorCode: 0,
          errorMessage: null,
          ...(version >= 5 ? { numPartitions: 2, replicationFactor: 1 } : {}),
        },
      ],
    }),
  ),
  everyVersion(
    createPartitions,
    version => ({
      topics: [{ name: 'known', count: 4 + version, assignments: null }],
      timeoutMs: 1_000,
      validateOnly: true,
    }),
    () => ({ results: [{ name: 'known', errorCode: 0, errorMessage: null }] }),
  ),
  everyVersion(
    alterPartitionReassignments,
    () => ({
      topics: [
        {
          name: 'known',
          partitions: [
            { partitionIndex: 0, replicas: [0] },
            { partitionIndex: 1, replicas: null },
            { partitionIndex: 2, replicas: [0, 7] },
            { partitionIndex: 3, replicas: [0] },
          ],
        },
      ],
    }),
    () => ({
      errorCode: 0,
      errorMessage: null,
      responses: [
        {
          name: 'known',
          partitions: [
            { partitionIndex: 0, errorCode: 0, errorMessage: null },
            { partitionIndex: 1, errorCode: 85, errorMessage: 'no replica of partition 1 moves' },
            {
              partitionIndex: 2,
              errorCode: 39,
              errorMessage: 'partition 2 would be on broker 7; there are brokers 0',
            },
            { partitionIndex: 3, errorCode: 3, errorMessage: 'known has no partition 3' },
          ],
        },
      ],
    }),
  ),
  everyVersion(
    listPartitionReassignments,
    () => ({ topics: null }),
    () => ({ errorCode: 0, errorMessage: null, topics: [] }),
  ),
  everyVersion(
    deleteRecords,
    () => ({ topics: [{ name: 'known', partitions: [{ partitionIndex: 1, offset: 0 }] }], timeoutMs: 1_000 }),
    () => ({
      topics: [{ name: 'known', partitions: [{ partitionIndex: 1, lowWatermark: 0, errorCode: 0 }] }],
    }),
  ),
  everyVersion(
    initProducerId,
    () => ({ transactionalId: null, transactionTimeoutMs: 0 }),
    () => ({ errorCode: 0, producerEpoch: 0 }),
  ),
  everyVersion(
    offsetForLeaderEpoch,
    () => ({ topics: [{ topic: 'known', partitions: [{ partition: 0, leaderEpoch: 0 }] }] }),
    () => ({
      topics: [
        { topic: 'known', partitions: [{ partition: 0, errorCode: 0, leaderEpoch: 0, endOffset: 2 }] },
      ],
    }),
  ),
  everyVersion(
    describeConfigs,
    () => ({
      resources: [
        { ...topicResource, configurationKeys: ['retention.ms'] },
        { ...brokerResource, configurationKeys: ['num.partitions'] },
      ],
      includeSynonyms: true,
      includeDocumentation: true,
    }),
    version => ({
      results: [
        {
          ...topicResource,
          errorCode: 0,
          configs: [
            {
              name: 'retention.ms',
              readOnly: false,
              configSource: 5,
              configType: version >= 3 ? 5 : 0,
              synonyms: [{ name: 'log.retention.ms', source: 5 }],
            },
          ],
        },
        {
          ...brokerResource,
          errorCode: 0,
          configs: [
            {
              name: 'num.partitions',
              value: '1',
              readOnly: true,
              configSource: 5,
              synonyms: [{ name: 'num.partitions' }],
            },
          ],
        },
      ],
    }),
  ),
  everyVersion(
    alterConfigs,
    () => ({
      resources: [{ ...topicResource, configs: [{ name: 'retention.ms', value: '5000' }] }],
      validateOnly: true,
    }),
    () => ({ responses: [{ ...topicResource, errorCode: 0, errorMessage: null }] }),
  ),
  everyVersion(
    incrementalAlterConfigs,
    () => ({
      resources: [
        { ...topicResource, configs: [{ name: 'segment.ms', configOperation: 0, value: '60000' }] },
      ],
      validateOnly: false,
    }),
    () => ({ responses: [{ ...topicResource, errorCode: 0, errorMessage: null }] }),
  ),
  everyVersion(
    describeLogDirs,
    () => ({ topics: [{ topic: 'known', partitions: [0] }] }),
    () => ({
      errorCode: 0,
      results: [
        {
          errorCode: 0,
          topics: [{ name: 'known', partitions: [{ partitionIndex: 0, offsetLag: 0, isFutureKey: false }] }],
        },
      ],
    }),
  ),
  everyVersion(
    describeCluster,
    () => ({ includeClusterAuthorizedOperations: true }),
    () => ({
      errorCode: 0,
      controllerId: 0,
      clusterAuthorizedOperations: 8096,
      brokers: [{ brokerId: 0, host: '127.0.0.1', port: broker.port }],
    }),
  ),
  everyVersion(
    describeTopicPartitions,
    () => ({ topics: [{ name: 'known' }], responsePartitionLimit: 2 }),
    () => ({
      topics: [
        {
          name: 'known',
          errorCode: 0,
          partitions: [
            { partitionIndex: 0, eligibleLeaderReplicas: [] },
            { partitionIndex: 1, lastKnownElr: [] },
          ],
        },
      ],
      nextCursor: { topicName: 'known', partitionIndex: 2 },
    }),
  ),
  everyVersion(
    deleteTopics,
    version =>
      version < 6
        ? { topicNames: ['nowhere'], timeoutMs: 1_000 }
        : { topics: [{ name: 'nowhere', topicId: noId }], timeoutMs: 1_000 },
    () => ({ responses: [{ name: 'nowhere', errorCode: 3 }] }),
  ),
]

const asked = cases.flatMap(({ api, ask, expected }) => {
  const { min, max } = registry.find(spoken => spoken.api === api)?.advertised ?? { min: 0, max: -1 }
  return Array.from({ length: max - min + 1 }, (_, n) => ({
    name: api.name,
    version: min + n,
    ask,
    expected,
  }))
})

test.each(asked)('$name version $version', async ({ version, ask, expected }) => {
  expect(await ask(version)).toMatchObject(expected(version))
})

test('every API we advertise is asked here', () => {
  expect(new Set(cases.map(({ api }) => api))).toEqual(new Set(registry.map(({ api }) => api)))
})
