import { api, array, int16, int32, int64, int8, string } from '../schema.ts'

/**
 * Timestamps below zero are questions: -1 the end, -2 the start, -3 the record with the largest timestamp (version 7 on),
 * -4 the start of what is on the local disk (version 8 on).
 */
export const listOffsets = api({
  key: 2,
  name: 'ListOffsets',
  versions: '1-8',
  flexible: '6+',
  request: {
    replicaId: int32,
    isolationLevel: int8.since(2).default(0),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        currentLeaderEpoch: int32.since(4).default(-1),
        timestamp: int64,
      }),
    }),
  },
  response: {
    throttleTimeMs: int32.since(2).default(0),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        timestamp: int64.default(-1),
        offset: int64.default(-1),
        leaderEpoch: int32.since(4).default(-1),
      }),
    }),
  },
})
