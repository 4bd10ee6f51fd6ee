import type { TabletAssignment, Topic } from '../../../../control/model.ts'
import { isNamed } from '../../../replication/out-of-sync.ts'
import type { Router } from '../../../router/router.ts'
import { codeOf } from './handler.ts'

/** What a client may do, as Kafka answers it without an authorizer: a bit an AclOperation. */
export const topicOperations = bits([3, 4, 5, 6, 7, 8, 10, 11])
export const groupOperations = bits([3, 6, 8, 10, 11])
export const clusterOperations = bits([5, 7, 8, 9, 10, 11, 12])
/** Was not asked for. */
export const operationsUnasked = -0x8000_0000

function bits(operations: readonly number[]): number {
  return operations.reduce((all, operation) => all | (1 << operation), 0)
}

/** One tablet as Metadata and DescribeTopicPartitions tell it. One that nobody serves has no leader. */
export function describeTablet(
  router: Router,
  topic: Topic,
  partitionIndex: number,
  tablet: TabletAssignment,
) {
  const here = tablet.leader === router.self
  const served =
    tablet.leader !== undefined &&
    isNamed(tablet) &&
    !router.isDown(tablet.leader) &&
    router.isAlive(tablet.leader) &&
    (!here || router.find(topic.name, partitionIndex)?.role === 'leader')
  return {
    errorCode: served ? 0 : codeOf('LEADER_NOT_AVAILABLE'),
    partitionIndex,
    leaderId: served ? (tablet.leader ?? -1) : -1,
    leaderEpoch: tablet.epoch,
    replicaNodes: tablet.replicas,
    isrNodes: tablet.isr.map(member => member.broker),
    offlineReplicas: tablet.replicas.filter(id =>
      id === router.self ? here && !served : !router.isAlive(id),
    ),
  }
}
