import { leaveGroup } from '../../../../protocol/kafka/apis/leave-group.ts'
import { checkGroupId, errorOf } from './group-requests.ts'
import { plain, type Desk, type Handler } from './handler.ts'

const manySince = 3

export const leaveGroupHandler = (desk: Desk): Handler =>
  plain(
    desk,
    leaveGroup,
    ({ groupId, memberId, members }, { version }) => {
      checkGroupId(groupId)
      const leavers = version < manySince ? [{ memberId, groupInstanceId: null }] : members
      const told = desk.router.groups.of(groupId).leave(
        groupId,
        leavers.map(one => ({ memberId: one.memberId, instanceId: one.groupInstanceId })),
      )
      if (typeof told === 'string') return { errorCode: errorOf(told) }
      if (version < manySince) return { errorCode: errorOf(told[0]) }
      const answers = leavers.map((one, i) => ({
        memberId: one.memberId,
        groupInstanceId: one.groupInstanceId,
        errorCode: errorOf(told[i]),
      }))
      return { errorCode: 0, members: answers }
    },
    ({ errorCode }) => ({ errorCode }),
  )
