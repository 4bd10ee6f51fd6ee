import { api, array, int16, int32, int64, records, string, struct } from '../schema.ts'

/** Versions below 3 carry message formats older than record batches: they are read only so that they can be refused. */
export const produce = api({
  key: 0,
  name: 'Produce',
  versions: '0-12',
  flexible: '9+',
  request: {
    transactionalId: string.since(3).nullable(3).default(null),
    acks: int16,
    timeoutMs: int32,
    topicData: array({
      name: string,
      partitionData: array({ index: int32, records: records.nullable() }),
    }),
  },
  response: {
    responses: array({
      name: string,
      partitionResponses: array({
        index: int32,
        errorCode: int16,
        baseOffset: int64,
        logAppendTimeMs: int64.since(2).default(-1),
        logStartOffset: int64.since(5).default(-1),
        recordErrors: array({
          batchIndex: int32,
          batchIndexErrorMessage: string.nullable(8).default(null),
        })
          .since(8)
          .default([]),
        errorMessage: string.since(8).nullable(8).default(null),
        currentLeader: struct({
          leaderId: int32.default(-1),
          leaderEpoch: int32.default(-1),
        }).tagged(0, 10),
      }),
    }),
    throttleTimeMs: int32.since(1).default(0),
    nodeEndpoints: array({
      nodeId: int32,
      host: string,
      port: int32,
      rack: string.nullable(10).default(null),
    }).tagged(0, 10),
  },
})
