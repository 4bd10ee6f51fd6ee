/**
 * Every API the door serves, and what happens to a request that it does not: the connection is closed with a line in the
 * log, as Kafka does. The two exceptions are those that clients try on purpose.
 */
import { assert } from '../../../../base/assert.ts'
import { apiVersions } from '../../../../protocol/kafka/apis/api-versions.ts'
import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import { registry } from '../../../../protocol/kafka/registry.ts'
import type { Answer, Arrival, Serve } from '../answer.ts'
import { alterConfigsHandler, incrementalAlterConfigsHandler } from './alter-configs.ts'
import { apiVersionsHandler, unknownApiVersions } from './api-versions.ts'
import {
  alterPartitionReassignmentsHandler,
  listPartitionReassignmentsHandler,
} from './partition-reassignments.ts'
import { createPartitionsHandler } from './create-partitions.ts'
import { createTopicsHandler } from './create-topics.ts'
import { deleteGroupsHandler } from './delete-groups.ts'
import { deleteRecordsHandler } from './delete-records.ts'
import { deleteTopicsHandler } from './delete-topics.ts'
import { describeClusterHandler } from './describe-cluster.ts'
import { describeConfigsHandler } from './describe-configs.ts'
import { describeGroupsHandler } from './describe-groups.ts'
import { describeLogDirsHandler } from './describe-log-dirs.ts'
import { describeTopicPartitionsHandler } from './describe-topic-partitions.ts'
import { electLeadersHandler } from './elect-leaders.ts'
import { fetchHandler } from './fetch.ts'
import { findCoordinatorHandler } from './find-coordinator.ts'
import type { Desk, Handler } from './handler.ts'
import { heartbeatHandler } from './heartbeat.ts'
import { initProducerIdHandler } from './init-producer-id.ts'
import { joinGroupHandler } from './join-group.ts'
import { leaveGroupHandler } from './leave-group.ts'
import { listGroupsHandler } from './list-groups.ts'
import { listOffsetsHandler } from './list-offsets.ts'
import { metadataHandler } from './metadata.ts'
import { offsetCommitHandler } from './offset-commit.ts'
import { offsetDeleteHandler } from './offset-delete.ts'
import { offsetFetchHandler } from './offset-fetch.ts'
import { offsetForLeaderEpochHandler } from './offset-for-leader-epoch.ts'
import { produceHandler } from './produce.ts'
import { oldProduce } from './produce-old.ts'
import { syncGroupHandler } from './sync-group.ts'

const makers: readonly ((desk: Desk) => Handler)[] = [
  produceHandler,
  fetchHandler,
  listOffsetsHandler,
  metadataHandler,
  offsetCommitHandler,
  offsetFetchHandler,
  findCoordinatorHandler,
  joinGroupHandler,
  heartbeatHandler,
  leaveGroupHandler,
  syncGroupHandler,
  describeGroupsHandler,
  listGroupsHandler,
  apiVersionsHandler,
  createTopicsHandler,
  deleteTopicsHandler,
  deleteRecordsHandler,
  initProducerIdHandler,
  offsetForLeaderEpochHandler,
  describeConfigsHandler,
  alterConfigsHandler,
  describeLogDirsHandler,
  createPartitionsHandler,
  deleteGroupsHandler,
  electLeadersHandler,
  incrementalAlterConfigsHandler,
  alterPartitionReassignmentsHandler,
  listPartitionReassignmentsHandler,
  offsetDeleteHandler,
  describeClusterHandler,
  describeTopicPartitionsHandler,
]

/** Serves every request of a door. What we advertise and what we serve are the same, or the broker does not start. */
export function serveAll(desk: Desk): Serve {
  const table: (Handler | undefined)[] = []
  for (const make of makers) {
    const handler = make(desk)
    table[handler.api.key] = handler
  }
  for (const { api } of registry)
    assert(table[api.key]?.api === api, `${api.name} is advertised and has a handler`)
  assert(makers.length === registry.length, 'every handler is advertised')
  return arrival => {
    const { header } = arrival
    const handler = table[header.apiKey]
    if (handler === undefined || !header.served()) return refuse(arrival)
    desk.counters.request(handler.api.name)
    return handler.serve(arrival)
  }
}

function refuse(arrival: Arrival): Answer | undefined {
  const { connection, header } = arrival
  const { apiKey, apiVersion, spoken } = header
  if (apiKey === apiVersions.key) return unknownApiVersions(arrival)
  if (apiKey === produce.key && apiVersion >= 0 && apiVersion < (spoken?.served.min ?? 0)) {
    return oldProduce(arrival)
  }
  connection.broken(
    spoken === undefined
      ? `asks for API ${apiKey}, which is not served`
      : `asks for ${spoken.api.name} version ${apiVersion}, ${spoken.advertised.min} to ${spoken.advertised.max} are served`,
  )
  return undefined
}
