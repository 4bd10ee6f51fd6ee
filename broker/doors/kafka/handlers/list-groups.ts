import { listGroups } from '../../../../protocol/kafka/apis/list-groups.ts'
import { plain, type Desk, type Handler } from './handler.ts'

/** Groups of Kafka's newer kinds (KIP-848, KIP-932) are not coordinated here. */
const groupType = 'classic'

export const listGroupsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    listGroups,
    ({ statesFilter, typesFilter }) => {
      const states = new Set(statesFilter.map(state => state.toLowerCase()))
      const types = new Set(typesFilter.map(type => type.toLowerCase()))
      const groups = []
      for (const { group } of desk.router.groups.all()) {
        if (states.size > 0 && !states.has(group.state.toLowerCase())) continue
        if (types.size > 0 && !types.has(groupType)) continue
        const { id: groupId, protocolType = '', state: groupState } = group
        groups.push({ groupId, protocolType, groupState, groupType })
      }
      return { errorCode: 0, groups }
    },
    ({ errorCode }) => ({ errorCode, groups: [] }),
  )
