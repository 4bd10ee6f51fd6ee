import { deleteGroups } from '../../../../protocol/kafka/apis/delete-groups.ts'
import { errorOf } from './group-requests.ts'
import { attempt, plain, type Desk, type Handler } from './handler.ts'

export const deleteGroupsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    deleteGroups,
    async ({ groupsNames }, call) => {
      const results = [...new Set(groupsNames)].map(async groupId => {
        const outcome = await attempt(call, 'DeleteGroups', () =>
          desk.router.groups.of(groupId).delete(groupId),
        )
        return { groupId, errorCode: 'value' in outcome ? errorOf(outcome.value) : outcome.errorCode }
      })
      return { results: await Promise.all(results) }
    },
    ({ errorCode }, { groupsNames }) => ({
      results: [...new Set(groupsNames)].map(groupId => ({ groupId, errorCode })),
    }),
  )
