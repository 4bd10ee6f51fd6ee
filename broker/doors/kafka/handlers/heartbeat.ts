import { heartbeat } from '../../../../protocol/kafka/apis/heartbeat.ts'
import { checkGroupId, errorOf } from './group-requests.ts'
import { plain, type Desk, type Handler } from './handler.ts'

export const heartbeatHandler = (desk: Desk): Handler =>
  plain(
    desk,
    heartbeat,
    ({ groupId, memberId, groupInstanceId, generationId }) => {
      checkGroupId(groupId)
      const speaker = { memberId, instanceId: groupInstanceId, generation: generationId }
      return { errorCode: errorOf(desk.router.groups.of(groupId).heartbeat(groupId, speaker)) }
    },
    ({ errorCode }) => ({ errorCode }),
  )
