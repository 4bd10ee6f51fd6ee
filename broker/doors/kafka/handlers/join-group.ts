import { Refusal } from '../../../../base/refusals.ts'
import { joinGroup } from '../../../../protocol/kafka/apis/join-group.ts'
import type { RequestOf, ResponseOf } from '../../../../protocol/kafka/schema.ts'
import type { JoinRequest } from '../../../groups/group-messages.ts'
import { checkGroupId, errorOf, hostOf } from './group-requests.ts'
import { plain, type Call, type Desk, type Handler } from './handler.ts'

type Asked = RequestOf<typeof joinGroup>

const idFirstSince = 4
const mayBeNullSince = 7
const skipsAssignmentSince = 9

export const joinGroupHandler = (desk: Desk): Handler =>
  plain(
    desk,
    joinGroup,
    async (asked, call) => {
      const { groupId } = asked
      checkGroupId(groupId)
      checkSessionTimeout(asked, call)
      const told = await desk.router.groups.of(groupId).join(groupId, translate(asked, call))
      if (told.refused !== undefined) return refused(errorOf(told.refused), told.memberId, call)
      const { generation, protocol, members, ...rest } = told
      return {
        ...rest,
        errorCode: 0,
        generationId: generation,
        protocolName: protocol,
        members: members.map(({ memberId, instanceId, metadata }) => ({
          memberId,
          groupInstanceId: instanceId,
          metadata,
        })),
      }
    },
    ({ errorCode }, { memberId }, call) => refused(errorCode, memberId, call),
  )

const translate = (asked: Asked, call: Call): JoinRequest => ({
  memberId: asked.memberId,
  instanceId: asked.groupInstanceId,
  clientId: call.clientId ?? '',
  clientHost: hostOf(call),
  sessionTimeoutMs: asked.sessionTimeoutMs,
  rebalanceTimeoutMs: asked.rebalanceTimeoutMs,
  protocolType: asked.protocolType,
  protocols: asked.protocols,
  idFirst: call.version >= idFirstSince,
  maySkipAssignment: call.version >= skipsAssignmentSince,
})

function checkSessionTimeout({ sessionTimeoutMs }: Asked, { desk }: Call): void {
  const { groupMinSessionTimeoutMs: min, groupMaxSessionTimeoutMs: max } = desk.router.settings
  if (sessionTimeoutMs >= min && sessionTimeoutMs <= max) return
  const allowed = `group.min.session.timeout.ms (${min}) and group.max.session.timeout.ms (${max})`
  throw new Refusal(
    'INVALID_SESSION_TIMEOUT',
    `a session time-out of ${sessionTimeoutMs} ms is not between ${allowed}`,
  )
}

const refused = (errorCode: number, memberId: string, { version }: Call): ResponseOf<typeof joinGroup> => ({
  errorCode,
  generationId: -1,
  protocolName: version >= mayBeNullSince ? null : '',
  leader: '',
  memberId,
  members: [],
})
