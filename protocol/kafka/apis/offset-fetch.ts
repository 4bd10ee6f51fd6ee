import { api, array, bool, int16, int32, int64, string } from '../schema.ts'

/** Up to version 7 one group is asked for beside the list, from 8 on many. A null list of topics asks for all there are. */
export const offsetFetch = api({
  key: 9,
  name: 'OffsetFetch',
  versions: '1-9',
  flexible: '6+',
  request: {
    groupId: string.until(7).default(''),
    topics: array({ name: string, partitionIndexes: array(int32) })
      .until(7)
      .nullable(2)
      .default([]),
    groups: array({
      groupId: string,
      memberId: string.since(9).nullable(9).default(null),
      memberEpoch: int32.since(9).default(-1),
      topics: array({ name: string, partitionIndexes: array(int32) }).nullable(8),
    })
      .since(8)
      .default([]),
    requireStable: bool.since(7).default(false),
  },
  response: {
    throttleTimeMs: int32.since(3).default(0),
    topics: array({
      name: string,
      partitions: array({
        partitionIndex: int32,
        committedOffset: int64,
        committedLeaderEpoch: int32.since(5).default(-1),
        metadata: string.nullable(),
        errorCode: int16,
      }),
    })
      .until(7)
      .default([]),
    errorCode: int16.since(2).until(7).default(0),
    groups: array({
      groupId: string,
      topics: array({
        name: string,
        partitions: array({
          partitionIndex: int32,
          committedOffset: int64,
          committedLeaderEpoch: int32.default(-1),
          metadata: string.nullable(),
          errorCode: int16,
        }),
      }),
      errorCode: int16.default(0),
    })
      .since(8)
      .default([]),
  },
})
