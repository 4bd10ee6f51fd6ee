// Enters: nothing. Leaves: the list of everything we speak, as ApiVersions tells it to clients.
// Always holds: what is advertised can be read and written, also where it is only read to be refused.
import { assert } from '../../base/assert.ts'
import { alterConfigs } from './apis/alter-configs.ts'
import { alterPartitionReassignments } from './apis/alter-partition-reassignments.ts'
import { apiVersions } from './apis/api-versions.ts'
import { createPartitions } from './apis/create-partitions.ts'
import { createTopics } from './apis/create-topics.ts'
import { deleteGroups } from './apis/delete-groups.ts'
import { deleteRecords } from './apis/delete-records.ts'
import { deleteTopics } from './apis/delete-topics.ts'
import { describeCluster } from './apis/describe-cluster.ts'
import { describeConfigs } from './apis/describe-configs.ts'
import { describeGroups } from './apis/describe-groups.ts'
import { describeLogDirs } from './apis/describe-log-dirs.ts'
import { describeTopicPartitions } from './apis/describe-topic-partitions.ts'
import { electLeaders } from './apis/elect-leaders.ts'
import { fetch } from './apis/fetch.ts'
import { findCoordinator } from './apis/find-coordinator.ts'
import { heartbeat } from './apis/heartbeat.ts'
import { incrementalAlterConfigs } from './apis/incremental-alter-configs.ts'
import { initProducerId } from './apis/init-producer-id.ts'
import { joinGroup } from './apis/join-group.ts'
import { leaveGroup } from './apis/leave-group.ts'
import { listGroups } from './apis/list-groups.ts'
import { listOffsets } from './apis/list-offsets.ts'
import { listPartitionReassignments } from './apis/list-partition-reassignments.ts'
import { metadata } from './apis/metadata.ts'
import { offsetCommit } from './apis/offset-commit.ts'
import { offsetDelete } from './apis/offset-delete.ts'
import { offsetFetch } from './apis/offset-fetch.ts'
import { offsetForLeaderEpoch } from './apis/offset-for-leader-epoch.ts'
import { produce } from './apis/produce.ts'
import { syncGroup } from './apis/sync-group.ts'
import { parseRange, type Api, type Range } from './schema.ts'

export type Spoken = {
  readonly api: Api
  /** What ApiVersions lists. */
  readonly advertised: Range
  /** What is answered with more than UNSUPPORTED_VERSION. */
  readonly served: Range
}

/** Ordered by key. Minimums stay where old clients need them: kafkajs never looks at ours, librdkafka wants exact windows. */
export const registry: readonly Spoken[] = [
  // librdkafka 2.0 turns compression off unless version 0 is there; what is below 3 is refused.
  speak(produce, '0-12', 3),
  // Version 13 asks by topic id, and Java uses it as soon as it is there.
  speak(fetch, '4-12'),
  speak(listOffsets, '1-8'),
  speak(metadata, '0-12'),
  speak(offsetCommit, '2-9'),
  speak(offsetFetch, '1-9'),
  speak(findCoordinator, '0-5'),
  speak(joinGroup, '0-9'),
  speak(heartbeat, '0-4'),
  speak(leaveGroup, '0-5'),
  speak(syncGroup, '0-5'),
  speak(describeGroups, '0-5'),
  speak(listGroups, '0-5'),
  speak(apiVersions, '0-4'),
  speak(createTopics, '2-7'),
  speak(deleteTopics, '1-6'),
  speak(deleteRecords, '0-2'),
  speak(initProducerId, '0-5'),
  speak(offsetForLeaderEpoch, '2-4'),
  speak(describeConfigs, '1-4'),
  speak(alterConfigs, '0-2'),
  speak(describeLogDirs, '1-4'),
  speak(createPartitions, '0-3'),
  speak(deleteGroups, '0-2'),
  speak(electLeaders, '0-2'),
  speak(incrementalAlterConfigs, '0-1'),
  speak(alterPartitionReassignments, '0-1'),
  speak(listPartitionReassignments, '0-0'),
  speak(offsetDelete, '0-0'),
  speak(describeCluster, '0-2'),
  speak(describeTopicPartitions, '0-0'),
]

function speak(api: Api, versions: `${number}-${number}`, servedMin?: number): Spoken {
  const advertised = parseRange(versions)
  assert(advertised.min >= api.versions.min, `${api.name} can be read from where we advertise it`)
  assert(advertised.max <= api.versions.max, `${api.name} can be read up to where we advertise it`)
  return { api, advertised, served: { min: servedMin ?? advertised.min, max: advertised.max } }
}

const byKey = new Map(registry.map(spoken => [spoken.api.key, spoken]))

/** The entry of an API key, or undefined for one we do not speak. */
export const spokenFor = (apiKey: number): Spoken | undefined => byKey.get(apiKey)
