import { api, array, bool, int16, int32, string, struct, uuid } from '../schema.ts'

const cursor = struct({ topicName: string, partitionIndex: int32 }).nullable().default(null)

/** Answer eligible leader replicas with lists, never null: Java's TopicCommand does not expect null there. */
export const describeTopicPartitions = api({
  key: 75,
  name: 'DescribeTopicPartitions',
  versions: '0-0',
  flexible: '0+',
  request: {
    topics: array({ name: string }),
    responsePartitionLimit: int32.default(2000),
    cursor,
  },
  response: {
    throttleTimeMs: int32.default(0),
    topics: array({
      errorCode: int16,
      name: string.nullable(),
      topicId: uuid,
      isInternal: bool.default(false),
      partitions: array({
        errorCode: int16,
        partitionIndex: int32,
        leaderId: int32,
        leaderEpoch: int32.default(-1),
        replicaNodes: array(int32),
        isrNodes: array(int32),
        eligibleLeaderReplicas: array(int32).nullable().default(null),
        lastKnownElr: array(int32).nullable().default(null),
        offlineReplicas: array(int32),
      }),
      topicAuthorizedOperations: int32.default(-2147483648),
    }),
    nextCursor: cursor,
  },
})
