import { api, array, int16, int32, string } from '../schema.ts'

/** Up to version 2 one member leaves, from 3 on several may be taken out at once (KIP-345). */
export const leaveGroup = api({
  key: 13,
  name: 'LeaveGroup',
  versions: '0-5',
  flexible: '4+',
  request: {
    groupId: string,
    memberId: string.until(2).default(''),
    members: array({
      memberId: string,
      groupInstanceId: string.since(3).nullable(3).default(null),
      reason: string.since(5).nullable(5).default(null),
    })
      .since(3)
      .default([]),
  },
  response: {
    throttleTimeMs: int32.since(1).default(0),
    errorCode: int16,
    members: array({
      memberId: string,
      groupInstanceId: string.since(3).nullable(3),
      errorCode: int16,
    })
      .since(3)
      .default([]),
  },
})
