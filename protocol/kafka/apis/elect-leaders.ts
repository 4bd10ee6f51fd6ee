import { api, array, int16, int32, int8, string } from '../schema.ts'

/** `electionType` 0 is for preferred leaders, 1 for leaders that were not in sync. Without `topicPartitions` all are meant. */
export const electLeaders = api({
  key: 43,
  name: 'ElectLeaders',
  versions: '0-2',
  flexible: '2+',
  request: {
    electionType: int8.since(1).default(0),
    topicPartitions: array({ topic: string, partitions: array(int32) }).nullable(),
    timeoutMs: int32.default(60_000),
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16.since(1).default(0),
    replicaElectionResults: array({
      topic: string,
      partitionResult: array({
        partitionId: int32,
        errorCode: int16,
        errorMessage: string.nullable(),
      }),
    }),
  },
})
