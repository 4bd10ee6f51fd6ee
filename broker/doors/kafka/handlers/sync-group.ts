import { Refusal } from '../../../../base/refusals.ts'
import { syncGroup } from '../../../../protocol/kafka/apis/sync-group.ts'
import { checkGroupId, errorOf } from './group-requests.ts'
import { plain, type Desk, type Handler } from './handler.ts'

/** From then on a member has to say which protocol it takes the group to have (KIP-559). */
const protocolSince = 5
const nothing = Buffer.alloc(0)

export const syncGroupHandler = (desk: Desk): Handler =>
  plain(
    desk,
    syncGroup,
    async (asked, { version }) => {
      const { groupId } = asked
      if (version >= protocolSince && (asked.protocolType === null || asked.protocolName === null))
        throw new Refusal('INCONSISTENT_GROUP_PROTOCOL', 'the member does not say which protocol it speaks')
      checkGroupId(groupId)
      const told = await desk.router.groups.of(groupId).sync(groupId, {
        memberId: asked.memberId,
        instanceId: asked.groupInstanceId,
        generation: asked.generationId,
        protocolType: asked.protocolType,
        protocol: asked.protocolName,
        assignments: new Map(asked.assignments.map(({ memberId, assignment }) => [memberId, assignment])),
      })
      if (told.refused !== undefined) return { errorCode: errorOf(told.refused), assignment: nothing }
      const { protocolType, protocol, assignment } = told
      return { errorCode: 0, protocolType, protocolName: protocol, assignment }
    },
    ({ errorCode }) => ({ errorCode, assignment: nothing }),
  )
