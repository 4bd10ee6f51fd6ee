import { describeGroups } from '../../../../protocol/kafka/apis/describe-groups.ts'
import { describedMembers } from '../../../groups/group-views.ts'
import { groupOperations, operationsUnasked } from './described.ts'
import { failureOf, plain, type Call, type Desk, type Handler } from './handler.ts'

export const describeGroupsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    describeGroups,
    ({ groups, includeAuthorizedOperations }, call) => ({
      // One that is named twice is described once: an answer is no longer than what there is.
      groups: [...new Set(groups)].map(groupId => {
        const authorizedOperations = includeAuthorizedOperations ? groupOperations : operationsUnasked
        return { groupId, ...describe(groupId, call), authorizedOperations }
      }),
    }),
    ({ errorCode }, { groups }) => ({
      groups: groups.map(groupId => ({ groupId, ...nothing, errorCode })),
    }),
  )

const nothing = { errorCode: 0, groupState: '', protocolType: '', protocolData: '', members: [] }

function describe(groupId: string, call: Call) {
  try {
    const group = call.desk.router.groups.of(groupId).find(groupId)?.group
    // As in Kafka up to version 5: a group that is not there is described as dead, without an error.
    if (group === undefined) return { ...nothing, groupState: 'Dead' }
    return {
      errorCode: 0,
      groupState: group.state,
      protocolType: group.protocolType ?? '',
      protocolData: group.state === 'Stable' ? (group.protocol ?? '') : '',
      members: describedMembers(group).map(({ instanceId, metadata, assignment, ...member }) => ({
        ...member,
        groupInstanceId: instanceId,
        memberMetadata: metadata,
        memberAssignment: assignment,
      })),
    }
  } catch (error) {
    return { ...nothing, errorCode: failureOf(error, call, 'DescribeGroups').errorCode }
  }
}
