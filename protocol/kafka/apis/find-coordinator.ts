import { api, array, int16, int32, int8, string } from '../schema.ts'

/** Key types: 0 group, 1 transaction. Up to version 3 one key is asked for and answered beside the list, from 4 on many. */
export const findCoordinator = api({
  key: 10,
  name: 'FindCoordinator',
  versions: '0-5',
  flexible: '3+',
  request: {
    key: string.until(3).default(''),
    keyType: int8.since(1).default(0),
    coordinatorKeys: array(string).since(4).default([]),
  },
  response: {
    throttleTimeMs: int32.since(1).default(0),
    errorCode: int16.until(3).default(0),
    errorMessage: string.since(1).until(3).nullable(1).default(''),
    nodeId: int32.until(3).default(0),
    host: string.until(3).default(''),
    port: int32.until(3).default(0),
    coordinators: array({
      key: string,
      nodeId: int32,
      host: string,
      port: int32,
      errorCode: int16,
      errorMessage: string.nullable(4),
    })
      .since(4)
      .default([]),
  },
})
